"""A TCP proxy before a real Space that does harm to what comes back: cuts, stalls, splits, throttles.

It knows HTTP only so far as to see which request an answer belongs to.
"""

import asyncio
import random
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL

_REQUEST = re.compile(rb"(?:GET|POST) \S*/(config|join|data|cancel|predict)\b")

Carry = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Hands some bytes on, or does not."""
Fault = Callable[[], Carry]
"""Starts at zero with each request."""


@dataclass
class Proxy:
    """A running proxy. `asked` are the requests' last words, as config, join, data, cancel."""

    host: str
    port: int
    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers: dict[str, list[Fault]] = field(default_factory=dict)
    requests: dict[str, list[Fault]] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def on(self, step: str, *faults: Fault) -> None:
        """Do so to what answers `step`: each once, the last one forever."""
        self.answers[step] = list(faults)

    def before(self, step: str, *faults: Fault) -> None:
        """Do so to the request itself."""
        self.requests[step] = list(faults)

    async def serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        back: asyncio.Task[None] | None = None
        server: asyncio.StreamWriter | None = None
        try:
            from_server, server = await asyncio.open_connection(self.host, self.port)
            way = _Way(client, whole())
            back = asyncio.create_task(way.carry_all(from_server))
            there = whole()
            while data := await reader.read(65536):
                if found := _REQUEST.match(data):
                    step = found[1].decode()
                    self.asked.append(step)
                    way.carry = _next(self.answers.get(step))
                    there = _next(self.requests.get(step))
                await there(data, server)
            if way.cut:  # the server hears nothing of it, as behind a proxy that keeps connections
                await asyncio.Event().wait()
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            self.tasks.discard(task)
            if back is not None:
                back.cancel()
            for writer in (client, server):
                if writer is not None:
                    writer.close()


@dataclass
class _Way:
    """One connection's way from the server to the client."""

    client: asyncio.StreamWriter
    carry: Carry
    cut: bool = False

    async def carry_all(self, server: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await server.read(65536):
                try:
                    await self.carry(data, self.client)
                except _Cut:
                    self.cut = True
                    _reset(self.client)
                    return
            self.client.close()


class _Cut(Exception):  # noqa: N818
    """The connection to the client ends here."""


def _next(faults: list[Fault] | None) -> Carry:
    if not faults:
        return whole()
    return (faults.pop(0) if faults[1:] else faults[0])()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[Proxy]:
    """A proxy on loopback before the server at `url`."""
    address = URL(url)
    proxy = Proxy(address.host or "", address.port or 80)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listener.close()
        tasks = list(proxy.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# Faults


async def _send(data: bytes, to: asyncio.StreamWriter) -> None:
    to.write(data)
    await to.drain()


def whole() -> Carry:
    """No fault."""
    return _send


def cut(after: int) -> Fault:
    """Reset the connection behind that many bytes of the answer, its head included."""

    def begin() -> Carry:
        left = after

        async def carry(data: bytes, to: asyncio.StreamWriter) -> None:
            nonlocal left
            await _send(data[:left], to)
            left -= len(data)
            if left < 0:
                # What was sent is to arrive before the reset, which overtakes what waits.
                await asyncio.sleep(0.05)
                raise _Cut

        return carry

    return begin


def cut_behind(words: bytes, count: int) -> Fault:
    """Reset the connection right behind the `count`th time that the answer says `words`."""

    def begin() -> Carry:
        seen = 0

        async def carry(data: bytes, to: asyncio.StreamWriter) -> None:
            nonlocal seen
            here = data.count(words)
            if seen + here < count:
                seen += here
                await _send(data, to)
                return
            parts = data.split(words)[: count - seen]
            await cut(len(words.join([*parts, b""])))()(data, to)

        return carry

    return begin


def stall(after: int, until: asyncio.Event | float) -> Fault:
    """Hold everything behind that many bytes back: for some seconds, or until an event."""

    def begin() -> Carry:
        left = after

        async def carry(data: bytes, to: asyncio.StreamWriter) -> None:
            nonlocal left
            if 0 <= left < len(data):
                await _send(data[:left], to)
                data, left = data[left:], -1
                if isinstance(until, asyncio.Event):
                    await until.wait()
                else:
                    await asyncio.sleep(until)
            elif left >= 0:
                left -= len(data)
            await _send(data, to)

        return carry

    return begin


def scramble(seed: int) -> Fault:
    """Split packets within anything, and join what comes meanwhile."""

    def begin() -> Carry:
        dice = random.Random(seed)

        async def carry(data: bytes, to: asyncio.StreamWriter) -> None:
            while data:
                size = dice.choice([1, 2, 3, 7, 40, 500, len(data)])
                await _send(data[:size], to)
                data = data[size:]
                await asyncio.sleep(dice.choice([0, 0, 0, 0.001]))
            await asyncio.sleep(dice.choice([0, 0, 0.02]))

        return carry

    return begin


def throttle(rate: int) -> Fault:
    """Let `rate` bytes a second through."""

    def begin() -> Carry:
        async def carry(data: bytes, to: asyncio.StreamWriter) -> None:
            step = max(1, rate // 50)
            for start in range(0, len(data), step):
                await _send(data[start : start + step], to)
                await asyncio.sleep(0.02)

        return carry

    return begin
