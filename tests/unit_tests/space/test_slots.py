import asyncio
import gc
import os
import random
import signal
import threading

import pytest

from langchain_qwen_space.space.routing import slots
from langchain_qwen_space.space.routing.slots import Slots, slots_for


async def settle():
    """Let everything happen that is about to."""
    for _ in range(5):
        await asyncio.sleep(0)


async def waiting(queue, count):
    """So many tasks that wait for a slot, in the order in which they began to."""
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(queue.acquire()))
        await settle()
    return tasks


def done(tasks):
    return [task.done() for task in tasks]


class Thread:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def other():
    thread = Thread()
    yield thread
    if not thread.loop.is_closed():
        thread.stop()


async def test_a_free_slot_is_taken_at_once():
    queue = Slots(2)
    assert done(await waiting(queue, 3)) == [True, True, False]


async def test_those_who_wait_are_called_in_the_order_in_which_they_came():
    queue = Slots(1)
    await queue.acquire()
    tasks = await waiting(queue, 3)
    for count in range(1, 4):
        queue.release()
        await settle()
        assert done(tasks) == [True] * count + [False] * (3 - count)


async def test_a_newcomer_does_not_overtake():
    queue = Slots(1)
    await queue.acquire()
    (first,) = await waiting(queue, 1)
    queue.release()
    (newcomer,) = await waiting(queue, 1)
    assert first.done()
    assert not newcomer.done()


async def test_one_who_leaves_is_passed_over():
    queue = Slots(1)
    await queue.acquire()
    first, second = await waiting(queue, 2)
    first.cancel()
    await settle()
    queue.release()
    await settle()
    assert first.cancelled()
    assert second.done()


async def test_a_slot_that_comes_as_its_waiter_leaves_goes_to_the_next(caplog):
    for leaves_first in (True, False):
        queue = Slots(1)
        await queue.acquire()
        first, second = await waiting(queue, 2)
        for step in (
            (first.cancel, queue.release) if leaves_first else (queue.release, first.cancel)
        ):
            step()
        await settle()
        assert first.cancelled()
        assert second.done()
    assert not caplog.records  # the loop would log a callback that fails


async def test_a_slot_that_was_given_to_one_who_leaves_before_noticing_goes_to_the_next():
    queue = Slots(1)
    await queue.acquire()
    first, second = await waiting(queue, 2)
    queue.release()
    await asyncio.sleep(0)  # the waiter's future has its result; its task has not run yet
    first.cancel()
    await settle()
    assert first.cancelled()
    assert second.done()
    queue.release()
    await asyncio.wait_for(queue.acquire(), 1)


async def test_a_waiter_in_another_thread_is_called(other):
    queue = Slots(1)
    await queue.acquire()
    there = other.run(queue.acquire())
    await asyncio.wrap_future(other.run(settle()))
    assert not there.done()
    queue.release()
    await asyncio.wait_for(asyncio.wrap_future(there), 1)
    here = asyncio.create_task(queue.acquire())
    await settle()
    other.loop.call_soon_threadsafe(queue.release)
    await asyncio.wait_for(here, 1)


async def test_a_waiter_whose_loop_is_closed_is_passed_over(other):
    queue = Slots(1)
    await queue.acquire()
    gone = other.run(queue.acquire())
    await asyncio.wrap_future(other.run(settle()))
    (here,) = await waiting(queue, 1)
    tasks = asyncio.all_tasks(other.loop)
    other.stop()
    queue.release()
    await asyncio.wait_for(here, 1)
    assert not gone.done()
    for task in tasks:
        task.get_coro().close()  # as when it is collected: it owns no slot, so it gives none back
        task._log_destroy_pending = False
    (newcomer,) = await waiting(queue, 1)
    assert not newcomer.done()
    newcomer.cancel()


def test_a_slot_whose_waiter_never_ran_again_comes_back_when_that_is_collected():
    queue = Slots(1)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(queue.acquire())
    task = loop.create_task(queue.acquire())
    loop.run_until_complete(settle())
    queue.release()  # the call is scheduled; the loop does not live to make it
    loop.close()
    task._log_destroy_pending = False
    del task
    gc.collect()
    asyncio.run(asyncio.wait_for(queue.acquire(), 1))


def test_no_slot_is_lost_and_none_is_made_whoever_leaves():
    count, rng = 3, random.Random(0)
    queue = Slots(count)
    held, most = [0], [0]
    lock = threading.Lock()

    async def one(pause):
        await queue.acquire()
        try:
            with lock:
                held[0] += 1
                most[0] = max(most[0], held[0])
            await asyncio.sleep(pause)
        finally:
            with lock:
                held[0] -= 1
            queue.release()

    async def crowd(seed):
        rng = random.Random(seed)
        tasks = []
        for _ in range(150):
            tasks.append(asyncio.create_task(one(rng.choice([0, 0, 0.001]))))
            if rng.random() < 0.5:
                rng.choice(tasks).cancel()
            if rng.random() < 0.3:
                await asyncio.sleep(0)
        for task in rng.sample(tasks, 30):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    threads = [threading.Thread(target=asyncio.run, args=(crowd(rng.random()),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def take_all():
        return done(await waiting(queue, count + 1))

    async def look():
        taken = await take_all()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return taken

    assert most[0] == count
    assert asyncio.run(look()) == [True] * count + [False]


def test_calls_with_the_same_limit_on_the_same_space_share_slots():
    queue = slots_for("A/b", 2)
    assert slots_for("A/b", 2) is queue
    assert slots_for("A/b", 3) is not queue
    assert slots_for("A/c", 2) is not queue


def test_slots_that_nobody_holds_are_forgotten():
    queue = slots_for("A/forgotten", 2)
    assert ("A/forgotten", 2) in slots._slots
    del queue
    gc.collect()
    assert ("A/forgotten", 2) not in slots._slots


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_slots_of_its_own():
    queue = slots_for("A/b", 1)
    asyncio.run(queue.acquire())
    with slots._lock:  # as another thread may hold it
        child = os.fork()
        if not child:
            signal.alarm(5)
            os._exit(0 if slots_for("A/b", 1)._free == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert slots_for("A/b", 1) is queue
