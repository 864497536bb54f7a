"""What happens to a call while it waits and runs reaches the people who wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from langchain_core.runnables import RunnableLambda

from langchain_qwen_space.events import (
    NoticeEvent,
    ProgressEvent,
    QueueEvent,
    SpaceEvent,
    StartEvent,
)

from .conftest import Chat
from .marks import for_each
from .runs import started
from .servers import Server

pytestmark = pytest.mark.timeout(60, func_only=True)

NOTICED = ["qwen25", "chat_interface"]


def of_kind(events: list[SpaceEvent], kind: type[SpaceEvent]) -> list[Any]:
    """The events of a class."""
    return [event for event in events if isinstance(event, kind)]


@for_each(NOTICED)
async def test_notices_of_the_app_are_events(chat: Chat, layout: str) -> None:
    events: list[SpaceEvent] = []

    answer = await chat(on_event=events.append).ainvoke("info:Cats are busy")

    assert answer.content == "done"
    notices = [(event.level, event.message) for event in of_kind(events, NoticeEvent)]
    assert notices == [("info", "Cats are busy"), ("warning", "Cats are busy")]
    assert of_kind(events, QueueEvent)
    assert of_kind(events, StartEvent)


@for_each(NOTICED)
def test_they_are_so_for_a_synchronous_stream(chat: Chat, layout: str) -> None:
    events: list[SpaceEvent] = []

    for _ in chat(on_event=events.append).stream("info:Cats are busy"):
        pass

    assert [event.level for event in of_kind(events, NoticeEvent)] == ["info", "warning"]


@for_each(NOTICED)
async def test_progress_is_an_event(chat: Chat, layout: str) -> None:
    events: list[SpaceEvent] = []

    await chat(on_event=events.append).ainvoke("progress:3")

    steps = of_kind(events, ProgressEvent)
    assert steps
    assert all((step.total, step.description) == (3, "thinking") for step in steps)
    assert [step.done for step in steps] == sorted(step.done for step in steps)


@for_each(["qwen25"])
async def test_in_a_chain_they_are_custom_events(chat: Chat, layout: str) -> None:
    chain = RunnableLambda(lambda query: query) | chat()

    told = [event async for event in chain.astream_events("info:Cats are busy", version="v2")]

    custom = [
        (event["name"], event["data"]) for event in told if event["event"] == "on_custom_event"
    ]
    names = [name for name, _ in custom]
    assert names[0] == "qwen_space_queue"
    assert names.index("qwen_space_start") < names.index("qwen_space_notice")
    notice = {"message": "Cats are busy", "level": "info"}
    assert any(notice.items() <= data.items() for _, data in custom)


@asynccontextmanager
async def held(
    chat: Chat, http: aiohttp.ClientSession, server: Server, key: str
) -> AsyncIterator[None]:
    """Keeps the one slot of the layout's function for as long as the context lasts."""
    call = asyncio.create_task(chat().ainvoke(f"hold:{key}"))
    await started(http, server, key)
    try:
        yield
    finally:
        call.cancel()
        await asyncio.wait([call])


@for_each(["older", "chat_interface"])
async def test_a_waiting_caller_receives_its_queue_position(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    first: list[SpaceEvent] = []
    second: list[SpaceEvent] = []

    async with held(chat, http, server, f"places-{layout}"):
        calls = [asyncio.create_task(chat(on_event=first.append).ainvoke("echo:first"))]
        while not first:
            await asyncio.sleep(0.02)
        calls.append(asyncio.create_task(chat(on_event=second.append).ainvoke("echo:second")))
        while not second:
            await asyncio.sleep(0.02)
    answers = await asyncio.gather(*calls)

    assert [answer.content for answer in answers] == ["first", "second"]
    assert of_kind(first, QueueEvent)[0].rank == 0
    place = of_kind(second, QueueEvent)[0]
    assert (place.rank, place.queue_size) == (1, 2)
    assert of_kind(second, QueueEvent)[-1].rank == 0
