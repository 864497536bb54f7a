"""What is compared: each contender streams the answer to a question and yields its chunks."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import orjson
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_qwen_space import ChatQwenSpace

Take = Callable[[str], None]
Contender = Callable[[str, Take], Awaitable[None]]

_PATIENCE = aiohttp.ClientTimeout(total=None)


class BareTransport:
    """aiohttp and orjson and nothing else: join, stream, split lines, loads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=_PATIENCE
        )

    async def events(self, question: str) -> AsyncIterator[list[dict[str, Any]]]:
        """What arrives, in batches of what has arrived together."""
        session = secrets.token_hex(8)
        join = {"data": [question, [], "", "72B"], "fn_index": 3, "session_hash": session}
        async with self._session.post(f"{self._url}/queue/join", json=join) as response:
            await response.read()
        async with self._session.get(f"{self._url}/queue/data?session_hash={session}") as response:
            rest = b""
            while data := await response.content.readany():
                *lines, rest = (rest + data).split(b"\n")
                yield [orjson.loads(line[6:]) for line in lines if line.startswith(b"data: ")]

    async def stream(self, question: str, take: Take) -> None:
        async for events in self.events(question):
            for _ in events:
                take("token")

    async def close(self) -> None:
        await self._session.close()


def appended(event: dict[str, Any]) -> str:
    """The text that one of the server's events appends, if it does nothing else."""
    match event.get("output"):
        case {"data": [_, [["append", _, str(text)]], _]}:
            return text
    return ""


class MinimalModel(BaseChatModel):
    """The least that a chat model can do: a new chunk an event, and always the same one.

    Unless `text_of` says what an event's text is, so that the lag of chunks can be read.
    """

    transport: Any
    text_of: Callable[[dict[str, Any]], str] = lambda _: "token"

    @property
    def _llm_type(self) -> str:
        return "minimal"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        async for events in self.transport.events(messages[-1].content):
            for event in events:
                yield ChatGenerationChunk(message=AIMessageChunk(content=self.text_of(event)))


def of_model(model: BaseChatModel) -> Contender:
    async def stream(question: str, take: Take) -> None:
        async for chunk in model.astream(question):
            take(chunk.content)  # type: ignore[arg-type]

    return stream


def of_model_sync(model: BaseChatModel) -> Contender:
    async def stream(question: str, take: Take) -> None:
        for chunk in model.stream(question):
            take(chunk.content)  # type: ignore[arg-type]

    return stream


def qwen_space(url: str, **settings: Any) -> ChatQwenSpace:
    return ChatQwenSpace(space=url, max_concurrency=None, **settings)


def openai(url: str) -> BaseChatModel:
    """With no timer a chunk, and no usage to wait for."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        base_url=f"{url}/v1", api_key="none", stream_usage=False, stream_chunk_timeout=None
    )


def ollama(url: str) -> BaseChatModel:
    from langchain_ollama import ChatOllama

    return ChatOllama(base_url=url, model="qwen2.5:72b")


def gradio_client(url: str) -> Contender:
    """Its iterator gives the whole chatbot at every event; it looks for new ones every 50 ms."""
    from gradio_client import Client

    client = Client(url, verbose=False, download_files=False, analytics_enabled=False)

    async def stream(question: str, take: Take) -> None:
        def outputs() -> Iterator[Any]:
            return client.submit(question, [], "", "72B", fn_index=3)

        for _ in outputs():
            take("token")

    return stream
