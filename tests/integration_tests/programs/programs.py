"""Programs as people write them for a chat model. Each returns what its author would look at."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core import exceptions
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[function.__name__] = function
    return function


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Sunny in {city}."


class City(BaseModel):
    """A city."""

    name: str
    country: str


class CityDict(TypedDict):
    """A city."""

    name: str
    country: str


def call(name: str, /, **args: Any) -> str:
    body = json.dumps({"name": name, "arguments": args})
    return f"<tool_call>\n{body}\n</tool_call>"


PARIS = {"name": "Paris", "country": "France"}


def in_turn(*texts: str) -> str:
    return "in turn: " + json.dumps(texts)


_RUNNER = asyncio.Runner()  # ChatOpenAI keeps its connections for one event loop


def run_async(work: Any) -> Any:
    return _RUNNER.run(work)


def names(values: Any) -> list[str]:
    """The types, each run of equal ones once."""
    found: list[str] = []
    for value in values:
        name = value if isinstance(value, str) else type(value).__name__
        if found[-1:] != [name]:
            found.append(name)
    return found


def total(chunks: Any) -> Any:
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


def calls(message: Any) -> list[Any]:
    return [(c["name"], c["args"], c["type"], bool(c["id"])) for c in message.tool_calls]


def caught(work: Callable[[], Any]) -> list[str]:
    """LangChain's classes of what is raised."""
    try:
        work()
    except Exception as error:
        bases = type(error).__mro__
        return sorted(c.__name__ for c in bases if c.__module__ == exceptions.__name__)
    return []


@program
def invoke(model):
    message = model.invoke("echo: hello")
    return type(message).__name__, message.content, message.text


@program
def ainvoke(model):
    return run_async(model.ainvoke("echo: hello")).content


@program
def stream(model):
    chunks = list(model.stream("echo: some words to stream"))
    return names(chunks), "".join(chunk.content for chunk in chunks)


@program
def astream(model):
    async def run():
        return [chunk async for chunk in model.astream("echo: some words to stream")]

    chunks = run_async(run())
    return names(chunks), "".join(chunk.content for chunk in chunks)


@program
def sum_of_a_stream(model):
    whole = total(model.stream("echo: some words"))
    return type(whole).__name__, whole.content, whole.chunk_position, bool(whole.id)


@program
def end_of_a_stream(model):
    *_, last = model.stream("echo: some words")
    return last.content, last.chunk_position


@program
def batch(model):
    return [message.content for message in model.batch(["echo: one", "echo: two"])]


@program
def abatch(model):
    return [m.content for m in run_async(model.abatch(["echo: one", "echo: two"]))]


@program
def batch_as_completed(model):
    return sorted((i, m.content) for i, m in model.batch_as_completed(["echo: one", "echo: two"]))


@program
def batch_with_configs_of_each_input(model):
    seen: dict[str, list[str]] = {"one": [], "two": []}

    class Handler(BaseCallbackHandler):
        def __init__(self, name):
            self.name = name

        def on_llm_end(self, response, *, tags=None, **kwargs):
            seen[self.name].append(response.generations[0][0].text)

    configs = [{"callbacks": [Handler(name)], "tags": [name]} for name in seen]
    model.batch(["echo: one", "echo: two"], configs)
    return seen


@program
def batch_with_exceptions(model):
    good, bad = model.batch(["echo: one", "fail: out of memory"], return_exceptions=True)
    return good.content, isinstance(bad, Exception)


@program
def chain(model):
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "echo: {x}")])
    return (prompt | model | StrOutputParser()).invoke({"x": "hi"})


@program
def stream_of_a_chain(model):
    return "".join((model | StrOutputParser()).stream("echo: a few words"))


@program
def json_parser(model):
    return list((model | JsonOutputParser()).stream('echo: {"a": 1}'))[-1]


@program
def dicts_as_messages(model):
    return model.invoke(
        [{"role": "system", "content": "x"}, {"role": "user", "content": "echo: hi"}]
    ).content


@program
def a_conversation(model):
    history = [SystemMessage("s"), HumanMessage("one"), AIMessage("two"), HumanMessage("tell")]
    return json.loads(model.invoke(history).content)[:3]


@program
def an_ai_message_last(model):
    return model.invoke([HumanMessage("one"), AIMessage("two")]).content


@program
def a_system_message_only(model):
    return model.invoke([SystemMessage("Say hello.")]).content


@program
def a_tool_call(model):
    message = model.bind_tools([weather]).invoke(in_turn(call("weather", city="Rome")))
    return message.content, calls(message)


@program
def two_tool_calls(model):
    text = "Let me see." + "\n" + call("weather", city="Rome") + "\n" + call("weather", city="Oslo")
    message = model.bind_tools([weather]).invoke(in_turn(text))
    return message.content, calls(message)


@program
def a_stream_of_tool_calls(model):
    text = call("weather", city="Rome") + "\n" + call("weather", city="Oslo")
    chunks = list(model.bind_tools([weather]).stream(in_turn(text)))
    pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
    first = {p["index"]: p["name"] for p in reversed(pieces)}
    return calls(total(chunks)), sorted(pieces[0]), first


@program
def a_forced_tool_call(model):
    bound = model.bind_tools([weather], tool_choice="weather")
    return calls(bound.invoke(in_turn(call("weather", city="Rome"))))


@program
def a_tool_result(model):
    message = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Rome"}, "id": "1"}])
    asked = [HumanMessage("Rome?"), message, ToolMessage("Sunny.", tool_call_id="1")]
    return model.bind_tools([weather]).invoke(asked).content


@program
def an_unknown_tool_choice(model):
    return caught(lambda: model.bind_tools([weather], tool_choice={"type": "any"}).first)


@program
def structured_by_a_call(model):
    structured = model.with_structured_output(City, method="function_calling")
    return structured.invoke(in_turn(call("City", **PARIS)))


@program
def structured_by_a_schema(model):
    return model.with_structured_output(City, method="json_schema").invoke(
        in_turn(json.dumps(PARIS))
    )


@program
def structured_as_a_dict(model):
    structured = model.with_structured_output(CityDict, method="json_schema")
    return structured.invoke(in_turn(json.dumps(PARIS)))


@program
def structured_in_json_mode(model):
    return model.with_structured_output(method="json_mode").invoke(in_turn(json.dumps(PARIS)))


@program
def structured_with_the_raw_answer(model):
    structured = model.with_structured_output(City, method="json_schema", include_raw=True)
    result = structured.invoke(in_turn(json.dumps(PARIS)))
    return sorted(result), type(result["raw"]).__name__, result["parsed"], result["parsing_error"]


@program
def a_stream_of_a_structured_dict(model):
    structured = model.with_structured_output(CityDict, method="json_schema")
    return list(structured.stream(in_turn(json.dumps(PARIS))))[-1]


@program
def stop_strings(model):
    message = model.invoke("echo: one two three", stop=["two"])
    return message.content, message.response_metadata["finish_reason"]


@program
def a_limit_on_tokens(model):
    message = model.invoke("echo: one two three four five six", max_tokens=2)
    return message.response_metadata["finish_reason"], len(message.content.split()) < 6


@program
def usage(model):
    found = model.invoke("echo: one two three").usage_metadata
    return sorted({"input_tokens", "output_tokens", "total_tokens"} & found.keys())


@program
def usage_keys(model):
    return sorted(model.invoke("echo: one").usage_metadata)


@program
def usage_of_a_stream(model):
    return total(model.stream("echo: one", stream_usage=True)).usage_metadata is not None


@program
def metadata_keys(model):
    return sorted(model.invoke("echo: one").response_metadata)


@program
def metadata_of_the_first_chunk(model):
    return sorted(next(iter(model.stream("echo: one"))).response_metadata)


@program
def events_v2(model):
    async def run():
        return [e["event"] async for e in model.astream_events("echo: a few words", version="v2")]

    return names(run_async(run()))


@program
def order_of_callbacks(model):
    heard = []

    class Handler(BaseCallbackHandler):
        def on_chat_model_start(self, *args, **kwargs):
            heard.append("start")

        def on_llm_new_token(self, token, **kwargs):
            heard.append("token")

        def on_llm_end(self, *args, **kwargs):
            heard.append("end")

    for _ in model.stream("echo: a few words", {"callbacks": [Handler()]}):
        pass
    return names(heard)


@program
def an_error_of_the_server(model):
    return caught(lambda: model.invoke("fail: out of memory"))


@program
def an_error_in_a_stream(model):
    return caught(lambda: list(model.stream("fail: out of memory")))


@program
def fallbacks(model):
    broken = RunnableLambda(lambda x: model.invoke("fail: out of memory"))
    return broken.with_fallbacks([model]).invoke("echo: hi").content


@program
def a_cache(model):
    cached = model.model_copy(update={"cache": InMemoryCache()})
    first, second = cached.invoke("echo: hi"), cached.invoke("echo: hi")
    return first.content == second.content, second.usage_metadata.get("total_cost")


@program
def configurable_fields(model):
    flexible = model.configurable_fields(max_tokens=ConfigurableField(id="n"))
    return flexible.invoke("echo: hi", {"configurable": {"n": 50}}).content


@program
def a_message_history(model):
    store = InMemoryChatMessageHistory()
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{x}")])
    runnable = RunnableWithMessageHistory(
        prompt | model, lambda _: store, input_messages_key="x", history_messages_key="past"
    )
    config = {"configurable": {"session_id": "1"}}
    runnable.invoke({"x": "echo: hi"}, config)
    return json.loads(runnable.invoke({"x": "tell"}, config).content)[1:3], names(store.messages)


@program
def an_agent(model):
    agent = create_agent(model, [weather])
    asked = {"messages": [("human", in_turn(call("weather", city="Rome"), "It is sunny."))]}
    messages = agent.invoke(asked)["messages"]
    return [type(message).__name__ for message in messages], messages[-1].content


@program
def an_agent_in_messages_mode(model):
    agent = create_agent(model, [weather])
    asked = {"messages": [("human", in_turn(call("weather", city="Rome"), "It is sunny."))]}
    return names(chunk for chunk, _ in agent.stream(asked, stream_mode="messages"))


@program
def an_agent_with_a_provider_strategy(model):
    agent = create_agent(model, [], response_format=ProviderStrategy(City))
    asked = {"messages": [("human", in_turn(json.dumps(PARIS)))]}
    return agent.invoke(asked)["structured_response"]


@program
def an_agent_with_a_tool_strategy(model):
    agent = create_agent(model, [], response_format=ToolStrategy(City))
    asked = {"messages": [("human", in_turn(call("City", **PARIS)))]}
    return agent.invoke(asked)["structured_response"]


@program
def a_graph(model):
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    run = graph.compile()
    return run.invoke({"messages": [("human", "echo: hi")]})["messages"][-1].content


@program
def content_blocks(model):
    text = "Let me see.\n" + call("weather", city="Rome")
    message = model.bind_tools([weather]).invoke(in_turn(text))
    return [block["type"] for block in message.content_blocks]


@program
def parameters_for_langsmith(model):
    params = model._get_ls_params(stop=["x"], max_tokens=5)
    return sorted(name for name, value in params.items() if value is not None)
