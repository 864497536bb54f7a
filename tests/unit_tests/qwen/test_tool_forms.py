"""The forms in which Qwen models write calls, whatever form they were asked for."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_qwen_space.qwen.tool_calls import ToolCallParser
from langchain_qwen_space.qwen.tool_xml import CUT_OFF
from tests.unit_tests.qwen.answers import add_up, parse, places, read, splits, written

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "where": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "one": {"type": ["integer", "string"]},
        "what": {},
        "maybe": {"type": "integer", "nullable": True},
        "level": {"enum": [1, 2]},
    },
    "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "number"}}}},
}
TOOLS = {"weather": SCHEMA, "f": {"type": "object", "properties": {}}, "g": {}}
PARIS = ("weather", {"city": "Paris", "days": 2})
JSON = '{"name": "weather", "arguments": {"city": "Paris", "days": 2}}'
XML = (
    "<function=weather>\n<parameter=city>\nParis\n</parameter>\n"
    "<parameter=days>\n2\n</parameter>\n</function>"
)


def parameter(name, value):
    return f"<parameter={name}>\n{value}\n</parameter>\n"


def xml(*parameters, name="weather"):
    return f"<tool_call>\n<function={name}>\n{''.join(parameters)}</function>\n</tool_call>"


FORMS = {
    "JSON": f"<tool_call>\n{JSON}\n</tool_call>",
    "a tag twice": f"<tool_call>\n<tool_call>\n{JSON}\n</tool_call>",
    "both tags twice": f"<tool_call>\n<tool_call>\n{JSON}\n</tool_call>\n</tool_call>",
    "a fence around the call": f"<tool_call>\n```json\n{JSON}\n```\n</tool_call>",
    "OpenAI's wrapper": f'<tool_call>{{"type": "function", "function": {JSON}}}</tool_call>',
    "OpenAI's wrapper with an id and arguments as text": '<tool_call>{"id": "call_1", "type": "function", '
    '"function": {"name": "weather", "arguments": "{\\"city\\": \\"Paris\\", \\"days\\": 2}"}}</tool_call>',
    "an id": f'<tool_call>{JSON[:-1]}, "id": "call_1"}}</tool_call>',
    "a number as id": f'<tool_call>{{"id": 0, {JSON[1:]}</tool_call>',
    "a type": f'<tool_call>{{"type": "function", {JSON[1:]}</tool_call>',
    "args": f"<tool_call>{JSON.replace('arguments', 'args')}</tool_call>",
    "trailing commas": '<tool_call>{"name": "weather", "arguments": {"city": "Paris", "days": 2,},}</tool_call>',
    "a trailing comma, then a line break": '<tool_call>{"name": "weather", "arguments": {"city": "Paris", '
    '"days": 2,\n}\n}</tool_call>',
    "comments": '<tool_call>{"name": "weather", // it\'s a "call" }\n"arguments": {"city": "Paris", // or Rome]'
    '\n"days": 2 // <b>\n}}</tool_call>',
    "blanks that are not JSON's": f"<tool_call>\xa0{JSON}\xa0</tool_call>".replace(" ", "\xa0"),
    "wide blanks": f"<tool_call>\u3000{JSON[:-2]}\u3000}}\u2028}}</tool_call>",
    "XML": f"<tool_call>\n{XML}\n</tool_call>",
    "XML without tags": XML,
    "XML without the opening tag": f"{XML}\n</tool_call>",
    "XML without line breaks": "<tool_call><function=weather><parameter=city>Paris</parameter>"
    "<parameter=days>2</parameter></function></tool_call>",
    "XML after a tag that stands twice": f"<tool_call>\n<tool_call>\n{XML}\n</tool_call>",
    "XML without the end of the function": f"<tool_call>\n{XML.removesuffix('</function>')}</tool_call>",
    "XML with parameters that are not closed": "<tool_call>\n"
    + XML.replace("</parameter>\n", "")
    + "\n</tool_call>",
    "bare JSON": JSON,
    "bare JSON with blanks around": f"\n{JSON}\n\n",
    "bare JSON before a closing tag": f"{JSON}\n</tool_call>",
    "fenced JSON": f"```json\n{JSON}\n```",
    "fenced JSON without a language": f"```\n{JSON}\n```\n",
    "JSON in <tools>": f"<tools>\n{JSON}\n</tools>",
    "a bare list": f"[{JSON}]",
    "bare JSON in the wrapper": f'{{"type": "function", "function": {JSON}}}',
    "bare JSON with an id": f'{{"id": "1", {JSON[1:]}',
    "bare JSON of Python": str(json.loads(JSON)),
}


def read_all(text, **options):
    return read(text, tools=TOOLS, **options)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_of_a_call_is_read(text):
    assert read_all(text) == ("", [PARIS], [])


@pytest.mark.parametrize("tags", [("", ""), ("<tool_call>\n", "\n</tool_call>")])
def test_a_name_in_xml_may_hold_blanks(tags):
    call = XML.replace("weather", "Weather of a city").join(tags)
    found = ("Weather of a city", PARIS[1])
    tools = {found[0]: SCHEMA}
    for text in (call, f"Well.\n{call}\nWell."):
        assert read(text, tools=tools) == (
            text.replace(call, "").replace("\n\n", "\n"),
            [found],
            [],
        )


TAGGED = {name: text for name, text in FORMS.items() if text.startswith(("<tool_call>", "<func"))}


@pytest.mark.parametrize("text", TAGGED.values(), ids=TAGGED)
def test_a_tagged_call_is_read_in_the_midst_of_text(text):
    found = read_all(f"Let me look.\n{text}\nThen this:\n{text}\n\nDone.")
    assert found == ("Let me look.\nThen this:\n\nDone.", [PARIS, PARIS], [])


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_no_form_that_is_cut_off_runs_with_half_its_arguments(text):
    for cut in range(len(text)):
        _, valid, _ = read_all(text[:cut])
        assert valid in ([], [PARIS])


def test_a_call_without_arguments_has_none():
    assert read_all('<tool_call>{"name": "f"}</tool_call>')[1] == [("f", {})]
    assert read_all(xml(name="f"))[1] == [("f", {})]


@pytest.mark.parametrize("text", [f"{JSON}\n{JSON}", f"[{JSON}, {JSON}]", f"{XML}\n{XML}"])
def test_several_calls_are_read(text):
    assert read_all(text) == ("", [PARIS, PARIS], [])


# Strings and structures in JSON


@pytest.mark.parametrize(
    ("string", "value"),
    [
        (r"C:\Users\x", r"C:\Users\x"),
        (r"\d+", r"\d+"),
        (r"\u12", r"\u12"),
        (r"say \"\d\"", r'say "\d"'),
        (r"it\'s", "it's"),
        (r"a\nb", "a\nb"),
    ],
)
def test_a_backslash_that_is_not_an_escape_is_a_backslash(string, value):
    text = f'<tool_call>{{"name": "f", "arguments": {{"a": "{string}", "b": 1}}}}</tool_call>'
    assert read_all(text) == ("", [("f", {"a": value, "b": 1})], [])


@pytest.mark.parametrize("string", [r"C:\Users\new", r"\d\t", r"\\d\d"])
def test_a_string_that_can_be_read_in_two_ways_makes_the_call_invalid(string):
    text = f'<tool_call>{{"name": "f", "arguments": {{"a": "{string}"}}}}</tool_call>'
    assert read_all(text)[1] == []
    assert "backslash" in error_of(text)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"tags": '["a", "b"]', "city": '["c"]'}, {"tags": ["a", "b"], "city": '["c"]'}),
        ({"city": "x", "where": '{"x": 1}'}, {"city": "x", "where": {"x": 1}}),
        ({"tags": "a, b"}, {"tags": "a, b"}),
        ({"tags": "[NaN]"}, {"tags": "[NaN]"}),
        ({"tags": '{"x": 1}', "what": "[1]"}, {"tags": {"x": 1}, "what": "[1]"}),
        ({"tags": "['a', True]", "city": "['c']"}, {"tags": ["a", True], "city": "['c']"}),
        ({"tags": "[[1], {}]", "where": "{}"}, {"tags": [[1], {}], "where": {}}),
    ],
)
def test_a_list_or_object_as_a_string_is_one_where_the_schema_wants_one(arguments, value):
    if arguments.get("tags", "").startswith("{"):
        value = {**value, "tags": arguments["tags"]}  # an object is no list
    assert read_all(written("weather", **arguments)) == ("", [("weather", value)], [])
    reordered = json.dumps({"arguments": arguments, "name": "weather"})
    assert read_all(f"<tool_call>{reordered}</tool_call>")[1] == [("weather", value)]


def test_arguments_stream_up_to_what_needs_repair():
    parser = ToolCallParser(TOOLS)
    parser.feed('<tool_call>{"name": "weather", "arguments": {"city": "P')
    pieces = parser.feed('aris", "tags": ')
    assert [piece.args for piece in pieces] == ['aris", "tags": ']
    assert parser.feed('"[1') == []
    pieces = parser.feed(']"}}</tool_call>')
    assert "".join(piece.args for piece in pieces) == "[1]}"


# Values in XML


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("city", "Paris", "Paris"),
        ("city", "", ""),
        ("city", "2", "2"),
        ("city", " a\n\n b \n", " a\n\n b \n"),
        ("city", "null", "null"),
        ("city", '{"a": "</tool_call>"}', '{"a": "</tool_call>"}'),
        ("city", "</parameter> is a tag", "</parameter> is a tag"),
        ("city", "a\n</tool_call>\nb", "a\n</tool_call>\nb"),
        ("city", "<parameter=x>\nb", "<parameter=x>\nb"),
        ("city", "see </function>", "see </function>"),
        ("city", 'quotes " and \\ and 界', 'quotes " and \\ and 界'),
        ("days", "2", 2),
        ("days", " -2 ", -2),
        ("days", "two", "two"),
        ("share", "1.5", 1.5),
        ("share", "2", 2),
        ("share", "inf", "inf"),
        ("share", "NaN", "NaN"),
        ("share", "1e999", "1e999"),
        ("sure", "true", True),
        ("sure", "False", False),
        ("sure", "TRUE", True),
        ("sure", "maybe", "maybe"),
        ("tags", '["a"]', ["a"]),
        ("tags", "a", "a"),
        ("tags", "[NaN]", "[NaN]"),
        ("tags", "['a', 'it\\'s',]", ["a", "it's"]),
        ("tags", "['a'", "['a'"),
        ("where", "{'x': None}", {"x": None}),
        ("maybe", "null", None),
        ("maybe", "2", 2),
        ("tags", '[{"a": 1, "a": 2}]', '[{"a": 1, "a": 2}]'),
        ("where", '{"x": 1}', {"x": 1}),
        ("where", "None", None),
        ("where", "null", None),
        ("note", "null", None),
        ("note", "5", "5"),
        ("one", "5", "5"),
        ("what", "5", "5"),
        ("level", "1", 1),
        ("other", "5", "5"),
    ],
)
def test_the_type_of_a_value_in_xml_is_that_of_the_schema(name, text, value):
    call = xml(parameter(name, text))
    assert read_all(call) == ("", [("weather", {name: value})], [])
    again = xml(parameter("level", 2), parameter(name, text)) if name != "level" else call
    assert read_all(again)[1][0][1][name] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\nParis\r\n", "Paris\r"),
        ("\r\nParis\r\n", "Paris"),
        ("\r\na\r\n\nb\r\r\n", "a\r\n\nb\r"),
        ("\r\nParis\n", "Paris"),
        ("\r\nParis\r", "Paris\r"),
        ("\r\n\r\n", ""),
        ("\r\n", ""),
        ("\r", "\r"),
        ("\rParis", "\rParis"),
    ],
)
def test_a_line_break_around_a_value_may_be_cr_lf(text, value):
    before, after = "<tool_call>\r\n<function=weather>\r\n", "</function>\r\n</tool_call>"
    for end in ("</parameter>\r\n", ""):
        call = f"{before}<parameter=city>{text}{end}{after}"
        if end or text.endswith("\n"):
            assert read_all(call) == ("", [("weather", {"city": value})], [])
    days = "<parameter=days>\r\n2\r\n</parameter>\r\n"
    assert read_all(before + days + after)[1] == [("weather", {"days": 2})]


def test_text_in_xml_streams():
    parser = ToolCallParser(TOOLS)
    assert parser.feed("<tool_call>\n<function=weather>\n<parameter=") == []
    [first] = parser.feed("city>\nPar")
    assert (first.name, first.args) == ("weather", '{"city": "Par')
    assert [piece.args for piece in parser.feed("is in")] == ["is in"]
    assert parser.feed("\n</para") == []
    assert [piece.args for piece in parser.feed("meter>\n<parameter=days>\n2")] == ['", "days": ']
    pieces = parser.feed("\n</parameter>\n</function>\n</tool_call>") + parser.finish()
    assert "".join(piece.args for piece in pieces) == "2}"


SHOWN = "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>"
BROKEN_XML = {
    "a call inside a value": xml(parameter("city", SHOWN)),
    "the end of a call inside a value": xml(parameter("city", "a\n</parameter>\n</function>")),
    "a parameter twice": xml(parameter("city", "a"), parameter("city", "b")),
    "closing tags in the wrong order": "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n"
    "</function>\n</parameter>\n</tool_call>",
    "text between": xml(parameter("city", "a"), "and\n", parameter("days", "2")),
    "text before": "<tool_call>\n<function=f>\nf it is\n</function>\n</tool_call>",
    "no name": "<tool_call>\n<function=>\n</function>\n</tool_call>",
    "cut off in a value": xml(parameter("city", "a")).partition("a\n")[0],
    "cut off after a value": xml(parameter("city", "a")).partition("</function>")[0],
    "nothing but a value's end": "<tool_call><function=f></parameter></function></tool_call>",
}


@pytest.mark.parametrize("text", BROKEN_XML.values(), ids=BROKEN_XML)
def test_a_call_in_xml_that_is_broken_or_ambiguous_is_invalid(text):
    content, valid, invalid = read_all(f"a\n{text}")
    assert (content, valid) == ("a", [])
    assert len(invalid) == 1


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["city", "what", "other"]),
        st.lists(
            st.sampled_from(["a", "\n", "<", "</", "</tool_call>", '"', "\\", "界", "<b>"])
        ).map("".join),
        max_size=3,
    ),
    places,
)
def test_any_text_comes_through_xml_as_it_is(arguments, where):
    text = xml(*(parameter(name, value) for name, value in arguments.items()))
    message = add_up(parse(*splits(text, where), tools=TOOLS))
    assert [call["args"] for call in message.tool_calls] == [arguments]


@pytest.mark.parametrize(
    "before",
    ["I call `weather`", "It`s\n", "```", "A `` ` ``", "```xml\n", "`a` `b`: ", f"`x`\n{XML}`\n"],
)
def test_after_inline_code_a_call_is_one(before):
    text, valid, invalid = read_all(f"{before}<tool_call>{JSON}</tool_call>")
    assert (valid[-1], invalid) == (PARIS, [])
    assert "tool_call" not in text


@pytest.mark.parametrize(
    "call",
    [f"<tool_call>{JSON}", f"<tool_call>{XML}", XML],
    ids=["JSON", "XML", "XML without a tag"],
)
@pytest.mark.parametrize("junk", [" junk", "\nI call it now.", " a `</tool_call>` b", " <b> "])
def test_text_before_the_closing_tag_of_a_call_leaves_no_tag(call, junk):
    assert read_all(f"a\n{call}{junk}</tool_call>\nb") == (f"a{junk}\nb", [PARIS], [])
    assert read_all(f"a\n{call}{junk}</tool_cal") == (f"a{junk}", [PARIS], [])
    twice = f"{call}{junk}</tool_call> a </tool_call> b"
    assert read_all(twice) == (f"{junk.lstrip()} a </tool_call> b", [PARIS], [])


# What is text


TEXTS = [
    "Use `<tool_call>` to call, and `</tool_call>` after it.",
    "`<tool_call>` opens a call.",
    "The tag <tool_call> opens a call, </tool_call> ends it.",
    "<tool_call> is a tag.",
    "Write `<function=name>` and `<parameter=x>`.",
    "See <function=name> there.",
    "<function=name> is how a call begins.",
    "<function=the name> is how a call begins, <function= is not, and <function=a\nb> neither.",
    "`<tool_call>`",
    f"Write `<tool_call>{JSON}</tool_call>` to call, or ``<tool_call>{JSON}`` or `{XML.partition('<p')[0]}`.",
    f"The line `x <tool_call>{JSON}</tool_call>",
    "see <tool_call>",
    f"The call is {JSON}.",
    f"```json\n{JSON}\n```\nis what I would write.",
    f"So:\n```json\n{JSON}\n```",
    '{"name": "climate", "arguments": {}}',
    '{"name": "weather", "temperature": 5}',
    '{"name": "weather"}',
    '{"type": "object", "properties": {}}',
    '{"a": 1}',
    "[1, 2]",
    "```python\nprint(1)\n```",
    "```json\n[]\n```",
    '{"name": "weath',
    "<tools> are",
    "<tool",
    "[",
    "{",
    "``",
    "\n \n",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_no_call_is_text_to_the_last_character(text):
    assert read_all(text) == (text, [], [])


def test_code_streams():
    parser = ToolCallParser(TOOLS)
    given = parser.feed("```py") + parser.feed("thon\n") + parser.feed("p")
    assert "".join(given) == "```python\np"
    assert parser.feed("rint") == ["rint"]


def test_an_object_of_other_keys_streams():
    parser = ToolCallParser(TOOLS)
    assert "".join(parser.feed('{"city": "Par')) == '{"city": "Par'
    assert parser.feed("is") == ["is"]


# What is wrong


def error_of(text):
    parser = ToolCallParser(TOOLS)
    pieces = parser.feed(text) + parser.finish()
    [call] = add_up(pieces).invalid_tool_calls
    in_bits = ToolCallParser(TOOLS)
    pieces = [piece for char in text for piece in in_bits.feed(char)] + in_bits.finish()
    assert [*in_bits.broken.values()] == [*parser.broken.values()]
    assert parser.broken[call["id"]].written == text
    return parser.broken[call["id"]].error


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "tag is empty"),
        ("weather in Paris", "not valid JSON"),
        ('{"arguments": {}}', '"name" and "arguments"'),
        ('{"name": "f", "arguments": {"a": 1, "a": 2}}', '"a" is given twice'),
        ('{"name": "f", "arguments": {"a": -Infinity}}', "-Infinity is not a number that JSON"),
        ('{"name": "f", "a": 1}', '"a" cannot stand beside'),
        ('{"name": "f", "arguments": [1]}', "is a JSON object"),
        ('{"name": "f", "arguments": {}, "parameters": {}}', "both hold arguments"),
        ('{"name": "f", "arguments": {"a": [1}}', "not valid JSON"),
        ('{"name": "f", "arguments": {"a": "x', "too early"),
        ('{"name": "f", "arguments": {"a": 1', "too early"),
    ],
)
def test_what_is_wrong_is_said(body, words):
    assert words in error_of(f"<tool_call>{body}</tool_call>")
    assert words in error_of(f"<tool_call>\n{body}\n</tool_call>")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a call inside a value", "where the call ends"),
        ("a parameter twice", "given twice"),
        ("text between", 'where the parameter "city" ends'),
        ("text before", "between the parameters"),
        ("no name", "name of the function"),
        ("cut off in a value", "cut off"),
    ],
)
def test_what_is_wrong_in_xml_is_said(name, words):
    assert words in error_of(BROKEN_XML[name])


@pytest.mark.parametrize(
    "tag", ["<tool_", "<tool_call", "<tool_call>", "<tool_call>\n", "<function=f"]
)
def test_a_tag_that_is_cut_off_is_said_to_be_cut_off(tag):
    parser = ToolCallParser(TOOLS)
    parser.feed(f"a\n{tag}")
    parser.finish()
    [broken] = parser.broken.values()
    assert (broken.written.strip(), broken.error) == (tag.strip(), CUT_OFF)


def test_an_argument_left_outside_may_have_the_name_of_a_label():
    tools = {"f": {"properties": {"id": {"type": "string"}}}}
    text = '<tool_call>{"name": "f", "arguments": {}, "id": "1"}</tool_call>'
    assert read(text, tools=tools)[1] == []
    assert read(text)[1] == [("f", {})]


def test_untagged_json_that_names_a_tool_and_cannot_be_read_is_an_invalid_call():
    text = '{"name": "weather", "arguments": {"city": "a", "city": "b"}}'
    content, valid, invalid = read_all(text)
    assert (content, valid, len(invalid)) == ("", [], 1)
    assert "given twice" in error_of(text)
    assert "too early" in error_of('{"name": "weather", "arguments": {"city": "a')


def test_a_single_call_without_tags_is_the_first():
    assert read_all(f"{JSON}\n{JSON}", single=True) == ("", [PARIS], [])


def test_without_tools_untagged_json_is_text():
    assert read(JSON) == (JSON, [], [])


LONG = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        xml(parameter("city", "x" * LONG)),
        xml(parameter("tags", "x" * LONG)),
        xml(parameter("city", "<" * (LONG // 10))),
        xml(parameter("city", "</parameter>\n" * (LONG // 13))),
        xml(parameter("city", "\n" * LONG)),
        xml(*("\n" * LONG)),
        json.dumps({"name": "weather", "arguments": {"city": "x" * LONG}}),
        f"```json\n{JSON}" + "\n" * LONG + "no",
        written("weather", tags=["x"] * (LONG // 10)),
        written("weather", city="x").replace(", ", "," + " " * LONG),
    ],
    ids=[
        *("text", "held", "less than", "closings", "breaks", "blanks", "bare", "refuted"),
        *("list", "comma"),
    ],
)
def test_a_million_characters_in_small_chunks_take_seconds_not_minutes(text):
    parts = [text[at : at + 10] for at in range(0, len(text), 10)]
    parser = ToolCallParser(TOOLS)
    start = time.process_time()
    for part in parts:
        parser.feed(part)
    parser.finish()
    assert time.process_time() - start < 20
