"""One function called in a visitor's session: its place in the queue and the stream of its events."""

import asyncio
import socket
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import orjson
from yarl import URL

from langchain_qwen_space.errors import (
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceConnectionError,
    SpaceTimeoutError,
)
from langchain_qwen_space.space.page.config import Dependency, SpaceConfig
from langchain_qwen_space.space.routing.client import ERROR_BYTES, SpaceClient, read_body
from langchain_qwen_space.space.wire.faults import from_status
from langchain_qwen_space.space.wire.pool import Pool

_DRAIN = 1.0  # seconds that the end of a finished answer's body is waited for
_FAREWELL = 5.0  # seconds that a Space has to answer each request of a call that was left


class Session:
    """One attempt at a call, from the place in the queue to the end of its stream.

    Attributes:
        event_id: The Space's id of the call; None until it is known.
        stream: The open stream of the call's events.
        complete: The Space has completed the call.
        generating: The function is a generator that has yielded.
        lost: The error that the answer to the join was lost to; the Space may have the call or not.
    """

    def __init__(
        self,
        client: SpaceClient,
        pool: Pool,
        config: SpaceConfig,
        step: Dependency,
        session_hash: str,
        event_data: Any = None,
    ) -> None:
        self._config = config
        self._step = step
        self._event_data = event_data
        self.event_id: str | None = None
        self.stream: aiohttp.ClientResponse | None = None
        self.complete = False
        self.generating = False
        self.lost: SpaceConnectionError | None = None
        self._client, self._pool = client, pool
        self._hash = session_hash
        self._joining: asyncio.Task[str] | None = None

    async def open(self, arguments: list[Any], before: tuple[int, list[Any]] | None = None) -> None:
        """Join the queue and open the stream.

        If the answer to the join is lost, the call may stand in the queue all the same. Its stream
        tells, for a session holds one call only.

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
        except SpaceConnectionError as lost:
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
        """Close the stream at once, and cancel the call on the Space, unless it is complete.

        Gradio 4 closes a generator that has yielded when its stream closes. A cancellation besides
        would leave it suspended there, and its `finally` would never run.
        """
        self.hang_up()
        if self._joining is not None and not self.complete:
            self.complete = True
            if self.generating and self.stream is not None and self._config.release < (5,):
                return
            self._pool.spawn(partial(self._say_goodbye, self._joining))

    def hang_up(self) -> None:
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
            "fn_index": self._step.id,
            "trigger_id": self._config.trigger_of(self._step),
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
            self.complete = True  # nothing was sent
            msg = f"The values for {self._client.where} cannot be sent as JSON: {error}."
            raise InvalidInputError(msg) from None
        status, headers, answer = await self._client.fetch(
            self._pool,
            "POST",
            self._config.api(path),
            ERROR_BYTES,
            data=data,
            headers={"Content-Type": "application/json"},
        )
        if status != 200:
            if path == "queue/join":
                self.complete = True  # it was not taken
            text = self._client.quoted(answer)
            raise from_status(status, headers, text, self._client.where, f"POST {path}")
        return answer

    @property
    def _stream_url(self) -> URL:
        return self._config.api("queue/data").with_query(session_hash=self._hash)

    async def _listen(self) -> None:
        client, timeout = self._client, self._client.options.timeout
        headers = {"Accept": "text/event-stream"}
        try:
            async with asyncio.timeout(timeout):
                # Opened again it would have heartbeats only, or share its events with the first.
                stream = await self._pool.request(
                    "GET", self._stream_url, client.access, once=True, headers=headers
                )
                if stream.status != 200:
                    text = client.quoted(await read_body(stream, ERROR_BYTES))
                    raise from_status(
                        stream.status, stream.headers, text, client.where, "GET queue/data"
                    )
        except QwenSpaceError:
            raise
        except TimeoutError:
            what = f"did not open the stream of its answer within {timeout} seconds."
            raise SpaceTimeoutError(f"{client.where} {what}") from None
        self.stream = stream

    async def _say_goodbye(self, joining: "asyncio.Task[str]") -> None:
        """Tell the Space that nobody listens to the call any more."""
        access = self._client.access
        # Its answer may be lost, or never come, while the call is queued.
        await asyncio.wait([joining], timeout=_FAREWELL)
        joining.cancel()
        if joining.done() and not joining.cancelled() and joining.exception() is None:
            self.event_id = joining.result()
        async with self._pool.turn(access):
            if self.stream is None:
                # Only closing a stream takes a waiting call out of the queue before Gradio 6.14.
                with suppress(QwenSpaceError, TimeoutError):
                    async with asyncio.timeout(_FAREWELL):
                        (await self._pool.request("GET", self._stream_url, access)).close()
            body = {
                "session_hash": self._hash,
                "fn_index": self._step.id,
                "event_id": self.event_id or "",
            }
            url = self._config.api("cancel")
            async with asyncio.timeout(_FAREWELL):
                told = await self._pool.request("POST", url, access, json=body)
                await read_body(told, ERROR_BYTES)
