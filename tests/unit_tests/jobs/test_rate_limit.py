"""Turns are given out evenly, to any caller."""

import threading

import pytest

from langchain_qwen_space.jobs import rate_limit


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_the_first_turn_is_now_and_the_others_are_evenly_spread(clock):
    schedule = rate_limit.CallSchedule(60)
    assert [schedule.reserve() for _ in range(4)] == [0, 1, 2, 3]


def test_schedule_that_nobody_took_are_not_saved_up(clock):
    schedule = rate_limit.CallSchedule(60)
    schedule.reserve()
    clock[0] += 100
    assert [schedule.reserve(), schedule.reserve()] == [0, 1]


def test_threads_never_get_the_same_turn(clock):
    schedule, taken = rate_limit.CallSchedule(60), []
    threads = [
        threading.Thread(target=lambda: taken.extend(schedule.reserve() for _ in range(50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(400))


def test_who_does_not_wait_gets_no_turn(clock):
    limiter = rate_limit.ScheduledRateLimiter(rate_limit.CallSchedule(60))
    assert not limiter.acquire(blocking=False)
    assert limiter.acquire()
