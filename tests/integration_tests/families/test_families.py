"""One agent program on Spaces that answer as the models of each family do."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.qwen import tokens
from tests.integration_tests.families.app import CITY, MODELS, ROUNDS
from tests.integration_tests.gradio_app import gradio_app


@pytest.fixture(scope="module")
def spaces() -> Iterator[list[str]]:
    """A chat with a choice of models, and one that has a switch for thinking."""
    with gradio_app("tests.integration_tests.families.app", servers=2) as addresses:
        yield addresses


@pytest.fixture
def ran() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def tools(ran):
    @tool
    def weather(city: str, days: int) -> str:
        """The weather in a city for some days."""
        ran.append(("weather", {"city": city, "days": days}))
        return "rain"

    @tool
    def find(kinds: list[str], where: dict[str, str]) -> str:
        """Find places of some kinds."""
        ran.append(("find", {"kinds": kinds, "where": where}))
        return "Louvre"

    @tool
    def note(text: str) -> str:
        """Write a note."""
        ran.append(("note", {"text": text}))
        return "written"

    @tool
    def delete_all() -> str:
        """Delete everything."""
        raise AssertionError("the model only thought of this")

    return [weather, find, note, delete_all]


CASES = [*((model, None) for model in MODELS), ("Qwen3-8B", False), ("Qwen3-8B", True)]


@pytest.mark.parametrize("reasoning", [None, True, False])
@pytest.mark.parametrize(("name", "thinking"), CASES)
async def test_an_agent_goes_through_three_rounds_of_tools_while_it_streams(
    spaces, tools, ran, name, thinking, reasoning
):
    model = ChatQwenSpace(
        space=spaces[0], model=name, thinking=thinking, reasoning=reasoning, join_fragments=False
    )
    agent = create_agent(model, tools)
    pieces = 0
    state: dict[str, Any] = {}
    asked = {"messages": [("human", "Plan a day in Paris.")]}
    async for mode, item in agent.astream(asked, stream_mode=["messages", "values"]):
        if mode == "values":
            state = item
        elif isinstance(item[0], AIMessageChunk):
            pieces += 1
    answer = state["messages"][-1]
    assert ran == [*ROUNDS], answer.content
    assert isinstance(answer, AIMessage)
    assert answer.text.endswith("All done: written.")
    assert pieces > 5  # of JSON without tags, a call comes whole


@pytest.mark.parametrize("name", MODELS)
def test_invoke_gives_the_same(spaces, tools, ran, name):
    agent = create_agent(ChatQwenSpace(space=spaces[0], model=name, reasoning=False), tools)
    messages = agent.invoke({"messages": [("human", "Plan a day in Paris.")]})["messages"]
    assert ran == [*ROUNDS], messages[-1].content
    assert messages[-1].text == "All done: written."


# Objects and tokens


class City(BaseModel):
    """A city."""

    name: str
    country: str
    twins: list[str]


@pytest.mark.parametrize("name", MODELS)
def test_an_object_is_read_in_the_form_of_the_family(spaces, name):
    model = ChatQwenSpace(space=spaces[0], model=name)
    for method in ("function_calling", "json_schema", "json_mode"):
        structured = model.with_structured_output(City, method=method, max_repairs=0)
        assert structured.invoke("Which city?") == City(**CITY)
        assert list(structured.stream("Which city?"))[-1] == City(**CITY)


@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_exact_by_the_vocabulary_of_the_family(spaces, name):
    message = ChatQwenSpace(space=spaces[0], model=name).invoke("tell")
    source = "estimate" if name.startswith("Qwen3.5") else tokens.load().source
    assert message.response_metadata["usage_source"] == source


# What reaches the model


def heard(model: ChatQwenSpace, question: str = "tell me") -> list[Any]:
    return json.loads(model.invoke(question).text)


@pytest.mark.parametrize(
    ("dialect", "part"),
    [(None, "return a json object"), ("qwen3.5", "ONLY reply"), ("qwen3-coder", "<function>\n")],
)
def test_the_dialect_setting_counts(spaces, tools, dialect, part):
    model = ChatQwenSpace(space=spaces[0], dialect=dialect)
    system, _, name = json.loads(model.bind_tools(tools).invoke("tell").text)
    assert part in system
    assert name == "some-model"
    assert ("assumed" in model.describe().dialect) is (dialect is None)
    assert model.describe().dialect.startswith(dialect or "hermes")


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("Qwen2.5-72B-Instruct", "You are Qwen, created by Alibaba Cloud."),
        ("Qwen3-8B", "# Tools"),
        ("QwQ-32B", "\n\n# Tools"),
        ("Qwen3-Coder-30B-A3B-Instruct", "You are Qwen, a helpful AI assistant"),
        ("Qwen3.5-27B", "# Tools"),
    ],
)
def test_the_system_prompt_begins_as_the_template_has_it(spaces, tools, name, beginning):
    model = ChatQwenSpace(space=spaces[0], model=name)
    assert json.loads(model.bind_tools(tools).invoke("tell").text)[0].startswith(beginning)


def test_the_dialect_of_a_call_counts(spaces, tools):
    bound = ChatQwenSpace(space=spaces[0]).bind_tools(tools)
    assert "ONLY reply" in json.loads(bound.invoke("tell", model="Qwen3.5-27B").text)[0]
    assert "ONLY reply" in json.loads(bound.invoke("tell", dialect="qwen3.5").text)[0]


def test_describe_names_the_dialect_of_the_model(spaces):
    described = ChatQwenSpace(space=spaces[0], model="Qwen3.5-27B").describe()
    assert described.dialect == "qwen3.5"
    assert "dialect       qwen3.5" in str(described)


# The switch for thinking


@pytest.mark.parametrize("thinking", [True, False])
def test_a_space_with_a_switch_is_switched(spaces, thinking):
    model = ChatQwenSpace(space=spaces[1], thinking=thinking, thinking_budget=2000)
    assert heard(model, "q") == ["q", thinking, 2000]
    assert heard(ChatQwenSpace(space=spaces[1]), "q") == ["q", False, 500]


@pytest.mark.parametrize(("thinking", "word"), [(True, "/think"), (False, "/no_think")])
def test_the_question_switches_the_first_qwen3_models(spaces, thinking, word):
    model = ChatQwenSpace(space=spaces[0], model="Qwen3-8B", thinking=thinking)
    assert heard(model)[1] == [f"tell me {word}"]
    as_chat = model.invoke([ChatMessage("tell me", role="user")])
    assert json.loads(as_chat.text)[1] == [f"tell me {word}"]
    assert heard(model.bind(thinking=None))[1] == ["tell me"]


@pytest.mark.parametrize(
    ("name", "thinking"),
    [
        ("Qwen2.5-72B-Instruct", False),
        ("Qwen2.5-Coder-32B-Instruct", False),
        ("QwQ-32B", True),
        ("Qwen3-30B-A3B-Instruct-2507", False),
        ("Qwen3-30B-A3B-Thinking-2507", True),
        ("Qwen3-Coder-30B-A3B-Instruct", False),
    ],
)
def test_a_model_that_does_so_anyway_needs_no_switch(spaces, name, thinking):
    assert heard(ChatQwenSpace(space=spaces[0], model=name, thinking=thinking))[1] == ["tell me"]


@pytest.mark.parametrize("name", ["QwQ-32B", "Qwen3.5-27B", "some-model"])
def test_what_cannot_be_switched_is_said_once(spaces, name):
    model = ChatQwenSpace(space=spaces[0], model=name, thinking=False)
    with pytest.warns(UserWarning, match="has no input for thinking=False"):
        assert heard(model)[1] == ["tell me"]
    heard(model)
