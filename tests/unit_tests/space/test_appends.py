"""An event that is recognised without being decoded says what it would say decoded."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space.space.chat.appends import Appends

TAIL = [0, 1, "text"]


def event(fragment="one", duration=0.013, path=TAIL, success=True, before=(), **output) -> bytes:
    edits = [*before, ["append", path, fragment]]
    output = {"data": [[], edits, []], "duration": duration, "changed_state_ids": [], **output}
    body = {"msg": "process_generating", "event_id": "7", "output": output, "success": success}
    return orjson.dumps(body)


def learned(data: bytes, tail=TAIL) -> Appends:
    appends = Appends()
    appends.learn(data, orjson.loads(data)["output"]["data"][1], tail)
    return appends


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_another_chunk_at_another_time_is_read_exactly(fragment, duration, first):
    try:
        data = event(fragment, duration)
        appends = learned(event(first))
    except TypeError:  # lone surrogates, which no server can send
        return
    assert appends.fragment(data, TAIL) in (fragment, None)
    assert appends.fragment(event(fragment, 1.5), TAIL) == fragment


@pytest.mark.parametrize(
    "data",
    [
        event(success=False),
        event(path=[0, 2, "text"]),
        event(before=[["delete", [0, 2], None]]),
        event(more=1),
        event(duration=7),
        event(duration="0.5"),
        event().replace(b'"7"', b'"8"'),
        event() + b" ",
        event()[:-1],
        event(["one"]),
        event().replace(b"one", b"\n"),
        event().replace(b"one", b"\\"),
        event().replace(b"one", b"\xff"),
        event().replace(b"0.013", b"00.13"),
        event().replace(b"0.013", b"1.0e+999"),
        event().replace(b'"one"', b'"one"],["append",[0,1,"text"],"two"'),
    ],
)
def test_whatever_else_an_event_says_has_it_decoded(data):
    appends = learned(event())
    assert appends.fragment(event("two"), TAIL) == "two"
    assert appends.fragment(data, TAIL) is None


def test_an_event_that_was_learned_counts_only_while_the_answer_grows_there():
    appends = learned(event())
    assert appends.fragment(event(), None) is None
    assert appends.fragment(event(), [1, 1, "text"]) is None


@pytest.mark.parametrize(
    "data",
    [
        event(before=[["append", TAIL, "x"]]),
        event(path=[0, 2, "text"]),
        event(more=[["append", TAIL, "one"]]),
        json.dumps(orjson.loads(event())).encode(),
        event(long="x" * 3000),
        orjson.dumps({"output": {"data": [[], [{"role": "user"}]]}}),
        orjson.dumps({"output": {"data": [[], 7]}}),
        orjson.dumps({"output": {"data": [[], None]}}),
    ],
)
def test_an_event_that_is_not_simply_an_append_is_not_learned(data):
    assert learned(data).fragment(data, TAIL) is None


def test_a_server_that_changes_its_events_forever_is_not_learned_forever():
    appends = Appends()
    for number in range(100):
        data = event(**{f"key{number}": 1})
        appends.learn(data, [["append", TAIL, "one"]], TAIL)
    assert appends.fragment(data, TAIL) is None
