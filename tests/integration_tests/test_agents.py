"""Real LangGraph agents on a local Space whose answers are scripted: a text model that calls tools."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError, SpaceTimeoutError
from langchain_qwen_space.events import CorrectionEvent
from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.qwen.turns import from_messages

WEATHER = (
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_call>'
)


def scripted(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """Answer as the script says: not a model, but its answers have the form of one's.

    `do X` answers X; `clumsy X` answers X, and a right call when it hears that X cannot be used;
    `count FILE X` also adds a line to FILE; `stubborn FILE` never calls a tool;
    a tool result is reported; a question after turns is answered by what was said before.
    """
    if "<tool_response>" in query:
        text = "The tool said: " + query.split("<tool_response>\n")[-1].split("\n</tool_")[0]
    elif query.startswith("do "):
        text = query[3:]
    elif query.startswith("clumsy "):
        text = query[7:]
    elif "cannot be used" in query and history[-1][0].startswith("clumsy "):
        text = "<tool_call>\n" + json.dumps(
            {"name": "weather", "arguments": {"city": f"{query} | {history[-1][1]}", "days": 2}}
        )
        text += "\n</tool_call>"
    elif query.startswith("count "):
        _, path, text = query.split(" ", 2)
        with Path(path).open("a") as file:
            file.write("join\n")
    elif "stubborn " in query or any("stubborn " in user for user, _ in history):
        said = query if "stubborn " in query else history[-1][0]
        with Path(said.split("stubborn ")[1].split()[0]).open("a") as file:
            file.write(query.splitlines()[0] + "\n")
        text = "I would rather talk."
    elif query.startswith("slow "):
        path = Path(query[5:])
        text = f"First this.\n{WEATHER}"
        for end in range(1, len(text), 4):
            yield text[:end]
        try:
            for step in range(200):
                path.write_text("running")
                yield text + " and more" * step
                time.sleep(0.05)
        except GeneratorExit:
            path.write_text("closed")
            raise
        return
    elif "summary" in system.lower() or "summar" in query.lower():
        text = "Summary: they talked."
    else:
        heard = json.dumps({"system": system, "history": history, "query": query})
        text = heard.replace("<", "\\u003c")  # told, not called
    for end in range(3, len(text) + 3, 3):
        yield text[:end]
        time.sleep(0.002)


@pytest.fixture(scope="module")
def space() -> Iterator[LocalSpace]:
    with LocalSpace(scripted) as space:
        yield space


@pytest.fixture
def model(space) -> ChatQwenSpace:
    return ChatQwenSpace(space=space.url)


@tool
def weather(city: str, days: int) -> str:
    """The weather in a city for some days."""
    return f"{days} sunny days in {city}"


@tool
def send(to: str) -> str:
    """Send a letter."""
    raise AssertionError("nobody allowed this")


def test_an_agent_calls_a_tool_and_reports_its_result(model):
    agent = create_agent(model, [weather], system_prompt="Be brief.")
    messages = agent.invoke({"messages": [("human", f"do Let me look.\n{WEATHER}")]})["messages"]
    _, call, result, answer = messages
    assert call.content == "Let me look."
    assert call.tool_calls[0]["args"] == {"city": "Paris", "days": 2}
    assert call.response_metadata["finish_reason"] == "tool_calls"
    assert result.content == "2 sunny days in Paris"
    assert answer.content == "The tool said: 2 sunny days in Paris"
    assert answer.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["Weather", "forecast"])
def test_a_name_that_is_not_offered_is_answered_with_those_that_are(model, name):
    agent = create_agent(model, [weather])
    written = WEATHER.replace("weather", name)
    messages = agent.invoke({"messages": [("human", f"do {written}")]})["messages"]
    _, call, result, answer = messages
    assert [call["name"] for call in call.tool_calls] == [name]
    assert f"{name} is not a valid tool, try one of [weather]" in result.content
    assert answer.content == f"The tool said: {result.content}"


async def test_two_calls_in_one_answer_both_run(model):
    second = WEATHER.replace("Paris", "Rome")
    agent = create_agent(model, [weather])
    messages = (await agent.ainvoke({"messages": [("human", f"do {WEATHER}\n{second}")]}))[
        "messages"
    ]
    assert [m.content for m in messages if isinstance(m, ToolMessage)] == [
        "2 sunny days in Paris",
        "2 sunny days in Rome",
    ]


async def test_an_agent_streams_text_and_tool_calls_live(space):
    agent = create_agent(ChatQwenSpace(space=space.url, join_fragments=False), [weather])
    question = {"messages": [("human", f"do Let me look at this.\n{WEATHER}")]}
    texts, calls = [], []
    async for chunk, _ in agent.astream(question, stream_mode="messages"):
        if isinstance(chunk, AIMessageChunk):
            texts.append(chunk.content)
            calls += chunk.tool_call_chunks
    assert "".join(texts) == "Let me look at this.The tool said: 2 sunny days in Paris"
    assert sum(map(bool, texts)) > 5
    assert len(calls) > 5
    assert json.loads("".join(call["args"] or "" for call in calls)) == {"city": "Paris", "days": 2}


async def test_astream_events_v2_shows_the_same(model):
    agent = create_agent(model, [weather])
    text, args, ends = "", "", 0
    async for event in agent.astream_events(
        {"messages": [("human", f"do Look.\n{WEATHER}")]}, version="v2"
    ):
        if event["event"] == "on_chat_model_stream":
            chunk = event["data"]["chunk"]
            text += chunk.content
            args += "".join(call["args"] or "" for call in chunk.tool_call_chunks)
        ends += event["event"] == "on_tool_end"
    assert text == "Look.The tool said: 2 sunny days in Paris"
    assert json.loads(args) == {"city": "Paris", "days": 2}
    assert ends == 1


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_events_v3_show_text_and_call(model):
    stream = await model.bind_tools([weather]).astream_events(f"do Look.\n{WEATHER}", version="v3")
    message = await stream.output
    assert message.text == "Look."
    assert message.tool_calls[0]["args"] == {"city": "Paris", "days": 2}


async def test_a_checkpointer_keeps_the_conversation(model):
    agent = create_agent(model, [weather], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    await agent.ainvoke({"messages": [("human", f"do {WEATHER}")]}, thread)
    said = (await agent.ainvoke({"messages": [("human", "and now?")]}, thread))["messages"][-1]
    heard = json.loads(said.content)
    assert heard["query"] == "and now?"
    assert heard["history"] == [
        [f"do {WEATHER}", WEATHER],
        [
            "<tool_response>\n2 sunny days in Paris\n</tool_response>",
            "The tool said: 2 sunny days in Paris",
        ],
    ]
    assert '"name": "weather"' in heard["system"]


def test_a_person_can_refuse_a_call(model):
    letter = '<tool_call>\n{"name": "send", "arguments": {"to": "Ann"}}\n</tool_call>'
    agent = create_agent(
        model,
        [send],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"send": True})],
        checkpointer=InMemorySaver(),
    )
    thread = {"configurable": {"thread_id": "1"}}
    paused = agent.invoke({"messages": [("human", f"do {letter}")]}, thread)
    assert paused["__interrupt__"]
    refusal = Command(resume={"decisions": [{"type": "reject", "message": "not today"}]})
    messages = agent.invoke(refusal, thread)["messages"]
    assert messages[-1].content.endswith("with reason: not today")


def test_a_long_conversation_is_summarised(model):
    agent = create_agent(
        model,
        [weather],
        middleware=[
            SummarizationMiddleware(model=model, trigger=("messages", 4), keep=("messages", 1))
        ],
    )
    talk = [
        HumanMessage("one"),
        AIMessage("1"),
        HumanMessage("two"),
        AIMessage("2"),
        HumanMessage("three"),
    ]
    messages = agent.invoke({"messages": talk})["messages"]
    assert any("Summary: they talked." in message.text for message in messages)


MALFORMED = {
    "cut off in the arguments": '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris",',
    "cut off in a string": '<tool_call>\n{"name": "weather", "arguments": {"city": "Par',
    "cut off after the name": '<tool_call>\n{"name": "weather"',
    "nothing in the tag": "<tool_call>\n</tool_call>",
    "no JSON": "<tool_call>\nweather in Paris please\n</tool_call>",
    "no such tool": '<tool_call>\n{"name": "climate", "arguments": {}}\n</tool_call>',
    "an argument is missing": '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    "a list where an object belongs": '<tool_call>\n{"name": "weather", "arguments": [1, 2\n</tool_call>',
}


@pytest.mark.parametrize("stream", [False, True], ids=["invoke", "stream"])
@pytest.mark.parametrize("broken", MALFORMED)
async def test_an_agent_survives_a_malformed_call_and_runs_none_of_it(model, broken, stream):
    ran = []

    @tool
    def weather(city: str, days: int) -> str:
        """The weather in a city for some days."""
        ran.append(city)
        return "sunny"

    agent = create_agent(model, [weather])
    question = {"messages": [("human", f"do Well.\n{MALFORMED[broken]}")]}
    if stream:
        async for _, state in agent.astream(question, stream_mode=["messages", "values"]):
            messages = state["messages"] if isinstance(state, dict) else []
    else:
        messages = (await agent.ainvoke(question))["messages"]
    assert ran == []
    assert isinstance(messages[-1], AIMessage)
    assert "<tool_call" not in "".join(message.text for message in messages[1:])


@pytest.mark.parametrize("cut", range(12, len(WEATHER) - len("</tool_call>") - 2, 4))
async def test_a_call_cut_anywhere_is_invalid_however_it_is_read(space, cut):
    bound = ChatQwenSpace(space=space.url, retry_tool_choice=False).bind_tools([weather])
    question = f"do {WEATHER[:cut]}"
    whole = await bound.ainvoke(question)
    total = None
    async for chunk in bound.astream(question):
        total = chunk if total is None else total + chunk
    for message in (whole, total):
        assert message.tool_calls == []
        assert len(message.invalid_tool_calls) == 1
        assert message.invalid_tool_calls[0]["id"]


def test_a_forced_call_keeps_prose_back(model):
    bound = model.bind_tools([weather], tool_choice="any")
    chunks = list(bound.stream(f"do Let me see.\n{WEATHER}"))
    first = next(index for index, chunk in enumerate(chunks) if chunk.tool_call_chunks)
    assert all(not chunk.content for chunk in chunks[: max(0, first - 1)])


def joins(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize(("retry", "expected"), [(True, 2), (False, 1)])
def test_a_model_that_never_calls_is_asked_once_more_and_no_oftener(
    space, tmp_path, retry, expected
):
    path = tmp_path / "joins"
    model = ChatQwenSpace(space=space.url, retry_tool_choice=retry)
    message = model.bind_tools([weather], tool_choice="weather").invoke(f"stubborn {path} ")
    assert message.content == "I would rather talk."
    assert message.tool_calls == []
    assert joins(path) == expected
    single = model.invoke("do I would rather talk.").usage_metadata["output_tokens"]
    assert message.usage_metadata["output_tokens"] == expected * single


BROKEN = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris" "days"}}\n</tool_call>'
BROKEN_XML = "<function=weather>\n<parameter=days>\n2\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>"


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("written", [BROKEN, BROKEN_XML, f"<think>\nHm.\n</think>\n\n{BROKEN}"])
async def test_a_call_that_cannot_be_used_is_asked_for_once_more(model, written, asynchronous):
    bound = model.bind_tools([weather])
    question = f"clumsy {written}"
    message = await bound.ainvoke(question) if asynchronous else bound.invoke(question)
    assert message.invalid_tool_calls == []
    (call,) = message.tool_calls
    said, _, before = call["args"]["city"].partition(" | ")
    assert said.startswith("The function call in your answer cannot be used. ")
    assert said.endswith(" Answer with the corrected call.")
    assert before == written  # the model sees what it wrote
    once = ChatQwenSpace(space=model.space, retry_tool_choice=False).bind_tools([weather])
    first = once.invoke(question)
    (broken,) = first.invalid_tool_calls
    assert broken["error"] == first.additional_kwargs["broken_tool_calls"][broken["id"]]["error"]
    assert broken["error"] in said
    assert message.usage_metadata["input_tokens"] > 2 * first.usage_metadata["input_tokens"]


@pytest.mark.parametrize(
    "written",
    [
        "{\"note\": \"<think>a</think> then {'city': 'Rome', 'days': 1}\"}",
        '{"note": "<think>a</think> then {\\"city\\": \\"Rome\\", \\"days\\": 1}"}',
        '<think>no</think>{"note": "after </think> comes {\\"city\\": \\"Rome\\", \\"days\\": 1}"}',
        '{"name": ["weather"], "arguments": {}}',
    ],
)
def test_what_a_string_or_a_strange_name_holds_is_no_call(space, written):
    model = ChatQwenSpace(space=space.url, retry_tool_choice=False)
    message = model.bind_tools([weather], tool_choice="weather").invoke(f"do {written}")
    assert not message.tool_calls


ARGUMENTS = '{"city": "Rome", "days": 1}'
NAMED = f'{{"name": "weather", "arguments": {ARGUMENTS}}}'


@pytest.mark.parametrize("object_", [ARGUMENTS, NAMED])
@pytest.mark.parametrize(
    "written",
    [
        "I must not call it; a call would be {}",
        "{} is a call that I will not make.",
        "For example:\n```json\n{}\n```",
        "```json\n{}\n```\nis what I would never send.",
        "Options:\n- {}",
        "Options: [{}]",
    ],
)
@pytest.mark.parametrize("choice", ["weather", "any"])
def test_a_forced_call_that_is_only_spoken_of_is_not_made(model, choice, written, object_):
    text = written.replace("{}", object_)
    bound = model.bind_tools([weather], tool_choice=choice)
    assert bound.invoke(f"do {text}").tool_calls == []
    streamed = list(bound.stream(f"do {text}"))
    assert not any(chunk.tool_call_chunks for chunk in streamed)


@pytest.mark.parametrize(
    "written",
    [
        ARGUMENTS,
        NAMED,
        f"```json\n{ARGUMENTS}\n```",
        f"<think>Not {NAMED}?</think>\n{ARGUMENTS}\n",
        f"<think>{ARGUMENTS}</think>```\n{NAMED}\n```",
    ],
)
def test_a_forced_call_is_read_from_json_that_is_the_whole_answer(space, written):
    model = ChatQwenSpace(space=space.url, retry_tool_choice=False)
    message = model.bind_tools([weather], tool_choice="weather").invoke(f"do {written}")
    assert [call["args"] for call in message.tool_calls] == [{"city": "Rome", "days": 1}]


@pytest.mark.parametrize(
    "written",
    [
        '{"error": "I cannot"}',
        "{}",
        '{"city": "Rome", "days": 1, "city": "Paris"}',
        '{"city": "Rome", "days": 1, "why": "no"}',
    ],
)
def test_an_object_that_may_be_something_else_is_no_forced_call(space, written):
    @tool
    def lookup(city: str = "here", days: int = 1) -> str:
        """Look something up."""
        return city

    model = ChatQwenSpace(space=space.url, retry_tool_choice=False)
    assert model.bind_tools([lookup], tool_choice="lookup").invoke(f"do {written}").tool_calls == []


def test_json_that_max_tokens_cut_off_is_no_call(space):
    model = ChatQwenSpace(space=space.url, retry_tool_choice=False, max_tokens=16)
    written = '{"city": "Rome", "days": 1} is what I would never call, since it is wrong'
    message = model.bind_tools([weather], tool_choice="weather").invoke(f"do {written}")
    assert message.response_metadata["finish_reason"] == "length"
    assert not message.tool_calls


def test_an_agent_continues_after_a_call_that_cannot_be_used(model):
    agent = create_agent(model, [weather])
    messages = agent.invoke({"messages": [("human", f"clumsy Well.\n{BROKEN}")]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[-1].content.startswith("The tool said: 2 sunny days in ")


@pytest.mark.parametrize("join", [True, False], ids=["joined", "apart"])
async def test_a_stream_gives_the_corrected_call_beside_the_one_that_it_gave_before(space, join):
    events = []
    model = ChatQwenSpace(space=space.url, join_fragments=join, on_event=events.append)
    question = HumanMessage(f"clumsy Well, let me see.\n{BROKEN}")
    total = None
    async for chunk in model.bind_tools([weather]).astream([question]):
        total = chunk if total is None else total + chunk
    assert total.content == "Well, let me see."
    (call,) = total.tool_calls
    (wrong,) = total.invalid_tool_calls
    assert call["args"]["city"].startswith("The function call in your answer cannot be used. ")
    (event,) = [event for event in events if isinstance(event, CorrectionEvent)]
    assert call["args"]["city"].startswith(event.problem)
    assert total.additional_kwargs["broken_tool_calls"][wrong["id"]]["error"] in event.problem
    whole = await model.bind_tools([weather]).ainvoke([question])
    assert total.usage_metadata == whole.usage_metadata
    # The history holds the corrected call only.
    answered = ToolMessage("sunny", tool_call_id=call["id"])
    prompt = from_messages([question, total, answered])
    corrected = (
        f"<tool_call>\n{json.dumps({'name': 'weather', 'arguments': call['args']})}\n</tool_call>"
    )
    assert prompt.history == ((question.content, f"{total.content}\n{corrected}"),)


def test_a_streaming_agent_continues_after_a_call_that_cannot_be_used(model):
    agent = create_agent(model, [weather])
    question = {"messages": [("human", f"clumsy Well.\n{BROKEN}")]}
    for mode, state in agent.stream(question, stream_mode=["messages", "values"]):
        if mode == "values":
            messages = state["messages"]
    # The agent itself answers the call that could not be used, which the model never hears of.
    assert [message.type for message in messages] == ["human", "ai", "tool", "tool", "ai"]
    assert messages[-1].content.startswith("The tool said: 2 sunny days in ")


class Turns(InMemoryRateLimiter):
    """Counts its turns. The first is free; the others come when the limiter is open."""

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.open = 0, threading.Event()

    def acquire(self, *, blocking: bool = True) -> bool:
        self.turns += 1
        return self.turns == 1 or self.open.wait(60)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return await asyncio.to_thread(self.acquire)


@pytest.mark.parametrize("method", ["invoke", "stream"])
def test_a_second_request_takes_a_turn_of_the_rate_limiter(space, method):
    limiter = Turns()
    limiter.open.set()
    model = ChatQwenSpace(space=space.url, rate_limiter=limiter).bind_tools([weather])
    call = getattr(model, method)
    list(call(f"clumsy {BROKEN}"))
    assert limiter.turns == 2


@pytest.mark.parametrize("method", ["invoke", "stream"])
def test_a_second_request_has_the_rest_of_the_calls_time(space, method):
    limiter = Turns()
    model = ChatQwenSpace(space=space.url, rate_limiter=limiter, total_timeout=5.0)
    call = getattr(model.bind_tools([weather]), method)
    began = time.monotonic()
    with pytest.raises(SpaceTimeoutError, match=r"total_timeout=5\.0"):
        list(call(f"clumsy {BROKEN}"))
    assert time.monotonic() - began < 40
    limiter.open.set()


def test_a_call_that_max_tokens_cut_off_is_not_asked_for_again(model, tmp_path):
    path = tmp_path / "joins"
    bound = model.bind_tools([weather]).bind(max_tokens=20)
    message = bound.invoke(f"count {path} {WEATHER}")
    assert message.response_metadata["finish_reason"] == "length"
    assert len(message.invalid_tool_calls) == 1
    assert joins(path) == 1


def test_an_agent_on_a_space_that_never_complies_makes_a_bounded_number_of_joins(model, tmp_path):
    path = tmp_path / "joins"
    agent = create_agent(model.bind_tools([weather], tool_choice="any"), [])
    agent.invoke({"messages": [("human", f"stubborn {path} ")]})
    assert joins(path) == 2


async def test_one_call_only_ends_the_answer_after_it(model, tmp_path):
    path = tmp_path / "run"
    bound = model.bind_tools([weather], parallel_tool_calls=False)
    message = await bound.ainvoke(f"slow {path}")
    assert message.content == "First this."
    assert len(message.tool_calls) == 1
    end = time.monotonic() + 60
    while path.read_text() != "closed" and time.monotonic() < end:
        await asyncio.sleep(0.02)
    assert path.read_text() == "closed"


def test_no_tools_no_tags_read(model):
    assert model.invoke(f"do {WEATHER}").content == WEATHER
    assert (
        model.bind_tools([weather], tool_choice="none").invoke(f"do {WEATHER}").content == WEATHER
    )


def test_a_choice_that_is_not_offered_is_refused(model):
    with pytest.raises(InvalidInputError, match="'climate' does not name an offered tool"):
        model.bind_tools([weather], tool_choice="climate")
