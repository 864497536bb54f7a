"""What all requests of one call share: the time in `total_timeout`, and the turns of a rate limiter."""

import asyncio
import json
import threading
import time

import pytest
from langchain_core.rate_limiters import BaseRateLimiter

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.clock import began, one_clock
from langchain_qwen_space.errors import SpaceTimeoutError
from langchain_qwen_space.events import RetryEvent
from langchain_qwen_space.qwen import tokens
from tests.unit_tests.faults.calls import model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CONFIG,
    STARTS,
    UNKNOWN,
    answer_events,
    fault_server,
    late,
    reply,
    silence,
    stream,
)

FIRST, TOTAL = 1.0, 1.9  # seconds: of the first answer, which is not what was asked for, and of all
WELL, SILENT = stream(answer_events()), stream([STARTS], end=silence)
SCHEMA = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}}


@pytest.fixture(scope="module", autouse=True)
def _vocabulary():
    """Loaded before the clocks start: it takes as long as what is measured here."""
    tokens.load()


def look(at: str) -> str:
    """Look at something."""
    return at


def forced(model: ChatQwenSpace):
    return model.bind_tools([look], tool_choice="look")


def structured(model: ChatQwenSpace):
    return model.with_structured_output({**SCHEMA, "required": ["name"]}, method="json_mode")


def structured_by_a_call(model: ChatQwenSpace):
    return model.with_structured_output(SCHEMA)


async def shares_its_time(runnable, *, sync: bool) -> bool:
    """Whether a call fails in time, which a busy machine may prevent now and then."""
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(SpaceTimeoutError, match=rf"within {TOTAL} seconds in all"):
            await (asyncio.to_thread(runnable.invoke, "hi") if sync else runnable.ainvoke("hi"))
        if time.monotonic() - started < FIRST + TOTAL:
            return True
    return False


@pytest.mark.parametrize("sync", [True, False], ids=["invoke", "ainvoke"])
@pytest.mark.parametrize("asked", [forced, structured, structured_by_a_call])
async def test_asking_again_shares_the_time_of_the_call(space, asked, sync):
    async def answers(exchange):
        await (SILENT if len(space.asked("data")) % 2 == 0 else late(WELL, FIRST))(exchange)

    space.on("data", answers)
    runnable = asked(model_for(space, timeout=30, total_timeout=TOTAL))
    assert await shares_its_time(runnable, sync=sync)
    calls, rest = divmod(len(space.asked("join")), 2)
    assert rest == 0
    await space.quiet(cancels=calls)


async def test_asking_again_on_several_spaces_shares_the_time_of_the_call(space):
    async with fault_server() as other:

        async def answers(exchange):
            asked = len(space.asked("data") + other.asked("data"))
            await (SILENT if asked % 2 == 0 else late(WELL, FIRST))(exchange)

        for server in (space, other):
            server.on("data", answers)
        both = ChatQwenSpace(space=[space.url, other.url], timeout=30, total_timeout=TOTAL)
        assert await shares_its_time(forced(both), sync=False)
        async with asyncio.timeout(30):
            while not space.asked("cancel") + other.asked("cancel"):
                await asyncio.sleep(0.005)


async def test_two_calls_have_a_clock_each(space):
    space.on("data", late(WELL, FIRST))
    model = model_for(space, total_timeout=TOTAL)
    for _ in range(2):
        await model.ainvoke("hi")


class NoMore(BaseRateLimiter):
    """Gives one turn, and no second one until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.given = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.given += 1
        return self.given == 1 or self.over.wait(60)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.given += 1
        if self.given > 1:
            await asyncio.Event().wait()
        return True


@pytest.mark.parametrize("sync", [True, False], ids=["invoke", "ainvoke"])
async def test_waiting_for_a_rate_limiter_is_part_of_the_time_of_the_call(space, sync):
    limiter = NoMore()
    runnable = forced(model_for(space, rate_limiter=limiter, total_timeout=2))
    try:
        with pytest.raises(SpaceTimeoutError, match=r"rate limiter.*total_timeout=2"):
            await (asyncio.to_thread(runnable.invoke, "hi") if sync else runnable.ainvoke("hi"))
    finally:
        limiter.over.set()
    assert limiter.given == 2


class Ends(NoMore):
    """Raises at the second turn what a generator that has ended raises."""

    def acquire(self, *, blocking: bool = True) -> bool:
        self.given += 1
        if self.given > 1:
            raise StopIteration
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke"])
async def test_an_error_of_a_rate_limiter_ends_the_call(space, way):
    runnable = forced(model_for(space, rate_limiter=Ends()))
    call = asyncio.to_thread(lambda: list(getattr(runnable, way)("hi")))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(runnable.ainvoke("hi") if way == "ainvoke" else call, 30)
    call.close()


class Counter(BaseRateLimiter):
    def __init__(self) -> None:
        self.given = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.given += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


@pytest.mark.parametrize("sync", [True, False], ids=["invoke", "ainvoke"])
@pytest.mark.parametrize("refusal", [reply("busy", 503), reply("who are you?", 401)])
@pytest.mark.filterwarnings("ignore:The call moves on to another Space")
async def test_a_rate_limiter_counts_moving_on_to_another_space(space, refusal, sync):
    limiter, heard = Counter(), []
    async with fault_server() as other:
        space.on("join", refusal)
        space.on("data", UNKNOWN)
        urls = [space.url, other.url]
        model = ChatQwenSpace(space=urls, rate_limiter=limiter, on_event=heard.append)
        answer = await (asyncio.to_thread(model.invoke, "hi") if sync else model.ainvoke("hi"))
        joins = len(space.asked("join") + other.asked("join"))
    assert answer.content == ANSWER
    assert limiter.given == joins == 2
    (event,) = (event for event in heard if isinstance(event, RetryEvent))
    assert event.delay == 0


async def test_a_rate_limiter_counts_asking_a_space_that_was_changed(space):
    limiter = Counter()
    model = model_for(space, rate_limiter=limiter)
    await model.ainvoke("hi")
    components = [*CONFIG["components"], {"id": 3, "type": "textbox", "props": {"label": "More"}}]
    space.on("config", reply(json.dumps({**CONFIG, "components": components})))
    space.on("join", reply("", 500), reply('{"event_id": "e1"}'))
    space.on("data", UNKNOWN, stream(answer_events()))
    assert (await model.ainvoke("hi")).content == ANSWER
    assert limiter.given == len(space.asked("join")) == 3


def test_clocks_inside_a_clock_are_that_clock():
    with one_clock():
        outer = began()
        with one_clock():
            assert began() == outer
        assert began() == outer
    assert began() > outer
