"""What a stream of events can do wrong: end, repeat, contradict itself, or say what makes no sense."""

import asyncio
import copy
import json
import logging

import pytest
from yarl import URL

from langchain_qwen_space.errors import (
    GenerationError,
    ProtocolError,
    QwenSpaceError,
    SpaceTimeoutError,
    StreamInterruptedError,
)
from langchain_qwen_space.space.routing.answer import Finished
from langchain_qwen_space.space.routing.options import Question
from langchain_qwen_space.space.routing.space_call import SpaceCall
from langchain_qwen_space.space.wire.function_run import FunctionRun
from tests.replay import config, load
from tests.unit_tests.faults.calls import ask, model_for
from tests.unit_tests.faults.server import (
    ANSWER,
    CLOSE,
    CONFIG,
    STARTS,
    UNKNOWN,
    answer_events,
    appended,
    close,
    completed,
    event,
    generating,
    reply,
    silence,
    stream,
    value,
)

RECORDED = [
    ("gradio-4.44.1-modelscope-chatbot", "history"),
    ("gradio-5.50.0-chatbot-tuples", "revised"),
    ("gradio-6.31.0-chatbot-messages", "history"),
]


# Cut at every byte


class Wire:
    """The body of a stream that breaks off; takes the place of an aiohttp response."""

    def __init__(self, body: bytes, *, breaks: bool) -> None:
        self._pieces = [body] if body else []
        self._breaks = breaks
        self.content = self
        self.url = URL("http://127.0.0.1/queue/data")
        self.status = 200
        self.connection = None

    async def readany(self) -> bytes:
        if self._pieces:
            return self._pieces.pop()
        if self._breaks:
            raise ConnectionResetError
        return b""

    def on_eof(self, callback) -> None:
        """Not told: the call reads the end itself."""

    def close(self) -> None:
        pass


@pytest.mark.parametrize("breaks", [False, True], ids=["ended", "broken"])
@pytest.mark.parametrize(("folder", "name"), RECORDED)
async def test_a_stream_cut_at_any_byte_gives_the_exact_text_or_says_that_it_broke_off(
    folder, name, breaks, monkeypatch, space
):
    case = load(folder, name)
    space.on("config", reply(json.dumps(config(folder) | {"root": space.url})))
    client = model_for(space)._target()
    turns = tuple(_turns(case.data[1]))
    ask = Question(case.data[0], turns, {})

    async def open_wire(run, arguments, history):
        run.event_id = case.event_id
        run.stream = wire

    monkeypatch.setattr(FunctionRun, "open", open_wire)
    whole = case.body.index(b"\n\n", case.body.index(b"process_completed")) + 2
    for cut in range(len(case.body)):
        wire = Wire(case.body[:cut], breaks=breaks)
        call = SpaceCall([client], lambda *_: ask)
        texts, items, error = [], [], None
        try:
            async for batch in call.run():
                items += batch
        except QwenSpaceError as caught:
            error = caught
        texts = [item for item in items if isinstance(item, str)]
        if cut < whole:
            assert type(error) is StreamInterruptedError, cut
            assert error.partial == call.attempt.text, cut
            if call.attempt.exact is None:
                assert error.partial == "".join(texts), cut
                assert case.reply.startswith(error.partial) or name == "revised", cut
        else:
            assert error is None, cut
            assert isinstance(items[-1], Finished)
            assert call.attempt.text == case.reply


def _turns(history):
    """The recorded history as pairs."""
    if history and isinstance(history[0], dict):
        texts = [message["content"][0]["text"] for message in history]
        return zip(texts[::2], texts[1::2], strict=True)
    return (tuple(pair) for pair in history or ())


@pytest.mark.parametrize("end", [None, close], ids=["ended", "broken"])
async def test_a_stream_cut_on_the_wire_gives_the_exact_text_or_says_that_it_broke_off(space, end):
    body = b"".join(answer_events("abc"))
    whole = body.index(b"\n\n", body.index(b"process_completed")) + 2
    for cut in range(0, len(body), 23):
        space.on("data", stream([body[:cut]] if cut else [], end=end))
        outcome = await ask(model_for(space))
        if cut < whole:
            assert type(outcome.error) is StreamInterruptedError, cut
            assert outcome.error.partial == outcome.text, cut
            assert "abc".startswith(outcome.text), cut
        else:
            assert (outcome.text, outcome.error) == ("abc", None), cut


@pytest.mark.parametrize("count", range(6))
async def test_a_stream_closed_without_a_completion_is_an_interrupted_answer(space, count):
    space.on("data", stream([*answer_events("abcdef")[:count], CLOSE]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == outcome.text == "abcdef"[: max(0, count - 1)]
    assert outcome.error.is_retryable


async def test_nothing_that_follows_the_completion_counts(space):
    after = [appended("X"), completed(value("Y")), b"\xff" * 500, event("unexpected_error")]
    space.on("data", stream([*answer_events()[:-1], *after], end=close))
    outcome = await ask(model_for(space))
    assert (outcome.text, outcome.error, outcome.revised) == (ANSWER, None, None)


async def test_a_body_that_does_not_end_after_the_answer_is_not_waited_for_long(space):
    space.on("data", stream(answer_events(), end=silence))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=30))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    await space.quiet(cancels=0)


# Silence


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_silence_on_the_stream_ends_after_timeout_seconds(space, count):
    space.on("data", stream(answer_events()[:count], end=silence))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=0.15))
    assert type(outcome.error) is SpaceTimeoutError
    assert "sent nothing, not even a sign of life, within 0.15 seconds" in str(outcome.error)
    assert outcome.error.partial == outcome.text == ANSWER[: max(0, count - 1)]
    await space.quiet(cancels=1)


def for_ever(piece: bytes):
    while True:
        yield piece


@pytest.mark.parametrize("step", ["config", "join", "data"])
async def test_total_timeout_bounds_every_request(space, step):
    space.on(step, silence)
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=30, total_timeout=0.2))
    assert type(outcome.error) is SpaceTimeoutError
    assert "within 0.2 seconds in all" in str(outcome.error)


async def test_total_timeout_bounds_the_second_look_at_a_changed_space(space):
    await ask(model_for(space))
    space.on("join", reply("", 500))
    space.on("data", UNKNOWN)
    space.on("config", silence)
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, timeout=30, total_timeout=0.2))
    assert isinstance(outcome.error, QwenSpaceError)


# Events that do not belong


@pytest.mark.parametrize("other", ["e2", "", None, 7])
async def test_events_of_other_calls_are_left_out(space, other):
    alien = [
        generating(value("alien"), other),
        appended("alien", other),
        completed(value("alien"), other),
        event("process_completed", other, success=False, output={"error": "alien"}),
        event("log", other, log="alien", level="info"),
    ]
    events = answer_events("abc")
    told = []
    space.on("data", stream([*alien, *events[:3], *alien, *events[3:]]))
    outcome = await ask(model_for(space, on_event=told.append))
    assert (outcome.text, outcome.error, outcome.revised) == ("abc", None, None)
    assert "alien" not in repr(told)


async def test_events_of_other_calls_alone_leave_the_call_unanswered(space):
    space.on("data", stream([completed(value("alien"), "e2"), CLOSE]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == ""


async def test_events_that_come_twice_are_put_right_by_the_final_text(space):
    twice = [piece for piece in answer_events("abc")[:-2] for _ in range(2)]
    space.on("data", stream([*twice, completed(value("abc")), completed(value("abc")), CLOSE]))
    message = await model_for(space).ainvoke("hi")
    assert message.content == "abc"
    outcome = await ask(model_for(space))
    assert "abc" in (outcome.text, outcome.revised)


UNFIT = [
    ["append", [9, 9], "x"],
    ["append", [0, 1, 2, 3], "x"],
    ["append", ["a"], "x"],
    ["append", [], "x"],
    ["append", [0, 1], 7],
    ["append", [0], "x"],
    ["append", None, "x"],
    ["append", [None], "x"],
    ["append", [[0]], "x"],
    ["replace", [5, 5], "x"],
    ["replace", [], 5],
    ["delete", [5], None],
    ["delete", [], None],
    ["delete", ["a"], None],
    ["add", [2**64 - 1], "x"],
    ["add", [-5], ["x", "y"]],
    ["nonsense", [0, 1], "x"],
    ["append", [0, 1]],
    ["append"],
    [],
    None,
    7,
    "abc",
    {"a": 1, "b": 2, "c": 3},
    [None, None, None],
    [[], [], []],
]


@pytest.mark.parametrize("edit", UNFIT, ids=json.dumps)
async def test_an_edit_that_cannot_be_made_waits_for_the_final_text(space, edit, caplog):
    caplog.set_level(logging.CRITICAL)
    events = answer_events("abc")
    space.on("data", stream([*events[:3], generating([edit]), *events[3:]]))
    message = await model_for(space).ainvoke("hi")
    assert message.content == "abc"
    outcome = await ask(model_for(space))
    assert outcome.error is None
    assert "abc" in (outcome.text, outcome.revised)


@pytest.mark.parametrize("output", [7, "abc", {"a": 1}, [7], [[]], True, None], ids=json.dumps)
async def test_edits_that_are_none_wait_for_the_final_text(space, output):
    events = answer_events("abc")
    space.on("data", stream([*events[:3], generating(output), *events[3:]]))
    message = await model_for(space).ainvoke("hi")
    assert message.content == "abc"


# A final text that contradicts the stream


@pytest.mark.parametrize("final", ["something else", "ab", "abcdef", "", "xabc", "a b c"])
async def test_the_final_text_counts_against_the_streamed_one(space, final):
    space.on("data", stream([*answer_events("abc")[:-2], completed(value(final)), CLOSE]))
    outcome = await ask(model_for(space))
    assert outcome.error is None
    if final.startswith("abc"):
        assert (outcome.text, outcome.revised) == (final, None)
    else:
        assert outcome.revised == final
        assert outcome.text.startswith("abc")
    message = await model_for(space).ainvoke("hi")
    assert message.content == final


async def test_the_final_thoughts_count_against_the_streamed_ones(space):
    def value_with(thoughts: str) -> list[object]:
        thought = {"role": "assistant", "content": thoughts, "metadata": {"title": "Thinking"}}
        return [{"role": "user", "content": "hi"}, thought, {"role": "assistant", "content": "abc"}]

    described = copy.deepcopy(CONFIG)
    described["components"][1]["props"]["type"] = "messages"
    space.on("config", reply(json.dumps(described)))
    pieces = [STARTS, generating(value_with("one two")), completed(value_with("one three")), CLOSE]
    space.on("data", stream(pieces))
    message = await model_for(space, reasoning=True).ainvoke("hi")
    assert message.content == message.response_metadata["final_text"] == "abc"
    assert message.additional_kwargs["reasoning_content"] == "one three"


async def test_a_completion_without_a_value_is_an_interrupted_answer(space):
    space.on("data", stream([*answer_events("abc")[:-2], event("process_completed", output={})]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is StreamInterruptedError
    assert outcome.error.partial == "abc"


# Failures that the app reports


@pytest.mark.parametrize("error", [None, "", "   ", 7, [], {"a": 1}])
async def test_a_failure_without_words_is_a_failure(space, error):
    failed = event("process_completed", success=False, output={"error": error})
    space.on("data", stream([*answer_events("abc")[:3], failed, CLOSE]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is GenerationError
    assert "without saying why" in str(outcome.error)
    assert outcome.error.partial == outcome.text == "ab"


@pytest.mark.parametrize("msg", ["process_completed", "unexpected_error"])
async def test_a_failure_in_endless_words_is_quoted_in_part(space, msg):
    words = "x" * 1_000_000
    failed = event(msg, success=False, output={"error": words}, message=words)
    space.on("data", stream([STARTS, failed, CLOSE]))
    outcome = await ask(model_for(space))
    assert "xxx" in str(outcome.error)
    assert len(str(outcome.error)) < 5000


async def test_a_space_that_gives_the_call_up_is_asked_no_more(space):
    gives_up = event("unexpected_error", None, message="Server stopped unexpectedly.")
    space.on("data", stream([*answer_events("abc")[:3], gives_up, *for_a_while(gives_up)]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is StreamInterruptedError
    assert "Server stopped unexpectedly" in str(outcome.error)
    assert outcome.error.partial == outcome.text == "ab"


def for_a_while(piece: bytes):
    for _ in range(50):
        yield piece


# Bytes


async def test_text_split_within_its_characters_is_put_together(space):
    text = "ä€𝄞🌍é"
    documents = [json.loads(piece.removeprefix(b"data: ")) for piece in answer_events(text)]
    lines = [f"data: {json.dumps(item, ensure_ascii=False)}\n\n" for item in documents]
    body = "".join(lines).encode()
    assert text.encode() in body
    space.on("data", stream([body[i : i + 1] for i in range(len(body))]))
    outcome = await ask(model_for(space))
    assert (outcome.text, outcome.error) == (text, None)


@pytest.mark.parametrize("junk", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"])
async def test_an_event_of_invalid_utf8_split_over_packets_is_left_out(space, junk):
    events = answer_events("abc")
    broken = events[2].replace(b'"b"', b'"b' + junk + b'"')
    assert broken != events[2]
    pieces = [events[0], events[1], *[broken[i : i + 1] for i in range(len(broken))], *events[3:]]
    space.on("data", stream(pieces))
    message = await model_for(space).ainvoke("hi")
    assert message.content == "abc"


async def test_a_line_without_end_is_given_up(space):
    space.on("data", stream(for_ever(b"data: " + b"x" * 65536)))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, max_reply_bytes=10**6))
    assert type(outcome.error) is ProtocolError
    assert "raise max_reply_bytes" in str(outcome.error)
    assert not outcome.error.is_retryable
    await space.quiet(cancels=1)


async def test_an_event_without_end_is_given_up(space):
    space.on("data", stream(for_ever(b"data: x\n" * 1000)))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, max_reply_bytes=10**6))
    assert type(outcome.error) is ProtocolError
    await space.quiet(cancels=1)


async def test_an_answer_without_end_is_given_up_with_what_had_come(space):
    def answer():
        yield from answer_events()[:2]
        yield from for_ever(appended("x" * 10_000))

    space.on("data", stream(answer()))
    async with asyncio.timeout(20):
        outcome = await ask(model_for(space, max_reply_bytes=10**6))
    assert type(outcome.error) is ProtocolError
    assert "raise max_reply_bytes" in str(outcome.error)
    assert outcome.text.startswith("Hxxx")
    assert len(outcome.text) <= 10**6
    await space.quiet(cancels=1)


@pytest.mark.parametrize("output", [[1], "done", 7])
async def test_a_completed_call_whose_output_is_of_no_known_form_is_said_to_be(space, output):
    last = event("process_completed", output=output, success=True)
    space.on("data", stream([STARTS, generating(value("ab")), last]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is ProtocolError
    assert outcome.text == outcome.error.partial == "ab"


async def test_an_event_that_was_lost_is_named_when_the_answer_breaks_off(space):
    broken = b"data: {not JSON}\n\n"
    space.on("data", stream([STARTS, generating(value("ab")), broken]))
    outcome = await ask(model_for(space))
    assert type(outcome.error) is StreamInterruptedError
    assert "An event before that could not be decoded." in str(outcome.error)
