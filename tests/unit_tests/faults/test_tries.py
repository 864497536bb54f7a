"""Tries after a failure, joins whose answer was lost, and what the error says in the end."""

import asyncio
import pickle

import pytest

from langchain_qwen_space.errors import (
    GenerationError,
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceConnectionError,
    SpaceTimeoutError,
    SpaceUnavailableError,
    StreamInterruptedError,
)
from langchain_qwen_space.events import RetryEvent, WarningEvent
from langchain_qwen_space.space.wire import function_run, pool
from tests.unit_tests.faults.calls import ask, failure, model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CLOSE,
    HEARTBEAT,
    STARTS,
    UNKNOWN,
    answer_events,
    appended,
    close,
    completed,
    event,
    generating,
    late,
    page,
    reply,
    reset,
    silence,
    stream,
    then,
    value,
)

JOINED = reply('{"event_id": "e1"}')
WELL = stream(answer_events())


@pytest.mark.parametrize("fault", [reset, close, page(503), page(502), page(408)])
async def test_a_join_that_failed_is_retried(space, fault):
    async def not_found_but_for_the_third(exchange):
        await (WELL if len(space.asked("join")) == 3 else reply("{}", 404))(exchange)

    space.on("join", fault, fault, JOINED)
    space.on("data", not_found_but_for_the_third)
    told = []
    outcome = await ask(model_for(space, max_retries=2, on_event=told.append))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert len(space.asked("join")) == 3
    assert [item.attempt for item in told if isinstance(item, RetryEvent)] == [2, 3]


@pytest.mark.parametrize("fault", [reset, close, page(503), page(502), page(408)])
async def test_a_description_that_was_not_had_is_asked_for_again(space, fault):
    space.on("config", fault)
    kind = SpaceConnectionError if fault in (reset, close) else SpaceUnavailableError
    error = await failure(model_for(space, max_retries=2), kind)
    assert error.is_retryable
    # aiohttp itself asks once more where a connection broke
    assert len(space.asked("config")) == (6 if kind is SpaceConnectionError else 3)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_max_retries_is_how_often_a_call_is_retried(space, count):
    space.on("join", page(503))
    space.on("data", UNKNOWN)
    await failure(model_for(space, max_retries=count), SpaceUnavailableError)
    assert len(space.asked("join")) == count + 1


@pytest.mark.parametrize("before", [[], [STARTS], [STARTS, HEARTBEAT, event("log", log="x")]])
async def test_a_stream_that_broke_before_its_first_chunk_is_retried(space, before):
    space.on("data", stream(before, end=close), WELL)
    outcome = await ask(model_for(space, max_retries=1))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert len(space.asked("join")) == 2
    await space.quiet(cancels=1)
    first, second = [request.json()["session_hash"] for request in space.asked("join")]
    assert first != second
    assert space.asked("cancel")[0].json()["session_hash"] == first


FAILURES = {
    "cut": ([], close, StreamInterruptedError),
    "closed": ([CLOSE], None, StreamInterruptedError),
    "given up": ([event("unexpected_error", None, message="x")], None, StreamInterruptedError),
    "silent": ([], silence, SpaceTimeoutError),
    "failed": (
        [event("process_completed", success=False, output={"error": "Status code: 500"})],
        None,
        GenerationError,
    ),
    "another form": ([completed(7)], None, ProtocolError),
    "endless": ([b"data: " + b"x" * 3000], None, ProtocolError),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_after_the_first_chunk_nothing_is_retried_and_partial_is_exact(space, name):
    rest, end, kind = FAILURES[name]
    space.on("data", stream([*answer_events("abc")[:3], *rest], end=end))
    settings = {"max_retries": 3, "timeout": 0.3, "max_reply_bytes": 2000}
    outcome = await ask(model_for(space, **settings))
    assert type(outcome.error) is kind
    assert outcome.error.partial == outcome.text == "ab"
    assert len(space.asked("join")) == 1
    before = len(space.requests)
    with pytest.raises(kind) as caught:
        await model_for(space, **settings).ainvoke("hi")
    assert caught.value.partial == "ab"
    assert [item.step for item in space.requests[before:]].count("join") == 1


async def test_retry_after_is_obeyed(space):
    space.on("join", page(429, {"Retry-After": "1"}), JOINED)
    told = []
    loop = asyncio.get_running_loop()
    start = loop.time()
    outcome = await ask(model_for(space, max_retries=1, on_event=told.append))
    assert outcome.text == ANSWER
    assert loop.time() - start >= 1
    assert [item.delay for item in told if isinstance(item, RetryEvent)] == [1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_will_not_change_is_not_asked_again(space, status):
    space.on("join", reply("{}", status))
    error = (await ask(model_for(space, max_retries=3))).error
    assert not error.is_retryable
    assert len(space.asked("join")) == 1


async def test_a_pause_that_outlasts_total_timeout_is_not_made(space):
    space.on("join", page(429, {"Retry-After": "60"}))
    async with asyncio.timeout(20):
        error = (await ask(model_for(space, max_retries=3, total_timeout=50))).error
    assert error.retry_after == 60
    assert len(space.asked("join")) == 1


# A join whose answer was lost


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_join_that_a_proxy_gave_up_is_recognised_on_the_stream(space, status):
    space.on("join", page(status))
    outcome = await ask(model_for(space, max_retries=0))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert len(space.asked("join")) == 1, "it may run, so no other is made"


async def test_a_session_that_a_replica_does_not_know_is_opened_again(space):
    space.on("data", UNKNOWN, stream(answer_events()))
    outcome = await ask(model_for(space, max_retries=1))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    first, second = [request.json()["session_hash"] for request in space.asked("join")]
    assert first != second


@pytest.mark.parametrize("lost", [reset, close])
async def test_a_join_whose_answer_was_lost_is_recognised_on_the_stream(space, lost):
    space.on("join", lost)
    outcome = await ask(model_for(space))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert len(space.asked("join")) == 1
    await space.quiet(cancels=0)


async def test_a_join_that_never_came_there_is_reported_as_a_broken_connection(space):
    space.on("join", reset)
    space.on("data", stream([event("unexpected_error", None, message="404: Not Found")]))
    assert "broke" in str(await failure(model_for(space), SpaceConnectionError))
    await space.quiet(cancels=0)


async def test_a_connection_is_given_up_before_the_server_closes_it(space, monkeypatch):
    monkeypatch.setattr(pool, "_IDLE", 0.05)
    await ask(model_for(space))
    await _until(lambda: not space.connections)


async def test_a_call_recognised_on_the_stream_can_be_left(space):
    space.on("join", reset)
    space.on("data", stream(answer_events()[:4], end=silence))
    async for chunk in model_for(space).astream("hi"):
        if chunk.content:
            break
    await space.quiet(cancels=1)
    assert space.asked("cancel")[0].json()["event_id"] == "e1"


async def test_a_join_that_is_never_answered_leaves_no_orphan(space):
    space.on("join", silence)
    await failure(model_for(space, timeout=0.1), SpaceTimeoutError)
    await space.quiet(cancels=1)
    (join,), (cancel,) = space.asked("join"), space.asked("cancel")
    assert len(space.asked("data")) == 1
    assert cancel.json()["session_hash"] == join.json()["session_hash"]


async def test_a_caller_who_leaves_a_join_that_is_never_answered_leaves_no_orphan(
    space, monkeypatch
):
    monkeypatch.setattr(function_run, "_CANCELLING", 0.2)
    space.on("join", silence)
    task = asyncio.create_task(model_for(space, timeout=30).ainvoke("hi"))
    await _until(lambda: space.asked("join"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await space.quiet(cancels=1)
    assert len(space.asked("data")) == 1


@pytest.mark.parametrize("answer", [reset, silence])
async def test_a_cancel_request_is_sent_even_if_the_stream_does_not_open(
    space, monkeypatch, answer
):
    monkeypatch.setattr(function_run, "_CANCELLING", 0.2)
    space.on("join", silence)
    space.on("data", answer)
    await failure(model_for(space, timeout=0.1), SpaceTimeoutError)
    await space.quiet(cancels=1)


async def test_a_caller_who_leaves_before_the_join_is_answered_leaves_no_orphan(space):
    space.on("join", late(JOINED, 0.2))
    task = asyncio.create_task(model_for(space).ainvoke("hi"))
    await _until(lambda: space.asked("join"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await space.quiet(cancels=1)
    assert space.asked("cancel")[0].json()["event_id"] == "e1"
    assert len(space.asked("data")) == 1, "its stream is opened and closed, which frees the place"


async def _until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_second_answer_to_the_join_spoils_no_later_call(space):
    space.on("join", then(JOINED, JOINED))
    for _ in range(3):
        outcome = await ask(model_for(space, max_retries=2))
        assert (outcome.text, outcome.error) == (ANSWER, None)


# Errors


def all_errors():
    from langchain_qwen_space import errors

    return [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, QwenSpaceError)
    ]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind):
    error = kind("what", partial="so far", is_retryable=True, retry_after=2.5, status=429)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "what"
    assert (copy.partial, copy.is_retryable) == ("so far", True)
    assert (copy.retry_after, copy.status) == (2.5, 429)


async def test_an_error_of_a_call_survives_pickling(space):
    space.on("data", stream([STARTS, generating(value("ab")), appended("c")], end=reset))
    error = (await ask(model_for(space))).error
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.partial) == (type(error), str(error), error.partial)
    assert copy.is_retryable


async def test_a_refusal_of_the_hub_api_survives_pickling():
    from langchain_qwen_space.space.routing.hub import stage_error

    error = stage_error({"stage": "SLEEPING"}, "Space Owner/Name")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.stage, copy.is_retryable) == (str(error), "SLEEPING", True)


async def test_a_query_of_broken_unicode_is_a_qwen_space_error_or_is_sent(space):
    outcome = await ask(model_for(space), "a\ud800b")
    assert outcome.text == ANSWER or type(outcome.error) is InvalidInputError


# What a caller is warned of


@pytest.mark.filterwarnings("ignore:.*has no input for temperature")
async def test_a_warning_is_given_once_however_many_tries_there_are(space):
    space.on("join", page(429), JOINED)
    space.on("data", stream([], end=close), WELL)
    heard = []
    outcome = await ask(model_for(space, max_retries=3, temperature=0.5, on_event=heard.append))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert len(space.asked("join")) == 3
    assert len([event for event in heard if isinstance(event, WarningEvent)]) == 1
