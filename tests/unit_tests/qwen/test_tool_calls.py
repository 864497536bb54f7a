import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_qwen_space.qwen.dialects.hermes import render_tool_calls
from langchain_qwen_space.qwen.tool_calls import ToolCallParser, ToolCallPiece
from tests.unit_tests.qwen.answers import (
    REPAIRED,
    TAGS,
    add_up,
    calls,
    parse,
    places,
    read,
    splits,
    written,
)

# Text


@pytest.mark.parametrize(
    "text", ["a < b", "<tool>x", "<tool_calls>", "</tool", "<", "a\n\n", "<<<"]
)
def test_what_is_no_tag_is_text(text):
    assert read(text) == (text, [], [])


def test_text_streams_at_once():
    parser = ToolCallParser()
    assert parser.feed("a <b> & ") == ["a <b> & "]
    assert parser.feed("c") == ["c"]


def test_the_beginning_of_a_tag_is_held_until_it_is_none():
    parser = ToolCallParser()
    assert parser.feed("a <tool") == ["a "]
    assert parser.feed("_ca") == []
    assert parser.feed("r") == ["<tool_car"]
    assert parser.feed("<") == []
    assert parser.feed("<") == ["<"]
    assert parser.finish() == ["<"]


def test_a_newline_is_held_until_no_tag_follows_it():
    parser = ToolCallParser()
    assert parser.feed("a\n") == ["a"]
    assert parser.feed("b") == ["\nb"]


def test_a_closing_tag_that_closes_nothing_is_dropped_where_it_begins_a_line():
    assert read("a\n</tool_call>b") == ("a\nb", [], [])
    assert read("a </tool_call> b") == ("a </tool_call> b", [], [])


def test_a_closing_tag_that_is_cut_off_is_dropped():
    assert read("a\n</tool_c") == ("a", [], [])
    assert read("a</tool_c") == ("a</tool_c", [], [])


# Calls as Qwen writes them


def test_a_call_streams_name_first_and_arguments_as_they_come():
    parser = ToolCallParser()
    assert parser.feed('<tool_call>\n{"name": "f", "arguments": ') == []
    [first] = parser.feed('{"a": 1')
    assert (first.index, first.name, first.args) == (0, "f", '{"a": 1')
    assert first.id.startswith("call_")
    assert parser.feed(', "b": "x') == [ToolCallPiece(0, None, None, ', "b": "x')]
    assert parser.feed("</tool") == [ToolCallPiece(0, None, None, "</tool")]
    assert parser.feed('y"}') == [ToolCallPiece(0, None, None, 'y"')]
    assert parser.feed("}\n") == []
    assert parser.feed("</tool_call>") == [ToolCallPiece(0, None, None, "}")]
    assert parser.finish() == []


def test_calls_get_indices_and_ids_of_their_own():
    first, _, second, _ = parse(written() + "\n" + written())
    assert (first.index, second.index) == (0, 1)
    assert first.id != second.id


def test_started_and_calls_tell_how_far_it_is():
    parser = ToolCallParser()
    parser.feed("text\n<tool_call")
    assert (parser.started, parser.calls) == (False, 0)
    parser.feed(">\n")
    assert (parser.started, parser.calls) == (True, 0)
    parser.feed(written(a=1).removeprefix("<tool_call>") + written())
    parser.finish()
    assert (parser.started, parser.calls, parser.done) == (True, 2, False)


@pytest.mark.parametrize(
    "value",
    [
        "</tool_call>",
        "<tool_call>",
        '}}"{[',
        "\\",
        '\\"',
        "\n\t\r",
        "天气 🙂 \u2028",
        "'",
        "```",
        "",
    ],
)
def test_a_string_may_hold_anything(value):
    assert read(written(a=value, b=[{"c": value}])) == (
        "",
        [("f", {"a": value, "b": [{"c": value}]})],
        [],
    )


def test_a_call_with_a_head_of_more_than_a_thousand_characters_is_held():
    text = written("f" * 1001, a=1)
    assert len(parse(text)) == len(parse(*text)) == 1
    assert read(text)[1] == [("f" * 1001, {"a": 1})]


def test_arguments_keep_the_blanks_that_the_model_wrote():
    text = '<tool_call>{"name":"f" ,\n "arguments" : { "a" :\t1 } }</tool_call>'
    assert "".join(piece.args for piece in parse(text)) == '{ "a" :\t1 }'
    assert read(text) == ("", [("f", {"a": 1})], [])


def test_raw_line_breaks_in_strings_are_read():
    text = '<tool_call>{"name": "f", "arguments": {"a": "x\ny"}}</tool_call>'
    assert read(text) == ("", [("f", {"a": "x\ny"})], [])


# Text around calls


def test_newlines_around_tags_are_no_text():
    text = f"a\n{written()}\n{written()}\n"
    assert read(text) == ("a", [("f", {}), ("f", {})], [])


def test_only_one_newline_before_a_tag_belongs_to_it():
    assert read(f"a\n\n{written()}")[0] == "a\n"
    assert read(f"a{written()}")[0] == "a"


def test_text_after_a_call_keeps_its_distance_from_the_text_before():
    assert read(f"a\n{written()}\nb\n{written()}\n\nc\n")[0] == "a\nb\n\nc\n"


def test_text_that_begins_after_a_call_begins_without_blanks():
    assert read(f"{written()}\n\n b")[0] == "b"


def test_a_fence_around_a_tag_is_text():
    assert read(f"```json\n{written()}\n```") == ("```json\n```", [("f", {})], [])


contents = st.text(max_size=12).filter(lambda text: "<" not in text)


@settings(max_examples=150, deadline=None)
@given(contents, st.lists(calls, max_size=3), places)
def test_a_turn_as_the_template_renders_it_is_read_back(content, made, where):
    text = render_tool_calls(content, made)
    message = add_up(parse(*splits(text, where)))
    # A final newline is the turn's own only if no call follows it.
    assert message.content == content
    assert [{"name": call["name"], "args": call["args"]} for call in message.tool_calls] == made
    assert message.invalid_tool_calls == []
    assert render_tool_calls(message.content, message.tool_calls) == text


scraps = st.sampled_from(
    [
        *TAGS,
        "\n",
        " ",
        "text",
        "<",
        "<tool",
        "```json\n",
        "\n```",
        "{",
        "}",
        "[",
        "]",
        ",",
        '"',
        "'",
        "\\",
        '{"name": "f", "arguments": {"a": 1}}',
        '{"name": "f", "arguments": {',
        '{"name": "f", "arguments": "{}"}',
        "{'name': 'f', 'parameters': {'a': True}}",
        '{"arguments": {}, "name": "f"}',
        '"a": "x", ',
        "<function=f>",
        "<parameter=a>\n",
        "\n</parameter>",
        "</function>",
        "<tools>",
        "`",
        "//",
        "True",
        "</",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(scraps, max_size=14).map("".join), places)
def test_chunks_make_no_difference(text, where):
    tools = {"f": {"properties": {"a": {"type": "integer"}}}}
    whole = add_up(parse(text, tools=tools))
    in_bits = add_up(parse(*splits(text, where), tools=tools))
    assert whole.content == in_bits.content
    for found, again in (
        (whole.tool_calls, in_bits.tool_calls),
        (whole.invalid_tool_calls, in_bits.invalid_tool_calls),
    ):
        assert [(call["name"], call["args"]) for call in found] == [
            (call["name"], call["args"]) for call in again
        ]


# Options


def test_withheld_prose_goes_out_in_front_of_the_first_call():
    parser = ToolCallParser(withhold_prose=True)
    assert parser.feed("Let me ") == []
    assert parser.feed("look.\n") == []
    assert parser.withheld == "Let me look."
    out = parser.feed(written() + "\nb")
    assert [piece if isinstance(piece, str) else piece.args for piece in out] == [
        "Let me look.",
        "{",
        "}",
        "\nb",
    ]
    assert parser.withheld == ""


def test_without_a_call_withheld_prose_stays_withheld_to_the_last_character():
    parser = ToolCallParser(withhold_prose=True)
    assert parser.feed("I will not.\n<tool") == []
    assert parser.finish() == []
    assert parser.withheld == "I will not.\n<tool"
    assert not parser.started


@pytest.mark.parametrize("first", [written(a=1), f"<tool_call>{REPAIRED['a list']}</tool_call>"])
def test_a_single_call_is_the_last(first):
    parser = ToolCallParser(single=True)
    pieces = parser.feed(f"a\n{first}\nb{written('g')}")
    assert parser.done
    assert parser.feed("c") == parser.finish() == []
    message = add_up(pieces)
    assert message.content == "a"
    assert [call["name"] for call in message.tool_calls] == ["f"]


def test_of_a_list_a_single_call_is_the_first():
    text = '<tool_call>[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}]</tool_call>'
    assert read(text, single=True) == ("", [("f", {})], [])


def test_a_single_call_is_done_when_something_else_follows_its_last_bracket():
    parser = ToolCallParser(single=True)
    parser.feed(written(a=1).removesuffix("\n</tool_call>"))
    assert not parser.done
    parser.feed("\n")
    assert not parser.done
    assert parser.feed("```\nNow") == [ToolCallPiece(0, None, None, "}")]
    assert parser.done


def test_after_a_single_call_a_tag_that_is_cut_off_is_no_other():
    text = written().removesuffix("</tool_call>") + "<tool_c"
    assert read(text, single=True) == ("", [("f", {})], [])


def test_a_broken_call_is_a_single_call_too():
    assert read(f"<tool_call>oops</tool_call>{written()}", single=True)[1] == []


# Cost

LONG = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        written(a="x" * LONG),
        f"<tool_call>{{'name': 'f', 'arguments': {{'a': '{'x' * LONG}'}}}}</tool_call>",
        f"<tool_call>{'x' * LONG}</tool_call>",
        f'<tool_call>{{"name": "{"x" * LONG}", "arguments": {{}}}}</tool_call>',
        written() + "\n" * LONG + "b",
        written()[: -len("\n</tool_call>")] + "\n" * LONG + "b",
        "a < b\n" * (LONG // 6),
        "<tool_call>" * (LONG // 11),
        "<tool_call>{'name': 'f', 'arguments': {" + "'a': 1, " * (LONG // 8) + "}}</tool_call>",
    ],
    ids=[
        *("arguments", "held", "broken", "name", "gap", "no closing tag", "text", "tags"),
        "one key",
    ],
)
def test_a_million_characters_in_small_chunks_take_seconds_not_minutes(text):
    start = time.process_time()
    parse(*(text[at : at + 10] for at in range(0, len(text), 10)))
    # About 0.3 s here; anything quadratic takes minutes.
    assert time.process_time() - start < 10
