"""Structured output from a real Space: every kind of schema, and what becomes of wrong answers."""

import json
import pickle
from typing import Annotated

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1
from typing_extensions import TypedDict

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import GenerationError


class Cat(BaseModel):
    """A cat."""

    name: str = Field(description="What it is called")
    age: int


class CatV1(BaseModelV1):
    """A cat."""

    name: str
    age: int


class CatDict(TypedDict):
    """A cat."""

    name: Annotated[str, ..., "What it is called"]
    age: int


@tool
def weather(city: str) -> str:
    """Get the weather."""
    return f"It rains in {city}."


QUESTION = "There is a cat called Tom, 3 years old."
TOM = {"name": "Tom", "age": 3}
GOOD = json.dumps(TOM)
BAD = '{"name": "Tom", "age": "old"}'
CALLS = {
    text: f'<tool_call>\n{{"name": "Cat", "arguments": {text}}}\n</tool_call>'
    for text in (GOOD, BAD)
}

RULES = Cat.model_json_schema()
METHODS = ["function_calling", "json_schema", "json_mode"]


class Calls(BaseCallbackHandler):
    """The conversations that were sent to the model."""

    def __init__(self):
        self.sent = []

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.sent += messages


def in_turn(method, *answers):
    """A question that gets these answers, one after the other."""
    texts = [CALLS[text] if method == "function_calling" else text for text in answers]
    return f"in turn: {json.dumps(texts)}"


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("schema", "expected"),
    [(Cat, Cat(**TOM)), (CatV1, CatV1(**TOM)), (CatDict, TOM), (Cat.model_json_schema(), TOM)],
)
async def test_every_kind_of_schema_is_answered_by_every_method(model, schema, expected, method):
    structured = model.with_structured_output(schema, method=method)
    assert structured.invoke(QUESTION) == expected
    assert await structured.ainvoke(QUESTION) == expected
    assert list(structured.stream(QUESTION))[-1] == expected
    assert [value async for value in structured.astream(QUESTION)][-1] == expected
    assert structured.batch([QUESTION, QUESTION]) == [expected, expected]


def test_json_mode_needs_no_schema(model):
    structured = model.with_structured_output(method="json_mode")
    assert structured.invoke(QUESTION) == {"answer": QUESTION}


def test_a_chain_takes_it(model):
    chain = ChatPromptTemplate.from_template("A cat called {name}, 3 years old.") | (
        model.with_structured_output(Cat)
    )
    assert chain.invoke({"name": "Tom"}) == Cat(**TOM)
    assert list(chain.stream({"name": "Tom"}))[-1] == Cat(**TOM)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strict", [None, False, True])
def test_strict_is_put_into_the_schema_that_the_model_reads(space_url, method, strict):
    model = ChatQwenSpace(space=space_url, retry_tool_choice=False)
    structured = model.with_structured_output(
        Cat, method=method, strict=strict, include_raw=True, max_repairs=0
    )
    system = json.loads(structured.invoke("tell")["raw"].text)[0]
    assert "What it is called" in system
    assert ('"additionalProperties": false' in system) is (strict is True)
    assert structured.invoke(QUESTION)["parsed"] == Cat(**TOM)


@pytest.mark.parametrize("method", METHODS)
async def test_a_wrong_answer_is_asked_for_once_more_with_what_is_wrong(model, method):
    structured = model.with_structured_output(Cat, method=method)
    question = in_turn(method, BAD, GOOD)
    for ask in (structured.invoke, structured.ainvoke):
        calls = Calls()
        answer = ask(question, {"callbacks": [calls]})
        assert (await answer if ask == structured.ainvoke else answer) == Cat(**TOM)
        first, second = calls.sent
        assert [message.type for message in second] == ["human", "ai", "human"]
        assert second[0] == first[0]
        assert "valid integer" in second[2].text


@pytest.mark.parametrize(
    "form",
    [
        lambda question: ChatPromptTemplate([("human", "{q}")]).invoke({"q": question}),
        lambda question: [("human", question)],
        lambda question: [{"role": "user", "content": question}],
    ],
)
def test_a_question_in_any_form_can_be_asked_again(model, form):
    structured = model.with_structured_output(Cat, method="json_mode")
    assert structured.invoke(form(in_turn("json_mode", BAD, GOOD))) == Cat(**TOM)


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_stays_wrong_is_an_error(model, method):
    calls = Calls()
    structured = model.with_structured_output(Cat, method=method)
    with pytest.raises(OutputParserException, match="valid integer"):
        structured.invoke(in_turn(method, BAD, BAD, GOOD), {"callbacks": [calls]})
    assert len(calls.sent) == 2


@pytest.mark.parametrize(("max_repairs", "sent"), [(0, 1), (2, 3)])
def test_how_often_it_is_asked_again_is_an_option(model, max_repairs, sent):
    calls = Calls()
    structured = model.with_structured_output(Cat, method="json_mode", max_repairs=max_repairs)
    with pytest.raises(OutputParserException):
        structured.invoke(in_turn("json_mode", BAD, BAD, BAD), {"callbacks": [calls]})
    assert len(calls.sent) == sent


def test_an_answer_without_the_call_is_an_error_and_not_none(model):
    structured = model.with_structured_output(Cat, max_repairs=0)
    with pytest.raises(OutputParserException, match="not hold a call of Cat"):
        structured.invoke('in turn: ["no", "I would rather not"]')


@pytest.mark.parametrize("method", METHODS)
async def test_a_stream_of_a_wrong_answer_raises(model, method):
    structured = model.with_structured_output(Cat.model_json_schema(), method=method)
    question = in_turn(method, BAD, GOOD)
    with pytest.raises(OutputParserException, match=r"it\.age"):
        list(structured.stream(question))
    with pytest.raises(OutputParserException, match=r"it\.age"):
        _ = [value async for value in structured.astream(question)]


@pytest.mark.parametrize("method", METHODS)
def test_a_dict_streams_while_it_grows(space_url, method):
    model = ChatQwenSpace(space=space_url, join_fragments=False)
    *parts, last = model.with_structured_output(CatDict, method=method).stream(QUESTION)
    assert last == TOM
    assert parts
    assert all(
        part.items() <= TOM.items() or TOM["name"].startswith(part["name"]) for part in parts
    )


@pytest.mark.parametrize("method", METHODS)
async def test_the_raw_answer_comes_with_the_object(model, method):
    structured = model.with_structured_output(Cat, method=method, include_raw=True)
    outcome = structured.invoke(QUESTION)
    assert outcome["parsed"] == Cat(**TOM)
    assert outcome["parsing_error"] is None
    assert isinstance(outcome["raw"], AIMessage)
    assert outcome["raw"].usage_metadata["output_tokens"] > 0
    assert (await structured.ainvoke(QUESTION))["parsed"] == Cat(**TOM)
    chunks = [chunk async for chunk in structured.astream(QUESTION)]
    assert chunks[-1]["parsed"] == Cat(**TOM)
    assert len([chunk for chunk in chunks if "raw" in chunk]) > 1


@pytest.mark.parametrize("method", METHODS)
def test_with_the_raw_answer_no_parsing_error_is_raised(model, method):
    structured = model.with_structured_output(Cat, method=method, include_raw=True)
    question = in_turn(method, BAD, BAD)
    for outcome in (structured.invoke(question), list(structured.stream(question))[-1]):
        assert outcome["parsed"] is None
        assert isinstance(outcome["parsing_error"], OutputParserException)


@pytest.mark.parametrize("method", METHODS)
def test_content_blocks_are_read_as_well(space_url, method):
    model = ChatQwenSpace(space=space_url, output_version="v1")
    structured = model.with_structured_output(Cat, method=method)
    assert structured.invoke(in_turn(method, BAD, GOOD)) == Cat(**TOM)
    assert list(structured.stream(QUESTION))[-1] == Cat(**TOM)


def test_settings_can_be_bound_to_it(model):
    structured = model.with_structured_output(Cat, include_raw=True).bind(model="7B")
    assert structured.invoke(QUESTION)["raw"].response_metadata["model_name"] == (
        "qwen2.5-7b-instruct"
    )
    *_, last, _ = structured.stream(QUESTION)
    assert last["raw"].response_metadata["model_name"] == "qwen2.5-7b-instruct"


def test_it_pickles(model):
    structured = pickle.loads(pickle.dumps(model.with_structured_output(Cat)))
    assert structured.invoke(QUESTION) == Cat(**TOM)


async def test_events_report_the_model_and_the_object(model):
    structured = model.with_structured_output(Cat.model_json_schema())
    events = [event async for event in structured.astream_events(QUESTION, version="v2")]
    kinds = {event["event"] for event in events}
    assert {"on_chat_model_stream", "on_parser_stream"} <= kinds
    shown = [event for event in events if event["event"] == "on_parser_stream"]
    assert shown[-1]["data"]["chunk"] == TOM


def test_errors_of_the_call_are_raised_as_they_are(space_url):
    model = ChatQwenSpace(space=space_url, max_retries=0)
    structured = model.with_structured_output(Cat, include_raw=True)
    with pytest.raises(GenerationError):
        structured.invoke("fail: out of order")


def test_an_answer_that_was_cut_off_says_so(model):
    structured = model.with_structured_output(
        Cat, method="json_schema", max_tokens=5, max_repairs=0
    )
    with pytest.raises(OutputParserException, match="max_tokens"):
        structured.invoke(QUESTION)


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ({"type": "json_object"}, {"answer": QUESTION}),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "Cat", "schema": Cat.model_json_schema()},
            },
            TOM,
        ),
        (Cat, TOM),
    ],
)
def test_a_response_format_is_honoured_through_the_prompt(model, response_format, expected):
    assert json.loads(model.invoke(QUESTION, response_format=response_format).text) == expected
    system = json.loads(model.invoke("tell", response_format=response_format).text)[0]
    assert system.startswith("You are Qwen")
    assert "JSON" in system


@pytest.mark.parametrize("schema", [Cat, CatDict])
def test_an_agent_with_a_response_format_takes_the_tool_strategy(model, schema):
    assert "structured_output" not in (ChatQwenSpace(model="72B").profile or {})
    result = create_agent(model, [], response_format=schema).invoke(
        {"messages": [("human", QUESTION)]}
    )
    assert result["structured_response"] == (Cat(**TOM) if schema is Cat else TOM)
    assert result["messages"][1].tool_calls[0]["args"] == TOM


def test_an_agent_can_be_set_to_use_the_prompt(model):
    agent = create_agent(model, [], response_format=ProviderStrategy(Cat))
    result = agent.invoke({"messages": [("human", QUESTION)]})
    assert result["structured_response"] == Cat(**TOM)
    assert json.loads(result["messages"][1].text) == TOM


FENCED = f"Sure!\n```json\n{GOOD}\n```\nAnything else?"
THOUGHT = f"<think>A cat, as {{}} says.</think>{GOOD}"


@pytest.mark.parametrize("text", [GOOD, FENCED, THOUGHT], ids=["bare", "fenced", "thought"])
@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy])
async def test_an_agent_takes_the_object_wherever_it_stands(model, strategy, text):
    agent = create_agent(model, [], response_format=strategy(Cat))
    question = {"messages": [("human", "in turn: " + json.dumps([text] * 4))]}
    assert agent.invoke(question)["structured_response"] == Cat(**TOM)
    states = [s async for s in agent.astream(question, stream_mode=["values", "messages"])]
    values = [state for mode, state in states if mode == "values"]
    assert values[-1]["structured_response"] == Cat(**TOM)


def test_an_agent_with_tools_takes_its_own_answer_in_prose_and_no_call_of_a_tool(model):
    ran = []

    @tool
    def delete(name: str, age: int) -> str:
        """Delete a cat."""
        ran.append(name)
        return "gone"

    agent = create_agent(model, [delete], response_format=ToolStrategy(Cat))
    spoken = 'I would never send {"name": "delete", "arguments": {"name": "Tom", "age": 3}}.'
    answer = f'As you wish: {{"name": "Cat", "arguments": {GOOD}}}.'
    question = {"messages": [("human", "in turn: " + json.dumps([spoken, answer]))]}
    assert agent.invoke(question)["structured_response"] == Cat(**TOM)
    assert ran == []


@pytest.mark.parametrize("text", [GOOD, FENCED, THOUGHT], ids=["bare", "fenced", "thought"])
def test_an_agent_with_tools_takes_an_object_that_only_its_response_format_fits(model, text):
    agent = create_agent(model, [weather], response_format=ToolStrategy(Cat))
    question = {"messages": [("human", "in turn: " + json.dumps([text] * 4))]}
    assert agent.invoke(question)["structured_response"] == Cat(**TOM)


ARGUMENTS = f'{{"name": "Cat", "arguments": {GOOD}}}'
AS_A_CALL = {
    "tagged": f"<tool_call>\n{ARGUMENTS}\n</tool_call>",
    "bare": ARGUMENTS,
    "fenced": f"```json\n{ARGUMENTS}\n```",
    "OpenAI's": f'{{"type": "function", "function": {ARGUMENTS}}}',
    "in prose": f'Not {{"name": 5}}:\n<tool_call>\n{ARGUMENTS}\n</tool_call>',
    "of another name": f"<tool_call>\n{ARGUMENTS.replace('Cat', 'submit')}\n</tool_call>",
    "after thoughts": f"<think>A cat.</think>\n<tool_call>\n{ARGUMENTS}\n</tool_call>",
}
XML = "<function=Cat>\n<parameter=name>\nTom\n</parameter>\n<parameter=age>\n3\n</parameter>\n</function>"


@pytest.mark.parametrize(
    ("tools", "text"),
    [
        *(((), text) for text in AS_A_CALL.values()),
        *(((weather,), text) for text in (*AS_A_CALL.values(), XML)),
    ],
    ids=[*AS_A_CALL, *(f"{name}, tools" for name in (*AS_A_CALL, "XML"))],
)
async def test_an_agent_takes_the_object_from_a_call_of_its_schema(model, tools, text):
    agent = create_agent(model, tools, response_format=ProviderStrategy(Cat))
    question = {"messages": [("human", "in turn: " + json.dumps([text] * 4))]}
    result = agent.invoke(question)
    assert result["structured_response"] == Cat(**TOM)
    _, answer = result["messages"]
    assert not answer.tool_calls
    assert not answer.invalid_tool_calls
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.additional_kwargs["parsed"] == TOM
    states = [s async for s in agent.astream(question, stream_mode=["values", "messages"])]
    values = [state for mode, state in states if mode == "values"]
    assert values[-1]["structured_response"] == Cat(**TOM)


async def test_an_agent_runs_its_tools_before_it_takes_the_object_from_a_call(model):
    agent = create_agent(model, [weather], response_format=ProviderStrategy(Cat))
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'
    both = f"{call}\n{AS_A_CALL['tagged']}"
    question = {"messages": [("human", "in turn: " + json.dumps([both, AS_A_CALL["tagged"]]))]}
    for result in (
        agent.invoke(question),
        [state async for state in agent.astream(question, stream_mode="values")][-1],
    ):
        assert [message.type for message in result["messages"]] == ["human", "ai", "tool", "ai"]
        assert [call["name"] for call in result["messages"][1].tool_calls] == ["weather"]
        assert result["structured_response"] == Cat(**TOM)


@pytest.mark.parametrize("tools", [(), (weather,)], ids=["", "tools"])
@pytest.mark.parametrize("other", [GOOD, GOOD.replace("3", "4"), BAD], ids=["equal", "next", "bad"])
async def test_an_agent_takes_the_first_valid_of_several_calls_of_its_schema(model, tools, other):
    agent = create_agent(model, tools, response_format=ProviderStrategy(Cat))
    called = AS_A_CALL["tagged"]
    calls = [called, called.replace(GOOD, other)]
    text = "\n".join(reversed(calls) if other == BAD else calls)
    question = {"messages": [("human", f"echo: {text}")]}
    for result in (
        agent.invoke(question),
        [state async for state in agent.astream(question, stream_mode="values")][-1],
    ):
        assert result["structured_response"] == Cat(**TOM)
        _, answer = result["messages"]
        assert not answer.tool_calls
        assert answer.response_metadata["finish_reason"] == "stop"


class Report(BaseModel):
    """A report."""

    summary: str = ""


@pytest.mark.parametrize(
    ("wanted", "arguments"), [(Cat, {"city": "Bonn"}), (Report, {"city": "Bonn"}), (Report, {})]
)
def test_a_call_that_is_neither_offered_nor_the_object_stays_a_call(model, wanted, arguments):
    call = f"<tool_call>\n{json.dumps({'name': 'climate', 'arguments': arguments})}\n</tool_call>"
    asking = model.bind_tools([weather], response_format=wanted)
    for answer in (
        asking.invoke(f"echo: {call}"),
        add_ai_message_chunks(*asking.stream(f"echo: {call}")),
    ):
        assert [call["name"] for call in answer.tool_calls] == ["climate"]
        assert answer.response_metadata["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Named", "arguments": {"name": "Tom"}}',
        '{"name": "submit", "parameters": {"name": "Tom"}}',
        '{"type": "function", "function": {"name": "Named", "arguments": {"name": "Tom"}}}',
    ],
)
def test_an_object_that_is_written_as_a_call_is_read_for_its_arguments(model, method, text):
    class Named(BaseModel):
        name: str
        age: int = 3

    question = "in turn: " + json.dumps([text])
    answer = model.with_structured_output(Named, method=method).invoke(question)
    assert answer == Named(name="Tom")


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_is_nested_too_deeply_is_asked_for_again(model, method):
    deep = '{"name": ' + "[" * 3000 + "]" * 3000 + "}"
    question = "in turn: " + json.dumps([deep, GOOD])
    assert model.with_structured_output(Cat, method=method).invoke(question) == Cat(**TOM)
    model.bind(response_format={"type": "json_object"}).invoke(question)


@pytest.mark.parametrize("method", METHODS)
def test_a_key_that_is_given_twice_is_asked_for_again(model, method):
    calls = Calls()
    texts = ['{"name": "Bo", "age": 3, "name": "Tom"}', GOOD]
    structured = model.with_structured_output(Cat, method=method)
    question = "in turn: " + json.dumps(texts)
    assert structured.invoke(question, {"callbacks": [calls]}) == Cat(**TOM)
    assert len(calls.sent) == 2
    twice = model.bind(response_format={"type": "json_object"}).invoke(question)
    assert "parsed" not in twice.additional_kwargs


@pytest.mark.parametrize("text", [GOOD, FENCED, THOUGHT], ids=["bare", "fenced", "thought"])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_writes_no_call_is_parsed_at_once(model, method, text):
    calls = Calls()
    structured = model.with_structured_output(Cat, method=method)
    question = "in turn: " + json.dumps([text])
    assert structured.invoke(question, {"callbacks": [calls]}) == Cat(**TOM)
    assert len(calls.sent) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_repairs", [0, 2])
def test_there_is_one_budget_of_asking_again(space_url, method, max_repairs):
    starts = []
    model = ChatQwenSpace(
        space=space_url, on_event=lambda e: starts.append(e) if e.name.endswith("start") else None
    )
    structured = model.with_structured_output(Cat, method=method, max_repairs=max_repairs)
    with pytest.raises(OutputParserException):
        structured.invoke("in turn: " + json.dumps(["I would rather not."] * 9))
    assert len(starts) == 1 + max_repairs


def test_a_response_format_gives_json_alone_in_streams_too(model):
    bound = model.bind(response_format={"type": "json_schema", "json_schema": {"schema": RULES}})
    for text in (GOOD, FENCED, GOOD + "\nAnything else?"):
        question = "in turn: " + json.dumps([text])
        assert json.loads(bound.invoke(question).content) == TOM
        assert json.loads("".join(c.text for c in bound.stream(question))) == TOM
    assert bound.invoke('in turn: ["No cat."]').content == "No cat."


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
async def test_tools_are_offered_beside_a_schema_and_their_calls_are_not_asked_again(model, method):
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'
    asking = model.with_structured_output(Cat, method=method, tools=[weather], include_raw=True)
    for text, parsed, names in ((call, None, ["weather"]), (GOOD, Cat(**TOM), [])):
        question = "in turn: " + json.dumps([text])
        results = [asking.invoke(question), await asking.ainvoke(question)]
        whole = None
        for part in asking.stream(question):
            whole = part if whole is None else whole + part
        for result in (*results, whole):
            assert [call["name"] for call in result["raw"].tool_calls] == names
            assert result["parsed"] == parsed
            assert result["parsing_error"] is None
