"""One function called in a session: its place in the queue and the stream of its events."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import orjson
from yarl import URL

from langchain_qwen_space.errors import (
    InvalidInputError,
    ProtocolError,
    QueueFullError,
    QwenSpaceError,
    SpaceConnectionError,
    SpaceTimeoutError,
    SpaceUnavailableError,
)
from langchain_qwen_space.space.wire.client import (
    ERROR_BYTES,
    AnyResponse,
    SpaceClient,
    read_body,
    text_of,
)
from langchain_qwen_space.space.wire.faults import from_status

_DRAIN = 1.0  # seconds that the end of a finished answer's body is waited for
_CANCELLING = 5.0  # seconds that a Space has to answer each request of a call that is cancelled


class FunctionRun:
    """One function's run, from the place in the queue to the end of its stream.

    Args:
        client: Who asks.
        url_of: The URL of a route of the app's API.
        fn_index: The function.
        session_hash: The id of the session that the call is part of.
        timeout: Seconds that the Space may take to answer a request.
        trigger_id: The component whose event called it.
        event_data: What came with that event.
        closing_is_enough: Whether a run is cancelled by closing its stream alone. On Gradio 4 a
            generator is closed so, and `/cancel` besides would leave it suspended for good, its
            `finally` not run.

    Attributes:
        event_id: The Space's id of the call; None until it is known.
        stream: The open stream of the call's events.
        done: Nothing is left to cancel: the call was completed, refused or never sent, or is being
            cancelled.
        lost: Why the answer to the join did not arrive, if it did not; the Space may have the call
            all the same.
    """

    def __init__(
        self,
        client: SpaceClient,
        url_of: Callable[[str], URL],
        fn_index: int,
        session_hash: str,
        timeout: float | None,
        *,
        trigger_id: int | None = None,
        event_data: Any = None,
        closing_is_enough: bool = False,
    ) -> None:
        self._client, self._url_of = client, url_of
        self._fn_index, self._hash = fn_index, session_hash
        self._timeout = timeout
        self._trigger_id, self._event_data = trigger_id, event_data
        self._closing_is_enough = closing_is_enough
        self.event_id: str | None = None
        self.stream: AnyResponse | None = None
        self.done = False
        self.lost: QwenSpaceError | None = None
        self._joining: asyncio.Task[str] | None = None

    async def open(self, arguments: list[Any], before: tuple[int, list[Any]] | None = None) -> None:
        """Join the queue and open the stream.

        If the answer to the join is lost, or comes from a proxy that cannot know, the call may stand
        in the queue all the same. Its stream shows it, for a session holds one call only.

        Args:
            arguments: The function's arguments.
            before: A function to call first in the session, and its arguments: the one that sets the
                earlier turns where the session itself keeps them (`gr.ChatInterface`).

        Raises:
            QwenSpaceError: See `errors`.
        """
        if before is not None:
            fn_index, data = before
            body = {"data": data, "fn_index": fn_index, "session_hash": self._hash}
            await self._post("run/predict", body)
        try:
            await self._join(arguments)
        except (SpaceConnectionError, SpaceUnavailableError) as lost:
            if self.done:
                raise
            self.lost = lost
            try:
                await self._listen()
            except QwenSpaceError:
                raise lost from None
        else:
            await self._listen()

    async def drain(self) -> None:
        """Read a complete answer's body to its end, which frees the connection for others."""
        assert self.stream is not None  # noqa: S101
        try:
            async with asyncio.timeout(_DRAIN):
                while await self.stream.content.readany():
                    pass
        except (aiohttp.ClientError, OSError):
            self.stream.close()

    def end(self) -> None:
        """Close the stream at once, and cancel the call on the Space, unless it is complete."""
        self._hang_up()
        if self._joining is not None and not self.done:
            self.done = True
            if self.stream is None or not self._closing_is_enough:
                self._client.spawn(partial(self._cancel, self._joining))

    def _hang_up(self) -> None:
        """Close the stream's connection at once, unless the body was read to its end."""
        if self.stream is None:
            return
        connection = self.stream.connection
        if connection is not None and connection.transport is not None:
            # A process that was forked meanwhile holds the socket too; closing would not reach it.
            sock = connection.transport.get_extra_info("socket")
            with suppress(OSError, AttributeError, TypeError):  # some loops have no such socket
                sock.shutdown(socket.SHUT_RDWR)
        self.stream.close()

    async def _join(self, arguments: list[Any]) -> None:
        body = {
            "data": arguments,
            "event_data": self._event_data,
            "fn_index": self._fn_index,
            "trigger_id": self._trigger_id,
            "session_hash": self._hash,
        }
        # In a task of its own, so that a caller who leaves meanwhile does not leave behind a
        # call of which nobody knows whether it stands in the queue.
        self._joining = asyncio.get_running_loop().create_task(self._joined(body))
        self.event_id = await asyncio.shield(self._joining)

    async def _joined(self, body: dict[str, Any]) -> str:
        answer = await self._post("queue/join", body)
        try:
            event_id = orjson.loads(answer)["event_id"]
            if isinstance(event_id, str):
                return event_id
        except (ValueError, LookupError, TypeError):
            pass
        what = "took the call, but its answer to POST queue/join holds no event_id."
        raise ProtocolError(f"{self._client.where} {what}")

    async def _post(self, path: str, body: dict[str, Any]) -> bytes:
        try:
            data = orjson.dumps(body)
        except TypeError as error:
            self.done = True  # nothing was sent
            msg = f"The values for {self._client.where} cannot be sent as JSON: {error}."
            raise InvalidInputError(msg) from None
        status, headers, answer = await self._client.fetch(
            "POST",
            self._url_of(path),
            ERROR_BYTES,
            self._timeout,
            data=data,
            headers={"Content-Type": "application/json"},
        )
        if status != 200:
            where, step = self._client.where, f"POST {path}"
            refused = from_status(status, headers, text_of(answer), where, step)
            if path == "queue/join":
                self.done = _is_refusal(status, refused)
            raise refused
        return answer

    @property
    def _stream_url(self) -> URL:
        return self._url_of("queue/data").with_query(session_hash=self._hash)

    async def _listen(self) -> None:
        where = self._client.where
        try:
            async with asyncio.timeout(self._timeout):
                # Opened again it would have heartbeats only, or share its events with the first.
                stream = await self._client.request(
                    "GET", self._stream_url, once=True, headers={"Accept": "text/event-stream"}
                )
                if stream.status != 200:
                    async with stream:
                        text = text_of(await read_body(stream, ERROR_BYTES))
                    raise from_status(stream.status, stream.headers, text, where, "GET queue/data")
        except QwenSpaceError:
            raise
        except TimeoutError:
            what = f"did not open the stream of its answer within {self._timeout} seconds."
            raise SpaceTimeoutError(f"{where} {what}") from None
        self.stream = stream

    async def _cancel(self, joining: "asyncio.Task[str]") -> None:
        """Let the Space know that nobody listens to the call any more."""
        # The answer to the join may be lost, or never come, while the call is queued.
        await asyncio.wait([joining], timeout=_CANCELLING)
        joining.cancel()
        if joining.done() and not joining.cancelled() and joining.exception() is None:
            self.event_id = joining.result()
        async with self._client.cancelling:
            if self.stream is None:
                # Only closing a stream takes a waiting call out of the queue before Gradio 6.14.
                with suppress(QwenSpaceError, TimeoutError):
                    async with asyncio.timeout(_CANCELLING):
                        (await self._client.request("GET", self._stream_url)).close()
                if self._closing_is_enough:
                    return
            body = {
                "session_hash": self._hash,
                "fn_index": self._fn_index,
                "event_id": self.event_id or "",
            }
            async with asyncio.timeout(_CANCELLING):
                url = self._url_of("cancel")
                async with await self._client.request("POST", url, json=body) as answer:
                    await read_body(answer, ERROR_BYTES)


def _is_refusal(status: int, error: QwenSpaceError) -> bool:
    """Whether an answer to the join proves that the call was not taken.

    A proxy that waited in vain (408, 502, 504) does not know whether it was.
    """
    return isinstance(error, QueueFullError) or (300 <= status < 500 and status != 408)
