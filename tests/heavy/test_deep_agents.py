"""A deep agent (files, subagents) on a real Space."""

import json

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.answers import answer


def call(name, /, **args):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': args})}\n</tool_call>"


pytestmark = pytest.mark.heavy


def deep_agent(model, **kwargs):
    from deepagents import create_deep_agent

    return create_deep_agent(model=model, **kwargs)


@pytest.fixture(scope="module")
def model():
    with LocalSpace(answer, pace=0) as space:
        yield ChatQwenSpace(space=space.url, model="72B")


def test_it_writes_a_file_and_reads_it(model):
    agent = deep_agent(model)
    script = [
        call("write_file", file_path="/emma.txt", content="by Jane Austen"),
        call("read_file", file_path="/emma.txt"),
        "Jane Austen wrote it.",
    ]
    result = agent.invoke({"messages": [("human", "in turn: " + json.dumps(script))]})
    assert result["messages"][-1].text == "Jane Austen wrote it."
    results = [message for message in result["messages"] if message.type == "tool"]
    assert [(message.name, message.status) for message in results] == [
        ("write_file", "success"),
        ("read_file", "success"),
    ]
    assert "by Jane Austen" in results[-1].text


async def test_a_subagent_is_sent_and_reports(model):
    helper = {"name": "helper", "description": "Helps.", "system_prompt": "Help.", "tools": []}
    agent = deep_agent(model, subagents=[helper])
    script = [call("task", description="echo: found", subagent_type="helper"), "It was found."]
    result = await agent.ainvoke({"messages": [("human", "in turn: " + json.dumps(script))]})
    assert result["messages"][-1].text == "It was found."
    (report,) = [message for message in result["messages"] if message.type == "tool"]
    assert (report.text, report.status) == ("found", "success")
