"""The crowd's server: speaks a Space's wire to a thousand callers at a time, in its own process.

Gradio itself is not fast enough for a thousand streams on a small machine. A question says what to
do: `together SIZE: TEXT` streams TEXT a word an event, but after the first word waits until SIZE
streams are open at once. `GET /peak` returns the largest number that was open, and resets it.
Prints its port and serves until its standard input closes.
"""

import asyncio
import json
import os
import re
import resource
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[1] / "tests/wire/gradio-6.31.0-chatbot-messages/config.json"
EVENT_ID = "a71aef1058934b32991e62d1fbb5ff7a"
PACE = 0.02  # seconds between two words
_QUESTION = re.compile(r"together (\d+): (.*)", re.DOTALL)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def allow_files() -> None:
    """Let this process open as many files as the machine lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """Holds what its streams share."""

    def __init__(self) -> None:
        self.open = self.peak = 0
        self.questions: dict[str, str] = {}  # by session
        self.together: dict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                await self._answer(head.split(b" ", 2)[1].decode(), body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if path.endswith("/config"):
            host, port = writer.get_extra_info("sockname")
            config = json.loads(CONFIG.read_bytes())
            _whole(writer, config | {"root": f"http://{host}:{port}"})
        elif path.endswith("/queue/join"):
            asked = json.loads(body)
            self.questions[asked["session_hash"]] = asked["data"][0]
            _whole(writer, {"event_id": EVENT_ID})
        elif "/queue/data" in path:
            await self._stream(self.questions.pop(path.rpartition("=")[2]), writer)
        elif path == "/peak":
            _whole(writer, self.peak)
            self.peak = 0
            self.together.clear()
        else:
            _whole(writer, {"success": True})

    async def _stream(self, question: str, writer: asyncio.StreamWriter) -> None:
        found = _QUESTION.fullmatch(question)
        assert found
        size, text = int(found[1]), found[2]
        *events, end = [b"%x\r\n%s\r\n" % (len(each), each) for each in _events(question, text)]
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            writer.write(_STREAM_HEAD)
            for number, event in enumerate(events):
                writer.write(event)
                await writer.drain()
                if number == 1:
                    if self.open >= size:
                        self.together[size].set()
                    await self.together[size].wait()
                await asyncio.sleep(PACE)
        finally:
            self.open -= 1  # before the end is sent, upon which the next call may come
        writer.write(end + b"0\r\n\r\n")


def _events(question: str, text: str) -> Iterator[bytes]:
    yield _event({"msg": "process_starts", "event_id": EVENT_ID, "eta": None})
    first, *words = re.findall(r"\S+\s*", text)
    yield _output("process_generating", [None, _chat(question, first), None])
    for word in words:
        edit = ["append", [1, "content", 0, "text"], word]
        yield _output("process_generating", [[], [edit], []])
    yield _output("process_completed", [None, _chat(question, text), None])
    yield _event({"msg": "close_stream", "event_id": None})


def _chat(question: str, answer: str) -> list[dict[str, Any]]:
    return [
        {"role": role, "metadata": None, "content": [{"type": "text", "text": text}]}
        for role, text in (("user", question), ("assistant", answer))
    ]


def _output(msg: str, data: list[Any]) -> bytes:
    return _event({"msg": msg, "event_id": EVENT_ID, "output": {"data": data}, "success": True})


def _event(event: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % json.dumps(event).encode()


def _whole(writer: asyncio.StreamWriter, document: Any) -> None:
    body = json.dumps(document).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)


async def main() -> None:
    allow_files()
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # without a word about connections that are still open


if __name__ == "__main__":
    asyncio.run(main())
