"""Checks what `docs/explanation/comparison.md` says of ChatOpenAI and ChatOllama.

    python benchmarks/peers.py

Both classes stream from a server in this process that speaks their protocols, never ends an answer,
and notes what it is sent and when a client disconnects.
"""

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from importlib.metadata import version
from typing import Any

from langchain_core.exceptions import LangChainException
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessageChunk
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


class Server:
    """Answers every POST with text that does not end, or with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            await self._answer(reader, writer)
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        self.bodies.append(json.loads(await reader.readexactly(length)))
        is_ollama = "/api/chat" in head
        kind = "application/x-ndjson" if is_ollama else "text/event-stream"
        if self.status != 200:
            body = b'{"error": {"message": "limited"}}'
            size = f"content-length: {len(body)}\r\ncontent-type: application/json"
            writer.write(f"HTTP/1.1 {self.status} Error\r\n{size}\r\n\r\n".encode() + body)
            return
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n".encode())
        try:
            while not reader.at_eof():
                writer.write(_event(is_ollama))
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        self.left.set()


def _event(is_ollama: bool) -> bytes:
    if is_ollama:
        event = {"model": "m", "message": {"role": "assistant", "content": "a "}, "done": False}
        return json.dumps(event).encode() + b"\n"
    choice = {"index": 0, "delta": {"content": "a "}, "finish_reason": None}
    event = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return b"data: " + json.dumps({**event, "choices": [choice]}).encode() + b"\n\n"


async def leaving_closes_the_connection(model: BaseChatModel, server: Server) -> bool:
    server.left.clear()
    async with aclosing(model.astream("Hi")) as chunks:  # type: ignore[type-var]
        async for _ in chunks:
            break
    try:
        await asyncio.wait_for(server.left.wait(), 5)
    except TimeoutError:
        return False
    return True


async def tool_choice_is_sent(model: BaseChatModel, server: Server) -> bool:
    bound = model.bind_tools([TOOL], tool_choice="add")
    async with aclosing(bound.astream("Hi")) as chunks:  # type: ignore[type-var]
        async for _ in chunks:
            break
    return "tool_choice" in server.bodies[-1]


async def errors_are_of_langchain(model: BaseChatModel, server: Server) -> bool:
    server.status = 429
    try:
        async for _ in model.astream("Hi"):
            pass
    except Exception as error:
        return isinstance(error, LangChainException)
    finally:
        server.status = 200
    return False


async def dumps_and_loads(model: BaseChatModel, server: Server) -> bool:
    kind = type(model)
    with warnings.catch_warnings(action="ignore"):
        text = dumps(model)
        if json.loads(text)["type"] == "not_implemented":
            return False
        loaded = loads(text, allowed_objects=[kind], secrets_map={"OPENAI_API_KEY": "k"})
    return isinstance(loaded, kind)


async def chunks_are_langchains(model: BaseChatModel, server: Server) -> bool:
    async with aclosing(model.astream("Hi")) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            return isinstance(chunk, AIMessageChunk)
    return False


CHECKS: dict[str, Callable[[BaseChatModel, Server], Awaitable[bool]]] = {
    "streams text": chunks_are_langchains,
    "tool_choice is sent": tool_choice_is_sent,
    "LangChain's Model…Error classes": errors_are_of_langchain,
    "leaving a stream closes the connection": leaving_closes_the_connection,
    "serializable with dumps": dumps_and_loads,
}


async def main() -> None:
    """Print what each class does."""
    server = Server()
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    models: list[BaseChatModel] = [
        ChatOpenAI(base_url=f"{url}/v1", api_key="k", model="m", max_retries=0),
        ChatOllama(base_url=url, model="m"),
    ]
    packages = ("langchain-openai", "langchain-ollama")
    print(", ".join(f"{package} {version(package)}" for package in packages))
    for name, check in CHECKS.items():
        found = [await check(model, server) for model in models]
        print(f"{name:42}", *("yes" if yes else "no " for yes in found))
    async with asyncio.timeout(10):
        while server.open:  # noqa: ASYNC110  one flag for many connections
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
