"""A server on loopback that answers as a recorded Space did, byte for byte."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WIRE = Path(__file__).parent / "wire"
FOLDERS = sorted(path.name for path in WIRE.iterdir() if path.is_dir())


@dataclass
class Case:
    """One recorded call."""

    folder: str
    name: str
    record: dict[str, Any]
    body: bytes

    @property
    def reply(self) -> str | None:
        return self.record["reply"]

    @property
    def event_id(self) -> str:
        return json.loads(self.record["join"]["body"])["event_id"]

    @property
    def data(self) -> list[Any]:
        return self.record["request"]["data"]

    def events(self) -> list[dict[str, Any]]:
        """The stream's events, read in the simplest way."""
        return [
            json.loads(line.removeprefix("data: "))
            for line in self.body.decode().split("\n")
            if line.startswith("data: ")
        ]


def config(folder: str) -> dict[str, Any]:
    return json.loads((WIRE / folder / "config.json").read_bytes())


def load(folder: str, name: str) -> Case:
    path = WIRE / folder / "cases" / name
    stream = path.with_suffix(".sse")
    record = json.loads(path.with_suffix(".json").read_bytes())
    return Case(folder, name, record, stream.read_bytes() if stream.exists() else b"")


def streamed_cases() -> list[tuple[str, str]]:
    """Every recorded call whose join succeeded, as (folder, case)."""
    return [
        (folder, path.stem)
        for folder in FOLDERS
        for path in sorted((WIRE / folder / "cases").glob("*.sse"))
        if path.stem != "no_session"
    ]


def split(body: bytes, seed: int) -> list[bytes]:
    """`body` in pieces of random length, from single bytes to many events."""
    rng = random.Random(seed)
    longest = rng.choice([1, 2, 7, 60, 500, 5000])
    if len(body) > 60_000:
        longest = max(longest, 500)
    pieces, start = [], 0
    while start < len(body):
        end = start + rng.randint(1, longest)
        pieces.append(body[start:end])
        start = end
    return pieces


@dataclass
class Replay:
    """A running server and what it was asked."""

    case: Case
    url: str = ""
    pieces: list[bytes] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0

    def paths(self) -> list[str]:
        return [path.partition("?")[0] for _, path, _ in self.requests]

    def joins(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, path, body in self.requests if path.endswith("queue/join")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((method, path, body))
                self.headers.append(headers)
                await self.answer(path, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path.endswith("/config"):
            document = config(self.case.folder) | {"root": self.url}
            _whole(writer, 200, json.dumps(document).encode())
        elif path.endswith("queue/join"):
            join = self.case.record.get("join", {"status": 200, "body": '{"event_id": "0"}'})
            _whole(writer, join["status"], join["body"].encode())
        elif path.endswith("/cancel"):
            _whole(writer, 200, b'{"success": true}')
        elif "queue/data" in path and self.case.record.get("join", {}).get("status", 200) != 200:
            _whole(writer, 404, b'{"detail": "Session not found."}')
        elif "queue/data" in path:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            for piece in self.pieces:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")
        await writer.drain()


def _whole(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(
        b"HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (status, len(body), body)
    )


@asynccontextmanager
async def replay(
    folder: str, name: str, pieces: list[bytes] | None = None
) -> AsyncIterator[Replay]:
    """Serve one recorded case; its stream comes in `pieces` (else whole)."""
    case = load(folder, name)
    served = Replay(case, pieces=pieces or [case.body])
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
