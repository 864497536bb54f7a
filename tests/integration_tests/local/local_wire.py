"""A plain client: just enough to see what a local Space does, without the package's own."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
MODEL_CHAT = 3
# How long a test waits for something to happen elsewhere, in seconds. Far more than it should take.
PATIENCE = 60.0


async def soon(happened: Callable[[], bool]) -> bool:
    """Whether it happened, after waiting a while for it."""
    deadline = time.monotonic() + PATIENCE
    while not happened() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return happened()


def turn(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text} for text in texts]}


@dataclass(frozen=True)
class Call:
    """One call that has joined the queue, and its stream."""

    http: aiohttp.ClientSession
    url: str
    ids: dict[str, Any]
    stream: aiohttp.ClientResponse

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        async for line in self.stream.content:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    async def first(self, msg: str) -> dict[str, Any]:
        async for event in self.events():
            if event["msg"] == msg:
                return event
        raise AssertionError(f"the stream ended without {msg}")

    async def cancel(self) -> None:
        async with self.http.post(f"{self.url}/gradio_api/cancel", json=self.ids) as answer:
            assert answer.status == 200


@asynccontextmanager
async def call(
    url: str,
    query: str,
    history: list[Any] | None = None,
    system: str = DEFAULT_SYSTEM,
    model: str = "72B",
    fn_index: int = MODEL_CHAT,
    login: dict[str, str] | None = None,
) -> AsyncIterator[Call]:
    """Join the queue and open the stream. Leaving the block closes the connection."""
    session_hash = secrets.token_hex(8)
    body = {
        "data": [query, history or [], system, model],
        "fn_index": fn_index,
        "session_hash": session_hash,
    }
    # An address that is a number keeps its cookies only in a jar that allows it.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        if login:
            async with http.post(f"{url}/login", data=login) as answer:
                assert answer.status == 200, await answer.text()
        async with http.post(f"{url}/gradio_api/queue/join", json=body) as answer:
            assert answer.status == 200, await answer.text()
            event_id = (await answer.json())["event_id"]
        ids = {"session_hash": session_hash, "fn_index": fn_index, "event_id": event_id}
        data = f"{url}/gradio_api/queue/data?session_hash={session_hash}"
        async with http.get(data) as stream:
            yield Call(http, url, ids, stream)


async def events(url: str, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """All events of one call that is not left early."""
    async with call(url, *args, **kwargs) as running:
        return [event async for event in running.events()]


async def reply(url: str, *args: Any, **kwargs: Any) -> str:
    """The text of the answer at the end of one call."""
    for event in await events(url, *args, **kwargs):
        if event["msg"] == "process_completed":
            return event["output"]["data"][1][-1]["content"][0]["text"]
    raise AssertionError("the call was not completed")
