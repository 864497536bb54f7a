import asyncio
import gc
import os
import signal
import threading

import pytest

from langchain_qwen_space.errors import SpaceConnectionError, SpaceRateLimitError
from langchain_qwen_space.events import QueueEvent
from langchain_qwen_space.space.routing import choice as module
from langchain_qwen_space.space.routing.choice import Choice, choice_for
from langchain_qwen_space.space.wire.access import Access


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def choose(clock):
    return lambda count=2, most=8: Choice(count, most, clock)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def places(choice, count):
    """So many calls, each on the Space that was chosen for it."""
    return [await asyncio.wait_for(choice.place(), 1) for _ in range(count)]


def indexes(places):
    return [place.space.index for place in places]


async def answered(choice, clock, index, seconds):
    """A call that the Space answered in so many seconds."""
    place = await choice.place([space for space in choice.spaces if space.index != index])
    assert place.space.index == index
    choice.started(place)
    clock.now += seconds
    choice.spoke(place)
    choice.leave(place)


async def full(choice, running, waiting):
    """Calls on the only Space: some that it works on, some of which it said that they wait."""
    begun = await places(choice, running + waiting)
    for place in begun[:running]:
        choice.started(place)
    for rank, place in enumerate(begun[running:], 1):
        choice.queued(place, QueueEvent(rank, waiting))
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
        choice.spaces[1].slots = 4
        # It has room for eight, but a sixth call would wait there for half an answer.
        assert indexes(await places(choice, 6)) == [1, 1, 1, 1, 1, 0]

    async def test_a_queue_of_others_is_reckoned_with_as_the_space_tells_it(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.5)
        await answered(choice, clock, 1, 0.2)
        (place,) = await places(choice, 1)
        choice.queued(place, QueueEvent(rank=20, queue_size=21, eta=4.2))
        assert indexes(await places(choice, 1)) == [0]
        choice.started(place)  # the wait is over, and with it what is known of the queue
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
        choice.started(place)
        clock.now += 60
        choice.leave(place)
        assert choice.spaces[0].seconds == 0


class TestRoom:
    async def test_each_space_has_so_many_calls_and_the_next_waits(self, choose):
        choice = choose(2, most=2)
        begun = await places(choice, 4)
        assert sorted(indexes(begun)) == [0, 0, 1, 1]
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.leave(begun[2])
        assert (await asyncio.wait_for(waits, 1)).space is begun[2].space

    async def test_without_a_limit_none_waits(self, choose):
        assert len(await places(choose(2, most=None), 100)) == 100

    async def test_a_call_that_would_wait_behind_ours_only_is_kept_here(self, choose):
        choice = choose(1)
        begun = await full(choice, running=2, waiting=2)
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.started(begun[2])  # it works on three now: it is bigger than it was thought
        await asyncio.wait_for(waits, 1)

    async def test_a_call_that_waits_with_those_of_others_takes_its_place_there(self, choose):
        choice = choose(1)
        begun = await full(choice, running=2, waiting=2)
        choice.queued(begun[3], QueueEvent(rank=9, queue_size=10))
        more = await places(choice, 4)
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        assert len(begun + more) == 8  # which is the limit
        waits.cancel()

    async def test_a_call_that_is_at_once_worked_on_is_no_sign_of_a_full_space(self, choose):
        choice = choose(1)
        for place in await places(choice, 3):
            choice.queued(place, QueueEvent(rank=0, queue_size=1))
            choice.started(place)
        assert choice.spaces[0].slots is None
        assert len(await places(choice, 5)) == 5

    async def test_those_who_wait_come_in_the_order_in_which_they_came(self, choose):
        choice = choose(1, most=1)
        (place,) = await places(choice, 1)
        order = []

        async def one(number):
            mine = await choice.place()
            order.append(number)
            choice.leave(mine)

        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(one(number)))
            await settle()
        choice.leave(place)
        await asyncio.wait_for(asyncio.gather(*tasks), 1)
        assert order == [0, 1, 2, 3, 4]

    async def test_one_who_stops_waiting_takes_no_place(self, choose):
        choice = choose(1, most=1)
        (place,) = await places(choice, 1)
        first, second = (asyncio.create_task(choice.place()) for _ in range(2))
        await settle()
        choice.leave(place)  # the first is called
        first.cancel()
        await asyncio.wait_for(second, 1)
        assert len(choice.spaces[0].places) == 1

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
            most[0] = max(most[0], *(len(space.places) for space in choice.spaces))
            await asyncio.sleep(0.001)
            choice.leave(place)

        async def crowd():
            await asyncio.wait_for(asyncio.gather(*(one() for _ in range(100))), 10)

        threads = [threading.Thread(target=lambda: asyncio.run(crowd())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [3]
        assert not any(space.places for space in choice.spaces)


async def fail(choice, index, error=None):
    """Send a call to the Space and let it fail there."""
    place = await choice.place([space for space in choice.spaces if space.index != index])
    assert place.space.index == index
    choice.failed(place, error or SpaceConnectionError("gone"))
    choice.leave(place)


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
        choice.leave(begun[0])
        assert (await asyncio.wait_for(waits, 1)).space.index == 1

    async def test_one_call_tries_it_again(self, choose, clock):
        choice = choose(most=2)
        await fail(choice, 0)
        clock.now += 1
        begun = await places(choice, 3)
        assert sorted(indexes(begun)) == [0, 1, 1]
        waits = asyncio.create_task(choice.place())
        await settle()
        assert not waits.done()
        choice.spoke(next(place for place in begun if place.space.index == 0))
        assert (await asyncio.wait_for(waits, 1)).space.index == 0

    async def test_a_call_that_failed_there_leaves_that_to_others(self, choose, clock):
        choice = choose(most=1)
        await fail(choice, 0)
        (busy,) = await places(choice, 1)
        clock.now += 1
        waits = asyncio.create_task(choice.place([choice.spaces[0]]))
        await settle()
        assert not waits.done()
        choice.leave(busy)
        assert (await asyncio.wait_for(waits, 1)).space.index == 1

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
            choice.failed(place, SpaceConnectionError("gone"))
        clock.now += 1
        choice.failed(begun[4], SpaceConnectionError("gone"))  # it had been sent before
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
        monkeypatch.setattr(module, "_FIRST_PAUSE", 0.02)
        choice = Choice(2, 1)
        await fail(choice, 0)
        (busy,) = await places(choice, 1)
        assert busy.space.index == 1
        place = await asyncio.wait_for(choice.place(), 1)  # nothing else happens meanwhile
        assert place.space.index == 0

    async def test_a_call_goes_rather_where_it_has_not_been(self, choose, clock):
        choice = choose()
        await answered(choice, clock, 0, 0.1)
        await answered(choice, clock, 1, 0.5)
        assert (await choice.place([choice.spaces[0]])).space.index == 1


class TestSharing:
    def test_calls_with_the_same_spaces_and_limit_share_a_choice(self):
        spaces = (Access("A/b"), Access("C/d"))
        shared = choice_for(spaces, 8)
        assert choice_for((Access("A/b"), Access("C/d")), 8) is shared
        assert choice_for(spaces, 9) is not shared
        assert choice_for((Access("A/b", token="hf_x"), Access("C/d")), 8) is not shared

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
    def test_a_forked_child_has_choices_of_its_own(self):
        spaces = (Access("A/b"), Access("C/d"))
        shared = choice_for(spaces, 8)
        with module._lock:  # as another thread may hold it
            child = os.fork()
            if not child:
                signal.alarm(5)
                os._exit(0 if choice_for(spaces, 8) is not shared else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert choice_for(spaces, 8) is shared
