"""Answers that would fill the memory, and words that would keep a processor busy."""

import asyncio
import gzip
import json
import threading
import time
import tracemalloc
import zlib
from contextlib import contextmanager

import pytest

from langchain_qwen_space.errors import (
    GenerationError,
    ProtocolError,
    QwenSpaceError,
    SpaceTimeoutError,
    SpaceUnavailableError,
)
from langchain_qwen_space.space.routing import target
from langchain_qwen_space.space.wire.faults import from_output, from_status
from tests.unit_tests.faults.calls import ask, failure, model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CONFIG,
    STARTS,
    answer_events,
    appended,
    completed,
    event,
    generating,
    reply,
    stream,
    value,
)

MB = 10**6


@pytest.fixture(autouse=True)
async def _warm(space):
    """What a first call loads is no part of any bomb."""
    await ask(model_for(space))
    target._pages.clear()


@contextmanager
def memory_below(limit: int):
    """Fail if more than `limit` bytes are taken at any time, by client and server together."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak / MB:.1f} MB were taken"


@contextmanager
def processor_below(limit: float):
    """Fail if more than `limit` seconds of computing are needed, however busy the machine is."""
    start = time.process_time()
    yield
    assert time.process_time() - start < limit


def packed(kind: str) -> bytes:
    """30 MB of blanks after a JSON object, in some 30 kB or less."""
    if kind == "br":
        return pytest.importorskip("brotli").compress(b"{}" + b" " * 30 * MB, quality=5)
    whole = b"{}" + b" " * 30 * MB
    return gzip.compress(whole, 9) if kind == "gzip" else zlib.compress(whole, 9)


@pytest.mark.parametrize("kind", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("step", ["config", "join", "data"])
async def test_a_compressed_answer_is_refused_and_not_unpacked(space, step, kind):
    space.on(step, reply(packed(kind), headers={"Content-Encoding": kind}))
    with memory_below(3 * MB):
        error = await failure(model_for(space), ProtocolError, f"compressed .{kind}.")
    assert not error.is_retryable


async def test_a_compressed_error_keeps_its_status_and_is_not_quoted(space):
    space.on("config", reply(packed("gzip"), 503, headers={"Content-Encoding": "gzip"}))
    with memory_below(3 * MB):
        await failure(model_for(space), SpaceUnavailableError, r"GET /config with 503\. It may")


async def test_no_compression_is_asked_for(space):
    await ask(model_for(space))
    assert {request.headers["accept-encoding"] for request in space.requests} == {"identity"}


async def test_a_description_of_100_megabytes_is_not_read(space):
    sent = 0

    async def pour(exchange):
        nonlocal sent
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{")
        while sent < 100 * MB:
            await exchange.send(b" " * 65536)
            sent += 65536

    space.on("config", pour)
    with memory_below(6 * MB):
        error = await failure(model_for(space, max_config_bytes=2 * MB), ProtocolError, "2,000,000")
    assert not error.is_retryable
    assert sent < 20 * MB


async def test_a_large_description_within_the_limit_is_read(space):
    space.on("config", reply(json.dumps(CONFIG | {"css": "x" * 3 * MB})))
    assert (await ask(model_for(space))).text == ANSWER
    assert model_for(space).max_config_bytes >= 10 * MB


@pytest.mark.parametrize(
    "piece",
    [b"data: " + b"x" * 65536, b"data: x\n" * 8000, b"\n\n:" * 1000],
    ids=["line", "event", "comments"],
)
async def test_an_endless_line_or_event_takes_a_bounded_memory(space, piece):
    def endless():
        for _ in range(150):
            yield piece

    space.on("data", stream(endless()))
    with memory_below(14 * MB), processor_below(8):
        async with asyncio.timeout(60):
            outcome = await ask(model_for(space, max_reply_bytes=MB))
    assert outcome.error is not None


@pytest.mark.parametrize(
    "edit",
    [
        ["append", [0, 1], "x" * 20_000],
        ["append", [0, 0], "x" * 20_000],
        ["add", [0], ["x" * 20_000, None]],
        ["add", [1], ["", "x" * 20_000]],
        ["append", [], [["", "x" * 20_000]]],
    ],
    ids=["the answer", "the question", "turns before it", "turns after it", "more turns"],
)
async def test_edits_without_end_take_a_bounded_memory(space, edit):
    def endless():
        yield from answer_events()[:2]
        for _ in range(3000):
            yield generating([edit])

    space.on("data", stream(endless()))
    with memory_below(16 * MB), processor_below(8):
        async with asyncio.timeout(60):
            outcome = await ask(model_for(space, max_reply_bytes=MB))
    assert isinstance(outcome.error, QwenSpaceError)


async def test_a_text_that_is_replaced_without_end_is_given_up(space):
    def endless():
        yield from answer_events()[:2]
        for number in range(3000):
            yield generating([["replace", [0, 1], f"{number}" + "x" * 20_000]])

    space.on("data", stream(endless()))
    with memory_below(6 * MB), processor_below(8):
        async with asyncio.timeout(60):
            outcome = await ask(model_for(space, max_reply_bytes=MB // 5))
    assert type(outcome.error) is ProtocolError
    assert len(outcome.text) < MB


async def test_an_event_that_is_small_as_bytes_and_large_as_objects_is_bounded(space):
    many = b"[" + b",".join([b"[]"] * 30_000) + b"]"
    space.on("data", stream([completed("MANY").replace(b'"MANY"', many)]))
    with memory_below(12 * MB):
        outcome = await ask(model_for(space, max_reply_bytes=MB))
    assert isinstance(outcome.error, ProtocolError)


async def test_a_long_stream_of_notices_leaves_nothing_in_memory(space):
    events = answer_events("abc")
    notices = [event("log", log="x" * 1000, level="info")] * 50

    def chatty():
        yield events[0]
        for _ in range(40):
            yield b"".join(notices)
        yield from events[1:]

    space.on("data", stream(chatty()))
    with memory_below(2 * MB):
        outcome = await ask(model_for(space))
    assert outcome.text == "abc"


HOSTILE = [
    "<title" * 10_000,
    "<title>" * 9_000,
    '"detail": "' * 6_000,
    '"detail"' + " " * 60_000,
    "exceed" * 10_000,
    "context length" * 4_000,
    "exceeded your " * 4_000,
    "status code" + " " * 60_000,
    "'" + "\\" * 60_001 + "'",
    "'" + "+-" * 30_000 + "'",
    "'x'+" + "(" * 9_000 + "'y'" + ")" * 9_000 + "+'z'",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:14])
def test_no_words_of_a_space_keep_the_processor_busy(text):
    with processor_below(3):
        from_status(500, {}, text, "Space x", "GET /config")
        output = {"error": text * 16, "duration": 1}
        error = from_output(output, text, "Space x", "", quoted=True)
    assert isinstance(error, QwenSpaceError)


@pytest.mark.parametrize("text", ["it's", 'say "hi"', "a\nb\\c", "ünï", "", "'", "'quoted'"])
def test_what_an_app_of_an_old_release_said_is_unquoted(text):
    if text.strip():
        output = {"error": repr(text), "duration": 1}
        error = from_output(output, None, "Space x", "", quoted=True)
        assert type(error) is GenerationError
        assert str(error) == f"The app on Space x failed: {text}"


async def test_a_reason_that_is_not_text_is_left_out(space):
    deep = event("unexpected_error", message="DEEP").replace(b'"DEEP"', b"[" * 1000 + b"]" * 1000)
    space.on("data", stream([STARTS, generating(value("ab")), appended("c"), deep]))
    outcome = await ask(model_for(space))
    assert "The Space gave the call up. (3 characters" in str(outcome.error)


async def test_a_slow_reader_in_another_thread_slows_the_space(space):
    """Endless notices, and a reader who is still at the first."""
    sent = 0

    def notices():
        nonlocal sent
        yield STARTS
        while True:
            sent += 10_000
            yield event("log", log="x" * 10_000, level="info")

    space.on("data", stream(notices()))
    at_it, go_on = threading.Event(), threading.Event()

    def read(_: object) -> None:
        at_it.set()
        go_on.wait(60)

    reading = asyncio.create_task(
        asyncio.to_thread(model_for(space, on_event=read, total_timeout=3).invoke, "hi")
    )
    assert await asyncio.to_thread(at_it.wait, 60)
    try:
        before = -1
        async with asyncio.timeout(30):
            while before != sent:  # until nobody takes what the server sends
                before = sent
                await asyncio.sleep(0.2)
        assert sent < 30 * MB
    finally:
        go_on.set()
    with pytest.raises(SpaceTimeoutError):
        await reading
