"""A Space on loopback that fails as each test requires: refuses, resets, stalls, lies, or never ends.

It is a raw socket server, since no web framework would send what these tests need.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

ANSWER = "Hello, wörld 🌍!"
EVENT_ID = "e1"
CONFIG: dict[str, Any] = {
    "version": "5.50.0",
    "protocol": "sse_v3",
    "api_prefix": "/gradio_api",
    "app_id": 1,
    "components": [
        {"id": 1, "type": "textbox", "props": {"label": "Input"}},
        {"id": 2, "type": "chatbot", "props": {"type": "tuples"}},
    ],
    "dependencies": [
        {
            "id": 0,
            "api_name": "chat",
            "inputs": [1, 2],
            "outputs": [1, 2],
            "types": {"generator": True},
        }
    ],
}
_STEPS = {
    "/config": "config",
    "/login": "login",
    "/queue/join": "join",
    "/queue/data": "data",
    "/cancel": "cancel",
    "/host": "host",
    "/runtime": "runtime",
}


@dataclass
class Request:
    """What a client asked. `step` is one of config, login, join, data, cancel, host, runtime."""

    step: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Exchange:
    """One request and the connection that its answer goes out on."""

    server: "FaultServer"
    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed its connection."""
        with suppress(ConnectionError):
            while await self.reader.read(4096):
                pass


Answer = Callable[[Exchange], Awaitable[None]]


@dataclass
class FaultServer:
    """A running server. `answers` holds, by step, what it does instead of what a Space does."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    streams: int = 0  # that are open now
    listener: asyncio.Server | None = None

    def on(self, step: str, *answers: Answer) -> None:
        """Answer `step` so: each answer once, the last one forever."""
        self.answers[step] = list(answers)

    def asked(self, step: str) -> list[Request]:
        return [request for request in self.requests if request.step == step]

    @property
    def steps(self) -> list[str]:
        return [request.step for request in self.requests]

    async def quiet(self, *, cancels: int = 0, seconds: float = 30.0) -> None:
        """Wait until no stream is open and that many calls were cancelled; fail if it never is.

        A loop that ends while the Space is being told may tell it twice, which does no harm.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.streams or len(self._cancelled()) < cancels:
                    await asyncio.sleep(0.005)
        assert self.streams == 0, "a stream is still open"
        assert len(self._cancelled()) == cancels

    def _cancelled(self) -> set[str]:
        return {json.loads(request.body)["session_hash"] for request in self.asked("cancel")}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = target.partition("?")[0]
                step = next((s for end, s in _STEPS.items() if path.endswith(end)), "other")
                request = Request(step, method, target, headers, body)
                self.requests.append(request)
                self.streams += step == "data"
                try:
                    await self._answer(Exchange(self, request, reader, writer))
                finally:
                    self.streams -= step == "data"
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        answers = self.answers.get(exchange.request.step, [])
        answer = _as_a_space if not answers else answers.pop(0) if answers[1:] else answers[0]
        await answer(exchange)


async def _as_a_space(exchange: Exchange) -> None:
    answer = {
        "config": reply(json.dumps(CONFIG)),
        "join": reply(json.dumps({"event_id": EVENT_ID})),
        "data": stream(answer_events()),
    }.get(exchange.request.step, reply('{"success": true}'))
    await answer(exchange)


@asynccontextmanager
async def fault_server(ssl: SSLContext | None = None) -> AsyncIterator[FaultServer]:
    server = FaultServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=ssl)
    server.listener = listener
    scheme = "https" if ssl else "http"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while server.connections:
                    for writer in list(server.connections):
                        writer.transport.abort()
                    await asyncio.sleep(0.001)


# Answers


def reply(
    body: str | bytes = b"", status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """A whole answer; JSON, unless the headers or a leading `<` say otherwise."""
    content = body.encode() if isinstance(body, str) else body
    kind = "text/html" if content[:1] == b"<" else "application/json"
    fields = {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    async def answer(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + content)

    return answer


def page(status: int, headers: dict[str, str] | None = None) -> Answer:
    """The HTML page of a proxy before the Space."""
    body = f"<html><head><title>{status} from the proxy</title></head><body>Sorry</body></html>"
    return reply(body, status, headers)


UNKNOWN = reply('{"detail": "Session not found."}', 404)  # what a stream of another's session is


async def close(exchange: Exchange) -> None:
    """Close the connection without an answer."""
    exchange.writer.close()


async def reset(exchange: Exchange) -> None:
    """Reset the connection."""
    sock = exchange.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.writer.transport.abort()


async def silence(exchange: Exchange) -> None:
    """Never answer."""
    await exchange.gone()


def late(answer: Answer, seconds: float) -> Answer:
    """`answer`, after a while."""

    async def wait(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await answer(exchange)

    return wait


def then(first: Answer, second: Answer) -> Answer:
    """Both, one after the other, to one request."""

    async def both(exchange: Exchange) -> None:
        await first(exchange)
        await second(exchange)

    return both


async def hang_up(exchange: Exchange) -> None:
    """Take no new connection from here on, and close this one."""
    assert exchange.server.listener is not None
    exchange.server.listener.close()
    exchange.writer.close()


def raw(pieces: Iterable[bytes], pause: float = 0.0) -> Answer:
    """Any bytes, a packet each; an endless iterable continues until the client leaves."""

    async def answer(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece)
            await asyncio.sleep(pause)

    return answer


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def stream(
    pieces: Iterable[bytes],
    pause: float = 0.0,
    end: Answer | None = None,
    head: bytes = STREAM_HEAD,
) -> Answer:
    """A stream of events in `pieces`, then `end`; by default the body ends as it should."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(head)
        for piece in pieces:
            await exchange.send(chunk(piece))
            await asyncio.sleep(pause)
        await (raw([b"0\r\n\r\n"]) if end is None else end)(exchange)

    return answer


# Events


def event(msg: str, event_id: str | None = EVENT_ID, **body: Any) -> bytes:
    text = json.dumps({"msg": msg, "event_id": event_id, **body})
    return f"data: {text}\n\n".encode()


def value(text: str, query: str = "hi") -> list[Any]:
    return [[query, text]]


def generating(output: Any, event_id: str | None = EVENT_ID) -> bytes:
    return event("process_generating", event_id, output={"data": ["", output]}, success=True)


def appended(text: str, event_id: str | None = EVENT_ID) -> bytes:
    return event(
        "process_generating",
        event_id,
        output={"data": [[], [["append", [0, 1], text]]]},
        success=True,
    )


def completed(output: Any, event_id: str | None = EVENT_ID) -> bytes:
    return event("process_completed", event_id, output={"data": ["", output]}, success=True)


HEARTBEAT = b'data: {"msg":"heartbeat"}\n\n'
STARTS = event("process_starts", eta=1.0)
CLOSE = event("close_stream", None)


def answer_events(text: str = ANSWER) -> list[bytes]:
    """A whole call, an event a piece: its first letter, the rest one by one, and the end."""
    return [
        STARTS,
        generating(value(text[0])),
        *[appended(letter) for letter in text[1:]],
        completed(value(text)),
        CLOSE,
    ]
