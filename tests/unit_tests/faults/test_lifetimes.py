"""What outlives a call (pages, connections, slots, loops, clocks), and what must not."""

import asyncio
import gc
import json
import threading
import weakref
from itertools import repeat

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    InvalidInputError,
    QwenSpaceError,
    SpaceConnectionError,
    SpaceTimeoutError,
)
from langchain_qwen_space.events import RetryEvent, WakeEvent
from langchain_qwen_space.qwen import tokens
from langchain_qwen_space.space.routing import target
from langchain_qwen_space.space.routing.slots import current_slots
from langchain_qwen_space.space.wire import pool
from tests.unit_tests.faults.calls import ask, failure, model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CONFIG,
    HEARTBEAT,
    UNKNOWN,
    answer_events,
    fault_server,
    late,
    page,
    reply,
    silence,
    stream,
)
from tests.unit_tests.faults.test_hub import model, stage  # noqa: F401

GOOD = reply(json.dumps(CONFIG))
JOINED = reply('{"event_id": "e1"}')


# The page, and who waits for it


async def test_calls_that_wait_for_the_same_page_share_its_failure(space):
    await asyncio.to_thread(tokens.load)  # which takes a while, once
    space.on("config", silence)
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcomes = await asyncio.gather(*(ask(model_for(space, timeout=1)) for _ in range(10)))
    assert loop.time() - began < 6, "one after another they would take 10 s"
    assert {type(outcome.error) for outcome in outcomes} == {SpaceTimeoutError}
    assert len({id(outcome.error) for outcome in outcomes}) == 10, "each has its own"
    assert len(space.asked("config")) == 1


async def test_a_page_that_nobody_waits_for_any_more_is_not_read_on(space):
    space.on("config", silence, GOOD)
    first = [asyncio.create_task(ask(model_for(space))) for _ in range(3)]
    while not space.asked("config"):
        await asyncio.sleep(0.01)
    for task in first:
        task.cancel()
    await asyncio.wait(first)
    assert (await ask(model_for(space))).text == ANSWER
    assert len(space.asked("config")) == 2


async def test_one_who_leaves_does_not_take_the_page_from_others(space):
    space.on("config", late(GOOD, 0.3))
    first, second = (asyncio.create_task(ask(model_for(space))) for _ in range(2))
    while not space.asked("config"):
        await asyncio.sleep(0.01)
    first.cancel()
    assert (await second).text == ANSWER
    assert len(space.asked("config")) == 1


def with_a_setting_first() -> str:
    components = [*CONFIG["components"], {"id": 3, "type": "slider", "props": {"label": "x"}}]
    (function,) = CONFIG["dependencies"]
    changed = [{**function, "inputs": [3, *function["inputs"]]}]
    return json.dumps({**CONFIG, "components": components, "dependencies": changed})


async def test_a_space_that_was_redeployed_is_noticed_at_the_latest_after_a_while(
    space, monkeypatch
):
    await ask(model_for(space))
    space.on("config", reply(with_a_setting_first()))
    await ask(model_for(space))
    assert len(space.asked("join")[-1].json()["data"]) == 2, "until then it is not asked"
    monkeypatch.setattr(target, "_FRESH", 0.0)
    await ask(model_for(space))
    assert len(space.asked("join")[-1].json()["data"]) == 3


@pytest.mark.parametrize("answer", [page(503), UNKNOWN])
async def test_a_space_that_fell_asleep_between_two_calls_is_woken(space, model, answer):  # noqa: F811
    heard = []
    chat = model(wake_timeout=20, on_event=heard.append)
    assert (await ask(chat)).text == ANSWER
    space.on("join", answer, answer, JOINED)
    space.on("data", UNKNOWN, UNKNOWN, stream(answer_events()))
    space.on("runtime", stage("SLEEPING"), stage("APP_STARTING"))
    outcome = await ask(chat)
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert [event.stage for event in heard if isinstance(event, WakeEvent)]


async def test_a_token_that_was_found_and_is_refused_is_left_out(space, model, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    shown = []
    original = target.SpaceTarget._ask_hub

    async def ask_hub(self, pool, question):
        shown.append(self.access.token)
        status, headers, body = await original(self, pool, question)
        return (401 if self.access.token else status), headers, body

    monkeypatch.setattr(target.SpaceTarget, "_ask_hub", ask_hub)
    assert (await ask(model())).text == ANSWER
    assert shown == ["hf_expired", None]
    with pytest.raises(QwenSpaceError, match="hf_token"):
        await model(hf_token="hf_given").ainvoke("hi")


# Loops


def test_a_loop_that_ended_is_not_kept():
    def run() -> weakref.ref:
        loop = asyncio.new_event_loop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(pool.current_pool())
        return weakref.ref(loop)

    ended = [run() for _ in range(20)]
    gc.collect()
    assert not [loop for loop in ended if loop() is not None]
    assert not [loop for loop in pool._pools if loop.is_closed()]


@pytest.mark.filterwarnings("ignore:.*was never awaited", "ignore:unclosed", "ignore:Unclosed")
def test_a_loop_that_was_closed_without_being_shut_down_is_forgotten_by_the_next():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(pool.current_pool())
    loop.close()
    asyncio.run(pool.current_pool())
    assert loop not in pool._pools


async def test_connections_can_be_closed_before_the_loop_ends(space):
    from langchain_qwen_space import aclose

    await ask(model_for(space))
    assert space.connections
    await aclose()
    async with asyncio.timeout(20):
        while space.connections:
            await asyncio.sleep(0.01)
    assert (await ask(model_for(space))).text == ANSWER


async def test_secrets_do_not_outlive_calls_as_keys_and_are_bounded_in_number(space, monkeypatch):
    monkeypatch.setattr(target, "_MOST_PAGES", 8)
    monkeypatch.setattr(pool, "_MOST_CLIENTS", 8)
    for number in range(30):
        await ask(model_for(space, hf_token=f"hf_number{number}"))
    held = await pool.current_pool()
    assert len(target._pages) <= 8
    assert len(held._clients) <= 8
    assert "hf_number" not in repr([*target._pages, *held._clients, *held._shared])


# Slots and clocks


async def nested(space, count: int) -> list[str]:
    """So many streams at once, each of which asks again at its first chunk."""
    chat = model_for(space, timeout=30)

    async def one() -> str:
        text = ""
        async for chunk in chat.astream("hi"):
            text += chunk.content
            text += (await chat.ainvoke("hi")).content
            break
        return text

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_calls_within_calls_do_not_wait_for_each_other(space):
    async with asyncio.timeout(20):
        texts = await nested(space, 16)  # twice as many as may be on the Space
    assert all(text.endswith(ANSWER) for text in texts)


async def test_calls_within_calls_do_not_wait_for_each_other_in_threads(space):
    chat, texts = model_for(space, timeout=60), []

    def one() -> None:
        for _ in chat.stream("hi"):
            texts.append(chat.invoke("hi").content)
            break

    def all_at_once() -> None:
        threads = [threading.Thread(target=one, daemon=True) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)

    await asyncio.to_thread(all_at_once)
    assert texts == [ANSWER] * 16


async def test_a_consumer_that_is_slower_than_the_space_is_not_timed_out(space):
    text = ""
    async for chunk in model_for(space, total_timeout=0.5, join_fragments=False).astream("hi"):
        text += chunk.content
        await asyncio.sleep(0.1)
    assert text == ANSWER


async def test_waits_for_a_slot_and_in_the_queue_share_their_bound_with_several_spaces_too(space):
    async with fault_server() as other:
        for each in (space, other):
            each.on("data", stream(repeat(HEARTBEAT), pause=0.02))
        held = [await current_slots().slot([each.url], 1) for each in (space, other)]
        loop = asyncio.get_running_loop()
        loop.call_later(0.5, current_slots().release, held[0])
        began = loop.time()
        chat = model_for(space, max_concurrency=1, queue_timeout=0.7)
        both = chat.model_copy(update={"space": [space.url, other.url]})
        await failure(both, SpaceTimeoutError, r"in its queue for more than 0\.7 seconds")
        assert loop.time() - began < 1.0
        current_slots().release(held[1])


async def test_no_wait_for_a_slot_is_without_the_bound_that_was_set(space):
    space.on("data", silence)
    settings = {"max_concurrency": 1, "timeout": 30}
    holder = asyncio.create_task(model_for(space, **settings).ainvoke("hi"))
    while not space.asked("data"):
        await asyncio.sleep(0.01)
    chat = model_for(space, **settings, queue_timeout=0.2, max_retries=3)
    await failure(chat, SpaceTimeoutError, r"no room for the call in time \(queue_timeout=0\.2\)")
    chat = model_for(space, **settings, total_timeout=0.2)
    await failure(
        chat, SpaceTimeoutError, r"no room .*total_timeout=0\.2|within 0\.2 seconds in all"
    )
    assert len(space.asked("join")) == 1
    holder.cancel()
    await asyncio.wait([holder])


# What a caller may give


async def test_a_host_that_cannot_be_one_is_a_qwen_space_error():
    await failure(model_for("http://" + "a" * 70 + ".example"), SpaceConnectionError, "a host")


@pytest.mark.parametrize("endpoint", ["http://[", "ftp://hub", "nonsense", "http://u:pw@[x"])
async def test_an_invalid_endpoint_of_the_hub_api_is_a_qwen_space_error(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    error = await failure(ChatQwenSpace(space="Owner/Name"), InvalidInputError, "HF_ENDPOINT")
    assert "pw" not in str(error)


async def test_a_login_does_not_cross_the_network_unencrypted():
    chat = model_for("http://space.example", auth=("ann", "secret"))
    await failure(chat, InvalidInputError, "unencrypted")


async def test_an_error_s_body_that_stalls_leaves_no_response_open(space, recwarn):
    async def half(exchange):
        await exchange.send(b"HTTP/1.1 500 Status\r\nContent-Length: 999\r\n\r\nhalf")
        await silence(exchange)

    gc.collect()  # what earlier tests left
    recwarn.clear()
    asyncio.get_running_loop().set_debug(True)
    space.on("data", half)
    space.on("cancel", half)
    with pytest.raises(QwenSpaceError):
        await model_for(space, timeout=0.2).ainvoke("hi")
    await space.quiet(cancels=1)
    await (await pool.current_pool()).aclose()
    gc.collect()
    assert not [str(warning.message) for warning in recwarn]


async def test_a_retry_says_that_it_is_one(space):
    heard = []
    space.on("join", page(503), JOINED)
    space.on("data", UNKNOWN, stream(answer_events()))
    await ask(model_for(space, max_retries=1, on_event=heard.append))
    assert [event.attempt for event in heard if isinstance(event, RetryEvent)] == [2]
