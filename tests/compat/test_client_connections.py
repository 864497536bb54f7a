"""Calls use connections again, and many calls at once neither mix nor lose anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from yarl import URL

from langchain_qwen_space import ChatQwenSpace

from .conftest import Chat
from .forms import FORMS, Form
from .marks import for_each
from .servers import Server

pytestmark = pytest.mark.timeout(60, func_only=True)

ONE_A_RELEASE = tuple({form.release: form for form in FORMS}.values())
CALLS = 100


@dataclass
class Line:
    """A line to a server on which every connection is counted."""

    url: URL
    connections: int = 0


@asynccontextmanager
async def counted(server: Server) -> AsyncIterator[Line]:
    """A relay before a server, which sees what a client connects."""
    target = URL(server.url)
    relays: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await reader.read(2**16):
                writer.write(part)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line.connections += 1
        back, forth = await asyncio.open_connection(target.host, target.port)
        writers.extend([forth, writer])
        async with asyncio.TaskGroup() as directions:
            directions.create_task(pass_on(reader, forth))
            directions.create_task(pass_on(back, writer))

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relays.add(asyncio.create_task(relay(reader, writer)))

    listening = await asyncio.start_server(connected, "127.0.0.1")
    line = Line(target.with_port(listening.sockets[0].getsockname()[1]))
    try:
        yield line
    finally:
        listening.close()
        for writer in writers:
            writer.close()
        await asyncio.wait(relays)


@for_each(["qwen25", "chat_interface"])
async def test_a_second_call_opens_no_new_connection(
    server: Server, form: Form, layout: str
) -> None:
    async with counted(server) as line:
        model = ChatQwenSpace(space=str(line.url / layout), max_retries=0)
        await model.ainvoke("echo:first")
        once = line.connections

        for number in range(5):
            chunks = [chunk.text async for chunk in model.astream(f"echo:number {number}")]
            assert "".join(chunks) == f"number {number}"

        assert once == line.connections == 1
        assert str(line.url) in (await model.adescribe()).url


@for_each(["qwen25"], ONE_A_RELEASE)
async def test_a_hundred_calls_at_once_are_whole_and_unmixed(
    chat: Chat, form: Form, layout: str
) -> None:
    model = chat(max_concurrency=None)
    texts = [f"This is the answer with the number {number}, 你好." for number in range(CALLS)]

    answers = await asyncio.gather(*(model.ainvoke(f"echo:{text}") for text in texts))

    assert [answer.content for answer in answers] == texts


@for_each(["qwen25"], ONE_A_RELEASE[-1:])
def test_neither_do_calls_of_many_threads(chat: Chat, form: Form, layout: str) -> None:
    texts = [f"Answer {number}" for number in range(20)]

    answers = chat().batch([f"echo:{text}" for text in texts], {"max_concurrency": 20})

    assert [answer.content for answer in answers] == texts
