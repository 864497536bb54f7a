"""What a caller, and the model itself, see of a call that could not be read."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_chunk_to_message
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from langchain_qwen_space.chunks import AnswerChunks, Usage
from langchain_qwen_space.pieces import Shape
from langchain_qwen_space.qwen import tokens
from langchain_qwen_space.qwen.json_objects import whole as whole_object
from langchain_qwen_space.qwen.turns import from_messages
from tests.unit_tests.test_thoughts import DELETE, TOOLS, UNTAGGED, answer

BROKEN = '<tool_call>\n{"name": "note", "arguments": {"text": "a" "b"}}\n</tool_call>'
CUT = '<tool_call>\n{"name": "note", "arguments": {"text": "a'
XML = "<function=note>\n<parameter=text>\na\n</parameter>\n<parameter=text>\nb\n</parameter>\n</function>"


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("text", [BROKEN, CUT, XML])
def test_the_history_holds_what_the_model_wrote(text, whole):
    written = f"Well.\n{DELETE}\n{text}"
    message = answer(list(written), whole=whole, tools=TOOLS)
    assert len(message.tool_calls) == len(message.invalid_tool_calls) == 1
    prompt = from_messages([HumanMessage("q"), message, HumanMessage("again")])
    assert prompt.history == (("q", written),)
    error = message.additional_kwargs["broken_tool_calls"][message.invalid_tool_calls[0]["id"]]
    assert error["error"]


@given(st.sets(st.integers(1, len(BROKEN) + 5)))
def test_a_corrected_answer_follows_the_same_however_the_first_arrived(cuts):
    places = [0, *sorted(cuts), None]
    pieces = [f"Well.\n{BROKEN}"[start:end] for start, end in pairwise(places)]
    first = AnswerChunks(Shape(tools=TOOLS), tokens.Estimate())
    chunks = [chunk for piece in pieces for chunk in first.take(piece)] + first.end()
    first.settle(None)
    assert first.unreadable
    chunks += first.abandon()
    second = first.again()
    chunks += second.take(DELETE) + second.end()
    second.settle(None)
    chunks += second.last({}, Usage())
    message = merge_chat_generation_chunks(chunks).message
    assert message.content == "Well."
    assert [call["name"] for call in message.tool_calls] == ["delete_all"]
    assert [call["name"] for call in message.invalid_tool_calls] == ["note"]
    prompt = from_messages([HumanMessage("q"), message, HumanMessage("again")])
    assert prompt.history == (("q", f"Well.\n{DELETE}"),)


def test_the_history_holds_no_call_that_was_only_thought_of():
    message = answer(list(UNTAGGED), tools=TOOLS, reasoning=False)
    assert message.invalid_tool_calls
    prompt = from_messages([HumanMessage("q"), message, HumanMessage("again")])
    assert prompt.history[0][1] == "Are you sure?"
    unmade = ToolMessage("not valid", tool_call_id=message.invalid_tool_calls[0]["id"])
    prompt = from_messages([HumanMessage("q"), message, unmade, HumanMessage("again")])
    assert prompt.query == "again"


def test_an_invalid_call_of_another_model_is_written_as_before():
    call = {"name": "f", "args": "{", "id": "1", "error": None, "type": "invalid_tool_call"}
    message = AIMessage("", invalid_tool_calls=[call])
    prompt = from_messages([HumanMessage("q"), message, ToolMessage("no", tool_call_id="1")])
    assert prompt.history[0][1] == '<tool_call>\n{"name": "f", "arguments": {}\n</tool_call>'


def last(streamed: str, exact: str, *, whole: bool, first_tool_call_index: int = 0) -> Any:
    chunks = AnswerChunks(
        Shape(tools=TOOLS, forced=True),
        tokens.Estimate(),
        whole=whole,
        first_tool_call_index=first_tool_call_index,
    )
    out = [*chunks.take(streamed), *chunks.end()]
    chunks.settle((exact, ""))
    chunks.accept(lambda text: ("note", whole_object(text)) if whole_object(text) else None)
    out += chunks.last({}, Usage())
    return [chunk.message for chunk in out]


@pytest.mark.parametrize("whole", [True, False])
def test_a_forced_call_as_bare_json_is_not_lost_where_the_space_revises_its_text(whole):
    messages = last('{"text": "a"}', '{"text":  "a"}', whole=whole)
    calls = [call for message in messages for call in message.tool_call_chunks]
    assert [call["name"] for call in calls] == ["note"]
    assert messages[-1].response_metadata["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("whole", [True, False])
def test_a_forced_call_that_the_space_takes_back_is_not_made(whole):
    messages = last('{"text": "a"}', 'Never {"text": "a"}', whole=whole)
    assert not any(message.tool_call_chunks for message in messages)
    assert messages[-1].response_metadata["finish_reason"] == "stop"
    assert messages[-1].response_metadata["final_text"] == 'Never {"text": "a"}'


@pytest.mark.parametrize("whole", [True, False])
def test_a_forced_call_that_is_only_in_the_final_text_is_made(whole):
    messages = last('Never {"text": "a"}', '{"text": "b"}', whole=whole)
    (call,) = (call for message in messages for call in message.tool_call_chunks)
    assert call["args"] == '{"text": "b"}'


def test_a_call_of_a_stream_that_the_space_takes_back_is_not_made():
    first, *others = last(DELETE, '{"text": "a"}', whole=False)
    message = message_chunk_to_message(first + others)
    assert [call["name"] for call in message.tool_calls] == ["note"]
    (back,) = message.invalid_tool_calls
    assert back["name"] == "delete_all"
    assert message.additional_kwargs["broken_tool_calls"][back["id"]]["written"] == ""


def test_calls_of_a_revised_answer_keep_their_index():
    messages = last("Hm", f"Hm\n{DELETE}", whole=True, first_tool_call_index=1000)
    assert {call["index"] for message in messages for call in message.tool_call_chunks} == {1000}


def test_a_revised_answer_that_calls_makes_no_second_call():
    messages = last('{"text": "a"}', DELETE, whole=True)
    names = [call["name"] for message in messages for call in message.tool_call_chunks]
    assert list(filter(None, names)) == ["delete_all"]
