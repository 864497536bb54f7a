"""Thoughts are separated before anything else looks at an answer, whatever of them is shown."""

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, message_chunk_to_message
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from langchain_qwen_space.chunks import AnswerChunks, Usage
from langchain_qwen_space.pieces import Shape
from langchain_qwen_space.qwen import tokens
from langchain_qwen_space.qwen.models import may_think_untagged

DELETE = '<tool_call>\n{"name": "delete_all", "arguments": {"path": "/"}}\n</tool_call>'
TAGGED = f"<think>maybe {DELETE}, no.</think>\n\nAre you sure?"
UNTAGGED = TAGGED.removeprefix("<think>")
IN_A_STRING = '<tool_call>\n{"name": "note", "arguments": {"text": "write <think>hm</think> tags"}}\n</tool_call>'

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("delete_all", "note")]


def answer(
    text: str | list[str], *, whole: bool = False, untagged: bool = True, **shape: Any
) -> AIMessage:
    """The message that LangChain adds up from the chunks of an answer."""
    chunks = AnswerChunks(Shape(**shape), tokens.Estimate(), whole=whole)
    chunks.thinks_untagged = untagged
    out = []
    for fragment in [text] if isinstance(text, str) else text:
        if not chunks.done:
            out += chunks.take(fragment)
    out += chunks.end()
    chunks.settle(None)
    out += chunks.last({}, Usage())
    whole_answer = merge_chat_generation_chunks(out)
    assert whole_answer is not None
    message = message_chunk_to_message(whole_answer.message)
    assert isinstance(message, AIMessage)
    return message


@pytest.mark.parametrize("reasoning", [None, True, False])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("text", [TAGGED, UNTAGGED], ids=["tagged", "untagged"])
@pytest.mark.parametrize("single", [True, False])
def test_a_call_in_a_thought_is_not_made(text, whole, reasoning, single):
    message = answer(list(text), whole=whole, reasoning=reasoning, tools=TOOLS, single=single)
    assert message.tool_calls == []
    assert message.text.endswith("Are you sure?")


@pytest.mark.parametrize("reasoning", [None, True, False])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("first", ["<think>\n\n</think>\n\n", "<think>a</think>", "a</think> "])
def test_a_block_right_after_thoughts_is_one_of_them(first, whole, reasoning):
    message = answer(list(first + TAGGED), whole=whole, reasoning=reasoning, tools=TOOLS)
    assert message.tool_calls == []
    assert message.response_metadata.get("final_text", message.text).endswith("Are you sure?")
    if reasoning and whole:
        assert message.text == "Are you sure?"
    message = answer(
        list(f"{first}{TAGGED}\n{DELETE}"), whole=whole, reasoning=reasoning, tools=TOOLS
    )
    assert [call["name"] for call in message.tool_calls] == ["delete_all"]


@pytest.mark.parametrize(
    "thought", ["Use <tool_call>\n{ here", "<function=note>\nor", "```\n<tool_call>"]
)
@pytest.mark.parametrize("opening", ["<think>", ""])
def test_a_tag_that_thoughts_name_takes_nothing_of_the_answer(opening, thought):
    text = f"{opening}{thought}\n</think>\n\nHere you are.\n{IN_A_STRING}"
    message = answer(list(text), whole=True, reasoning=True, tools=TOOLS)
    assert message.content == "Here you are."
    assert [call["name"] for call in message.tool_calls] == ["note"]
    assert message.invalid_tool_calls == []


def test_half_a_tag_after_thoughts_is_text():
    assert answer(list("<think>a</think>\n <thin"), reasoning=False).content == "<thin"
    assert (
        answer(list("<think>a</think>\n <thin <think>"), reasoning=False).content == "<thin <think>"
    )


@pytest.mark.parametrize("reasoning", [None, True, False])
def test_a_call_after_thoughts_is_made(reasoning):
    for text in (TAGGED + DELETE, UNTAGGED + DELETE):
        message = answer(list(text), whole=True, reasoning=reasoning, tools=TOOLS)
        assert [call["name"] for call in message.tool_calls] == ["delete_all"]


@pytest.mark.parametrize("whole", [True, False])
def test_reasoning_decides_what_is_shown(whole):
    text = "<think>\nLet me see.\n</think>\n\nIt is 4."
    shown = {
        reasoning: answer(list(text), whole=whole, reasoning=reasoning)
        for reasoning in (None, True, False)
    }
    assert shown[None].content == text
    assert shown[True].content == shown[False].content == "It is 4."
    assert shown[True].additional_kwargs["reasoning_content"] == "Let me see.\n"
    assert "reasoning_content" not in shown[False].additional_kwargs


def test_a_whole_answer_that_began_inside_its_thoughts_is_separated_right():
    message = answer(list("Let me see.</think>It is 4."), whole=True, reasoning=True)
    assert message.content == "It is 4."
    assert message.additional_kwargs["reasoning_content"] == "Let me see."


def test_a_stream_that_began_inside_its_thoughts_ends_with_the_exact_text():
    message = answer(list("Let me see.</think>It is 4."), reasoning=False)
    assert message.response_metadata["revised"] is True
    assert message.response_metadata["final_text"] == "It is 4."


@pytest.mark.parametrize("reasoning", [None, True, False])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_object_in_thoughts_is_not_the_answer_however_it_arrives(size, reasoning):
    text = 'Rather {"name": "Lyon"}?\n</think>\n\n{"name": "Paris"}'
    split = [text[at : at + size] for at in range(0, len(text), size)]
    message = answer(split, reasoning=reasoning, schema={"type": "object"})
    assert message.content == '{"name": "Paris"}'
    assert message.additional_kwargs["parsed"] == {"name": "Paris"}


@pytest.mark.parametrize("reasoning", [None, True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_tag_inside_of_an_argument_stays_there(whole, reasoning):
    message = answer(list(f"Hm. {IN_A_STRING}"), whole=whole, reasoning=reasoning, tools=TOOLS)
    assert message.tool_calls[0]["args"] == {"text": "write <think>hm</think> tags"}


@pytest.mark.parametrize("text", ["Use `<think>` and `</think>`.", "a <think>b</think> c"])
def test_a_tag_in_a_sentence_is_text(text):
    assert answer(list(text), reasoning=True).content == text


@pytest.mark.parametrize("reasoning", [None, True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_block_after_text_is_text_and_a_call_in_it_is_one(whole, reasoning):
    text = f"Well.\n<think>\n{DELETE}\n</think>\nDone."
    message = answer(list(text), whole=whole, reasoning=reasoning, tools=TOOLS)
    assert message.content == "Well.\n<think>\n</think>\nDone."
    assert [call["name"] for call in message.tool_calls] == ["delete_all"]


@pytest.mark.parametrize("size", [1, 20, 100])
@pytest.mark.parametrize(
    "text", ["<think>one. two.</think>three. four", "one. two.</think>three. four"]
)
def test_a_stop_string_in_a_thought_does_not_end_the_answer(text, size):
    split = [text[at : at + size] for at in range(0, len(text), size)]
    message = answer(split, whole=True, reasoning=True, stop=["."])
    assert message.content == "three"
    assert message.additional_kwargs["reasoning_content"] == "one. two."


@pytest.mark.parametrize("size", [1, len(UNTAGGED) - 3, 1000])
def test_a_single_call_in_a_thought_does_not_end_the_answer(size):
    text = UNTAGGED + IN_A_STRING
    split = [text[at : at + size] for at in range(0, len(text), size)]
    message = answer(split, whole=True, reasoning=False, tools=TOOLS, single=True)
    assert [call["name"] for call in message.tool_calls] == ["note"]


def test_an_answer_of_a_model_that_does_not_think_ends_at_the_stop_string():
    chunks = AnswerChunks(Shape(stop=(".",)), tokens.Estimate())
    chunks.thinks_untagged = False
    chunks.take("one. two")
    assert chunks.done


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("72B", False),
        ("Qwen2.5-Coder-7B-Instruct", False),
        ("Qwen3-Coder-30B-A3B-Instruct", False),
        ("Qwen/QwQ-32B", True),
        ("qwen3-30b-a3b-thinking-2507", True),
        ("qwen3.5-plus", True),
        ("some-model", True),
    ],
)
def test_which_models_may_begin_inside_their_thoughts(name, may):
    assert may_think_untagged(name) is may


PARTS = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<", "think>", "\n", " hm ", DELETE, "x", "</", '{"a": 1}']
    ),
    max_size=8,
)
SHAPES: list[dict[str, Any]] = [
    {"tools": TOOLS},
    {"tools": TOOLS, "single": True},
    {"tools": TOOLS, "forced": True},
    {"tools": TOOLS, "stop": ["x"]},
    {"stop": ["x"]},
    {"schema": {"type": "object"}},
]


@given(PARTS, st.integers(1, 60), st.sampled_from([None, True, False]), st.sampled_from(SHAPES))
@example([UNTAGGED], 1, None, SHAPES[0])
@example(["x</think>", DELETE], 9, None, SHAPES[3])
@example([DELETE, "</think>", DELETE], len(DELETE) + 9, None, SHAPES[1])
@example(['{"a": 1}</think>', '{"a": 2}'], 60, None, SHAPES[5])
def test_how_a_text_is_split_changes_nothing(parts, size, reasoning, shape):
    text = "".join(parts)
    split = [text[at : at + size] for at in range(0, len(text), size)]
    one = answer(text, whole=True, reasoning=reasoning, **shape)
    for whole in (True, False):
        many = answer(split, whole=whole, reasoning=reasoning, **shape)
        exact = many.response_metadata.get("final_text", many.content)
        assert exact == one.content
        assert [call["args"] for call in one.tool_calls] == [
            call["args"] for call in many.tool_calls
        ]


@given(PARTS, st.integers(1, 7), st.booleans(), st.sampled_from([None, True, False]))
def test_no_call_comes_out_of_a_thought(parts, size, whole, reasoning):
    thought = "".join(parts).replace("</think>", "").replace("</", "").lstrip()
    text = f"<think>{thought}</think>Done."
    split = [text[at : at + size] for at in range(0, len(text), size)]
    assert answer(split, whole=whole, reasoning=reasoning, tools=TOOLS).tool_calls == []


@given(PARTS)
def test_nothing_of_a_text_is_lost(parts):
    text = "".join(parts)
    assert answer(text, reasoning=None, stop=["never there"]).content == text


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("text", "shape", "reason"),
    [
        ("one two three four five", {"stop": ["two"], "max_tokens": 4}, "stop"),
        ("one two three four five", {"stop": ["five"], "max_tokens": 4}, "length"),
        (f"{DELETE} and so on, for long", {"tools": TOOLS, "single": True}, "tool_calls"),
        (f"{DELETE} and so on, for long", {"tools": TOOLS}, "length"),
    ],
)
def test_why_an_answer_ended_does_not_depend_on_how_it_arrives(text, shape, reason, whole, at_once):
    shape = {"max_tokens": tokens.Estimate().count(DELETE) + 4} | shape
    message = answer([text] if at_once else list(text), whole=whole, **shape)
    assert message.response_metadata["finish_reason"] == reason


def test_blank_space_before_an_answer_takes_linear_time():
    blank = [" "] * 500_000
    began = time.process_time()
    assert answer([*blank, "<think>", "a", "</think>", "b"], reasoning=True).text == "b"
    assert time.process_time() - began < 30  # about 2 s; anything quadratic takes minutes


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [1, 60, 1000])
@pytest.mark.parametrize("call", [DELETE, DELETE.removesuffix("</tool_call>")])
def test_what_follows_the_only_wanted_call_is_not_counted(call, size, whole):
    chunks = AnswerChunks(Shape(tools=TOOLS, single=True), tokens.Estimate(), whole=whole)
    for at in range(0, len(text := f"{call}<tool_call> and so on, for long"), size):
        chunks.take(text[at : at + size])  # a model that may think is heard to its end
    chunks.end()
    chunks.settle(None)
    assert chunks.written == call
