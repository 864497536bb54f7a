"""Every middleware that LangChain ships, in an agent on a real Space; `LEFT_OUT` says why not."""

import inspect
import json

import pytest
from langchain.agents import create_agent, middleware
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    FilesystemFileSearchMiddleware,
    HumanInTheLoopMiddleware,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRefusalMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    ProviderToolSearchMiddleware,
    ShellToolMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_qwen_space import ChatQwenSpace

LEFT_OUT = {
    "AutoModeMiddleware": "asks a decision model, which no chat model is",
    "ModelRouterMiddleware": "asks a decision model, which no chat model is",
}


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Sunny in {city}."


@tool
def broken(city: str) -> str:
    """Return the weather of a city, if it can."""
    raise ValueError(f"no station in {city}")


def call(name, /, **args):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': args})}\n</tool_call>"


def in_turn(*texts):
    return {"messages": [("human", "in turn: " + json.dumps(texts))]}


ASKED = in_turn(call("weather", city="Rome"), "It is sunny.")


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url, max_retries=0)


def agent(model, *used, tools=(weather,), **kwargs):
    return create_agent(model, list(tools), middleware=list(used), **kwargs)


def last(result):
    return result["messages"][-1].text


def tool_results(result):
    return [message.text for message in result["messages"] if message.type == "tool"]


def test_every_middleware_has_a_test_or_a_reason():
    shipped = {
        name
        for name, item in vars(middleware).items()
        if inspect.isclass(item)
        and issubclass(item, AgentMiddleware)
        and item is not AgentMiddleware
    }
    used = {name for name, item in globals().items() if name in shipped and inspect.isclass(item)}
    assert used | LEFT_OUT.keys() == shipped
    assert not used & LEFT_OUT.keys()


def test_a_long_conversation_is_summarised_by_a_fraction_of_the_models_context(model):
    model.describe()  # makes the context of the Space's default model known
    used = SummarizationMiddleware(model=model, trigger=("fraction", 0.0001), keep=("messages", 1))
    spoken = [("human", "word " * 99), ("ai", "Yes."), ("human", "more"), ("ai", "No.")]
    result = agent(model, used, tools=()).invoke({"messages": [*spoken, ("human", "echo: hi")]})
    assert last(result).endswith("echo: hi")
    assert "word word" in result["messages"][0].text  # in the summary
    assert len(result["messages"]) == 3


def test_a_todo_list_is_written(model):
    todo = call("write_todos", todos=[{"content": "Pack", "status": "pending"}])
    result = agent(model, TodoListMiddleware()).invoke(in_turn(todo, "Done."))
    assert result["todos"] == [{"content": "Pack", "status": "pending"}]
    assert last(result) == "Done."


async def test_a_person_approves_a_call(model):
    used = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
    asking = agent(model, used, checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    assert "__interrupt__" in await asking.ainvoke(ASKED, config)
    decided = Command(resume={"decisions": [{"type": "approve"}]})
    assert last(await asking.ainvoke(decided, config)) == "It is sunny."


def test_calls_of_the_model_are_limited(model):
    endless = in_turn(*[call("weather", city="Rome")] * 5)
    result = agent(model, ModelCallLimitMiddleware(run_limit=2)).invoke(endless)
    assert len(tool_results(result)) == 2


def test_calls_of_a_tool_are_limited(model):
    asked = in_turn(call("weather", city="Rome"), call("weather", city="Oslo"), "Enough.")
    result = agent(model, ToolCallLimitMiddleware(run_limit=1)).invoke(asked)
    assert tool_results(result)[0] == "Sunny in Rome."
    assert "limit" in tool_results(result)[1].lower()


def test_another_model_answers_where_one_fails(model):
    closed = ChatQwenSpace(space="http://127.0.0.1:9", max_retries=0)
    assert last(agent(closed, ModelFallbackMiddleware(model)).invoke(ASKED)) == "It is sunny."


def test_a_failed_call_of_the_model_is_retried(model):
    used = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    asked = {"messages": [("human", "fail once: middleware")]}
    assert "You said" in last(agent(model, used, tools=()).invoke(asked))


def test_a_failed_tool_is_retried_and_its_error_reported_to_the_model(model):
    asked = in_turn(call("broken", city="Rome"), "I could not find out.")
    used = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    assert last(agent(model, used, tools=[broken]).invoke(asked)) == "I could not find out."
    used = ToolErrorMiddleware(lambda error, request: f"failed: {error}")
    result = agent(model, used, tools=[broken]).invoke(asked)
    assert tool_results(result) == ["failed: no station in Rome"]


def test_personal_data_is_redacted(model):
    asked = {"messages": [("human", "echo: write to joe@example.com")]}
    result = agent(model, PIIMiddleware("email", strategy="redact"), tools=()).invoke(asked)
    assert "joe@example.com" not in last(result)
    assert "REDACTED" in last(result)


def test_old_tool_results_are_cleared(model):
    used = ContextEditingMiddleware(
        edits=[ClearToolUsesEdit(trigger=1, keep=0)], token_count_method="model"
    )
    assert last(agent(model, used).invoke(ASKED)) == "It is sunny."


def test_a_tool_is_emulated_by_the_model(model):
    result = agent(model, LLMToolEmulator(model=model), tools=[broken]).invoke(
        in_turn(call("broken", city="Rome"), "It is sunny.")
    )
    assert last(result) == "It is sunny."
    assert "no station" not in tool_results(result)[0]


def test_tools_are_selected_by_the_model(model, space_url):
    selecting = LLMToolSelectorMiddleware(model=ChatQwenSpace(space=space_url))
    asked = {"messages": [("human", "echo: weather")]}
    assert last(agent(model, selecting, tools=[weather, broken]).invoke(asked)) == "weather"


def test_files_are_searched(model, tmp_path):
    (tmp_path / "emma.txt").write_text("by Jane Austen")
    used = FilesystemFileSearchMiddleware(root_path=str(tmp_path), use_ripgrep=False)
    asked = in_turn(call("grep_search", pattern="Austen"), "Found.")
    result = agent(model, used, tools=()).invoke(asked)
    assert "emma.txt" in tool_results(result)[0]


# LangChain's shell leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_shell_runs(model, tmp_path):
    used = ShellToolMiddleware(workspace_root=tmp_path)
    result = agent(model, used, tools=()).invoke(
        in_turn(call("shell", command="echo seen"), "Done.")
    )
    assert "seen" in tool_results(result)[0]


def test_an_answer_without_a_refusal_passes(model):
    assert last(agent(model, ModelRefusalMiddleware()).invoke(ASKED)) == "It is sunny."


def test_a_providers_own_tool_search_is_refused_in_words(model):
    used = ProviderToolSearchMiddleware(searchable_tools=["weather"])
    with pytest.raises(Exception, match=r"(?i)tool search|provider"):
        agent(model, used).invoke(ASKED)
