"""The ASGI response that makes one call of the model and sends its answer.

Nothing is sent before the first chunk of the answer, so that an error has its HTTP status. Where
that takes longer than `heartbeat` seconds, the event stream begins with comments about the queue;
an error after that is an event. A client that leaves cancels the call, at any moment.

The answer is read as fast as the Space gives it, up to a megabyte ahead of the client. One that
reads slowly thus keeps the Space's slot no longer than others, and one that stops reading loses it.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, cast

import orjson
from langchain_core.messages import AIMessageChunk
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from langchain_qwen_space.api.answers import DONE, Frames, completion
from langchain_qwen_space.api.problems import Problem, problem_of
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

_AHEAD = 2**20  # bytes of a stream that may wait for the client
_AT_ONCE = 2**16  # of which so many are handed to the connection together
_PATIENCE = 30.0  # seconds that the call waits for a client that takes nothing and is so far behind

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
        self._begun = False
        # Of a stream:
        self._pending = bytearray()  # what is to be sent
        self._room = asyncio.Event()  # some of it was taken
        self._ended = False  # no more will follow
        self._problem: Problem | None = None  # which ended it
        self._news = asyncio.Event()  # something is to be done by the task that sends
        self._comment_due = False  # news of the queue, or a silence
        self._last = 0.0  # the loop's time at which something was sent last
        if request.not_honoured:
            self._warn(f"not honoured by the Space: {', '.join(request.not_honoured)}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the call and send its answer; stop as soon as the client is gone."""
        streamed = self._request.stream
        sending = asyncio.ensure_future(self._send_stream(send) if streamed else self._whole(send))
        tasks = {sending, asyncio.ensure_future(_left(receive))}
        reading = {asyncio.ensure_future(self._read())} if streamed else set()
        for task in reading:  # a call that somebody else cancels leaves no client waiting
            task.add_done_callback(lambda task: task.cancelled() and sending.cancel())
        try:
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks | reading:
                    task.cancel()
                await asyncio.gather(*tasks, *reading, return_exceptions=True)
        except asyncio.CancelledError:
            await self._break_off(send)
            raise
        for task in done:
            task.result()

    async def _break_off(self, send: Send) -> None:
        """Let the client know that the server stops."""
        problem = Problem(503, "The server is stopping.", "server_error", code="stopping")
        with suppress(Exception):  # the answer may be complete, or the client gone
            async with asyncio.timeout(1.0):
                if not self._begun:
                    await self._send_json(send, problem.status, problem.body, problem.headers)
                elif self._request.stream:
                    ending = {"type": "http.response.body", "body": _error_event(problem)}
                    await send(ending)

    async def _whole(self, send: Send) -> None:
        try:
            message = await self._model.ainvoke(self._request.messages, **self._request.keywords)
            body, status = completion(message, self._name), 200
            headers: Mapping[str, str] = {}
        except Exception as error:
            problem = problem_of(error)
            body, status, headers = problem.body, problem.status, problem.headers
        await self._send_json(send, status, body, headers)

    async def _read(self) -> None:
        """Make the call, and hand its answer to `_send_stream` as frames."""
        request = self._request
        frames: Frames | None = None
        try:
            stream = self._model.astream(request.messages, **request.keywords)
            async with aclosing(cast("AsyncGenerator[AIMessageChunk]", stream)) as chunks:
                async for chunk in chunks:
                    if frames is None:
                        frames = Frames(self._name, include_usage=request.include_usage)
                        self._pending += frames.first()
                    self._pending += frames.of(chunk)
                    self._news.set()
                    while len(self._pending) > _AHEAD:
                        await self._wait_for_room()
            self._pending += DONE
        except Exception as error:
            self._problem = problem_of(error)
        self._ended = True
        self._news.set()

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._room.wait()
        except TimeoutError:
            msg = f"The client read nothing for {_PATIENCE:g} seconds, so its call was cancelled."
            logger.warning("%s", msg)
            raise Problem(408, msg, code="timeout") from None

    async def _send_stream(self, send: Send) -> None:
        """Send frames as they come, and a comment for news of the queue or after a silence."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look() -> None:
            """One timer for all silences: it is set again only when it fires."""
            nonlocal timer
            now = loop.time()
            if now >= self._last + self._heartbeat:
                self._last = now
                self._comment_due = True
                self._news.set()
            timer = loop.call_at(self._last + self._heartbeat, look)

        self._last = loop.time()
        timer = loop.call_later(self._heartbeat, look)
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._problem is not None:
                    if not self._begun and not self._pending:
                        problem = self._problem
                        await self._send_json(send, problem.status, problem.body, problem.headers)
                        return
                    self._pending += _error_event(self._problem)
                    self._problem = None
                if not self._begun:
                    await self._begin(send, 200, _EVENT_STREAM)
                if self._comment_due and not self._pending and not self._ended:
                    self._pending += b": " + _described(self._progress) + b"\n\n"
                self._comment_due = False
                while self._pending:
                    data = bytes(self._pending[:_AT_ONCE])
                    del self._pending[:_AT_ONCE]
                    self._room.set()
                    self._last = loop.time()
                    more = bool(self._pending) or not self._ended or self._problem is not None
                    await send({"type": "http.response.body", "body": data, "more_body": more})
                    if not more:
                        return
        finally:
            timer.cancel()

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
                self._comment_due = True
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


def _error_event(problem: Problem) -> bytes:
    return b"data: " + problem.body + b"\n\n"


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
