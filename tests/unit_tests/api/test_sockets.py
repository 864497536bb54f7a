"""The API server on a real port, asked by clients that write their bytes themselves."""

import asyncio
import json
import time
from contextlib import suppress

import pytest

from langchain_qwen_space.api import completions
from tests.integration_tests.api.test_api import served
from tests.unit_tests.api.callers import COMPLETIONS, question, server_for
from tests.unit_tests.faults.server import (
    STARTS,
    STREAM_HEAD,
    answer_events,
    appended,
    chunk,
    event,
    generating,
    silence,
    stream,
    value,
)

JSON = "Content-Type: application/json\r\n"
_writers: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def _all_closed():
    """No connection outlives its test's event loop."""
    yield
    while _writers:
        writer = _writers.pop()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
def port(space):
    given = {"max_concurrency": 1, "timeout": 60, "queue_timeout": 60}
    with served(server_for(space, settings=given, max_body_bytes=200_000)) as url:
        yield int(url.rpartition(":")[2])


async def opened(port, method, path, body=b"", headers=JSON):
    """A connection on which one request was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    _writers.append(writer)
    length = f"Content-Length: {len(body)}\r\n" if "Transfer-Encoding" not in headers else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}{length}\r\n"
    )
    writer.write(head.encode() + body)
    return reader, writer


async def exchange(port, *request, **more):
    """Status, headers and body of an answer."""
    async with asyncio.timeout(60):
        reader, _ = await opened(port, *request, **more)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def body(text="hi", **fields):
    return json.dumps(question(text, **fields)).encode()


BODIES = {
    "nested too deep": (b'{"messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    "a deep schema": (
        b'{"messages": [{"role": "user", "content": "hi"}], "response_format": '
        + b'{"a": ' * 20_000
        + b"1"
        + b"}" * 20_000
        + b"}",
        400,
    ),
    "not UTF-8": (b'{"messages": [{"role": "user", "content": "\xff"}]}', 400),
    "NUL bytes": (b'{"messages": []}\0\0', 400),
    "a number without end": (body()[:-1] + b', "max_tokens": 1' + b"0" * 5_000 + b"}", 400),
    "a huge exponent": (body()[:-1] + b', "temperature": 1e9999}', 400),
    "an infinity": (body()[:-1] + b', "temperature": Infinity}', 400),
    "a negative count": (body(max_tokens=-(2**63)), 400),
    "a list of one": (b"[" + body() + b"]", 400),
    "a field twice": (body()[:-1] + b', "n": 1, "n": 2}', 400),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_makes_no_sense_is_refused_and_the_next_answered(port, name):
    sent, wanted = BODIES[name]
    status, headers, answer = await exchange(port, "POST", COMPLETIONS, sent)
    assert status == wanted
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(answer)
    assert json.loads(answer)["error"]["type"] == "invalid_request_error"
    assert (await exchange(port, "POST", COMPLETIONS, body()))[0] == 200


async def test_the_limit_holds_for_chunks_without_a_length(port):
    chunk = b"fa0\r\n" + b" " * 4000 + b"\r\n"
    headers = f"{JSON}Transfer-Encoding: chunked\r\n"
    status, _, answer = await exchange(port, "POST", COMPLETIONS, chunk * 60, headers=headers)
    assert status == 413
    assert json.loads(answer)["error"]["type"] == "invalid_request_error"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["x\r\nx-evil: 1", "x\n\nx-evil: 1", "x\0", "\u2028x", "💥" * 999])
async def test_no_name_of_a_model_becomes_a_header_an_event_or_a_line_of_the_log(
    port, caplog, name, streamed
):
    status, headers, answer = await exchange(
        port, "POST", COMPLETIONS, body(model=name, stream=streamed, seed=1)
    )
    assert status in (200, 400, 404)
    assert "x-evil" not in headers
    lines = [*answer.decode().splitlines(), *caplog.text.splitlines()]
    assert not [line for line in lines if line.startswith("x-evil")]


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("OPTIONS", COMPLETIONS, 405),
        ("HEAD", COMPLETIONS, 405),
        ("DELETE", "/v1/models/x", 405),
        ("HEAD", "/health", 200),
        ("HEAD", "/v1/models", 200),
        ("GET", "/v1/models/%0d%0ax-evil:%201", 404),
        ("GET", "/v1/../health", 404),
    ],
)
async def test_other_methods_and_odd_paths(port, method, path, wanted):
    status, headers, answer = await exchange(port, method, path)
    assert status == wanted
    assert "x-evil" not in headers
    assert (method == "HEAD") is (answer == b"")


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("how", ["closed", "half closed", "reset"])
async def test_however_a_connection_ends_its_call_ends_and_the_next_has_its_place(port, space, how):
    space.on("data", stream([STARTS, generating(value("He"))], end=silence))
    reader, writer = await opened(port, "POST", COMPLETIONS, body(stream=True))
    async with asyncio.timeout(60):
        await reader.readuntil(b'"content":"He"')
    assert space.streams
    space.on("data", stream(answer_events()))
    if how == "closed":
        writer.close()
    elif how == "half closed":
        writer.write_eof()
    else:
        writer.transport.abort()
    await until(lambda: not space.streams)
    assert (await exchange(port, "POST", COMPLETIONS, body()))[0] == 200


_WHERE_IT_LEAVES = {
    "in the Space's queue": [event("estimation", rank=1, queue_size=2, rank_eta=9.0)],
    "before the first chunk": [STARTS],
    "in mid-answer": [STARTS, generating(value("He"))],
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("where", _WHERE_IT_LEAVES)
async def test_a_client_that_leaves_frees_its_slot_within_half_a_second(
    port, space, where, streamed
):
    """The best of a few times counts, since other processes may take the processor."""
    space.on("data", stream(_WHERE_IT_LEAVES[where], end=silence))
    times = []
    while len(times) < 5 and (not times or min(times) > 0.5):
        _, writer = await opened(port, "POST", COMPLETIONS, body(stream=streamed))
        # Each waits for the one before: max_concurrency is 1.
        await until(lambda: len(space.asked("data")) == len(times) + 1)
        await asyncio.sleep(0.05)  # the events arrive
        writer.close()
        began = time.perf_counter()
        await until(lambda: not space.streams)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_while_it_waits_for_a_slot_makes_no_call(port, space, streamed):
    space.on("data", stream([STARTS], end=silence), stream(answer_events()))
    _, first = await opened(port, "POST", COMPLETIONS, body())
    await until(lambda: space.streams)
    _, waiting = await opened(port, "POST", COMPLETIONS, body("left", stream=streamed))
    last = asyncio.create_task(exchange(port, "POST", COMPLETIONS, body("last")))
    await asyncio.sleep(0.1)  # it waits, or else it leaves before; the outcome is the same
    waiting.close()
    await waiting.wait_closed()
    first.close()
    assert (await last)[0] == 200
    assert [join.json()["data"][0] for join in space.asked("join")] == ["hi", "last"]


async def test_a_client_whose_connection_is_full_loses_its_slot(port, space, monkeypatch):
    """A real connection: what the kernel holds for it comes besides what the server holds."""
    monkeypatch.setattr(completions, "_PATIENCE", 0.3)

    async def endless(exchange):
        await exchange.send(STREAM_HEAD + chunk(STARTS) + chunk(generating(value("a"))))
        while True:
            await exchange.send(chunk(appended("x" * 5000)))

    space.on("data", endless, stream(answer_events()))
    reader, writer = await opened(port, "POST", COMPLETIONS, body(stream=True))
    writer.transport.pause_reading()
    await until(lambda: space.streams)
    assert (await exchange(port, "POST", COMPLETIONS, body()))[0] == 200
    await until(lambda: not space.streams)
    writer.transport.resume_reading()
    async with asyncio.timeout(60):
        assert b'"code":"timeout"' in (await reader.read())[-1000:]


async def test_a_hundred_callers_share_one_place_and_those_who_leave_the_line_hold_up_nobody(
    port, space
):
    space.on("data", stream([STARTS], end=silence))
    first = (await opened(port, "POST", COMPLETIONS, body()))[1]
    await until(lambda: space.streams)
    space.on("data", stream(answer_events()))
    leaving = [(await opened(port, "POST", COMPLETIONS, body()))[1] for _ in range(20)]
    staying = [
        asyncio.create_task(exchange(port, "POST", COMPLETIONS, body(stream=n % 2 == 0)))
        for n in range(80)
    ]
    await asyncio.sleep(0)
    for writer in (*leaving, first):
        writer.close()
    answers = await asyncio.gather(*staying)
    assert [status for status, _, _ in answers] == [200] * 80
    for number, (_, _, answer) in enumerate(answers):
        assert (b"data: [DONE]" if number % 2 == 0 else b"Hello") in answer
