"""The example's service on a real socket, and a user's browser as far as it matters: cookies."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from examples.agent_backend.app import create_app

Event = tuple[str, dict[str, Any]]


@asynccontextmanager
async def serving(space: str, database_url: str, port: int = 0) -> AsyncIterator[str]:
    """Serve until the end of the block; gives the address. A user's cookie is for one port."""
    app = create_app(space=space, database_url=database_url)
    config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    # It listens before the server runs, so nobody has to wait until it does.
    with socket.create_server(("127.0.0.1", port)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


class Visitor:
    """A user's browser. Another service may be visited with the same cookies."""

    def __init__(self, cookies: httpx.Cookies | None = None) -> None:
        self.cookies = cookies or httpx.Cookies()

    async def ask(
        self, url: str, question: str, conversation: str = "talk", name: str | None = None
    ) -> AsyncIterator[Event]:
        """The events of an answer, as they arrive. `name` is the question's."""
        async with httpx.AsyncClient(
            base_url=url, cookies=self.cookies, timeout=60, trust_env=False
        ) as client:
            if not self.cookies:
                self.cookies = (await client.get("/")).cookies
            async with client.stream(
                "POST", f"/conversations/{conversation}", json={"text": question, "id": name}
            ) as response:
                response.raise_for_status()
                kind = ""
                async for line in response.aiter_lines():
                    if line.startswith("event: "):
                        kind = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield kind, json.loads(line.removeprefix("data: "))

    async def answer(
        self, url: str, question: str, conversation: str = "talk", name: str | None = None
    ) -> list[Event]:
        return [event async for event in self.ask(url, question, conversation, name)]

    async def call(self, url: str, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to the service's JSON API."""
        async with httpx.AsyncClient(
            base_url=url, cookies=self.cookies, timeout=60, trust_env=False
        ) as client:
            return await client.request(method, f"/conversations{path}", **more)

    async def titles(self, url: str) -> list[str]:
        listed = (await self.call(url, "GET", "")).raise_for_status().json()
        return [entry["title"] for entry in listed["conversations"]]

    async def history(self, url: str, conversation: str = "talk") -> list[Event]:
        async with httpx.AsyncClient(cookies=self.cookies, trust_env=False) as client:
            response = await client.get(f"{url}/conversations/{conversation}")
            return [(event["kind"], event["data"]) for event in response.raise_for_status().json()]


def text(events: list[Event]) -> str:
    return "".join(data["text"] for kind, data in events if kind == "text")


def of(kind: str, events: list[Event]) -> list[dict[str, Any]]:
    return [data for found, data in events if found == kind]


def content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def until_it_says(path: Path, words: str) -> None:
    async with asyncio.timeout(60):
        while content(path) != words:
            await asyncio.sleep(0.01)
