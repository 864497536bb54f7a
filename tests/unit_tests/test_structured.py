"""Structured output as far as it needs no Space: prompts, and what is read out of answers."""

import itertools
import json
from datetime import date
from enum import Enum
from typing import Annotated, Literal, NotRequired

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.v1 import BaseModel as BaseModelV1
from typing_extensions import TypedDict

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.object_parser import ObjectParser
from langchain_qwen_space.options import as_tools
from langchain_qwen_space.structured import instruction as words
from langchain_qwen_space.structured import wanted_schema


class Cat(BaseModel):
    """A cat."""

    name: str = Field(description="What it is called")
    age: int

    @field_validator("age")
    @classmethod
    def _alive(cls, age: int) -> int:
        if age > 30:
            raise KeyError("too old")  # no ValueError: an error of the validator itself
        return age


class CatV1(BaseModelV1):
    name: str
    age: int


class CatDict(TypedDict):
    """A cat."""

    name: Annotated[str, ..., "What it is called"]
    age: int


TOM = {"name": "Tom", "age": 3}
RULES = {
    "title": "Cat",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


def instruction(response_format):
    return words(wanted_schema(response_format))


def reader(cls=None, *, tool=None, include_raw=False):
    return ObjectParser(pydantic_object=cls, rules=RULES, tool=tool, include_raw=include_raw)


def call(**args):
    return AIMessage("", tool_calls=[tool_call(name="Cat", args=args, id="1")])


def pieces(text):
    return [AIMessageChunk(text[at : at + 3]) for at in range(0, len(text), 3)]


# The prompt


def test_a_response_format_of_text_says_nothing():
    assert instruction(None) == instruction({"type": "text"}) == ""


def test_a_json_object_is_asked_for_in_words():
    assert "JSON object" in instruction({"type": "json_object"})
    assert "schema" not in instruction({"type": "json_object"})


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_schema", "json_schema": {"name": "Cat", "schema": RULES}},
        RULES,
    ],
)
def test_a_json_schema_stands_word_for_word_at_the_end(response_format):
    assert json.loads(instruction(response_format).rpartition("\n")[2]) == RULES


@pytest.mark.parametrize("schema", [Cat, CatV1, CatDict])
def test_a_class_is_described_by_its_json_schema(schema):
    described = json.loads(instruction(schema).rpartition("\n")[2])
    assert described["properties"].keys() == {"name", "age"}
    assert set(described["required"]) == {"name", "age"}


@pytest.mark.parametrize("wrong", [{"type": "json_schema"}, {"type": "yaml"}, "json_object", 5])
def test_a_response_format_that_nobody_knows_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="response_format"):
        instruction(wrong)


def test_a_method_that_nobody_knows_is_refused():
    with pytest.raises(InvalidInputError, match="json_schema"):
        ChatQwenSpace().with_structured_output(Cat, method="yaml")


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": 5},
        {"method": ["json_mode"]},
        {"include_raw": None},
        {"include_raw": "yes"},
        {"strict": 1},
        {"max_repairs": None},
        {"max_repairs": -1},
        {"max_repairs": True},
        {"max_repairs": 1.5},
    ],
    ids=repr,
)
def test_an_argument_of_another_type_is_named(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        ChatQwenSpace().with_structured_output(Cat, **wrong)


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
@pytest.mark.parametrize(
    "schema",
    [list[Cat], Cat | None, int, float, tuple, object, Enum, "Cat", Cat(name="Tom", age=3)],
)
def test_a_schema_that_describes_no_object_is_refused_with_what_to_give(schema, method):
    with pytest.raises(InvalidInputError, match="schema=.*pydantic class"):  # noqa: RUF043
        ChatQwenSpace().with_structured_output(schema, method=method)


class MaybeNamed(TypedDict):
    name: NotRequired[str]


class Numbered(TypedDict):
    number: Annotated[int, ..., 5]


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
@pytest.mark.parametrize(
    ("schema", "reason"), [(MaybeNamed, "NotRequired"), (Numbered, "field number")]
)
def test_a_class_that_langchain_cannot_read_is_refused_with_the_reason(schema, reason, method):
    with pytest.raises(InvalidInputError, match=reason):
        ChatQwenSpace().with_structured_output(schema, method=method)
    with pytest.raises(InvalidInputError, match=reason):
        instruction(schema)


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_only_json_mode_does_without_a_schema(method):
    with pytest.raises(InvalidInputError, match="needs a schema"):
        ChatQwenSpace().with_structured_output(method=method)


# A whole answer


@pytest.mark.parametrize("text", [json.dumps(TOM), f"```json\n{json.dumps(TOM)}\n```"])
@pytest.mark.parametrize(
    ("cls", "expected"), [(None, TOM), (Cat, Cat(**TOM)), (CatV1, CatV1(**TOM))]
)
def test_the_text_becomes_the_object(text, cls, expected):
    assert reader(cls).invoke(AIMessage(text)) == expected


@pytest.mark.parametrize(
    ("cls", "expected"), [(None, TOM), (Cat, Cat(**TOM)), (CatV1, CatV1(**TOM))]
)
def test_a_call_becomes_the_object(cls, expected):
    assert reader(cls, tool="Cat").invoke(call(**TOM)) == expected


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TOM),
        f"```json\n{json.dumps(TOM)}\n```",
        f"<think>Which cat?</think>It is {json.dumps(TOM)}.",
        json.dumps({"name": "Cat", "arguments": TOM}),
    ],
)
@pytest.mark.parametrize("tool", [None, "Cat"])
def test_an_object_is_taken_wherever_it_stands(text, tool):
    assert reader(Cat, tool=tool).invoke(AIMessage(text)) == Cat(**TOM)


class Colour(Enum):
    RED = "red"


class StrictEvent(BaseModel):
    model_config = ConfigDict(strict=True)

    day: date
    colour: Colour
    place: tuple[int, int]


def test_a_strict_class_takes_dates_enums_and_tuples_from_json():
    event = {"day": "2026-01-31", "colour": "red", "place": [1, 2]}
    expected = StrictEvent(day=date(2026, 1, 31), colour=Colour.RED, place=(1, 2))
    assert reader(StrictEvent).invoke(AIMessage(json.dumps(event))) == expected


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Drawing(BaseModel):
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]]
    tree: Node


@pytest.mark.parametrize("strict", [None, True])
def test_recursive_and_discriminated_classes_reach_the_model_whole(strict):
    said = json.loads(instruction(Drawing).rpartition("\n")[2])
    (tool,) = as_tools([Drawing], strict=strict)
    for schema in (said, tool["function"]["parameters"]):
        assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {
            "$ref": "#/$defs/Node"
        }
        assert schema["properties"]["shapes"]["items"]["discriminator"]["propertyName"] == "kind"
        assert schema["$defs"].keys() == {"Circle", "Square", "Node"}
    assert ("additionalProperties" in tool["function"]["parameters"]["$defs"]["Node"]) is bool(
        strict
    )
    (tool,) = as_tools([Node])
    assert tool["function"]["parameters"]["properties"].keys() == {"name", "children"}


def test_the_first_object_that_is_valid_counts():
    text = f'Of the form {{"name": "…"}} it is {json.dumps(TOM)}, not {{"name": "Bo", "age": 1}}.'
    assert reader(Cat).invoke(AIMessage(text)) == Cat(**TOM)


def test_objects_in_thoughts_do_not_count():
    text = f'<think>{{"name": "Bo", "age": 1}}?</think>{json.dumps(TOM)}'
    assert reader(Cat).invoke(AIMessage(text)) == Cat(**TOM)


@pytest.mark.parametrize("tool", [None, "Cat"])
@pytest.mark.parametrize("opening", ["", "<think>hm</think>"])
@pytest.mark.parametrize("name", ['a </think>b {"name": "Bo", "age": 1}', "a<think>b</think>c"])
def test_a_tag_of_thoughts_in_a_string_is_text(name, opening, tool):
    name = name if opening else name.replace("a </think>", "a <think></think>")
    text = opening + json.dumps({"name": name, "age": 3})
    assert reader(Cat, tool=tool).invoke(AIMessage(text)) == Cat(name=name, age=3)
    (*_, last) = reader(Cat, tool=tool).transform(iter([AIMessage(text)]))
    assert last == Cat(name=name, age=3)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (AIMessage("I would rather not."), "not hold a JSON object"),
        (AIMessage('{"name": "Tom"}'), "age: Field required"),
        (AIMessage('{"name": "Tom", "age": "old"}'), "age: Input should be a valid integer"),
        (AIMessage('{"name": "Tom", "age": 99}'), "too old"),
        (AIMessage('{"name": "Tom", "ag'), "cannot be read"),
        (
            AIMessage('{"name": "Tom", "ag', response_metadata={"finish_reason": "length"}),
            "cut off at max_tokens",
        ),
    ],
)
def test_the_error_says_what_is_wrong_with_the_text(message, why):
    with pytest.raises(OutputParserException, match=why) as caught:
        reader(Cat).invoke(message)
    assert why in caught.value.observation
    assert caught.value.llm_output == message.text
    assert "http" not in caught.value.observation


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (AIMessage("Tom is 3."), "not hold a call of Cat"),
        (
            AIMessage("", tool_calls=[tool_call(name="Dog", args=TOM, id="1")]),
            "not hold a call of Cat",
        ),
        (call(name="Tom"), "'age' is a required property"),
        (
            AIMessage(
                "",
                invalid_tool_calls=[invalid_tool_call(name="Cat", args="{", id="1", error=None)],
            ),
            "not valid JSON",
        ),
    ],
)
def test_the_error_says_what_is_wrong_with_the_call(message, why):
    with pytest.raises(OutputParserException, match=why):
        reader(tool="Cat").invoke(message)


def test_not_more_mistakes_are_named_than_help():
    rules = {"properties": {"a": {"items": {"type": "string"}}}}
    parser = ObjectParser(pydantic_object=None, rules=rules, tool=None)
    with pytest.raises(OutputParserException) as caught:
        parser.invoke(AIMessage(json.dumps({"a": list(range(1000))})))
    assert str(caught.value.observation).count("is not of type") == 10


def test_with_the_raw_answer_the_error_is_given_not_raised():
    good, bad = AIMessage(json.dumps(TOM)), AIMessage("no")
    parser = reader(Cat, include_raw=True)
    assert parser.invoke(good) == {"raw": good, "parsed": Cat(**TOM), "parsing_error": None}
    outcome = parser.invoke(bad)
    assert outcome["raw"] is bad
    assert outcome["parsed"] is None
    assert isinstance(outcome["parsing_error"], OutputParserException)


# A stream


def test_a_dict_is_shown_while_it_grows():
    shown = list(reader().transform(iter(pieces(json.dumps(TOM)))))
    assert shown[0] == {}
    assert {"name": "To"} in shown
    assert shown[-1] == TOM
    assert all(one != other for one, other in itertools.pairwise(shown))


def test_the_arguments_of_a_call_are_shown_while_they_grow():
    parts = [
        AIMessageChunk(
            "", tool_call_chunks=[tool_call_chunk(name=name, args=args, id=None, index=0)]
        )
        for name, args in [("Cat", ""), (None, '{"name": "T'), (None, 'om", "age"'), (None, ": 3}")]
    ]
    shown = list(reader(tool="Cat").transform(iter(parts)))
    assert shown[-3:] == [{"name": "T"}, {"name": "Tom"}, TOM]


def test_a_pydantic_object_is_shown_once_it_is_valid():
    shown = list(reader(Cat).transform(iter(pieces('{"age": 3, "name": "Tom"}'))))
    assert all(isinstance(cat, Cat) for cat in shown)
    assert shown[-1] == Cat(**TOM)


async def test_a_stream_of_an_invalid_answer_ends_with_the_error():
    async def chunks():
        for piece in pieces('{"name": "Tom"}'):
            yield piece

    stream = reader().atransform(chunks())
    assert await anext(stream) == {}
    while (shown := await anext(stream)) != {"name": "Tom"}:
        assert shown["name"] in "Tom"
    with pytest.raises(OutputParserException, match="'age' is a required property"):
        await anext(stream)


def test_a_stream_with_the_raw_answer_adds_up_to_the_outcome():
    chunks = list(reader(Cat, include_raw=True).transform(iter(pieces(json.dumps(TOM)))))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole["raw"].content == json.dumps(TOM)
    assert whole["parsed"] == Cat(**TOM)
    assert whole["parsing_error"] is None


def test_a_stream_with_the_raw_answer_raises_no_parsing_error():
    *_, last = reader(Cat, include_raw=True).transform(iter(pieces("no cat here")))
    assert last["parsed"] is None
    assert isinstance(last["parsing_error"], OutputParserException)


def weather(city: str) -> str:
    """Get the weather of a city."""
    return city


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
def test_what_a_method_sets_itself_is_refused_by_name(method):
    own = "tools" if method == "function_calling" else "response_format"
    with pytest.raises(InvalidInputError, match=f"sets {own} itself"):
        ChatQwenSpace().with_structured_output(Cat, method=method, **{own: [weather]})
