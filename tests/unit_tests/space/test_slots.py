"""The line in which calls wait for slots: on one Space, on any of several, in many loops."""

import asyncio
import gc
import math
import os
import random
import signal
import threading

import pytest

from langchain_qwen_space.errors import SpaceConnectionError, SpaceRateLimitError
from langchain_qwen_space.events import QueueEvent
from langchain_qwen_space.space.routing import slots
from langchain_qwen_space.space.routing.slots import SlotQueue, current_slots


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Several:
    """A line before several Spaces, which are called by their numbers.

    Of one alone another is never fit, so that the rules for several hold.
    """

    def __init__(self, count, most, **options):
        self.line, self.most = SlotQueue(**options), most
        self.names = [f"A/{number}" for number in range(count)]
        self.spaces = [self.line._state(name) for name in self.names]
        if count == 1:
            self.line._state("A/never").until = math.inf
            self.names.append("A/never")

    async def place(self, tried=()):
        return await self.line.slot(self.names, self.most, [space.name for space in tried])

    def others(self, space):
        return self.line.others(self.names, space.name)

    def number(self, slot):
        return self.names.index(slot.space.name)


@pytest.fixture
def choose(clock):
    return lambda count=2, most=8: Several(count, most, clock=clock)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def places(choice, count):
    """So many calls, each on the Space that was chosen for it."""
    return [await asyncio.wait_for(choice.place(), 20) for _ in range(count)]


def indexes(places):
    return [int(place.space.name.partition("/")[2]) for place in places]


async def answered(choice, clock, index, seconds):
    """A call that the Space answered in so many seconds."""
    place = await choice.place([s for s in choice.spaces if s is not choice.spaces[index]])
    assert place.space is choice.spaces[index]
    choice.line.started(place)
    clock.now += seconds
    choice.line.spoke(place)
    choice.line.release(place)


async def full(choice, running, waiting):
    """Calls on the only Space: some that it works on, some of which it said that they wait."""
    begun = await places(choice, running + waiting)
    for place in begun[:running]:
        choice.line.started(place)
    for rank, place in enumerate(begun[running:], 1):
        choice.line.queued(place, QueueEvent(rank, waiting))
    return begun


class TestTheBest:
    async def test_spaces_of_which_nothing_is_known_take_turns(self, choose):
        assert sorted(indexes(await places(choose(), 4))) == [0, 0, 1, 1]

    async def test_the_first_of_equals_is_taken(self, choose):
        assert indexes(await places(choose(3), 1)) == [0]

    async def test_one_that_was_never_tried_comes_before_one_that_is_known(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.1)
        assert indexes(await places(choice, 1)) == [1]

    async def test_until_it_has_answered_it_counts_as_one_like_others(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.1)
        assert indexes(await places(choice, 4)) == [1, 0, 0, 1]

    async def test_the_faster_one_is_taken_while_it_works_on_every_call(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.5)
        await answered(choice, clock, 1, 0.2)
        assert indexes(await places(choice, 4)) == [1, 1, 1, 1]

    async def test_calls_that_wait_on_the_faster_one_are_reckoned_with(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.3)
        await answered(choice, clock, 1, 0.2)
        choice.spaces[1].capacity = 4
        # It has room for eight, but a sixth call would wait there for half an answer.
        assert indexes(await places(choice, 6)) == [1, 1, 1, 1, 1, 0]

    async def test_a_queue_of_others_is_reckoned_with_as_the_space_tells_it(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.5)
        await answered(choice, clock, 1, 0.2)
        (place,) = await places(choice, 1)
        choice.line.queued(place, QueueEvent(rank=20, queue_size=21, eta=4.2))
        assert indexes(await places(choice, 1)) == [0]
        choice.line.started(place)  # the wait is over, and with it what is known of the queue
        assert indexes(await places(choice, 1)) == [1]

    async def test_what_an_answer_takes_follows_the_newest(self, choose, clock):
        choice = choose(1)
        await answered(choice, clock, 0, 1.0)
        assert choice.spaces[0].seconds == pytest.approx(1.0)
        await answered(choice, clock, 0, 2.0)
        assert choice.spaces[0].seconds == pytest.approx(1.3)

    async def test_a_call_that_was_not_answered_says_nothing_of_the_speed(self, choose, clock):
        choice = choose(1)
        (place,) = await places(choice, 1)
        choice.line.started(place)
        clock.now += 60
        choice.line.release(place)
        assert choice.spaces[0].seconds == 0


class TestRoom:
    async def test_each_space_has_so_many_calls_and_the_next_waits(self, choose):
        choice = choose(2, most=2)
        begun = await places(choice, 4)
        assert sorted(indexes(begun)) == [0, 0, 1, 1]
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.line.release(begun[2])
        assert (await asyncio.wait_for(waits, 20)).space is begun[2].space

    async def test_without_a_limit_none_waits(self, choose):
        assert len(await places(choose(2, most=None), 100)) == 100

    async def test_a_call_that_would_wait_behind_ours_only_is_kept_here(self, choose):
        choice = choose(1)
        begun = await full(choice, running=2, waiting=2)
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.line.started(begun[2])  # it works on three now: it is bigger than it was thought
        await asyncio.wait_for(waits, 20)

    async def test_a_call_that_waits_with_those_of_others_takes_its_place_there(self, choose):
        choice = choose(1)
        begun = await full(choice, running=2, waiting=2)
        choice.line.queued(begun[3], QueueEvent(rank=9, queue_size=10))
        more = await places(choice, 4)
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        assert len(begun + more) == 8  # which is the limit
        waits.cancel()

    async def test_a_call_that_is_at_once_worked_on_is_no_sign_of_a_full_space(self, choose):
        choice = choose(1)
        for place in await places(choice, 3):
            choice.line.queued(place, QueueEvent(rank=0, queue_size=1))
            choice.line.started(place)
        assert choice.spaces[0].capacity is None
        assert len(await places(choice, 5)) == 5

    async def test_those_who_wait_come_in_the_order_in_which_they_came(self, choose):
        choice = choose(1, most=1)
        (place,) = await places(choice, 1)
        order = []

        async def one(number):
            mine = await choice.place()
            order.append(number)
            choice.line.release(mine)

        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(one(number)))
            await settle()
        choice.line.release(place)
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
        assert order == [0, 1, 2, 3, 4]

    async def test_one_who_stops_waiting_takes_no_place(self, choose):
        choice = choose(1, most=1)
        (place,) = await places(choice, 1)
        first, second = (asyncio.create_task(choice.place()) for _ in range(2))
        await settle()
        choice.line.release(place)  # the first is called
        first.cancel()
        await asyncio.wait_for(second, 20)
        assert len(choice.spaces[0].slots) == 1

    async def test_a_call_that_was_lost_with_its_loop_holds_no_place(self, choose):
        choice = choose(1, most=1)
        (place,) = await places(choice, 1)
        del place
        gc.collect()
        assert len(await places(choice, 1)) == 1

    def test_calls_of_many_loops_share_the_places(self, choose):
        choice = choose(2, most=3)
        most = [0]

        async def one():
            place = await choice.place()
            most[0] = max(most[0], *(len(space.slots) for space in choice.spaces))
            await asyncio.sleep(0.001)
            choice.line.release(place)

        async def crowd():
            await asyncio.wait_for(asyncio.gather(*(one() for _ in range(100))), 60)

        threads = [threading.Thread(target=lambda: asyncio.run(crowd())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [3]
        assert not any(space.slots for space in choice.spaces)


async def fail(choice, index, error=None):
    """Send a call to the Space and let it fail there."""
    place = await choice.place([s for s in choice.spaces if s is not choice.spaces[index]])
    assert place.space is choice.spaces[index]
    choice.line.failed(place, error or SpaceConnectionError("gone"))
    choice.line.release(place)


class TestSettingAside:
    async def test_a_space_that_fails_gets_no_calls_for_a_while(self, choose, clock):
        choice = choose()
        await fail(choice, 0)
        assert indexes(await places(choice, 4)) == [1, 1, 1, 1]
        clock.now += 1
        assert 0 in indexes(await places(choice, 2))

    async def test_calls_wait_for_another_rather_than_go_to_it(self, choose):
        choice = choose(most=2)
        await fail(choice, 0)
        begun = await places(choice, 2)
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.line.release(begun[0])
        assert indexes([await asyncio.wait_for(waits, 20)]) == [1]

    async def test_one_call_tries_it_again(self, choose, clock):
        choice = choose(most=2)
        await fail(choice, 0)
        clock.now += 1
        begun = await places(choice, 3)
        assert sorted(indexes(begun)) == [0, 1, 1]
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.line.spoke(next(place for place in begun if indexes([place]) == [0]))
        assert indexes([await asyncio.wait_for(waits, 20)]) == [0]

    async def test_a_call_that_failed_there_leaves_that_to_others(self, choose, clock):
        choice = choose(most=1)
        await fail(choice, 0)
        (busy,) = await places(choice, 1)
        clock.now += 1
        waits = asyncio.create_task(choice.place([choice.spaces[0]]))
        await settle()
        assert not waits.done()
        choice.line.release(busy)
        assert indexes([await asyncio.wait_for(waits, 20)]) == [1]

    async def test_it_is_set_aside_for_longer_each_time_up_to_a_minute(self, choose, clock):
        choice = choose(1)
        for most in (1, 2, 4, 8, 16, 32, 60, 60, 60):
            await fail(choice, 0)
            pause = choice.spaces[0].until - clock.now
            assert most / 2 <= pause <= most
            clock.now += pause

    async def test_spaces_that_fail_together_do_not_come_back_together(self, choose):
        choice = choose(20)
        for index in range(20):
            await fail(choice, index)
        assert len({space.until for space in choice.spaces}) > 1

    async def test_calls_that_fail_together_count_once(self, choose, clock):
        choice = choose(1)
        begun = await places(choice, 5)
        for place in begun[:4]:
            choice.line.failed(place, SpaceConnectionError("gone"))
        clock.now += 1
        choice.line.failed(begun[4], SpaceConnectionError("gone"))  # it had been sent before
        assert choice.spaces[0].failures == 1
        assert choice.spaces[0].until <= clock.now

    async def test_a_space_that_answers_is_as_good_as_new(self, choose, clock):
        choice = choose(1)
        await fail(choice, 0)
        await answered(choice, clock, 0, 0.1)
        assert (choice.spaces[0].failures, choice.spaces[0].until) == (0, 0)

    async def test_a_space_is_left_alone_for_as_long_as_it_asks(self, choose, clock):
        choice = choose()
        await fail(choice, 0, SpaceRateLimitError("slower", retry_after=300))
        clock.now += 299
        assert 0 not in indexes(await places(choice, 4))
        clock.now += 1
        assert 0 in indexes(await places(choice, 4))

    async def test_when_all_are_set_aside_the_earliest_is_tried(self, choose):
        choice = choose()
        await fail(choice, 0, SpaceRateLimitError("slower", retry_after=300))
        await fail(choice, 1)
        assert not choice.others(choice.spaces[0])
        assert indexes(await places(choice, 3)) == [1, 1, 1]

    async def test_who_waits_is_called_when_its_time_is_over(self, monkeypatch):
        monkeypatch.setattr(slots, "_FIRST_PAUSE", 0.02)
        monkeypatch.setattr(slots, "_LOOK", 0.02)
        choice = Several(2, 1)
        await fail(choice, 0)
        (busy,) = await places(choice, 1)
        assert indexes([busy]) == [1]
        place = await asyncio.wait_for(choice.place(), 20)  # nothing else happens meanwhile
        assert indexes([place]) == [0]

    async def test_a_call_goes_rather_where_it_has_not_been(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.1)
        await answered(choice, clock, 1, 0.5)
        assert indexes([await choice.place([choice.spaces[0]])]) == [1]


class TestManyLines:
    async def test_calls_with_another_limit_do_not_count(self):
        line = SlotQueue()
        for limit in (1, 2, 2, None):
            await asyncio.wait_for(line.slot(["A/b"], limit), 20)

    async def test_a_call_that_waits_for_another_space_holds_nobody_up(self, choose, clock):
        choice = choose(2, most=1)
        await fail(choice, 0)
        (busy,) = await places(choice, 1)
        assert indexes([busy]) == [1]
        clock.now += 1
        first = asyncio.create_task(choice.place([choice.spaces[0]]))  # it failed there
        await settle()
        second = await asyncio.wait_for(choice.place(), 20)
        assert indexes([second]) == [0]
        assert not first.done()
        first.cancel()

    async def test_a_call_is_given_back_once(self):
        line = SlotQueue()
        slot = await line.slot(["A/b"], 1)
        line.release(slot)
        again = await line.slot(["A/b"], 1)
        line.release(slot)
        assert again in again.space.slots

    def test_a_loop_that_stopped_keeps_no_slot_from_others(self, monkeypatch):
        monkeypatch.setattr(slots, "_LOOK", 0.02)
        line = SlotQueue()
        loop = asyncio.new_event_loop()
        held = loop.run_until_complete(line.slot(["A/b"], 1))  # and it does not run any more
        asyncio.run(asyncio.wait_for(line.slot(["A/b"], 1), 20))
        assert held in held.space.slots
        loop.close()

    async def test_what_is_known_of_spaces_is_bounded(self, monkeypatch):
        monkeypatch.setattr(slots, "_MOST_SPACES", 10)
        line = SlotQueue()
        held = await line.slot(["A/held"], 1)
        for number in range(100):
            line.release(await line.slot([f"A/{number}"], 1))
        assert len(line._spaces) <= 10
        assert line._spaces["A/held"] is held.space

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
    def test_a_forked_child_has_a_line_of_its_own(self):
        line = current_slots()
        with line._lock:  # as another thread may hold it
            child = os.fork()
            if not child:
                signal.alarm(5)
                os._exit(0 if current_slots() is not line else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert current_slots() is line


class Slots:
    """A line before one Space."""

    def __init__(self, count):
        self.line, self.count, self.held = SlotQueue(), count, []

    async def acquire(self):
        self.held.append(await self.line.slot(["A/b"], self.count))

    def release(self):
        self.line.release(self.held.pop())


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
    await asyncio.wait_for(queue.acquire(), 20)


async def test_a_waiter_in_another_thread_is_called(other):
    queue = Slots(1)
    await queue.acquire()
    there = other.run(queue.acquire())
    await asyncio.wrap_future(other.run(settle()))
    assert not there.done()
    queue.release()
    await asyncio.wait_for(asyncio.wrap_future(there), 20)
    here = asyncio.create_task(queue.acquire())
    await settle()
    other.loop.call_soon_threadsafe(queue.release)
    await asyncio.wait_for(here, 20)


async def test_a_waiter_whose_loop_is_closed_is_passed_over(other):
    queue = Slots(1)
    await queue.acquire()
    gone = other.run(queue.acquire())
    await asyncio.wrap_future(other.run(settle()))
    (here,) = await waiting(queue, 1)
    tasks = asyncio.all_tasks(other.loop)
    other.stop()
    queue.release()
    await asyncio.wait_for(here, 20)
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
    asyncio.run(asyncio.wait_for(queue.acquire(), 20))


def test_leaving_neither_loses_nor_creates_a_slot():
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
