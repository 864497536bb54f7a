"""Real Spaces behind a TCP proxy that does harm: the exact text or a clear error, and no place kept.

Each Space answers one call at a time, so that a place that is not given back stops the next call.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    QwenSpaceError,
    SpaceConnectionError,
    SpaceTimeoutError,
    StreamInterruptedError,
)
from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.faults.notes import answer, said
from tests.integration_tests.faults.proxy import (
    Fault,
    Proxy,
    cut,
    cut_behind,
    proxy_before,
    scramble,
    stall,
    throttle,
)
from tests.integration_tests.gradio_app import gradio_app

FREED = 60.0  # seconds; only failures take as long


@pytest.fixture(scope="module", params=["local", "plain"])
def space_url(request) -> Iterator[str]:
    """A `LocalSpace`, and a `gr.ChatInterface` as Gradio makes it."""
    if request.param == "local":
        with LocalSpace(answer, concurrency=1, pace=0) as space:
            yield space.url
        return
    with gradio_app("tests.integration_tests.faults.app") as (address,):
        yield address


@pytest.fixture
async def proxy(space_url) -> AsyncIterator[Proxy]:
    async with proxy_before(space_url) as proxy:
        yield proxy


def model_for(url: str, **settings: object) -> ChatQwenSpace:
    return ChatQwenSpace(space=url, hf_token=None, **{"max_retries": 0, "timeout": 30, **settings})


@dataclass
class Asked:
    """What came of a call."""

    note: Path
    text: str = ""
    error: QwenSpaceError | None = None

    def noted(self) -> str:
        """What the Space notes of it; nothing if it has not begun."""
        return self.note.read_text() if self.note.exists() else ""


@pytest.fixture
def ask(tmp_path):
    """Makes calls, each with a note of its own."""
    numbers = iter(range(100))

    async def ask(url: str, count: int, pause: float = 0.0, **settings: object) -> Asked:
        asked = Asked(tmp_path / str(next(numbers)))
        try:
            async for chunk in model_for(url, **settings).astream(f"{asked.note} {count} {pause}"):
                asked.text += chunk.content
        except QwenSpaceError as error:
            asked.error = error
        return asked

    return ask


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(FREED):
        while not condition():
            await asyncio.sleep(0.01)


async def free(url: str, ask) -> None:
    """Wait until nobody stands in the queue and the next call is answered."""
    async with asyncio.timeout(FREED):
        assert (await ask(url, 3)).text == said(3)
        async with aiohttp.ClientSession() as http:
            while True:
                async with http.get(f"{url}/gradio_api/queue/status") as status:
                    if (await status.json())["queue_size"] == 0:
                        return
                await asyncio.sleep(0.02)


def broke_off(asked: Asked, text: str) -> None:
    """It is a part of the text, and the error says so and no less."""
    assert type(asked.error) is StreamInterruptedError
    assert "broke" in str(asked.error)
    assert asked.error.partial == asked.text
    assert text.startswith(asked.text)
    assert asked.text != text


# Cuts


@pytest.mark.parametrize("after", [150, 500, 1000, 2000, 4000])
async def test_a_stream_that_is_cut_behind_any_byte_gives_its_place_back(
    space_url, proxy, ask, after
):
    proxy.on("data", cut(after))
    asked = await ask(proxy.url, 400, 0.02)
    broke_off(asked, said(400))
    assert len(asked.text) > 0 or after < 1500
    await free(space_url, ask)
    await until(lambda: asked.noted() in ("closed", ""))


@pytest.mark.parametrize("count", [1, 5])
async def test_a_stream_that_is_cut_within_an_event_gives_its_place_back(
    space_url, proxy, ask, count
):
    proxy.on("data", cut_behind(b'"append"', count))
    asked = await ask(proxy.url, 400, 0.02)
    broke_off(asked, said(400))
    assert asked.text == said(count), "the event that was cut is the next one"
    await free(space_url, ask)
    await until(lambda: asked.noted() == "closed")


@pytest.mark.parametrize("after", [0, 30, 250])
async def test_a_join_whose_answer_is_cut_is_answered_exactly_and_once(
    space_url, proxy, ask, after
):
    proxy.on("join", cut(after))
    asked = await ask(proxy.url, 20)
    assert (asked.text, asked.error) == (said(20), None)
    assert proxy.asked.count("join") == 1
    await free(space_url, ask)


async def test_a_stream_that_is_cut_before_it_opens_gives_its_place_back(space_url, proxy, ask):
    proxy.on("data", cut(0))
    asked = await ask(proxy.url, 400, 0.02)
    assert type(asked.error) is SpaceConnectionError
    await free(space_url, ask)
    await until(lambda: asked.noted() in ("closed", ""))


async def test_a_call_cut_before_its_first_chunk_is_retried(space_url, proxy, ask):
    proxy.on("data", cut(0), throttle(10**6), cut(200), throttle(10**6))
    asked = await ask(proxy.url, 20, 0.02, max_retries=2)
    assert (asked.text, asked.error) == (said(20), None)
    assert proxy.asked.count("join") == 3
    await free(space_url, ask)


async def test_a_waiting_call_that_is_cut_off_never_runs(space_url, proxy, ask, tmp_path):
    first = asyncio.create_task(ask(space_url, 250, 0.02))
    await until((tmp_path / "0").exists)
    proxy.on("data", cut_behind(b"estimation", 1))
    asked = await ask(proxy.url, 20)
    broke_off(asked, said(20))
    assert (await first).text == said(250)
    await free(space_url, ask)
    assert asked.noted() == ""


# Stalls


@pytest.mark.parametrize(
    ("step", "after"), [("config", 0), ("join", 0), ("data", 0), ("data", 900)]
)
async def test_a_stall_shorter_than_the_timeout_is_waited_for(space_url, proxy, ask, step, after):
    proxy.on(step, stall(after, 0.4))
    asked = await ask(proxy.url, 20, timeout=10)
    assert (asked.text, asked.error) == (said(20), None)
    await free(space_url, ask)


@pytest.mark.parametrize(
    ("step", "after"), [("config", 0), ("join", 0), ("data", 0), ("data", 900)]
)
async def test_a_stall_longer_than_the_timeout_ends_the_call_and_gives_its_place_back(
    space_url, proxy, ask, step, after
):
    proxy.on(step, stall(after, asyncio.Event()))
    async with asyncio.timeout(FREED):
        asked = await ask(proxy.url, 400, 0.02, timeout=1)
    assert type(asked.error) is SpaceTimeoutError
    assert said(400).startswith(asked.text)
    assert asked.error.partial == asked.text
    await free(space_url, ask)
    await until(lambda: asked.noted() in ("closed", ""))


# Order


@pytest.mark.parametrize("seed", range(4))
async def test_packets_split_and_joined_anywhere_give_the_exact_text(space_url, proxy, ask, seed):
    for number, step in enumerate(["config", "join", "data"]):
        proxy.on(step, scramble(10 * seed + number))
    asked = await ask(proxy.url, 60)
    assert (asked.text, asked.error) == (said(60), None)
    await free(space_url, ask)


@pytest.mark.parametrize("step", ["join", "data"])
async def test_a_call_whose_bytes_come_behind_another_s_is_exact(space_url, proxy, ask, step):
    behind = asyncio.Event()
    whole: list[Fault] = [scramble(1)]
    proxy.on(step, stall(0, behind), *whole)
    late = asyncio.create_task(ask(proxy.url, 20))
    await until(lambda: step in proxy.asked)
    async with asyncio.timeout(FREED):
        # The Space answers one call at a time, and the first is whole there before it is read.
        early = await ask(proxy.url, 30)
        behind.set()
        assert (early.text, early.error) == (said(30), None)
        asked = await late
    assert (asked.text, asked.error) == (said(20), None)
    await free(space_url, ask)


async def test_an_answer_to_the_join_behind_its_stream_leaves_no_orphan(space_url, proxy, ask):
    late = asyncio.Event()
    proxy.on("join", stall(0, late))
    asked = await ask(proxy.url, 400, 0.02, timeout=2)
    assert type(asked.error) is SpaceTimeoutError
    await until(lambda: "data" in proxy.asked)
    late.set()
    await free(space_url, ask)
    await until(lambda: asked.noted() in ("closed", ""))
    assert proxy.asked.count("join") == 1


# Slowness


async def test_a_few_kilobytes_a_second_are_waited_for(space_url, proxy, ask):
    for step in ("join", "data"):
        proxy.on(step, throttle(6000))
    start = time.monotonic()
    asked = await ask(proxy.url, 60, timeout=0.5)
    assert (asked.text, asked.error) == (said(60), None)
    assert time.monotonic() - start > 0.5, "in all it took longer than any silence may"
    await free(space_url, ask)
