"""Several agents, and tools of other processes: supervisors, swarms, MCP."""

import json
import sys
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_space import ChatQwenSpace

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::langgraph.warnings.LangGraphDeprecationWarning"),
]


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Sunny in {city}."


def call(name, /, **args):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': args})}\n</tool_call>"


def in_turn(*texts):
    return {"messages": [("human", "in turn: " + json.dumps(texts))]}


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url)


@pytest.mark.parametrize("mode", ["last_message", "full_history"])
def test_a_supervisor_hands_over_and_takes_back(model, mode):
    from langgraph_supervisor import create_supervisor

    expert = create_agent(model, [weather], name="expert")
    graph = create_supervisor([expert], model=model, output_mode=mode).compile()
    asked = in_turn(
        call("transfer_to_expert"),
        call("weather", city="Rome"),
        "Sunny.",
        "It is sunny in Rome.",
        "Yes.",
        "Yes.",
    )
    messages = graph.invoke(asked)["messages"]
    assert any(message.name == "transfer_to_expert" for message in messages)
    assert messages[-1].type == "ai"
    assert messages[-1].text


async def test_a_swarm_goes_from_one_agent_to_another(model):
    from langgraph_swarm import create_handoff_tool, create_swarm

    alice = create_agent(model, [create_handoff_tool(agent_name="bob")], name="alice")
    bob = create_agent(model, [create_handoff_tool(agent_name="alice"), weather], name="bob")
    graph = create_swarm([alice, bob], default_active_agent="alice").compile(InMemorySaver())
    asked = in_turn(call("transfer_to_bob"), call("weather", city="Rome"), "It is sunny.")
    result = await graph.ainvoke(asked, {"configurable": {"thread_id": "1"}})
    assert result["active_agent"] == "bob"
    assert result["messages"][-1].text == "It is sunny."


async def test_tools_of_an_mcp_server_run(model):
    path = Path(__file__).with_name("mcp_server.py")
    client = MultiServerMCPClient(
        {"figures": {"command": sys.executable, "args": [str(path)], "transport": "stdio"}}
    )
    agent = create_agent(model, await client.get_tools())
    result = await agent.ainvoke(in_turn(call("add", a=2, b=3), "It is 5."))
    (told,) = [message for message in result["messages"] if message.type == "tool"]
    assert told.text == "5"
    assert result["messages"][-1].text == "It is 5."
