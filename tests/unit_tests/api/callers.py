"""Callers of the API server that need no port: whole exchanges, and one that looks while it lasts."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import httpx

from langchain_qwen_space.api import app
from tests.unit_tests.faults.calls import model_for
from tests.unit_tests.faults.server import FaultServer

COMPLETIONS = "/v1/chat/completions"

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": COMPLETIONS,
    "raw_path": COMPLETIONS.encode(),
    "query_string": b"",
    "root_path": "",
    "headers": [(b"content-type", b"application/json")],
    "server": ("api", 80),
}
"""Of a request for a completion, as ASGI has it."""


def server_for(
    space: FaultServer | str, /, *, settings: dict[str, Any] | None = None, **given: Any
):
    """The application in front of a Space."""
    return app(model_for(space, **(settings or {})), **given)


def client_of(application: Any, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application)
    return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)


def question(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


async def post(application: Any, body: dict[str, Any], **headers: str) -> httpx.Response:
    async with client_of(application, **headers) as client:
        return await client.post(COMPLETIONS, json=body)


def events(text: str) -> list[Any]:
    """The data of an event stream's events; `[DONE]` as it is."""
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [event if event == "[DONE]" else json.loads(event) for event in found]


def text_of(streamed: list[Any]) -> str:
    choices = [event["choices"] for event in streamed if "choices" in event]
    return "".join(choice[0]["delta"].get("content") or "" for choice in choices if choice)


class Caller:
    """One request whose answer is looked at while it is being sent, and which may leave."""

    def __init__(self) -> None:
        self.started: dict[str, Any] | None = None
        self.sent = b""
        self.ended = False
        self._late: list[Any] = []
        self._news = asyncio.Condition()
        self._left = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def asking(cls, application: Any, body: dict[str, Any]):
        caller = cls()
        task = asyncio.create_task(caller._call(application, json.dumps(body).encode()))
        try:
            yield caller
            if not caller.ended:
                caller.leave()
            async with asyncio.timeout(30):
                await task
            assert not caller._late, "sent after the end"
        finally:
            task.cancel()

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    async def until(self, part: bytes) -> None:
        """Wait until `part` was sent."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: part in self.sent or self.ended)
        assert part in self.sent, self.sent

    async def end(self) -> bytes:
        """Wait for the end of the answer."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: self.ended)
        return self.sent

    async def _call(self, application: Any, body: bytes) -> None:
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if given:
                return given.pop()
            await self._left.wait()
            return {"type": "http.disconnect"}

        await application({**SCOPE}, receive, self.take)

    async def take(self, message: dict[str, Any]) -> None:
        """What the server calls to send something. As a real server, it takes nothing after the end."""
        if self.ended:
            self._late.append(message)
            return
        async with self._news:
            if message["type"] == "http.response.start":
                assert self.started is None
                self.started = message
            else:
                self.sent += message.get("body", b"")
                self.ended = not message.get("more_body", False)
            self._news.notify_all()
