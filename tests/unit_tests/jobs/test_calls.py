"""Questions become messages, results become columns."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from langchain_qwen_space.errors import InvalidInputError, StreamInterruptedError
from langchain_qwen_space.jobs.calls import answered, failed, make_caller, messages_of
from langchain_qwen_space.jobs.job import Job
from tests.unit_tests.jobs.parrot import Parrot


def messages(given, system=None):
    return messages_of(json.dumps({"messages": given}), system)


def test_a_prompt_is_a_message_after_the_system_prompt():
    question = json.dumps({"prompt": " a\n"})
    assert messages_of(question, None) == [HumanMessage(" a\n")]
    assert messages_of(question, "Be brief.") == [SystemMessage("Be brief."), HumanMessage(" a\n")]


def test_messages_of_openai_are_read_with_their_tools():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    found = messages(
        [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "t", "tool_call_id": "1"},
        ],
        system="not this one",
    )
    assert [type(each) for each in found] == [SystemMessage, HumanMessage, AIMessage, ToolMessage]
    assert found[0].content == "s"
    assert found[2].tool_calls == [{"name": "f", "args": {"x": 1}, "id": "1", "type": "tool_call"}]


@pytest.mark.parametrize(
    "given",
    [[], {}, 3, "no JSON", "[]", [3], [{"content": "x"}], [{"role": "king", "content": "x"}]],
)
def test_messages_that_are_none_are_reported(given):
    with pytest.raises(InvalidInputError, match="The row has no messages"):
        messages(given)


def test_a_message_becomes_columns():
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    told = {"model_name": "qwen", "finish_reason": "stop"}
    calls = [{"name": "f", "args": {}, "id": "1"}]
    message = AIMessage(
        "text",
        response_metadata=told,
        usage_metadata=usage,
        tool_calls=calls,
        additional_kwargs={"reasoning_content": "hm"},
    )
    assert answered(message) == {
        "text": "text",
        "reasoning": "hm",
        "tool_calls": calls,
        "model": "qwen",
        "finish_reason": "stop",
        "input_tokens": 1,
        "output_tokens": 2,
    }


def test_text_and_objects_are_answers_too():
    class City(BaseModel):
        name: str

    assert answered("text") == {"text": "text"}
    assert answered(City(name="Paris")) == {"parsed": {"name": "Paris"}}


def test_a_broken_stream_keeps_what_had_come():
    answer = failed(StreamInterruptedError("It broke.", partial="Once upon"))
    assert answer == {
        "text": "Once upon",
        "error": "It broke.",
        "error_type": "StreamInterruptedError",
    }


def test_an_error_without_words_is_named():
    assert failed(ValueError())["error"] == "ValueError()"


def test_a_schema_needs_a_chat_model():
    with pytest.raises(InvalidInputError, match="requires a chat model"):
        make_caller(Parrot().model, Job("a", "b", schema={"type": "object"}), None, 0)
