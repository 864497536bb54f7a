"""The ASGI response that makes one call of the model and sends its answer.

Nothing is sent before the first chunk of the answer, so that an error has its HTTP status. Where
that takes longer than `heartbeat` seconds, the event stream begins with comments about the queue;
an error after that is an event. A client that leaves cancels the call, at any moment.
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, cast

import orjson
from langchain_core.messages import AIMessageChunk
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from langchain_qwen_space.api.answers import DONE, Frames, completion
from langchain_qwen_space.api.problems import problem_of
from langchain_qwen_space.api.requests import CompletionRequest
from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.events import (
    NoticeEvent,
    ProgressEvent,
    QueueEvent,
    RetryEvent,
    SpaceEvent,
    StartEvent,
    WakeEvent,
    WarningEvent,
)

logger = logging.getLogger(__name__)

_EVENT_STREAM = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold chunks back
}


class CompletionResponse(Response):
    """One chat completion.

    Args:
        model: The model to call. It is not changed.
        request: What the client asks for.
        heartbeat: The longest silence of an event stream, in seconds.
        logged: What was logged already and is not to be logged again; it is added to.
    """

    def __init__(
        self, model: ChatQwenSpace, request: CompletionRequest, heartbeat: float, logged: set[str]
    ) -> None:
        super().__init__()
        self._request = request
        self._heartbeat = heartbeat
        self._logged = logged
        self._model = model.model_copy(update={"on_event": self._on_event})
        self._model_on_event = model.on_event
        own_name = model.space if isinstance(model.space, str) else model.space[0]
        self._name = request.keywords.get("model") or model.model or own_name
        self._warnings: list[str] = []
        self._progress: SpaceEvent | None = None
        self._news = asyncio.Event()
        self._begun = False
        self._sent = 0
        self._lock = asyncio.Lock()  # frames and comments come from two tasks
        if request.not_honoured:
            self._warn(f"not honoured by the Space: {', '.join(request.not_honoured)}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the call and send its answer; stop as soon as the client is gone."""
        answer = self._stream if self._request.stream else self._whole
        tasks = {asyncio.ensure_future(answer(send)), asyncio.ensure_future(_left(receive))}
        if self._request.stream:
            tasks.add(asyncio.ensure_future(self._keep_alive(send)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _whole(self, send: Send) -> None:
        try:
            message = await self._model.ainvoke(self._request.messages, **self._request.keywords)
            body, status = completion(message, self._name), 200
            headers: Mapping[str, str] = {}
        except Exception as error:
            problem = problem_of(error)
            body, status, headers = problem.body, problem.status, problem.headers
        await self._send_json(send, status, body, headers)

    async def _stream(self, send: Send) -> None:
        request = self._request
        frames: Frames | None = None
        lock = self._lock
        try:
            chunks = cast("Any", self._model.astream(request.messages, **request.keywords))
            async with aclosing(chunks):
                async for chunk in chunks:
                    if frames is None:
                        frames = Frames(self._name, include_usage=request.include_usage)
                        frame = frames.first() + frames.of(chunk)
                    else:
                        frame = frames.of(cast("AIMessageChunk", chunk))
                    if frame:
                        async with lock:
                            if not self._begun:
                                await self._begin(send, 200, _EVENT_STREAM)
                            self._sent += 1
                            await _body(send, frame)
            ending = DONE
        except Exception as error:
            problem = problem_of(error)
            async with lock:
                if not self._begun:
                    await self._send_json(send, problem.status, problem.body, problem.headers)
                    self._sent = -1
                    return
            ending = b"data: " + problem.body + b"\n\n"
        async with lock:
            await send({"type": "http.response.body", "body": ending})
            self._sent = -1

    async def _keep_alive(self, send: Send) -> None:
        """Send a comment whenever nothing else was sent for a while, and for news of the queue."""
        while True:
            sent = self._sent
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await self._news.wait()
            self._news.clear()
            async with self._lock:
                if self._sent < 0:  # all is sent
                    return
                if self._sent != sent:
                    continue
                if not self._begun:
                    await self._begin(send, 200, _EVENT_STREAM)
                await _body(send, b": " + _described(self._progress) + b"\n\n")

    async def _send_json(
        self, send: Send, status: int, body: bytes, headers: Mapping[str, str]
    ) -> None:
        """Send a whole response."""
        kind = {"content-type": "application/json", "content-length": str(len(body))}
        await self._begin(send, status, {**kind, **headers})
        await send({"type": "http.response.body", "body": body})

    async def _begin(self, send: Send, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        self._begun = True
        named = {**headers, "x-request-id": f"req_{uuid.uuid4().hex}"}
        if self._warnings:
            named["x-qwen-space-warning"] = "; ".join(self._warnings)[:2000]
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), _header_value(value)) for name, value in named.items()],
            }
        )

    def _on_event(self, event: SpaceEvent) -> None:
        if self._model_on_event is not None:
            self._model_on_event(event)
        if isinstance(event, WarningEvent):
            self._warn(event.message)
        else:
            self._progress = event
            if self._begun:
                self._news.set()

    def _warn(self, message: str) -> None:
        self._warnings.append(message)
        if message not in self._logged and len(self._logged) < 1000:
            self._logged.add(message)
            logger.warning("%s", message)


async def _left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def _described(event: SpaceEvent | None) -> bytes:
    """An event as the text of an SSE comment: one line of ASCII. A Space's own words are left out."""
    if isinstance(event, QueueEvent):
        fields: dict[str, Any] = {
            "queue": event.rank,
            "queue_size": event.queue_size,
            "eta": event.eta,
        }
    elif isinstance(event, ProgressEvent):
        fields = {"done": event.done, "total": event.total, "progress": event.progress}
    elif isinstance(event, RetryEvent):
        fields = {"retry": event.attempt, "delay": event.delay}
    elif isinstance(event, WakeEvent):
        fields = {"waking": True}
    elif isinstance(event, StartEvent | NoticeEvent):
        fields = {"started": True}
    else:
        return b"waiting"
    return orjson.dumps(fields)


def _header_value(value: str) -> bytes:
    """A header's value in printable ASCII."""
    return "".join(char if " " <= char <= "~" else "?" for char in value).encode()
