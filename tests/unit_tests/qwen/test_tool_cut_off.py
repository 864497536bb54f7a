import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_qwen_space.qwen.dialects.hermes import render_tool_calls
from tests.unit_tests.qwen.answers import (
    REPAIRED,
    add_up,
    calls,
    parse,
    places,
    read,
    splits,
    written,
)

CUT = {
    "strict": "Let me look.\n" + written(a='x\\"}]</tool_call>', b=[1, {"c": None}], c=True),
    "strict and dense": '<tool_call>{"name":"f","arguments":{"a":[[],{}],"b":-1.5e3}}</tool_call>',
    "without arguments": written(),
    "two": written(a=1, b=2) + "\n" + written("g", a={"b": "天气"}, c="d"),
    "text between": written(a=1, b=2) + "\nand\n" + written("g", b="\n"),
    "line breaks": '<tool_call>{"name": "f", "arguments": {\n  "a": "x\ny",\n  "b": 1\n}}</tool_call>',
    **{name: f"<tool_call>\n{body}\n</tool_call>" for name, body in REPAIRED.items()},
    "midway": '<tool_call>{"name": "f", "arguments": {"a": 1, \'b\': True}}</tool_call>',
    "several in one tag": '<tool_call>{"name": "f", "arguments": {"a": 1, "b": 2}}\n'
    '{"name": "g", "arguments": {"a": 1, "b": 2}}</tool_call>',
    "a list": '<tool_call>[{"name": "f", "arguments": {"a": 1, "b": 2}}, '
    '{"name": "g", "arguments": {"a": 1, "b": 2}}]</tool_call>',
}


@pytest.mark.parametrize("text", CUT.values(), ids=CUT)
def test_a_call_cut_off_anywhere_never_runs_with_half_its_arguments(text):
    content, complete, _ = read(text)
    for cut in range(len(text)):
        message = add_up(parse(text[:cut]))
        found = [(call["name"], call["args"]) for call in message.tool_calls]
        assert found == complete[: len(found)]
        # A final `<`, up to `<tool`, may be a word.
        assert content.startswith(re.sub(r"\n?(<t?o?o?l?)?\Z", "", message.content))
        begun = text[:cut].count("<tool_")
        assert begun == 0 or message.tool_calls or message.invalid_tool_calls
        assert all(call["id"] for call in message.invalid_tool_calls)


def test_a_call_cut_off_before_its_last_bracket_is_invalid():
    text = written(a=1, b=2)
    for cut in range(len("<tool_"), text.rindex("}") + 1):
        _, valid, invalid = read(text[:cut])
        assert (valid, len(invalid)) == ([], 1)


@pytest.mark.parametrize(
    ("cut", "args"),
    [
        ('{"a": 2,', '{"a": 2,]'),
        ('{"a": [2', '{"a": [2}'),
        ('{"a": "x', '{"a": "x"]'),
        ('{"a": ["x\\', '{"a": ["x\\\\"}'),
        ('{"a": "[{', '{"a": "[{"]'),
        ('{"a": 2}', '{"a": 2}]'),
        ("{", "{]"),
        ("", "]"),
    ],
)
def test_a_call_that_is_cut_off_ends_so_that_langchain_gives_it_up(cut, args):
    assert read('<tool_call>{"name": "f", "arguments": ' + cut) == ("", [], [("f", args)])


@pytest.mark.parametrize(("cut", "calls"), [("<tool", 0), ("<tool_", 1), ("<tool_call", 1)])
def test_a_tag_that_is_cut_off_is_a_call_once_it_cannot_be_a_word(cut, calls):
    content, valid, invalid = read(f"a\n{cut}")
    assert (valid, len(invalid)) == ([], calls)
    assert content == ("a" if calls else f"a\n{cut}")


@settings(max_examples=200, deadline=None)
@given(calls, st.integers(0, 10_000), places)
def test_whatever_call_is_cut_off_wherever_its_arguments_are_whole_or_invalid(made, cut, where):
    text = render_tool_calls("", [made])
    text = text[: cut % len(text)]
    message = add_up(parse(*splits(text, where)))
    assert [call["args"] for call in message.tool_calls] in ([], [made["args"]])
