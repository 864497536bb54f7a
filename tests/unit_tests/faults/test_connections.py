"""Connections that are refused, reset, closed, silent or slow, at each request of a call."""

import asyncio
import json
import re
import socket
from contextlib import ExitStack

import pytest

from langchain_qwen_space.errors import (
    SpaceConnectionError,
    SpaceTimeoutError,
    StreamInterruptedError,
)
from langchain_qwen_space.space.wire.pool import current_pool
from tests.unit_tests.faults.calls import ask, failure, model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CONFIG,
    EVENT_ID,
    answer_events,
    chunk,
    close,
    hang_up,
    raw,
    reply,
    reset,
    silence,
    stream,
    then,
)

BEFORE_THE_STREAM = ["config", "login", "join"]


def settings_for(step: str) -> dict[str, object]:
    return {"auth": ("ann", "secret")} if step == "login" else {}


@pytest.mark.parametrize(
    ("space", "settings", "words"),
    [
        ("http://space.invalid", {}, "There is no host space.invalid. Check the name of the Space"),
        (
            "http://127.0.0.1:7",
            {"proxy": "http://ann:secret@proxy.invalid:3128"},
            "There is no host proxy.invalid, the proxy before 127.0.0.1. Check proxy=…",
        ),
    ],
    ids=["Space", "proxy"],
)
async def test_a_host_that_does_not_exist_is_named(monkeypatch, space, settings, words):
    def fail(*_, **__):  # at once, where a network without a name server would wait
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = await failure(model_for(space, **settings), SpaceConnectionError, re.escape(words))
    assert error.is_retryable


async def test_a_refused_connection_says_that_the_space_cannot_be_reached():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"  # taken, and nobody listens
        error = await failure(model_for(url), SpaceConnectionError, "cannot be reached")
    assert error.is_retryable


@pytest.mark.parametrize("step", ["join", "data"])
async def test_a_connection_refused_in_mid_call_says_so(space, step):
    before = {"join": "config", "data": "join"}[step]
    body = {"join": json.dumps(CONFIG), "data": f'{{"event_id": "{EVENT_ID}"}}'}[step]
    space.on(before, then(reply(body, headers={"Connection": "close"}), hang_up))
    error = await failure(model_for(space), SpaceConnectionError, "cannot be reached")
    assert error.is_retryable


async def test_a_connection_refused_at_the_login_says_so(space):
    model = model_for(space, **settings_for("login"))
    await ask(model)
    (await current_pool())._clients.clear()  # as in another event loop
    space.on("data", then(stream(answer_events()), hang_up))
    await ask(model)
    (await current_pool())._clients.clear()
    error = await failure(model, SpaceConnectionError, "cannot be reached")
    assert error.is_retryable
    assert space.steps[-3:] == ["login", "join", "data"], "the last login reached nobody"


async def test_a_stream_that_breaks_before_it_opens_is_not_opened_again(space):
    space.on("data", close, stream(answer_events()))
    await failure(model_for(space), SpaceConnectionError, "broke")
    assert len(space.asked("data")) == 1
    await space.quiet(cancels=1)


@pytest.mark.parametrize("answer", [reset, close], ids=["reset", "closed"])
@pytest.mark.parametrize("step", [*BEFORE_THE_STREAM, "data"])
async def test_a_connection_that_breaks_at_any_request_is_a_connection_error(space, step, answer):
    space.on(step, answer)
    if step == "join":
        space.on("data", reply('{"detail": "Not Found"}', 404))  # it was not taken
    model = model_for(space, **settings_for(step))
    error = await failure(model, SpaceConnectionError, r"The connection to 127\.0\.0\.1 broke")
    assert error.is_retryable
    assert error.partial == ""


@pytest.mark.parametrize("step", [*BEFORE_THE_STREAM, "data"])
async def test_silence_at_any_request_ends_after_timeout_seconds(space, step):
    space.on(step, silence)
    model = model_for(space, timeout=0.15, **settings_for(step))
    async with asyncio.timeout(20):
        error = await failure(model, SpaceTimeoutError, r"0\.15 seconds")
    assert error.is_retryable


@pytest.mark.parametrize("step", [*BEFORE_THE_STREAM, "data"])
async def test_half_an_answer_and_then_silence_ends_after_timeout_seconds(space, step):
    space.on(step, then(raw([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"]), silence))
    model = model_for(space, timeout=0.15, **settings_for(step))
    async with asyncio.timeout(20):
        await failure(model, SpaceTimeoutError, r"0\.15 seconds")


@pytest.mark.parametrize("step", [*BEFORE_THE_STREAM, "data"])
async def test_an_answer_that_trickles_forever_ends_after_timeout_seconds(space, step):
    head = [b"HTTP/1.1 200 OK\r\n", *[b"X-%d: 1\r\n" % number for number in range(1000)]]
    space.on(step, raw(head, pause=0.01))
    model = model_for(space, timeout=0.15, **settings_for(step))
    async with asyncio.timeout(20):
        await failure(model, SpaceTimeoutError, r"0\.15 seconds")


async def test_a_host_that_swallows_packets_ends_after_timeout_seconds():
    with ExitStack() as sockets:
        hole = sockets.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(3):  # fill the backlog: from then on the kernel drops what asks to connect
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        model = model_for(f"http://127.0.0.1:{hole.getsockname()[1]}", timeout=0.2)
        async with asyncio.timeout(20):
            await failure(model, SpaceTimeoutError, r"GET /config within 0\.2 seconds")


async def test_a_slow_space_that_keeps_sending_is_waited_for(space):
    space.on("config", _slowly(reply(json.dumps(CONFIG)), 0.01))
    space.on("data", stream([b"".join(answer_events())[i : i + 40] for i in range(0, 9999, 40)]))
    outcome = await ask(model_for(space, timeout=0.5))
    assert (outcome.text, outcome.error) == (ANSWER, None)


def _slowly(answer, pause):
    async def trickle(exchange):
        sent = []
        exchange.writer, real = _Recorder(sent), exchange.writer
        await answer(exchange)
        exchange.writer = real
        whole = b"".join(sent)
        for start in range(0, len(whole), 64):
            await exchange.send(whole[start : start + 64])
            await asyncio.sleep(pause)

    return trickle


class _Recorder:
    def __init__(self, sent):
        self.write = sent.append

    async def drain(self):
        pass


@pytest.mark.parametrize("answer", [reset, close, silence, hang_up, reply("no", 500)])
async def test_a_cancel_request_that_fails_is_ignored(space, answer, caplog):
    space.on("cancel", answer)
    space.on("data", stream(answer_events()[:4], end=silence))
    async for message in model_for(space).astream("hi"):
        if message.content:
            break
    await space.quiet(cancels=1)
    assert [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


async def test_an_http_answer_of_garbage_is_a_connection_error(space):
    space.on("config", raw([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"]))
    await failure(model_for(space), SpaceConnectionError, "broke")


async def test_headers_without_end_are_given_up(space):
    endless = (b"X-Header: " + b"x" * 4000 + b"\r\n" for _ in iter(int, 1))
    space.on("config", then(raw([b"HTTP/1.1 200 OK\r\n"]), raw(endless)))
    async with asyncio.timeout(20):
        await failure(model_for(space), SpaceConnectionError, "broke")


async def test_a_body_that_is_cut_short_is_a_connection_error(space):
    body = json.dumps(CONFIG)[:-10]
    space.on("config", then(reply(body, headers={"Content-Length": "5000"}), close))
    await failure(model_for(space), SpaceConnectionError, "broke")


async def test_a_stream_that_is_reset_is_an_interrupted_answer(space):
    space.on("data", stream(answer_events()[:3], pause=0.02, end=reset))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == outcome.text == ANSWER[:2]


async def test_a_stream_whose_chunks_are_no_chunks_ends_at_the_latest_after_timeout_seconds(space):
    pieces = [chunk(b"".join(answer_events()[:3])), b"zz\r\nnonsense\r\n"]
    space.on("data", then(stream([], end=raw(pieces, pause=0.02)), silence))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=0.2))
    assert isinstance(outcome.error, StreamInterruptedError | SpaceTimeoutError)
    assert outcome.error.partial == outcome.text == ANSWER[:2]
