import json

import pytest

from langchain_qwen_space.qwen.tool_calls import ToolCallParser
from tests.unit_tests.qwen.answers import REPAIRED, SOUND, add_up, parse, read, written

# Repair


@pytest.mark.parametrize("body", REPAIRED.values(), ids=REPAIRED)
def test_a_call_that_needs_repair_is_held_and_sent_as_one_piece(body):
    text = f"a\n<tool_call>\n{body}\n</tool_call>\n{written()}"
    assert read(text) == ("a", [SOUND, ("f", {})], [])
    pieces = [piece for piece in parse(*text) if not isinstance(piece, str) and piece.index == 0]
    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("body", "args"),
    [
        (
            """{"name": "f", "arguments": {"a": 'it\\'s "q"', "b": True}}""",
            {"a": 'it\'s "q"', "b": True},
        ),
        ('{"name": "f", "arguments": {"a": None, "b": [False]}}', {"a": None, "b": [False]}),
    ],
)
def test_where_repair_is_needed_midway_the_rest_is_held_and_sent_as_one_piece(body, args):
    text = f"<tool_call>{body}</tool_call>"
    assert read(text) == ("", [("f", args)], [])
    assert parse(*text)[-2].args == "b" or parse(*text)[-2].args.isspace()


@pytest.mark.parametrize("after", ["}", "}}", "\n}\n", "\n```\n", "]"])
def test_brackets_and_fences_left_over_before_the_closing_tag_are_dropped(after):
    assert read(written(a=1).replace("\n</", f"{after}</") + "b") == ("b", [("f", {"a": 1})], [])


@pytest.mark.parametrize(
    "body", [written(a=1), "<tool_call>{'name': 'f', 'arguments': {'a': 1}}\n</"]
)
def test_the_closing_tag_may_be_missing(body):
    body = body[: body.rindex("\n</")]
    sound = ("f", {"a": 1})
    assert read(body) == ("", [sound], [])
    assert read(f"{body}\n</tool_c") == ("", [sound], [])
    assert read(f"{body}\n{body}") == ("", [sound, sound], [])
    assert read(f"x{body}\nIt's done.") == ("x\nIt's done.", [sound], [])


@pytest.mark.parametrize(
    "body", [written(a=1), "<tool_call>{'name': 'f', 'arguments': {'a': 1}}\n</"]
)
def test_one_outer_bracket_may_be_missing_before_the_closing_tag_only(body):
    body = body[: body.rindex("}\n</")]
    assert read(f"{body}\n</tool_call> b") == (" b".strip(), [("f", {"a": 1})], [])
    for end in ("", written(), "\nIt is done."):
        assert read(body + end)[1] != [("f", {"a": 1})]
        assert len(read(body + end)[2]) == 1


@pytest.mark.parametrize("between", ["", "\n", ",\n"])
def test_several_calls_in_one_tag_are_read(between):
    one, two = written(a=1), written("g")
    text = one.removesuffix("\n</tool_call>") + between + two.removeprefix("<tool_call>\n")
    assert read(text) == ("", [("f", {"a": 1}), ("g", {})], [])
    assert [piece.args for piece in parse(*text) if piece.index == 1] == ["{}"]


def test_a_held_call_keeps_its_script():
    [piece] = parse("<tool_call>{'name': 'f', 'arguments': {'a': '天'}}</tool_call>")
    assert piece.args == '{"a": "天"}'


def test_a_list_of_calls_is_read():
    text = '[{"name": "f", "arguments": {"a": 1}}, {"name": "g", "parameters": "{}"}]'
    assert read(f"<tool_call>{text}</tool_call>") == ("", [("f", {"a": 1}), ("g", {})], [])


@pytest.mark.parametrize("none", ["null", '""', "None"])
def test_no_arguments_may_be_written_in_other_ways(none):
    assert read(f'<tool_call>{{"name": "f", "arguments": {none}}}</tool_call>')[1] == [("f", {})]


# Broken calls

BROKEN = {
    "empty": "",
    "blank": "\n",
    "prose": "I would call f with a = 1",
    "python": 'f(a=1, b={"c": 2})',
    "prose before the call": 'I call {"name": "f", "arguments": {"a": 1}}',
    "a string": '"f"',
    "an empty list": "[]",
    "no name": '{"arguments": {"a": 1}}',
    "an empty name": '{"name": "", "arguments": {"a": 1}}',
    "a name that is not a string": '{"name": 1, "arguments": {"a": 1}}',
    "arguments among the other keys": '{"name": "f", "a": 1}',
    "arguments that are a list": '{"name": "f", "arguments": [1]}',
    "arguments that are no JSON": '{"name": "f", "arguments": "a=1"}',
    "a list with something else in it": '[{"name": "f", "arguments": {"a": 1}}, 1]',
    "arguments under both keys": '{"name": "f", "arguments": {"a": 1}, "parameters": {"a": 1}}',
    "arguments twice": '{"name": "f", "arguments": {"a": 1}, "arguments": {"b": 1}}',
    "a name twice": '{"name": "f", "arguments": {"a": 1}, "name": "g"}',
    "an argument twice": '{"name": "f", "arguments": {"a": 1, "a": 2}}',
    "an argument without a value": '{"name": "f", "arguments": {"a": 1, "b": }}',
    "a missing comma": '{"name": "f", "arguments": {"a": 1 "b": 2}}',
    "a missing bracket within": '{"name": "f", "arguments": {"a": [1}}',
    "two missing brackets": '{"name": "f", "arguments": {"a": 1',
    "a wrong bracket": '{"name": "f", "arguments": {"a": 1]}',
    "another key": '{"name": "f", "arguments": {"a": 1}, "b": 2}',
    "arguments left outside": '{"name": "f", "arguments": {"a": 1}, "b": 2}}',
    "no call, and prose": '{"a": 1} and so on',
    "arguments that end too early": '{"name": "f", "arguments": {"a": 1}}, "b": 2}}',
    "arguments that end too early, then a comma": '{"name": "f", "arguments": {"a": 1}},',
    "an unescaped quote": '{"name": "f", "arguments": {"a": "x" y"}}"}}',
    "an apostrophe in single quotes": "{'name': 'f', 'arguments': {'a': 'it's'}}'}}",
    "not a number": '{"name": "f", "arguments": {"a": NaN}}',
    "an infinity": '{"name": "f", "arguments": {"a": [-Infinity]}}',
    "a number that is too large": '{"name": "f", "arguments": {"a": 1e999}}',
    "not a number, in a JSON string": '{"name": "f", "arguments": "{\\"a\\": NaN}"}',
    "not a number, in a call of Python": "{'name': 'f', 'arguments': {'a': NaN, 'b': True}}",
    "an id that is a boolean": '{"name": "f", "arguments": {"a": 1}, "id": true}',
    "a type that is a number": '{"name": "f", "arguments": {"a": 1}, "type": 1}',
    "less than": '{"name": "f", "arguments": {"a": 1 < 2}}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_call_is_invalid_and_the_text_continues(body):
    text, valid, invalid = read(f"a\n<tool_call>{body}</tool_call>\nb\n{written()}")
    assert (text, valid, len(invalid)) == ("a\nb", [("f", {})], 1)


def test_a_broken_call_keeps_its_name_and_arguments_as_written():
    text = '<tool_call>\n{"name": "f", "arguments": {"a": [1}}\n</tool_call>'
    assert read(text)[2] == [("f", '{"a": [1}}\n]')]
    text = "<tool_call>{'name': 'f', 'arguments': oops}</tool_call>"
    assert read(text)[2] == [("f", "oops}]")]
    text = "<tool_call>f(1)</tool_call>"
    assert read(text)[2] == [(None, "f(1)]")]
    text = '<tool_call>{"name": "f"</tool_call>'
    assert read(text)[2] == [("f", "]")]
    text = '<tool_call>{"name": "f", "arguments": {"a": 1]</tool_call>'
    assert read(text)[2] == [("f", '{"a": 1]]')]


def test_a_broken_call_ends_where_the_next_begins():
    assert read(f"<tool_call>oops{written(a=1)}") == ("", [("f", {"a": 1})], [(None, "oops]")])


def test_a_comma_at_the_end_says_that_the_call_was_to_continue():
    assert read('<tool_call>{"name": "f", "arguments": {"a": 1}},') == (
        "",
        [],
        [("f", '{"a": 1}},]')],
    )


def test_a_string_that_never_ends_takes_the_rest_of_the_answer_with_it():
    text = f'<tool_call>{{"name": "f", "arguments": {{"a": "x}}}}</tool_call>\n{written()}'
    found, valid, invalid = read(text)
    assert (found, valid, len(invalid)) == ("", [], 1)


@pytest.mark.parametrize("depth", [101, 1000, 100_000])
@pytest.mark.parametrize(
    "around",
    [
        '{"name": "f", "arguments": {"a": %s}}',
        '{"name": "f", "arguments": "{\\"a\\": %s}"}',
        "{'name': 'f', 'arguments': {'\"': %s, 'a': '\"'}}",
        '{"name": "f", "arguments": "{\'\\"\': %s, \'a\': \'\\"\'}"}',
        "%s",
    ],
)
def test_a_call_nested_too_deeply_is_invalid(depth, around):
    body = around % ("[" * depth + "]" * depth)
    pieces = parse(f"<tool_call>{body}</tool_call>b")
    message = add_up(pieces)
    assert (message.content, message.tool_calls) == ("b", [])
    assert len(message.invalid_tool_calls) == 1


def test_what_is_nested_too_deeply_does_not_stream():
    parser = ToolCallParser()
    parser.feed('<tool_call>{"name": "f", "arguments": {"a": ')
    streamed = [piece.args for _ in range(200) for piece in parser.feed("[")]
    assert 90 < len("".join(streamed)) < 100


def test_a_number_longer_than_python_reads_makes_a_call_invalid():
    body = '{"name": "f", "arguments": {"a": ' + "1" * 5000 + "}}"
    message = add_up(parse(f"<tool_call>{body}</tool_call>"))
    assert (len(message.tool_calls), len(message.invalid_tool_calls)) == (0, 1)


def test_a_call_nested_deeply_is_valid():
    value = json.loads("[" * 90 + "]" * 90)
    assert read(written(a=value))[1] == [("f", {"a": value})]
