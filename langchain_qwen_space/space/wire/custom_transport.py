"""A caller's own transport in the place of aiohttp's sessions."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from inspect import isawaitable
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from langchain_qwen_space.transport import Request, Response, Transport

_BUFFER = 2**16  # bytes of a body that are taken before anybody reads them


class CustomResponse:
    """A transport's response, with as much of `aiohttp.ClientResponse` as is used here.

    Attributes:
        url: What was asked.
        status: The status code.
        headers: The headers.
        cookies: Those that it sets.
        content: The body, as it comes.
        connection: None: there is no socket to shut down.
    """

    connection: None = None

    def __init__(self, url: URL, response: Response) -> None:
        self.url = url
        self.status = response.status
        self.headers = CIMultiDictProxy(CIMultiDict(response.headers))
        self.cookies: SimpleCookie = SimpleCookie()
        for header in self.headers.getall("Set-Cookie", ()):
            with suppress(CookieError):
                self.cookies.load(header)
        self.content = CustomBody()
        body = _whole(response.body) if isinstance(response.body, bytes) else response.body
        self._feeding = asyncio.get_running_loop().create_task(self._feed(body))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more of the body."""
        self._feeding.cancel()
        self.content.fail(aiohttp.ClientConnectionError("The response was closed."))

    async def _feed(self, body: AsyncIterable[bytes]) -> None:
        try:
            async for piece in body:
                if not isinstance(piece, bytes):
                    what = type(piece).__name__
                    raise TypeError(f"The transport's body yields {what}; give bytes.")
                await self.content.put(piece)
        except Exception as error:
            self.content.fail(error)
        else:
            self.content.end()
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


class CustomBody:
    """Bytes between a transport that gives them and a call that reads them."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._complete = False
        self._error: Exception | None = None
        self._at_end: list[Callable[[], None]] = []
        self._changed = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Add a piece, and wait until there is room for more."""
        self._pieces.append(piece)
        self._changed.set()
        while sum(map(len, self._pieces)) > _BUFFER:
            self._changed.clear()
            await self._changed.wait()

    def end(self) -> None:
        """There is no more."""
        self._complete = True
        self._changed.set()
        for callback in self._at_end:
            callback()

    def fail(self, error: Exception) -> None:
        """Raise this from the next read, or from one that waits."""
        self._error = error
        self._changed.set()

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call this when the last piece has come."""
        if self._complete:
            callback()
        else:
            self._at_end.append(callback)

    async def readany(self) -> bytes:
        """What has come, at least one byte; nothing at the end."""
        while not any(self._pieces) and not self._complete and self._error is None:
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._changed.set()
        return data


class CustomSession:
    """Sends requests by a transport.

    Args:
        transport: What answers them.
        headers: What every request has.
    """

    def __init__(self, transport: Transport, headers: Mapping[str, str]) -> None:
        self._transport, self._headers = transport, headers

    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        proxy: URL | None,
        data: Any = b"",
        json: Any = None,
        **_: object,
    ) -> CustomResponse:
        """As `aiohttp.ClientSession.request`."""
        known = CIMultiDict({**self._headers, **headers})
        if json is not None:
            known["Content-Type"] = "application/json"
            data = orjson.dumps(json)
        elif isinstance(data, Mapping):
            known["Content-Type"] = "application/x-www-form-urlencoded"
            data = urlencode(data).encode()
        elif not isinstance(data, bytes):
            data = b"".join([bytes(piece) async for piece in data])
        asked = Request(
            method, str(url), CIMultiDictProxy(known), data, str(proxy) if proxy else None
        )
        answer = self._transport(asked)
        if not isawaitable(answer):
            raise TypeError("transport= is an async function that returns a Response.")
        if not isinstance(response := await answer, Response):
            raise TypeError(f"transport= returned {response!r:.100}, which is not a Response.")
        return CustomResponse(url, response)
