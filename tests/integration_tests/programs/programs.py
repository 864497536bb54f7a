"""Programs as people write them for a chat model. Each returns what its author would look at."""

import asyncio
import contextlib
import enum
import json
import pickle
from collections.abc import Callable
from operator import itemgetter
from typing import Annotated, Any, Literal, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import dynamic_prompt, wrap_model_call
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core import exceptions
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.globals import set_llm_cache
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_openai_messages,
    message_chunk_to_message,
    messages_from_dict,
    messages_to_dict,
    trim_messages,
)
from langchain_core.output_parsers import (
    JsonOutputParser,
    JsonOutputToolsParser,
    PydanticOutputParser,
    PydanticToolsParser,
    StrOutputParser,
)
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser
from langchain_core.prompts import (
    ChatPromptTemplate,
    FewShotChatMessagePromptTemplate,
    MessagesPlaceholder,
)
from langchain_core.runnables import (
    ConfigurableField,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from langchain_core.tracers.context import collect_runs
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel, Field

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


RUNNER = asyncio.Runner()  # ChatOpenAI keeps its connections for one event loop


def run_async(work: Any) -> Any:
    return RUNNER.run(work)


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


# What people write around a chat model


@program
def a_parallel_step(model):
    both = RunnableParallel(a=model, b=model | StrOutputParser())
    found = both.invoke("echo: hi")
    return found["a"].content, found["b"]


@program
def a_stream_of_a_parallel_step(model):
    both = RunnableParallel(a=model, b=model)
    whole = total(both.stream("echo: a few words"))
    return sorted(whole), whole["a"].content, whole["b"].content


@program
def assigned_values(model):
    chain = RunnablePassthrough.assign(answer=itemgetter("x") | model | StrOutputParser())
    return chain.invoke({"x": "echo: hi"}), total(chain.stream({"x": "echo: hi ho"}))


@program
def a_map_over_a_list(model):
    return (model | StrOutputParser()).map().invoke(["echo: one", "echo: two"])


@program
def generations(model):
    result = model.generate([[HumanMessage("echo: one")], [HumanMessage("echo: two")]])
    return [(type(g[0]).__name__, g[0].text, g[0].message.content) for g in result.generations]


@program
def keys_of_llm_output(model):
    heard = []

    class Handler(BaseCallbackHandler):
        def on_llm_end(self, response, **kwargs):
            heard.append(sorted(response.llm_output or {}))

    model.invoke("echo: hi", {"callbacks": [Handler()]})
    return heard


@program
def usage_by_model(model):
    with get_usage_metadata_callback() as counted:
        model.invoke("echo: one")
        total(model.stream("echo: one", stream_usage=True))
    (usage,) = counted.usage_metadata.values()
    return usage["total_tokens"] > 0


@program
def tags_and_names_reach_callbacks(model):
    heard = []

    class Handler(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, *, tags, metadata, name=None, **kwargs):
            heard.append((messages[0][0].content, tags, metadata["who"], name))

    config = {"callbacks": [Handler()], "metadata": {"who": "me"}}
    model.with_config(tags=["t"], run_name="asked").invoke("echo: hi", config)
    return heard


@program
def errors_reach_callbacks(model):
    heard = []

    class Handler(BaseCallbackHandler):
        def on_llm_error(self, error, **kwargs):
            heard.append("error")

        def on_llm_end(self, response, **kwargs):
            heard.append("end")

    for ask in (model.invoke, lambda *given: list(model.stream(*given))):
        with contextlib.suppress(Exception):
            ask("fail: out of memory", {"callbacks": [Handler()]})
    return heard


@program
def listeners(model):
    heard = []
    chain = model.with_listeners(
        on_start=lambda run: heard.append(run.run_type),
        on_end=lambda run: heard.append(run.outputs["generations"][0][0]["text"]),
    )
    chain.invoke("echo: hi")
    return heard


@program
def a_traced_run(model):
    with collect_runs() as runs:
        model.invoke("echo: hi")
    (run,) = runs.traced_runs
    return run.run_type, sorted(run.inputs), sorted(run.outputs), run.error


@program
def a_stream_that_is_left(model):
    for chunk in model.stream("echo: " + "word " * 50):
        if chunk.content:
            break
    return model.invoke("echo: hi").content


@program
def an_async_stream_that_is_left(model):
    async def run():
        async with contextlib.aclosing(model.astream("echo: " + "word " * 50)) as chunks:
            async for chunk in chunks:
                if chunk.content:
                    break
        return (await model.ainvoke("echo: hi")).content

    return run_async(run())


@program
def tools_parsers(model):
    asked = in_turn(call("City", **PARIS))
    bound = model.bind_tools([City])
    return (
        (bound | PydanticToolsParser(tools=[City])).invoke(asked),
        (bound | JsonOutputToolsParser()).invoke(asked),
        (bound | JsonOutputKeyToolsParser(key_name="City", first_tool_only=True)).invoke(asked),
    )


@program
def a_stream_of_a_tools_parser(model):
    asked = in_turn(call("City", **PARIS))
    chain = model.bind_tools([City]) | PydanticToolsParser(tools=[City], first_tool_only=True)
    return list(chain.stream(asked))[-1]


@program
def a_pydantic_parser(model):
    parser = PydanticOutputParser(pydantic_object=City)
    return (model | parser).invoke(in_turn(f"```json\n{json.dumps(PARIS)}\n```"))


@program
def every_tool_choice(model):
    asked = in_turn(call("weather", city="Rome"))
    choices: tuple[Any, ...] = (
        "auto",
        "any",
        "required",
        True,
        "weather",
        {"type": "function", "function": {"name": "weather"}},
    )
    return [
        calls(model.bind_tools([weather], tool_choice=choice).invoke(asked)) for choice in choices
    ]


@program
def no_tool_may_be_called(model):
    bound = model.bind_tools([weather], tool_choice="none")
    return calls(bound.invoke("echo: hi")), bound.invoke("echo: hi").content


@program
def a_graph_of_tools(model):
    bound = model.bind_tools([weather])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [bound.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    asked = in_turn(call("weather", city="Rome"), "It is sunny.")
    messages = graph.compile().invoke({"messages": [("human", asked)]})["messages"]
    return [(m.type, m.content) for m in messages[1:]]


@program
def every_mode_of_a_graph(model):
    agent = create_agent(model, [weather])
    asked = {"messages": [("human", in_turn(call("weather", city="Rome"), "It is sunny."))]}
    modes = ["values", "updates", "messages", "tasks"]
    return names(sorted(mode for mode, _ in agent.stream(asked, stream_mode=modes)))


@program
def a_graph_with_memory(model):
    agent = create_agent(model, [], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    agent.invoke({"messages": [("human", "echo: hi")]}, config)
    agent.invoke({"messages": [("human", "tell")]}, config)
    messages = agent.get_state(config).values["messages"]
    return json.loads(messages[-1].content)[1:3], [m.type for m in messages]


@program
def a_functional_workflow(model):
    @task
    def ask(text):
        return model.invoke(text).content

    @entrypoint()
    def work(texts):
        return [found.result() for found in [ask(text) for text in texts]]

    return work.invoke(["echo: one", "echo: two"])


@program
def an_agent_with_the_schema_alone(model):
    agent = create_agent(model, [], response_format=City)
    asked = {"messages": [("human", in_turn(json.dumps(PARIS), call("City", **PARIS)))]}
    with contextlib.suppress(Exception):
        return agent.invoke(asked)["structured_response"]
    return None


@program
def events_of_an_agent(model):
    agent = create_agent(model, [weather])
    asked = {"messages": [("human", in_turn(call("weather", city="Rome"), "It is sunny."))]}

    async def run():
        return [
            event["event"]
            async for event in agent.astream_events(asked, version="v2")
            if event["event"].startswith(("on_chat_model", "on_tool"))
        ]

    return names(run_async(run()))


@program
def few_shots(model):
    shots = FewShotChatMessagePromptTemplate(
        example_prompt=ChatPromptTemplate.from_messages([("human", "{q}"), ("ai", "{a}")]),
        examples=[{"q": "1", "a": "one"}, {"q": "2", "a": "two"}],
    )
    prompt = ChatPromptTemplate.from_messages([("system", "s"), shots, ("human", "{q}")])
    return json.loads((prompt | model).invoke({"q": "tell"}).content)[:3]


@program
def a_trimmed_history(model):
    trimmer = trim_messages(max_tokens=3, token_counter=len, include_system=True, start_on="human")
    history = [SystemMessage("s"), HumanMessage("one"), AIMessage("two"), HumanMessage("tell")]
    return json.loads((trimmer | model).invoke(history).content)[:3]


@program
def text_blocks(model):
    blocks = [{"type": "text", "text": "echo: "}, {"type": "text", "text": "hi"}]
    return model.invoke([HumanMessage(blocks)]).content


@program
def named_messages(model):
    history = [HumanMessage("echo: hi", name="ann")]
    return model.invoke(history).content


@program
def a_failed_tool(model):
    asked = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Rome"}, "id": "1"}])
    result = ToolMessage("no station", tool_call_id="1", status="error")
    return model.bind_tools([weather]).invoke([HumanMessage("Rome?"), asked, result]).content


@program
def nothing_in_a_question(model):
    return model.invoke("").content


@program
def no_messages(model):
    return bool(caught(lambda: model.invoke([]))), type(None)


@program
def a_message_is_stored(model):
    message = model.bind_tools([weather]).invoke(in_turn(call("weather", city="Rome")))
    stored = json.loads(json.dumps(messages_to_dict([message])))
    loaded = messages_from_dict(stored)[0]
    return loaded == message, pickle.loads(pickle.dumps(message)) == message


@program
def a_message_is_printed(model):
    return model.invoke("echo: hi").pretty_repr()


@program
def a_sum_becomes_a_message(model):
    message = message_chunk_to_message(total(model.stream("echo: hi there")))
    return type(message).__name__, message.content, message.tool_calls


@program
def blocks_of_a_stream(model):
    asked = in_turn("Let me see.\n" + call("weather", city="Rome"))
    found = []
    for chunk in model.bind_tools([weather]).stream(asked):
        found += [block["type"] for block in chunk.content_blocks]
    return names(found)


@program
def a_global_cache(model):
    set_llm_cache(InMemoryCache())
    try:
        return model.invoke("tell").content == model.invoke("tell").content
    finally:
        set_llm_cache(None)


@program
def a_setting_is_changed(model):
    copied = model.model_copy()
    copied.temperature = 0.5
    return copied.temperature, copied.invoke("echo: hi").content


@program
def settings_of_a_call(model):
    return model.invoke("echo: hi", temperature=0.1, top_p=0.5, max_tokens=50).content


@program
def raw_answers_that_cannot_be_read(model):
    structured = model.with_structured_output(City, method="json_schema", include_raw=True)
    with contextlib.suppress(Exception):
        result = structured.invoke(in_turn(*['{"name": "Paris"}'] * 3))
        return result["parsed"], isinstance(result["parsing_error"], Exception)
    return "raised"


@program
def structured_in_a_batch(model):
    structured = model.with_structured_output(City, method="function_calling")
    return structured.batch([in_turn(call("City", **PARIS))] * 2)


@program
def a_json_object_that_streams(model):
    bound = model.bind(response_format={"type": "json_object"})
    return list((bound | JsonOutputParser()).stream('echo: {"a": {"b": [1, 2]}}'))[-1]


@program
def structured_with_a_schema_of_everything(model):
    class Part(BaseModel):
        """A part."""

        kind: Literal["a", "b"]
        size: int | None = None
        notes: list[str] = []
        parent: "Part | None" = None

    value = {"kind": "a", "size": 3, "notes": ["x"], "parent": {"kind": "b"}}
    structured = model.with_structured_output(Part, method="function_calling")
    return structured.invoke(in_turn(call("Part", **value))).model_dump()


@program
def a_schema_of_a_model(model):
    return model.get_input_jsonschema()["title"] != "", model.get_name() != ""


@program
def retries(model):
    patient = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    return bool(caught(lambda: patient.invoke("fail: again")))


@program
def fallbacks_with_tools(model):
    broken = RunnableLambda(lambda x: model.invoke("fail: out of memory"))
    both = broken.with_fallbacks([model.bind_tools([weather])])
    return calls(both.invoke(in_turn(call("weather", city="Rome"))))


@program
def a_prompt_value(model):
    return model.invoke(ChatPromptTemplate.from_template("echo: {x}").invoke({"x": "hi"})).content


@program
def many_at_once(model):
    async def run():
        answers = await asyncio.gather(*(model.ainvoke(f"echo: {n}") for n in range(20)))
        return [answer.content for answer in answers]

    return run_async(run())


@program
def ids_of_a_stream(model):
    ids = {chunk.id for chunk in model.stream("echo: a few words")}
    return len(ids)


@program
def the_name_is_read(model):
    return isinstance(model.model_name, str)


@program
def a_union_by_its_discriminator(model):
    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int

    class Dog(BaseModel):
        kind: Literal["dog"]
        tricks: list[str]

    class Pet(BaseModel):
        """A pet."""

        pet: Annotated[Cat | Dog, Field(discriminator="kind")]

    value = {"pet": {"kind": "dog", "tricks": ["sit"]}}
    structured = model.with_structured_output(Pet, method="function_calling")
    pet = structured.invoke(in_turn(call("Pet", **value))).pet
    return type(pet).__name__, pet.tricks


class Color(enum.Enum):
    RED = "red"


@tool
def paint(color: Color, times: list[int]) -> str:
    """Paint it."""
    return f"{color.name} {sum(times)}"


@program
def an_enum_in_a_tool(model):
    asked = in_turn(call("paint", color="red", times=[1, 2]), "Done.")
    messages = create_agent(model, [paint]).invoke({"messages": [("human", asked)]})["messages"]
    return [message.content for message in messages[1:]]


@program
def a_model_that_middleware_chooses(model):
    @wrap_model_call
    def choose(request, handler):
        chosen = model.model_copy(update={"max_tokens": 50})
        return handler(request.override(model=chosen, model_settings={"stop": ["two"]}))

    @dynamic_prompt
    def prompt(request):
        return "Be brief."

    agent = create_agent(model, [weather], middleware=[choose, prompt])
    result = agent.invoke({"messages": [("human", "echo: one two")]})
    return result["messages"][-1].content


@program
def one_of_two_objects_of_an_agent(model):
    class Weather(BaseModel):
        """The weather."""

        sunny: bool

    agent = create_agent(model, [], response_format=ToolStrategy(Weather | City))
    asked = {"messages": [("human", in_turn(call("City", **PARIS)))]}
    return agent.invoke(asked)["structured_response"]


@program
def messages_in_openais_form(model):
    message = model.bind_tools([weather]).invoke(in_turn(call("weather", city="Rome")))
    converted = convert_to_openai_messages([message])[0]
    function = converted["tool_calls"][0]["function"]
    return sorted(converted), function["name"], json.loads(function["arguments"])


@program
def a_stream_at_a_time_limit(model):
    async def run():
        async with asyncio.timeout(30):
            return [chunk.content async for chunk in model.astream("echo: hi")]

    return "".join(run_async(run()))
