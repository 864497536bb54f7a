"""While an answer is on its way: comments, warnings, callers that leave, callers beside each other."""

import asyncio
import json
import logging
import threading
import time
import uuid

import orjson
import pytest
from langchain_core.messages import AIMessageChunk

from langchain_qwen_space import ChatQwenSpace, json_schema
from langchain_qwen_space.api import completions
from langchain_qwen_space.qwen import tokens
from tests.unit_tests.api.callers import (
    Caller,
    events,
    post,
    question,
    server_for,
    text_of,
)
from tests.unit_tests.faults.server import (
    CLOSE,
    CONFIG,
    STARTS,
    STREAM_HEAD,
    answer_events,
    appended,
    chunk,
    completed,
    event,
    generating,
    reply,
    silence,
    stream,
    value,
)


def queued(rank, size, eta):
    return event("estimation", rank=rank, queue_size=size, rank_eta=eta)


def progress(index, length):
    unit = {"index": index, "length": length, "unit": "steps", "progress": None, "desc": "words"}
    return event("progress", progress_data=[unit])


class Steps:
    """An answer of which each event waits until the test lets it go."""

    def __init__(self, *pieces):
        self._pieces = pieces
        self._let = asyncio.Semaphore(0)

    def next(self, count=1):
        for _ in range(count):
            self._let.release()

    async def __call__(self, exchange):
        await stream([], end=self._steps)(exchange)

    async def _steps(self, exchange):
        for piece in self._pieces:
            await self._let.acquire()
            await exchange.send(chunk(piece))
        await exchange.send(b"0\r\n\r\n")


async def test_what_happens_in_the_queue_is_a_comment_at_once(space):
    steps = Steps(
        queued(2, 3, 9.5), queued(1, 3, 4.0), STARTS, progress(1, 4), *answer_events()[1:]
    )
    space.on("data", steps)
    server = server_for(space, heartbeat=0.05)
    async with Caller.asking(server, question(stream=True)) as caller:
        await caller.until(b": waiting\n\n")
        assert caller.started["status"] == 200
        steps.next()
        await caller.until(b': {"queue":2,"queue_size":3,"eta":9.5}\n\n')
        steps.next()
        await caller.until(b': {"queue":1,"queue_size":3,"eta":4.0}\n\n')
        steps.next()
        await caller.until(b': {"started":true}\n\n')
        steps.next()
        await caller.until(b': {"done":1.0,"total":4.0,"progress":null}\n\n')
        assert b"words" not in caller.sent, "the app's own words are not for proxies"
        assert b"data:" not in caller.sent
        steps.next(100)
        sent = await caller.end()
    assert text_of(events(sent.decode())) == "Hello, wörld 🌍!"
    assert sent.endswith(b"data: [DONE]\n\n")


async def test_news_of_the_queue_come_before_the_next_heartbeat(space):
    steps = Steps(queued(2, 3, 9.5), queued(1, 3, 4.0), *answer_events())
    space.on("data", steps)
    server = server_for(space, heartbeat=0.05)
    async with Caller.asking(server, question(stream=True)) as caller:
        await caller.until(b": waiting\n\n")
        steps.next(100)
        sent = await caller.end()
    assert b"data: [DONE]" in sent


async def test_a_quick_answer_has_no_comments(space):
    response = await post(server_for(space, heartbeat=60), question(stream=True))
    assert all(line.startswith("data: ") for line in response.text.split("\n\n") if line)


async def test_a_chunk_that_shows_the_client_nothing_is_no_comment(space):
    steps = Steps(
        STARTS, generating(value("<think>a")), completed(value("<think>a</think>b")), CLOSE
    )
    space.on("data", steps)
    server = server_for(space, settings={"reasoning": False}, heartbeat=60)
    steps.next(100)
    response = await post(server, question(stream=True))
    assert text_of(events(response.text)) == "b"
    assert all(line.startswith("data: ") for line in response.text.split("\n\n") if line)


async def test_silence_in_mid_answer_is_filled_with_comments(space):
    steps = Steps(STARTS, generating(value("He")), completed(value("Hello")), CLOSE)
    space.on("data", steps)
    server = server_for(space, heartbeat=0.05)
    async with Caller.asking(server, question(stream=True)) as caller:
        steps.next(2)
        await caller.until(b'"content":"He"')
        await caller.until(b": {")
        steps.next(2)
        sent = await caller.end()
    assert text_of(events(sent.decode())) == "Hello"


@pytest.mark.parametrize("failing", [False, True])
async def test_nothing_is_sent_after_the_end_however_slowly_it_goes_out(space, failing):
    if failing:
        space.on("join", reply("{}", 429))
    beat = 0.5

    class Slow(Caller):
        async def take(self, message):
            await super().take(message)
            if self.ended:
                await asyncio.sleep(1.5 * beat)  # a heartbeat is due while the end goes out

    async with Slow.asking(server_for(space, heartbeat=beat), question(stream=True)) as caller:
        await caller.end()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_what_the_space_cannot_honour_is_in_a_header_each_time_and_in_the_log_once(
    space, caplog, streamed
):
    server = server_for(space)
    body = question(stream=streamed, temperature=0.5, seed=3)
    for _ in range(3):
        response = await post(server, body)
        assert response.status_code == 200
        warning = response.headers["x-qwen-space-warning"]
        assert "seed" in warning
        assert "temperature" in warning
    logged = [r.getMessage() for r in caplog.records if r.name.endswith("api.completions")]
    assert len(logged) == len(set(logged)) == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_warning_is_one_line_of_printable_ascii(space):
    config = {**CONFIG, "title": "Wörter\r\nx-evil: 1"}
    space.on("config", reply(orjson.dumps(config)))
    response = await post(server_for(space), question(temperature=0.5))
    warning = response.headers["x-qwen-space-warning"]
    assert warning.isascii()
    assert warning.isprintable()
    assert "x-evil" not in response.headers


async def test_temperature_and_top_p_reach_a_space_that_has_inputs_for_them(space):
    components = [
        *CONFIG["components"],
        {"id": 3, "type": "slider", "props": {"label": "Temperature", "minimum": 0, "maximum": 2}},
        {"id": 4, "type": "slider", "props": {"label": "Top-p", "minimum": 0, "maximum": 1}},
    ]
    dependency = {**CONFIG["dependencies"][0], "inputs": [1, 2, 3, 4]}
    config = {**CONFIG, "components": components, "dependencies": [dependency]}
    space.on("config", reply(orjson.dumps(config)))
    response = await post(server_for(space), question(temperature=0.5, top_p=0.9))
    assert response.status_code == 200
    assert "x-qwen-space-warning" not in response.headers
    assert space.asked("join")[0].json()["data"][2:] == [0.5, 0.9]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_that_leaves_while_the_space_is_silent_ends_the_call(space, streamed):
    space.on("data", stream([STARTS], end=silence))
    async with Caller.asking(server_for(space), question(stream=streamed)) as caller:
        async with asyncio.timeout(30):
            while not space.streams:
                await asyncio.sleep(0.005)
        caller.leave()
    assert caller.started is None
    async with asyncio.timeout(30):
        while space.streams:
            await asyncio.sleep(0.005)


class Reluctant(Caller):
    """A client that reads nothing of the answer but its beginning until it is let."""

    def __init__(self):
        super().__init__()
        self.reads = asyncio.Event()

    async def take(self, message):
        if b'"content":"' in self.sent:
            await self.reads.wait()
        await super().take(message)


async def test_a_client_that_reads_slowly_keeps_its_slot_no_longer_than_others(space):
    long = "one two three four " * 70_000  # more than the call itself reads ahead
    pieces = [long[start : start + 500] for start in range(0, len(long), 500)]
    events_ = [STARTS, generating(value("")), *map(appended, pieces), completed(value(long)), CLOSE]
    space.on("data", stream(events_), stream(answer_events("Second")))
    server = server_for(space, settings={"max_concurrency": 1, "timeout": 60})
    async with Reluctant.asking(server, question(stream=True)) as slow:
        await slow.until(b'"content":"one')
        answer = (await post(server, question())).json()
        assert answer["choices"][0]["message"]["content"] == "Second"
        assert not slow.ended
        slow.reads.set()
        sent = (await slow.end()).decode()
    assert text_of(events(sent)) == long
    assert sent.endswith("data: [DONE]\n\n")


async def endless(exchange):
    await exchange.send(STREAM_HEAD + chunk(STARTS) + chunk(generating(value("He"))))
    while True:
        await exchange.send(chunk(appended("x" * 2000)))


async def test_a_client_that_stops_reading_loses_its_call_and_costs_little_memory(
    space, monkeypatch
):
    monkeypatch.setattr(completions, "_PATIENCE", 0.2)
    space.on("data", endless, stream(answer_events("Second")))
    server = server_for(space, settings={"max_concurrency": 1, "timeout": 60})
    async with Reluctant.asking(server, question(stream=True)) as stuck:
        answer = (await post(server, question())).json()
        assert answer["choices"][0]["message"]["content"] == "Second"
        await space.quiet(cancels=1)
        stuck.reads.set()
        sent = await stuck.end()
    # What a connection holds comes at once, so that the last frames may be long.
    assert len(sent) < 2 * completions._AHEAD
    last = events(sent.decode())[-1]
    assert last["error"]["code"] == "timeout"
    assert b'finish_reason":"' not in sent


async def test_a_client_that_reads_on_in_time_gets_an_answer_of_any_length(space, monkeypatch):
    monkeypatch.setattr(completions, "_AHEAD", 1000)
    monkeypatch.setattr(completions, "_AT_ONCE", 200)
    long = "one two three four " * 500
    space.on("data", stream(answer_events(long)))
    response = await post(server_for(space), question(stream=True))
    assert text_of(events(response.text)) == long


async def test_a_caller_that_leaves_gives_its_place_to_the_next(space):
    """The server makes one call at a time; the second caller waits for the first one's place."""
    begun = Steps(STARTS, generating(value("He")), appended("llo"))
    space.on("data", begun, stream(answer_events("Second")))
    server = server_for(space, settings={"max_concurrency": 1, "timeout": 60})
    async with Caller.asking(server, question(stream=True)) as first:
        begun.next(2)
        await first.until(b'"content":"He"')
        second = asyncio.create_task(post(server, question()))
        first.leave()
        async with asyncio.timeout(30):
            answer = (await second).json()
    assert answer["choices"][0]["message"]["content"] == "Second"


async def test_a_call_that_is_cancelled_from_elsewhere_leaves_no_client_waiting(space, monkeypatch):
    async def cancelled(*_, **__):
        yield AIMessageChunk("He")
        raise asyncio.CancelledError

    monkeypatch.setattr(ChatQwenSpace, "astream", cancelled)
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(30):
            await post(server_for(space, heartbeat=0.05), question(stream=True))


async def test_a_long_prompt_is_counted_beside_the_event_loop(space, monkeypatch):
    threads = []
    count_prompt = tokens.count_prompt

    def counted(*given):
        threads.append(threading.current_thread() is threading.main_thread())
        return count_prompt(*given)

    monkeypatch.setattr(tokens, "count_prompt", counted)
    server = server_for(space)
    for words in (1, 60_000):
        body = {"messages": [{"role": "user", "content": "word " * words}]}
        assert (await post(server, body)).json()["usage"]["prompt_tokens"] > words
    assert threads[0] is True
    threads.clear()
    too_long = [{"role": "user", "content": "word " * 300_000}]
    refused = await post(server, {"messages": too_long, "model": "qwen2.5-72b-instruct"})
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert set(threads) == {False}


def format_of(schema):
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def tool_of(schema, name="f"):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"properties": {"a": {"pattern": "^(a|a)*(?=b)$"}}},
            ("schema['properties']['a']['pattern']", "look-around", "Write it without"),
        ),
        (
            {"patternProperties": {"^(a|a)*$": {}}, "unevaluatedProperties": False},
            ("unevaluatedProperties", "Write additionalProperties"),
        ),
    ],
)
async def test_a_schema_by_which_an_answer_would_be_checked_forever_is_refused(
    space, schema, words, streamed
):
    text = "a" * 60 + "!"
    space.on("data", stream(answer_events(json.dumps({"a": text, text: 1}))))
    schema = {"type": "object", **schema}
    asked = question(response_format=format_of(schema), stream=streamed)
    answer = await post(server_for(space), asked)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "response_format"
    assert [word for word in words if word not in error["message"]] == []
    assert space.requests == []


async def test_all_objects_of_an_answer_share_the_time_for_their_checks(space):
    """Choices within choices take time without bound, for each of the objects in an answer."""
    choices = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 4} for i in range(15)}
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/n0"}},
        "$defs": {**choices, "n15": {"const": "z"}},
    }
    text = "These fit: " + " ".join(json.dumps({"a": str(number)}) for number in range(20))
    space.on("data", stream(answer_events(text)))
    asked = question(response_format=format_of(schema))
    began = time.thread_time()
    answer = await post(server_for(space), asked)
    assert time.thread_time() - began < 4  # else 10 seconds
    assert answer.json()["choices"][0]["message"]["content"] == text


async def test_schemas_are_checked_beside_the_event_loop(space, monkeypatch):
    """What takes seconds there would stop all callers."""
    checks = []
    check = json_schema._check

    def checked(text, **given):
        checks.append(threading.current_thread() is threading.main_thread())
        return check(text, **given)

    monkeypatch.setattr(json_schema, "_check", checked)
    mark = uuid.uuid4().hex  # not one that was checked before
    schema = {
        "type": "object",
        "properties": {mark: {"type": "string", "description": "x" * 2**17}},
    }
    asked = question(response_format=format_of(schema), tools=[tool_of({"title": mark, **schema})])
    assert (await post(server_for(space), asked)).status_code == 200
    assert checks == [False, False]


@pytest.mark.parametrize("name", ["tools", "response_format"])
async def test_schemas_of_any_length_and_depth_are_refused(space, name):
    deep = {}
    for _ in range(500):
        deep = {"not": deep}
    for schema, words in (({"description": "x" * 2**20}, "bytes long"), (deep, "")):
        made = format_of(schema) if name == "response_format" else [tool_of(schema)]
        answer = await post(server_for(space), question(**{name: made}))
        assert answer.status_code == 400
        assert words in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"].startswith(name)
    assert space.requests == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_stops_says_so_to_those_it_answers(space, streamed):
    space.on("data", stream([STARTS, generating(value("He"))], end=silence))
    caller = Caller()
    request = json.dumps(question(stream=streamed)).encode()
    task = asyncio.create_task(caller._call(server_for(space), request))
    if streamed:
        await caller.until(b'"content":"He"')
    else:
        async with asyncio.timeout(30):
            while not space.streams:
                await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caller.ended
    assert caller.started["status"] == (200 if streamed else 503)
    said = events(caller.sent.decode())[-1] if streamed else json.loads(caller.sent)
    assert said["error"]["code"] == "stopping"
    await space.quiet(cancels=1)


async def test_callers_beside_each_other_share_no_conversation(space):
    """Each of many callers at once gets the answer to its own messages, and they go out alone."""

    async def repeat(exchange):
        session = exchange.request.target.rpartition("session_hash=")[2]
        joins = [join.json() for join in space.asked("join")]
        (query, history), *others = [j["data"] for j in joins if j["session_hash"] == session]
        assert not others
        turns = [*history, [query, f"You asked: {query}"]]
        await stream([STARTS, completed(turns), CLOSE])(exchange)

    space.on("data", repeat)
    server = server_for(space, settings={"max_concurrency": None})
    names = [f"caller-{number:02}" for number in range(30)]

    async def ask(name):
        messages = [
            {"role": "user", "content": f"I am {name}"},
            {"role": "assistant", "content": f"Hello, {name}"},
            {"role": "user", "content": f"Who am I? {name}"},
        ]
        return await post(server, {"messages": messages})

    answers = await asyncio.gather(*map(ask, names))
    texts = [answer.json()["choices"][0]["message"]["content"] for answer in answers]
    assert texts == [f"You asked: Who am I? {name}" for name in names]
    for join in space.asked("join"):
        assert len({name for name in names if name in join.body.decode()}) == 1


async def test_settings_of_one_request_do_not_reach_the_next(space, caplog):
    caplog.set_level(logging.WARNING)
    server = server_for(space)
    short = await post(server, question(max_tokens=1, stop=["w"]))
    assert short.json()["choices"][0]["finish_reason"] == "length"
    assert (await post(server, question())).json()["choices"][0]["finish_reason"] == "stop"
