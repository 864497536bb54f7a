"""The demo's answers, as they come out of the function."""

import inspect
import json
import re
from itertools import pairwise
from typing import Literal

import pytest
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from langchain_qwen_space import structured
from langchain_qwen_space.local import demo

MODEL = "qwen2.5-7b-instruct"


def texts(query: str, system: str = "", history: list[tuple[str, str]] | None = None) -> list[str]:
    return list(demo(system, history or [], query, MODEL))


def offering(*tools: object) -> str:
    """A system prompt that offers tools as Qwen2.5's chat template does."""
    lines = [json.dumps(convert_to_openai_tool(each), ensure_ascii=False) for each in tools]
    return (
        "You are helpful.\n\n# Tools\n\nYou may call one or more functions to assist with the user "
        "query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n"
        "<tools>\n" + "\n".join(lines) + "\n</tools>\n\nFor each function call, return a json "
        "object with function name and arguments within <tool_call></tool_call> XML tags:\n"
        '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )


def called(query: str, *tools: object) -> tuple[str, dict]:
    """The name and the arguments that the demo calls a tool with."""
    answer = texts(query, offering(*tools))[-1]
    found = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", answer)
    assert found, answer
    body = json.loads(found[1])
    return body["name"], body["arguments"]


@tool
def get_weather(city: str, unit: Literal["celsius", "fahrenheit"]) -> str:
    """Tell the current weather."""
    return ""


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@tool
def search_web(query: str, limit: int = 5) -> str:
    """Look something up."""
    return ""


class Address(BaseModel):
    street: str
    number: int


class Order(BaseModel):
    """An order of goods."""

    customer: str
    address: Address
    amounts: list[float]
    urgent: bool
    colour: Literal["red", "blue"] | None
    note: str | None = None


def test_each_text_begins_with_the_one_before_it():
    found = texts("What is this?")
    assert len(found) > 10
    assert all(new.startswith(old) for old, new in pairwise(found))


@pytest.mark.parametrize("query", ["hello", "code", "a list", "markdown, please"])
def test_it_says_that_it_is_not_a_language_model(query):
    assert "not a language model" in texts(query)[-1]


def test_it_repeats_the_question_and_names_the_model_and_the_turn_before():
    answer = texts("Two\nlines?", history=[("Earlier?", "Yes.")])[-1]
    assert "> Two\n> lines?" in answer
    assert "there is no qwen2.5-7b-instruct behind" in answer
    assert "turn 2" in answer
    assert "“Earlier?”" in answer


def test_echo_gives_the_words_and_nothing_else():
    assert texts("echo: 1 < 2,\n\t你好 ")[-1] == "1 < 2,\n\t你好"


def test_it_counts():
    assert texts("Please count to 3.")[-1] == "1\n2\n3"


@pytest.mark.parametrize("query", ["hello", "code", "a list", "markdown", "count to 20"])
def test_its_own_texts_only_grow_even_where_a_space_re_indents_them(query):
    shown = [inspect.cleandoc(text) for text in texts(query)]
    assert all(new.startswith(old) for old, new in pairwise(shown))


def test_its_code_has_spaces_and_tabs_and_its_list_is_nested():
    assert "\n    numbers" in texts("code")[-1]
    assert "\n\t\tfmt" in texts("code")[-1]
    assert "\n   - apples\n     - red" in texts("list")[-1]


@pytest.mark.parametrize(
    ("query", "name", "arguments"),
    [
        ("What is the weather in Paris?", "get_weather", {"city": "Paris", "unit": "celsius"}),
        (
            "What's the weather like in New York, in fahrenheit?",
            "get_weather",
            {"city": "New York", "unit": "fahrenheit"},
        ),
        ("weather for oslo", "get_weather", {"city": "oslo", "unit": "celsius"}),
        ("What is 3 plus -4?", "add", {"a": 3, "b": -4}),
        ("Add 20 and 22", "add", {"a": 20, "b": 22}),
        (
            "Look up who wrote Faust",
            "search_web",
            {"query": "Look up who wrote Faust"},
        ),
    ],
)
def test_it_calls_the_tool_that_suits_the_question(query, name, arguments):
    assert called(query, get_weather, add, search_web) == (name, arguments)


def test_it_fills_nested_arguments_so_that_they_fit_the_schema():
    name, arguments = called('Order for "Ada Lovelace", "High Street": 12, 1.5 and 2 in red', Order)
    assert name == "Order"
    assert Order.model_validate(arguments) == Order(
        customer="Ada Lovelace",
        address=Address(street="High Street", number=12),
        amounts=[1.5, 2],
        urgent=True,
        colour="red",
    )


def test_it_fills_schemas_with_references_and_several_types():
    parameters = {
        "type": "object",
        "$defs": {"Level": {"enum": ["low", "high"]}},
        "properties": {
            "level": {"$ref": "#/$defs/Level"},
            "count": {"type": ["null", "integer"]},
            "kind": {"const": "alarm"},
            "levels": {"type": "array", "items": {"$ref": "#/$defs/Level"}},
            "quiet": {"type": "boolean"},
        },
        "required": ["level", "count", "kind", "levels", "quiet"],
    }
    alarm = {"name": "raise_alarm", "description": "", "parameters": parameters}
    assert called("Raise no alarm 7 that is high!", alarm)[1] == {
        "level": "high",
        "count": 7,
        "kind": "alarm",
        "levels": ["high"],
        "quiet": False,
    }


def test_a_tool_without_parameters_is_called_without_arguments():
    tell_time = {"type": "function", "function": {"name": "tellTime", "description": ""}}
    assert called("Tell me the time", tell_time) == ("tellTime", {})


def test_it_calls_no_tool_where_none_suits_the_question():
    assert "not a language model" in texts("Hello there", offering(get_weather, add))[-1]


def test_it_reads_out_what_the_tools_said():
    query = (
        "<tool_response>\n18 °C\nand sunny\n</tool_response>\n<tool_response>\n42\n</tool_response>"
    )
    answer = texts(query, offering(get_weather, add))[-1]
    assert answer.startswith("This demo, not a language model")
    assert answer.endswith("18 °C\nand sunny\n\n42")


AGENT_QUERY = "How is the weather in Paris?"
RESULT = "<tool_response>\nIt is 21 degrees in Paris.\n</tool_response>"
REPORT = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
}


def test_where_a_call_is_demanded_each_tool_is_called_once():
    report = {"type": "function", "function": {"name": "Report", "parameters": REPORT}}
    system = offering(get_weather, report)
    system += "\n\nYou must call at least one of the functions in your answer."
    first = texts(AGENT_QUERY, system)[-1]
    assert '"name": "get_weather"' in first
    second = texts(RESULT, system, [(AGENT_QUERY, first)])[-1]
    assert second == (
        '<tool_call>\n{"name": "Report", "arguments": {"city": "Paris", "degrees": 21}}\n</tool_call>'
    )
    third = texts(RESULT, system, [(AGENT_QUERY, first), (RESULT, second)])[-1]
    assert third.endswith("It is 21 degrees in Paris.")


def test_a_broken_call_in_the_history_breaks_no_answer():
    broken = "<tool_call>\n{bad}\n</tool_call>"
    assert texts(RESULT, offering(get_weather), [(AGENT_QUERY, broken)])[-1].endswith("in Paris.")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [(REPORT, {"city": "Paris", "degrees": 3}), ({}, {"question": "3 degrees in Paris"})],
)
def test_it_answers_with_the_object_that_is_wanted(schema, expected):
    system = f"Be brief.\n\n{structured.instruction(schema)}"
    assert json.loads(texts("3 degrees in Paris", system)[-1]) == expected
