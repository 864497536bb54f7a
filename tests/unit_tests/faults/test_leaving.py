"""A call that is left leaves nothing behind: no socket, task or thread, no place in the queue."""

import asyncio
import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from langchain_qwen_space.space.wire import client
from tests.unit_tests.faults import ways_to_leave
from tests.unit_tests.faults.calls import ask, model_for
from tests.unit_tests.faults.server import ANSWER, answer_events, reply, silence, stream
from tests.unit_tests.faults.ways_to_leave import ASYNC, LOOP_ENDS, PROCESS_ENDS, SYNC

ROOT = Path(__file__).parents[3]
STALLS = stream(answer_events()[:4], pause=0.01, end=silence)


def name_of(way):
    return way.__name__


def sockets() -> int:
    """How many sockets this process has open."""
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH118, PTH208
    return sum(os.path.exists(link) and "socket:" in os.readlink(link) for link in links)  # noqa: PTH110, PTH115


@pytest.fixture
def thread():
    """One thread for synchronous calls."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


linux_only = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts in /proc")


async def settled(count, wanted: int, seconds: float = 30) -> None:
    """Wait until `count()` is `wanted`; fail if it never is."""
    for _ in range(int(seconds * 100)):
        if count() == wanted:
            return
        await asyncio.sleep(0.01)
    assert count() == wanted


class Counts:
    """How many tasks, sockets and threads there are.

    What earlier tests left to the garbage collector is not counted. An idle connection that they left
    may still close, so a later count is compared by `<=`.
    """

    def __init__(self) -> None:
        gc.collect()
        self.tasks, self.sockets = len(asyncio.all_tasks()), sockets()
        self.threads = threading.active_count()

    async def hold(self) -> None:
        """Wait until there are no more tasks, sockets and threads than at first."""
        gc.collect()
        await settled(lambda: len(asyncio.all_tasks()) <= self.tasks, True)
        await settled(lambda: sockets() <= self.sockets, True)
        assert threading.active_count() <= self.threads


@linux_only
@pytest.mark.parametrize("way", ASYNC, ids=name_of)
async def test_leaving_an_asynchronous_call_leaves_nothing_behind(space, way):
    await ask(model_for(space))  # what stays for later calls is there from now on
    await settled(lambda: len(space.connections), 1)
    before = Counts()
    space.on("data", STALLS)
    await way(space.url)
    await space.quiet(cancels=1)
    await before.hold()
    assert len(space.connections) == 1


@linux_only
@pytest.mark.parametrize("way", SYNC, ids=name_of)
async def test_leaving_a_synchronous_call_leaves_nothing_behind(space, way, thread):
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(thread, model_for(space).invoke, "hi")
    await settled(lambda: len(space.connections), 1)
    before = Counts()
    space.on("data", STALLS)
    await loop.run_in_executor(thread, way, space.url)
    await space.quiet(cancels=1)
    await before.hold()
    await settled(_tasks_of_the_private_loop, 0)
    assert len(space.connections) == 1


def _tasks_of_the_private_loop() -> int:
    from langchain_qwen_space import _sync

    return len(asyncio.all_tasks(_sync._loop()))


@pytest.mark.parametrize("way", [breaks for breaks in ASYNC if "breaks" in name_of(breaks)])
async def test_a_slot_is_free_again_after_leaving(space, way):
    space.on("data", STALLS, STALLS, stream(answer_events()))
    model = model_for(space, max_concurrency=1)
    for _ in range(2):
        async for chunk in model.astream("hi"):
            if chunk.content:
                break
    async with asyncio.timeout(10):
        assert (await ask(model)).text == ANSWER


def count_farewells(space) -> list[int]:
    """Make each cancel request slow, and list how many are under way as each comes."""
    at_a_time = [0]
    under_way = 0

    async def answer(exchange):
        nonlocal under_way
        under_way += 1
        at_a_time.append(under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        await reply("{}")(exchange)

    space.on("cancel", answer)
    return at_a_time


CROWD = 4 * client._MOST_CANCELLING


async def leave_at_once(url: str) -> None:
    """A crowd of calls that are cancelled in the same moment."""
    begun, all_begun = [], asyncio.Event()

    def on_event(event: object) -> None:
        begun.append(event)
        if len(begun) == CROWD:
            all_begun.set()

    model = ways_to_leave.model_for(url, on_event=on_event, max_concurrency=None)
    calls = [asyncio.create_task(model.ainvoke("hi")) for _ in range(CROWD)]
    await all_begun.wait()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_crowd_that_leaves_at_once_cancels_in_turn(space):
    space.on("data", STALLS)
    at_a_time = count_farewells(space)
    await leave_at_once(space.url)
    await space.quiet(cancels=CROWD)
    assert max(at_a_time) == client._MOST_CANCELLING


async def test_a_crowd_whose_loop_ends_still_cancels(space):
    space.on("data", STALLS)
    at_a_time = count_farewells(space)
    await asyncio.to_thread(asyncio.run, leave_at_once(space.url))
    await space.quiet(cancels=CROWD)
    assert max(at_a_time) <= 2 * client._MOST_CANCELLING, (
        "those of the loop's end, and those before"
    )


async def test_a_call_that_is_complete_is_not_cancelled(space):
    for _ in range(3):
        await ask(model_for(space))
        await model_for(space).ainvoke("hi")
        await asyncio.to_thread(model_for(space).invoke, "hi")
    await space.quiet(cancels=0)
    assert len(space.asked("data")) == 9


async def test_a_call_that_is_left_at_its_last_chunk_is_not_cancelled(space):
    async for chunk in model_for(space).astream("hi"):
        if chunk.chunk_position == "last":
            break
    await space.quiet(cancels=0)


async def run_alone(space, ways: str) -> str:
    """Take some ways in a process of its own and give all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", ways_to_leave.__file__, ways, space.url),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONASYNCIODEBUG": "0"},
    )
    try:
        async with asyncio.timeout(100):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, printed.decode()
    # Debug mode reports steps that took long, which on a busy machine any may.
    lines = printed.decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("Executing <"))


@pytest.mark.parametrize("ways", [ASYNC, SYNC, LOOP_ENDS], ids=["async", "sync", "ends"])
async def test_python_complains_of_nothing_when_calls_are_left(space, ways):
    space.on("data", STALLS)
    assert await run_alone(space, ",".join(map(name_of, ways))) == ""
    await space.quiet(cancels=len(ways))
    await settled(lambda: len(space.connections), 0)


@pytest.mark.parametrize("way", PROCESS_ENDS, ids=name_of)
async def test_a_process_that_ends_in_mid_stream_ends_its_call_without_a_word(space, way):
    space.on("data", STALLS)
    assert await run_alone(space, name_of(way)) == ""
    await space.quiet(cancels=1)
    await settled(lambda: len(space.connections), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_fork_in_mid_stream_disturbs_neither_parent_nor_child(space):
    seen = asyncio.Event()

    async def when_seen(exchange):
        await seen.wait()
        await reply()(exchange)

    space.on("data", STALLS)
    space.on("other", when_seen)
    alone = asyncio.create_task(run_alone(space, "forks"))
    await settled(lambda: len(space.asked("cancel")), 2, seconds=60)
    await settled(lambda: space.streams, 0)
    assert not alone.done(), "the stream is closed while the child still lives"
    seen.set()
    assert await alone == ""
    await space.quiet(cancels=2)
    await settled(lambda: len(space.connections), 0)
