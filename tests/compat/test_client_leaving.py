"""A call that nobody listens to any more is cancelled and frees its slot."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import aiohttp
import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.events import SpaceEvent, StartEvent

from .conftest import Chat
from .marks import for_each
from .runs import runs_of, started, still
from .servers import Server
from .test_client_events import held

pytestmark = pytest.mark.timeout(60, func_only=True)

SOON = 200
"""Steps of a run, of which it would take 600 if it were let be."""

Leave = Callable[[ChatQwenSpace, str], Awaitable[None]]


async def by_break(model: ChatQwenSpace, query: str) -> None:
    async for _ in model.astream(query):
        break


async def by_aclose(model: ChatQwenSpace, query: str) -> None:
    chunks = model.astream(query)
    async with aclosing(chunks):  # type: ignore[type-var]
        await anext(chunks)


async def by_cancel(model: ChatQwenSpace, query: str) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in model.astream(query):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def by_forgetting(model: ChatQwenSpace, query: str) -> None:
    await anext(model.astream(query))
    gc.collect()


async def by_timeout(model: ChatQwenSpace, query: str) -> None:
    async def until_it_has_begun() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:

            def begins(event: SpaceEvent) -> None:
                if isinstance(event, StartEvent):
                    limit.reschedule(loop.time() + 0.5)

            await model.model_copy(update={"on_event": begins}).ainvoke(query)

    with pytest.raises(TimeoutError):
        await until_it_has_begun()


async def by_synchronous_break(model: ChatQwenSpace, query: str) -> None:
    def read() -> None:
        for _ in model.stream(query):
            break

    await asyncio.to_thread(read)


async def by_synchronous_forgetting(model: ChatQwenSpace, query: str) -> None:
    def read() -> None:
        next(model.stream(query))
        gc.collect()

    await asyncio.to_thread(read)


WAYS = [
    by_break,
    by_aclose,
    by_cancel,
    by_forgetting,
    by_timeout,
    by_synchronous_break,
    by_synchronous_forgetting,
]


@for_each(["older"])
@pytest.mark.parametrize("leave", WAYS)
async def test_leaving_a_call_ends_its_run(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str, leave: Leave
) -> None:
    key = leave.__name__

    await leave(chat(), f"hold:{key}")

    # The function takes one call at a time, so an answer says that the slot is free.
    assert (await chat(timeout=20).ainvoke("echo:next")).content == "next"
    runs = await still(http, server, key)
    assert (runs["started"], runs["ended"]) == (1, 1)  # the app's own `finally` has run
    assert runs["steps"] < SOON


@for_each(["chat_interface"])
async def test_leaving_a_chat_interface_ends_its_run(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    await by_break(chat(), "hold:interface")

    assert (await chat(timeout=20).ainvoke("echo:next")).content == "next"
    assert (await still(http, server, "interface"))["steps"] < SOON


@for_each(["older", "chat_interface"])
async def test_a_call_that_is_left_while_it_waits_never_runs(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    events: list[SpaceEvent] = []
    key = f"waits-{layout}"
    async with held(chat, http, server, f"before-{key}"):
        waiting = asyncio.create_task(chat(on_event=events.append).ainvoke(f"hold:{key}"))
        while not events:
            await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert (await chat(timeout=20).ainvoke("echo:next")).content == "next"
    assert (await runs_of(http, server, key))["started"] == 0


@for_each(["older"])
async def test_a_call_that_is_left_while_it_joins_does_not_run_on(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    model = chat()
    await model.adescribe()

    for pause in (0, 0.001, 0.003, 0.01):
        call = asyncio.create_task(model.ainvoke("hold:joins"))
        await asyncio.sleep(pause)
        call.cancel()
        await asyncio.wait([call])

    assert (await chat(timeout=20).ainvoke("echo:next")).content == "next"
    assert (await still(http, server, "joins"))["steps"] < SOON


@for_each(["qwen25"])
def test_a_loop_that_ends_takes_its_calls_along(chat: Chat, server: Server, layout: str) -> None:
    async def begin() -> None:
        chunks = chat().astream("hold:loop")
        await anext(chunks)
        kept.append(chunks)

    async def look() -> dict[str, int]:
        async with aiohttp.ClientSession() as http:
            await started(http, server, "loop")
            return await still(http, server, "loop")

    kept: list[object] = []
    asyncio.run(begin())

    assert asyncio.run(look())["steps"] < SOON
