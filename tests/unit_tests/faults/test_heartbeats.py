"""Heartbeats: a sign of life, but not forever."""

import asyncio
import json
from itertools import repeat

import pytest

from langchain_qwen_space.errors import SpaceTimeoutError
from langchain_qwen_space.space.routing import deadlines
from tests.unit_tests.faults.calls import ask, model_for
from tests.unit_tests.faults.server import (
    CLOSE,
    CONFIG,
    HEARTBEAT,
    STARTS,
    answer_events,
    completed,
    reply,
    silence,
    stream,
)


async def test_heartbeats_forever_are_bounded_by_total_timeout(space):
    space.on("data", stream(repeat(HEARTBEAT), pause=0.02))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=0.2, total_timeout=0.5))
    assert type(outcome.error) is SpaceTimeoutError
    assert "did not complete the answer within 0.5 seconds in all" in str(outcome.error)
    await space.quiet(cancels=1)


async def test_heartbeats_forever_before_the_call_starts_are_bounded_by_queue_timeout(space):
    space.on("data", stream(repeat(HEARTBEAT), pause=0.02))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=0.2, queue_timeout=0.4))
    assert type(outcome.error) is SpaceTimeoutError
    assert "in its queue for more than 0.4 seconds" in str(outcome.error)
    await space.quiet(cancels=1)


async def test_a_call_may_wait_no_longer_in_the_queue_for_its_second_function(space):
    shown = {
        "id": 0,
        "api_name": "ask",
        "inputs": [1, 2],
        "outputs": [1, 2],
        "targets": [[1, "submit"]],
    }
    answers = {"id": 1, "inputs": [2], "outputs": [2], "targets": [[1, "then"]], "trigger_after": 0}
    space.on("config", reply(json.dumps({**CONFIG, "dependencies": [shown, answers]})))
    asked = completed([["hi", None]])
    space.on("data", stream([STARTS, asked, CLOSE]), stream(repeat(HEARTBEAT), pause=0.02))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=0.2, queue_timeout=0.4))
    assert type(outcome.error) is SpaceTimeoutError
    assert "in its queue for more than 0.4 seconds" in str(outcome.error)
    await space.quiet(cancels=1)


@pytest.mark.parametrize("begun", [[], answer_events("abc")[:3]], ids=["queued", "in the answer"])
async def test_heartbeats_forever_are_bounded_without_any_setting(space, monkeypatch, begun):
    monkeypatch.setattr(deadlines, "_PATIENCE", 0.4)
    space.on("data", stream([*begun, *[HEARTBEAT] * 200], pause=0.02, end=silence))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=0.1, max_retries=3))
    assert type(outcome.error) is SpaceTimeoutError
    assert "signs of life for 0.4 seconds, but nothing of the answer" in str(outcome.error)
    assert outcome.error.partial == outcome.text == "ab"[: len(begun)]
    assert len(space.asked("join")) == 1
    await space.quiet(cancels=1)


async def test_an_answer_that_continues_outlasts_the_default_limit(space, monkeypatch):
    monkeypatch.setattr(deadlines, "_PATIENCE", 0.3)
    space.on("data", stream(answer_events("a" * 20), pause=0.05))
    outcome = await ask(model_for(space, timeout=0.2))
    assert (outcome.text, outcome.error) == ("a" * 20, None)


async def test_a_time_that_was_given_counts_instead_of_the_default_limit(space, monkeypatch):
    monkeypatch.setattr(deadlines, "_PATIENCE", 0.1)
    events = answer_events("ab")
    space.on("data", stream([*[HEARTBEAT] * 20, *events], pause=0.02))
    for given in ({"total_timeout": 9}, {"queue_timeout": 9}):
        outcome = await ask(model_for(space, timeout=0.2, **given))
        assert (outcome.text, outcome.error) == ("ab", None)


async def test_heartbeats_are_a_sign_of_life(space):
    events = answer_events("ab")
    space.on("data", stream([*events[:2], *[HEARTBEAT] * 10, *events[2:]], pause=0.04))
    outcome = await ask(model_for(space, timeout=0.2))
    assert (outcome.text, outcome.error) == ("ab", None)
