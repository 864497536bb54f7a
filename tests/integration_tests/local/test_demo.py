"""What a newcomer tries first: an agent and structured output on the demo of a local Space."""

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from pydantic import BaseModel

from langchain_qwen_space import ChatQwenSpace


class Report(BaseModel):
    """A report about a city."""

    city: str
    degrees: int


def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"It is 21 degrees in {city}."


@pytest.mark.parametrize("form", [Report, ToolStrategy(Report), ProviderStrategy(Report)])
@pytest.mark.parametrize("mode", ["values", "messages"])
def test_an_agent_calls_its_tool_and_answers_in_its_response_format(picture_space_url, form, mode):
    agent = create_agent(
        ChatQwenSpace(space=picture_space_url), [get_weather], response_format=form
    )
    question = {"messages": [("human", "How is the weather in Paris?")]}
    for kind, state in agent.stream(question, stream_mode=["values", mode]):
        if kind == "values":
            result = state
    assert result["structured_response"] == Report(city="Paris", degrees=21)
    results = [message.text for message in result["messages"] if message.type == "tool"]
    assert results[0] == "It is 21 degrees in Paris."


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
def test_structured_output_by_every_method(picture_space_url, method):
    model = ChatQwenSpace(space=picture_space_url)
    reporter = model.with_structured_output(Report, method=method)
    assert reporter.invoke("It is 7 degrees in Oslo.") == Report(city="Oslo", degrees=7)
