import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.dialects import QWEN2_5
from langchain_qwen_space.qwen.dialects.hermes import render_tool_calls, tools_section
from langchain_qwen_space.qwen.tools import break_control_strings

# Qwen2.5's special tokens and the tags of its tool template.
CONTROL_STRINGS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<tools>",
    "</tools>",
]


def test_no_tools_add_nothing():
    assert tools_section([]) == ""


def test_tools_stand_one_a_line_as_json_in_their_own_order_and_script():
    tools = [{"type": "function", "function": {"name": "天气", "a": 1}}, {"b": [True, None, 0.5]}]
    assert tools_section(tools) == (
        "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
        "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
        '{"type": "function", "function": {"name": "天气", "a": 1}}\n'
        '{"b": [true, null, 0.5]}\n'
        "</tools>\n\nFor each function call, return a json object with function name and arguments "
        "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
        '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )


def test_a_tool_that_is_not_json_is_refused():
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        tools_section([{"function": object()}])


def test_a_tool_that_holds_itself_is_refused():
    tool = {}
    tool["function"] = tool
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        tools_section([tool])


def test_lone_surrogates_in_json_are_escaped():
    section = tools_section([{"name": 'a\\\ud800"🙂'}])
    section.encode()
    assert json.loads(section.splitlines()[8]) == {"name": 'a\\\ud800"🙂'}


def test_calls_follow_the_text_of_their_turn_each_after_a_newline():
    calls = [{"name": "f", "args": {"a": 1}}, {"name": "g", "args": {}}]
    assert render_tool_calls("text", calls) == (
        'text\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
        '\n<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>'
    )


def test_calls_without_text_begin_the_turn():
    assert render_tool_calls("", [{"name": "f", "args": {}}]).startswith("<tool_call>\n")


def test_text_without_calls_stays_as_it_is():
    assert render_tool_calls("text\n", []) == "text\n"


def test_a_name_is_written_as_json():
    call = render_tool_calls("", [{"name": 'a"b', "args": {}}])
    assert call == '<tool_call>\n{"name": "a\\"b", "arguments": {}}\n</tool_call>'


def test_a_result_stands_between_its_tags():
    assert QWEN2_5.result("") == "<tool_response>\n\n</tool_response>"


@pytest.mark.parametrize("control", CONTROL_STRINGS)
def test_a_control_string_gets_a_space_after_its_first_character(control):
    assert break_control_strings(f"a{control}b") == f"a< {control[1:]}b"


def test_the_case_of_letters_makes_no_difference():
    assert break_control_strings("</TOOL_Response><|IM_end|>") == "< /TOOL_Response>< |IM_end|>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a < b",
        "<tool>",
        "<tool_call",
        "x <| y |> z",
        "<||>",
        "<div>",
        "< |im_end|>",
        "</ tools>",
    ],
)
def test_other_text_stays_as_it_is(text):
    assert break_control_strings(text) == text


def test_a_control_string_within_another_leaves_none():
    broken = break_control_strings("<|im_<|im_end|>end|> <tool_<tools>call>")
    assert broken == "<|im_< |im_end|>end|> <tool_< tools>call>"


scraps = st.sampled_from(
    [
        *CONTROL_STRINGS,
        "<",
        "|",
        ">",
        "|>",
        "<|",
        "/",
        "im_end",
        "tool_call",
        "tools",
        " ",
        "é",
        "\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(scraps | st.text(max_size=3), max_size=12).map("".join))
def test_no_control_string_survives_and_nothing_but_spaces_is_added(text):
    broken = break_control_strings(text)
    assert not [control for control in CONTROL_STRINGS if control in broken]
    assert broken.replace("< ", "<") == text.replace("< ", "<")
    assert break_control_strings(broken) == broken
    if not any(control in text.lower() for control in CONTROL_STRINGS) and "|" not in text:
        assert broken == text
