"""The benchmark's server: plays a Gradio Space, OpenAI's API and Ollama's, in a process of its own.

The question that a client asks says what the answer is to be:

    live N     N events, one a millisecond
    burst N    N events at once
    paced N    N events, 40 a second; each chunk is the time.monotonic() of its sending
    slow N     the same, 10 a second
    hold N     N events at once, and then nothing: the stream stays open

All but these two is rendered before it is sent, so that the server takes as little of the machine as
it can. Every chunk has the same size, and every event is an HTTP chunk of its own, as real
servers send them. Prints its port and serves until its standard input closes. `--many` serves more
streams at once than 500, and is a millisecond less exact.
"""

import asyncio
import json
import re
import selectors
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[1] / "tests/wire/gradio-4.44.1-modelscope-chatbot/config.json"
MODEL = "qwen2.5-72b-instruct"
EVENT_ID = "a71aef1058934b32991e62d1fbb5ff7a"
LIVE = 0.001  # seconds between two events
PACED = {"paced": 0.025, "slow": 0.1}
FRAGMENT = 12  # characters; what a time stamp needs

_PROSE = (
    "The capital of France is Paris, which lies on the Seine. It has been the seat of kings, of "
    "two empires and of five republics, and most of its streets are younger than they look. "
)
_QUESTION = re.compile(rb"(live|burst|paced|slow|hold) (\d+)")
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@dataclass(frozen=True)
class Protocol:
    """How a server wraps chunks: events before, a template for each, events after."""

    content_type: bytes
    event: Callable[[int, str], bytes]
    before: tuple[bytes, ...] = ()
    after: Callable[[str], tuple[bytes, ...]] = lambda _text: ()


def _sse(event: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % json.dumps(event, separators=(",", ":")).encode()


def _side(text: str) -> dict[str, Any]:
    return {
        "id": None,
        "elem_id": None,
        "elem_classes": None,
        "name": None,
        "text": text,
        "flushing": None,
        "avatar": "",
        "files": None,
    }


def _space_event(msg: str, data: list[Any]) -> bytes:
    output = {
        "data": data,
        "is_generating": msg == "process_generating",
        "duration": 0.01341557502746582,
        "average_duration": 0.013701200485229492,
        "render_config": None,
        "changed_state_ids": [],
    }
    return _sse({"msg": msg, "event_id": EVENT_ID, "output": output, "success": True})


def _space_fragment(index: int, text: str) -> bytes:
    if index == 0:
        return _space_event("process_generating", ["", [[_side("q"), _side(text)]], "system"])
    return _space_event("process_generating", [[], [["append", [0, 1, "text"], text]], []])


def _space_end(text: str) -> tuple[bytes, ...]:
    return (
        _space_event("process_completed", ["", [[_side("q"), _side(text)]], "system"]),
        _sse({"msg": "close_stream", "event_id": None}),
    )


def _openai_event(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _sse(
        {
            "id": "chatcmpl-9f86d081884c7d659a2feaa0c55ad015",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": MODEL,
            "system_fingerprint": "fp_44709d6fcb",
            "choices": [choice],
        }
    )


def _ollama_event(text: str, **end: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    stamp = "2026-01-01T12:00:00.123456789Z"
    event = {"model": MODEL, "created_at": stamp, "message": message, "done": bool(end), **end}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


PROTOCOLS = {
    "space": Protocol(
        b"text/event-stream",
        _space_fragment,
        before=(
            _sse({"msg": "estimation", "event_id": EVENT_ID, "rank": 0, "queue_size": 1}),
            _sse({"msg": "process_starts", "event_id": EVENT_ID, "eta": None}),
        ),
        after=_space_end,
    ),
    "openai": Protocol(
        b"text/event-stream",
        lambda _, text: _openai_event({"content": text}),
        before=(_openai_event({"role": "assistant", "content": ""}),),
        after=lambda _: (_openai_event({}, "stop"), b"data: [DONE]\n\n"),
    ),
    "ollama": Protocol(
        b"application/x-ndjson",
        lambda _, text: _ollama_event(text),
        after=lambda _: (
            _ollama_event("", done_reason="stop", eval_count=1, total_duration=1, eval_duration=1),
        ),
    ),
}


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


@lru_cache(maxsize=64)
def _rendered(name: str, count: int) -> tuple[bytes, ...]:
    protocol = PROTOCOLS[name]
    prose = _PROSE * (count * FRAGMENT // len(_PROSE) + 1)
    texts = [prose[at : at + FRAGMENT] for at in range(0, count * FRAGMENT, FRAGMENT)]
    events = [protocol.event(index, text) for index, text in enumerate(texts)]
    return tuple(map(_chunk, (*protocol.before, *events, *protocol.after("".join(texts)))))


@dataclass
class Server:
    connections: int = 0
    questions: dict[str, tuple[str, int]] = field(default_factory=dict)  # by session

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known = False
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                if not known and path != "/connections":
                    known = True
                    self.connections += 1
                await self.answer(path, body, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(
        self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if path.endswith("/config"):
            host, port = writer.get_extra_info("sockname")
            config = json.loads(CONFIG.read_bytes())
            _whole(writer, config | {"root": f"http://{host}:{port}", "connect_heartbeat": False})
        elif path.endswith("/queue/join"):
            session = re.search(rb'"session_hash": *"([\w-]+)"', body)
            assert session
            self.questions[session[1].decode()] = _question(body)
            _whole(writer, {"event_id": EVENT_ID})
        elif "/queue/data" in path:
            await _play("space", *self.questions.pop(path.rpartition("=")[2]), reader, writer)
        elif path.endswith("/chat/completions"):
            await _play("openai", *_question(body), reader, writer)
        elif path.endswith("/api/chat"):
            await _play("ollama", *_question(body), reader, writer)
        elif path == "/connections":
            _whole(writer, self.connections)
        elif path.endswith("/upload"):
            _whole(writer, ["/tmp/noise.bin"])
        elif "/info" in path:
            _whole(writer, {"named_endpoints": {}, "unnamed_endpoints": {}})
        else:
            _whole(writer, {"success": True})


def _question(body: bytes) -> tuple[str, int]:
    found = _QUESTION.search(body)
    assert found
    return found[1].decode(), int(found[2])


def _whole(writer: asyncio.StreamWriter, document: Any) -> None:
    body = json.dumps(document).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)


async def _play(
    name: str, kind: str, count: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = _STREAM_HEAD % PROTOCOLS[name].content_type
    if kind == "hold":
        end = len(PROTOCOLS[name].after(""))
        writer.write(head + b"".join(_rendered(name, count)[:-end]))
        await reader.read()  # until the client leaves
    elif kind in PACED:
        writer.write(head)
        await _paced(PROTOCOLS[name], count, PACED[kind], writer)
    elif kind == "live":
        writer.write(head)
        due = time.monotonic()
        for chunk in _rendered(name, count):
            writer.write(chunk)
            # Not made up for when late: two events in one millisecond would be a small burst.
            due = max(due, time.monotonic()) + LIVE
            await asyncio.sleep(due - time.monotonic())
    else:
        writer.write(head + b"".join(_rendered(name, count)))
    writer.write(b"0\r\n\r\n")


async def _paced(
    protocol: Protocol, count: int, every: float, writer: asyncio.StreamWriter
) -> None:
    blank = " " * FRAGMENT
    templates = [protocol.event(index, blank).split(blank.encode()) for index in (0, 1)]
    for event in protocol.before:
        writer.write(_chunk(event))
    texts = []
    due = time.monotonic()
    for index in range(count):
        due += every
        await asyncio.sleep(due - time.monotonic())
        texts.append(f"{time.monotonic():{FRAGMENT - 1}.4f};")
        writer.write(_chunk(texts[-1].encode().join(templates[index > 0])))
    for event in protocol.after("".join(texts)):
        writer.write(_chunk(event))


async def main() -> None:
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    # select() is the one that can wait for less than a millisecond; it serves 1,024 files at most.
    many = "--many" in sys.argv
    loop = asyncio.SelectorEventLoop(None if many else selectors.SelectSelector())
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main())
