#!/usr/bin/env python3
"""Record what a running Space sends: a folder under `tests/wire/`, as its README describes it.

The questions are those of a folder that is there, so that releases can be compared:

    cd tests && ../.compat/gradio-6.31.0/bin/python -m compat.app 6.31.0-messages 7860
    python -m tests.record http://127.0.0.1:7860/qwen25 gradio-7.0.0-chatbot-messages \
        --like gradio-6.31.0-chatbot-messages

Not asked again are those that need a Space in a special state: a queue that is full, or no slot free.
"""

import argparse
import asyncio
import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

WIRE = Path(__file__).parent / "wire"
SPECIAL = ("queued", "queue_full", "no_such_fn")
CANCELLED_AFTER = 20  # lines of the stream, in "cancelled"
Json = dict[str, Any]


async def record(url: str, folder: Path, like: Path, names: Sequence[str] = ()) -> list[str]:
    """Ask a Space the questions of `like` and write down what it sends.

    Args:
        url: Where its app runs.
        folder: Where to write; it is made.
        like: The recorded folder whose questions are asked.
        names: Which of its cases; by default all that a Space in no special state can show.

    Returns:
        The names of the cases that were recorded.

    Raises:
        aiohttp.ClientError: The Space cannot be reached, or refuses to describe itself.
    """
    cases = folder / "cases"
    cases.mkdir(parents=True, exist_ok=True)
    there = sorted(path.stem for path in (like / "cases").glob("*.json"))
    wanted = list(names) or [name for name in there if name not in SPECIAL]
    # A 500 closes the connection unannounced, so each request takes a new one.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, raise_for_status=False) as http:
        async with http.get(f"{url}/config") as answer:
            answer.raise_for_status()
            config = await answer.json()
        _write(folder / "config.json", config)
        api = url + config.get("api_prefix", "")
        for name in wanted:
            old = json.loads((like / "cases" / f"{name}.json").read_bytes())
            if name == "no_session":
                new, body = await _no_session(http, api, old)
            else:
                new, body = await _call(http, api, old["request"], cancel="cancel" in old)
            _write(cases / f"{name}.json", new)
            (cases / f"{name}.sse").write_bytes(body)
    return wanted


async def _call(
    http: aiohttp.ClientSession, api: str, request: Json, *, cancel: bool
) -> tuple[Json, bytes]:
    """One call: its record, and the bytes of its stream."""
    request = {**request, "session_hash": uuid.uuid4().hex[:10]}
    case: Json = {"request": request}
    async with http.post(f"{api}/queue/join", json=request) as answer:
        case["join"] = {"status": answer.status, "body": await answer.text()}
        if answer.status != 200:
            return {**case, "reply": None}, b""
    body = b""
    query = {"session_hash": request["session_hash"]}
    async with http.get(f"{api}/queue/data", params=query) as stream:
        case["stream"] = {
            "status": stream.status,
            "content_type": stream.headers.get("Content-Type", ""),
        }
        async for line in stream.content:
            body += line
            if cancel and body.count(b"\n") >= CANCELLED_AFTER:
                case["cancel"] = await _cancel(http, api, case)
                cancel = False
    return {**case, "reply": reply(body)}, body


async def _cancel(http: aiohttp.ClientSession, api: str, case: Json) -> Json:
    request = {
        "session_hash": case["request"]["session_hash"],
        "fn_index": case["request"]["fn_index"],
        "event_id": json.loads(case["join"]["body"])["event_id"],
    }
    async with http.post(f"{api}/cancel", json=request) as answer:
        return {"request": request, "status": answer.status, "body": await answer.text()}


async def _no_session(http: aiohttp.ClientSession, api: str, old: Json) -> tuple[Json, bytes]:
    """A stream for a session that never joined."""
    body, told = b"", {"status": 0}
    async with http.get(f"{api}/queue/data", params={"session_hash": "never-joined"}) as stream:
        told["status"] = stream.status
        try:
            async for line in stream.content:
                body += line
        except aiohttp.ClientPayloadError:
            told["ended"] = old["stream"]["ended"]
    return {"request": old["request"], "stream": told, "reply": None}, body


def reply(body: bytes) -> str | None:
    """The text that the Space delivered at the end, or None where it delivered none."""
    for line in body.decode().split("\n"):
        event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if event.get("msg") == "process_completed" and event["success"]:
            outputs = event["output"].get("data")
            return _text(outputs[1][-1]) if outputs else None
    return None


def _text(turn: Any) -> str:
    """The answer in the last item of a chatbot's value, in any of its forms."""
    if isinstance(turn, str):
        return turn
    if isinstance(turn, list) and all(isinstance(part, dict) and "type" in part for part in turn):
        return "".join(part.get("text", "") for part in turn)
    if isinstance(turn, list):
        return _text(turn[1])
    return _text(turn["text"] if "text" in turn else turn["content"])


def _write(path: Path, document: Json) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Record what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="where the app runs")
    parser.add_argument("folder", help="name of the new folder under tests/wire/")
    parser.add_argument("--like", required=True, help="the recorded folder whose questions to ask")
    parser.add_argument("--case", action="append", default=[], help="only this one; may repeat")
    given = parser.parse_args()
    names = asyncio.run(
        record(given.url.rstrip("/"), WIRE / given.folder, WIRE / given.like, given.case)
    )
    sys.stdout.write(f"{WIRE / given.folder}: {', '.join(names)}\n")


if __name__ == "__main__":
    main()
