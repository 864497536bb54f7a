"""Of an answer that has to be JSON, the object is handed on, as early as it can be."""

import json
import time

import pytest

from langchain_qwen_space.json_text import JSONText

TOM = {"name": 'Tom "the {cat}"', "paws": [1, {"left": "```"}]}
TEXT = json.dumps(TOM, indent=1)


def handed_on(text, is_valid=lambda _: True, *named):
    """What is handed on at each character of a text, and at its end."""
    reader = JSONText(is_valid, *named)
    return [*map(reader.feed, text), reader.finish()]


@pytest.mark.parametrize("before", ["", "\n", "```json\n", "\n```\n ", "````json5 "])
@pytest.mark.parametrize("after", ["", "\n```", "\n```\nAnything else? {no}"])
def test_an_object_at_the_beginning_streams_bare_or_in_a_fence(before, after):
    pieces = handed_on(before + TEXT + after)
    assert "".join(pieces) == TEXT
    begun = pieces[: len(before) + TEXT.index('"') + 1]
    assert "".join(begun) == TEXT[: TEXT.index('"') + 1]
    assert all(len(piece) == 1 for piece in pieces[len(begun) : len(before) + len(TEXT)])


def test_an_empty_object_is_one():
    assert "".join(handed_on("```json\n{ }\n```")) == "{ }"


@pytest.mark.parametrize(
    "text",
    [
        f"Here you are:\n```json\n{TEXT}\n```",
        f"```\nno object\n```\n{TEXT}",
        'Not {"name": 5} but ' + TEXT,
        "```python\n" + repr({"name": "Tom"}) + "\n```",
    ],
    ids=["prose", "other fence", "second", "Python"],
)
def test_any_other_object_is_handed_on_at_the_end(text):
    *early, last = handed_on(text, lambda value: isinstance(value["name"], str))
    assert "".join(early) == ""
    assert json.loads(last)["name"].startswith("Tom")


@pytest.mark.parametrize("text", ["No cat.", "```\nNo cat.\n```", "``` {", ""])
def test_an_answer_without_an_object_is_given_as_it_is(text):
    assert "".join(handed_on(text)) == text


def is_cat(value):
    return value.keys() == {"name"}


@pytest.mark.parametrize(
    "call",
    [
        '{"name": "Cat", "arguments": {"name": "Tom"}}',
        '{"parameters": {"name": "Tom"}, "name": "Cat"}',
        '{"type": "function", "function": {"name": "Cat", "arguments": {"name": "Tom"}}}',
    ],
)
def test_of_a_call_of_the_schema_its_arguments_are_handed_on(call):
    *early, last = handed_on(call, is_cat, "Cat", ["name"])
    assert "".join(early) == ""
    assert json.loads(last) == {"name": "Tom"}


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"name": "Tom"}', '{"name": "'),  # a cat may be called Cat
        ('{"type": "tabby"}', '{"type'),
        ('{"age": 3, "name": "Cat"}', '{"a'),
    ],
)
def test_an_object_streams_as_soon_as_it_can_be_no_call(text, held):
    pieces = handed_on(text, is_cat, "Cat", ["name", "type", "age"])
    assert "".join(pieces) == text
    assert "".join(pieces[: len(held)]) == ""
    assert pieces[len(held) + 1 :] == [*text[len(held) + 1 :], ""]


def test_an_object_with_the_name_of_its_schema_is_handed_on_at_the_end():
    assert json.loads("".join(handed_on('{"name": "Cat"}', is_cat, "Cat", ["name"]))) == {
        "name": "Cat"
    }


@pytest.mark.parametrize("blank", [" ", "word "])
def test_a_long_answer_before_the_object_takes_linear_time(blank):
    before = blank * 500_000
    began = time.process_time()
    assert json.loads("".join(handed_on(before + TEXT))) == TOM
    assert time.process_time() - began < 30  # about 1 s; anything quadratic takes minutes
