"""What LangChain offers with every chat model, each on a real Space on this machine."""

import copy
import json
import pickle
import subprocess
import sys
import time

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.output_parsers import CommaSeparatedListOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import (
    ConfigurableField,
    RunnableBranch,
    RunnableLambda,
    RunnablePassthrough,
)
from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.tools import tool

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import GenerationError, InvalidInputError, UnknownModelError
from langchain_qwen_space.qwen import tokens


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url, max_retries=0)


class Listener(BaseCallbackHandler):
    """How often a model was called."""

    calls = 0

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.calls += 1


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call_of(name: str, /, **args: object) -> str:
    body = json.dumps({"name": name, "arguments": args})
    return f"<tool_call>\n{body}\n</tool_call>"


def sent(message: AIMessage) -> dict:
    """What arrived on the Space, of an answer to `tell`."""
    return dict(zip(("system", "history", "query", "model"), json.loads(message.text), strict=True))


# Many inputs


def test_batch(model):
    answers = model.batch(["echo: one", "echo: two", "fail: three"], return_exceptions=True)
    assert [answer.text for answer in answers[:2]] == ["one", "two"]
    assert isinstance(answers[2], GenerationError)


async def test_abatch(model):
    answers = await model.abatch([f"echo: {n}" for n in range(12)], {"max_concurrency": 3})
    assert [answer.text for answer in answers] == [str(n) for n in range(12)]


async def test_batch_as_completed(model):
    inputs = ["echo: one", "echo: two"]
    expected = {(0, "one"), (1, "two")}
    assert {(n, answer.text) for n, answer in model.batch_as_completed(inputs)} == expected
    answers = {(n, answer.text) async for n, answer in model.abatch_as_completed(inputs)}
    assert answers == expected


# Settings of other chat models


def test_a_setting_in_model_kwargs_that_no_space_has_is_reported_and_not_sent(model):
    with pytest.warns(UserWarning, match="has no input for seed=1"):
        assert model.invoke("echo: hi", model_kwargs={"seed": 1}).text == "hi"
    with pytest.raises(InvalidInputError, match="has no input 'Seeds'"):
        model.invoke("echo: hi", model_kwargs={"Seeds": 1})


# When a call fails


def test_with_fallbacks(model):
    backup = RunnableLambda(lambda _: AIMessage("from the backup"))
    chain = model.with_fallbacks([backup], exceptions_to_handle=(GenerationError,))
    assert chain.invoke("fail: now").text == "from the backup"
    assert "".join(chunk.text for chunk in chain.stream("fail: now")) == "from the backup"
    assert chain.invoke("echo: fine").text == "fine"


async def test_with_retry(model):
    patient = model.with_retry(
        retry_if_exception_type=(GenerationError,), wait_exponential_jitter=False
    )
    with pytest.raises(GenerationError):
        model.invoke("fail once: without retry")
    assert patient.invoke("fail once: with retry").text == "You said: fail once: with retry"
    assert (await patient.ainvoke("fail once: async")).text == "You said: fail once: async"


def test_the_retry_middleware_obeys_is_retryable(model):
    listener = Listener()
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False, on_failure="error")
    agent = create_agent(model, [], middleware=[retry])
    question = {"messages": [("human", "fail once: agent")]}
    answer = agent.invoke(question, {"callbacks": [listener]})["messages"][-1]
    assert answer.text == "You said: fail once: agent"
    assert listener.calls == 2

    listener = Listener()
    agent = create_agent(model.bind(model="no such model"), [], middleware=[retry])
    with pytest.raises(UnknownModelError):
        agent.invoke(question, {"callbacks": [listener]})
    assert listener.calls == 1


# Caches and limits


def test_caching(space_url):
    cache = InMemoryCache()
    model = ChatQwenSpace(space=space_url, hf_token="hf_secret", cache=cache)
    first, listener = model.invoke("tell"), Listener()
    second = model.invoke("tell", {"callbacks": [listener]})
    assert second.content == first.content
    assert second.response_metadata["event_id"] == first.response_metadata["event_id"]
    other = model.invoke("tell", model="7B")
    assert other.response_metadata["event_id"] != first.response_metadata["event_id"]
    assert "hf_secret" not in str(list(cache._cache))


def test_a_cached_answer_streams(space_url):
    model = ChatQwenSpace(space=space_url, cache=InMemoryCache())
    answers = ["".join(chunk.text for chunk in model.stream("echo: one two three")) for _ in "12"]
    assert answers == ["one two three"] * 2


@pytest.mark.filterwarnings("ignore:`langchain-community` is being sunset")
@pytest.mark.filterwarnings(
    "ignore::langchain_core._api.deprecation.LangChainPendingDeprecationWarning"
)
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_a_cache_in_sqlite_outlives_the_process(space_url, tmp_path):
    from langchain_community.cache import SQLiteCache

    question = f"in turn: {json.dumps([call_of('add', a=1, b=2)])}"
    answers = []
    for _ in "12":  # as two processes, one after the other
        cache = SQLiteCache(str(tmp_path / "cache.db"))
        model = ChatQwenSpace(space=space_url, hf_token="hf_secret", cache=cache).bind_tools([add])
        answers.append(model.invoke(question))
        cache.engine.dispose()
    first, second = answers
    assert second.tool_calls == first.tool_calls
    assert first.tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert second.response_metadata["event_id"] == first.response_metadata["event_id"]
    assert b"hf_secret" not in (tmp_path / "cache.db").read_bytes()


def test_rate_limiter(space_url):
    limiter = InMemoryRateLimiter(requests_per_second=5, check_every_n_seconds=0.01)
    model = ChatQwenSpace(space=space_url, rate_limiter=limiter)
    started = time.monotonic()
    for _ in range(3):
        model.invoke("echo: hi")
    assert time.monotonic() - started > 0.4


# Settings at run time


async def test_configurable_fields(model):
    chosen = model.configurable_fields(
        model=ConfigurableField("model"), max_tokens=ConfigurableField("most")
    )
    config = {"configurable": {"model": "7B"}}
    assert sent(chosen.invoke("tell", config))["model"].lower() in ("7b", "qwen2.5-7b-instruct")
    short = await chosen.ainvoke("count to 100", {"configurable": {"most": 3}})
    assert short.response_metadata["finish_reason"] == "length"
    assert len(list(chosen.stream("echo: one two three", config))) > 1


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_what_is_bound_to_a_configurable_model_leaves_it_configurable(model):
    chosen = model.configurable_fields(model_name=ConfigurableField("model"))
    config = {"configurable": {"model": "7B"}}
    schema = {"title": "Answer", "type": "object", "properties": {"n": {"type": "integer"}}}
    tools = chosen.bind_tools([{"name": "weather"}])
    objects = chosen.with_structured_output(schema, include_raw=True)
    saved = loads(
        dumps(chosen),
        allowed_objects=[ChatQwenSpace, RunnableConfigurableFields],
        valid_namespaces=["langchain_qwen_space"],
    )
    agent = create_agent(chosen, [{"name": "weather"}])
    for used in (chosen, tools, objects, saved, pickle.loads(pickle.dumps(tools))):
        for bound in (used.with_config(config), used):
            results = [bound.invoke("How many?", config), await bound.ainvoke("How many?", config)]
            for answer in (each["raw"] if isinstance(each, dict) else each for each in results):
                assert answer.response_metadata["model_name"] == "qwen2.5-7b-instruct"
        assert used.with_config(config).invoke("How many?")
    asked = {"messages": [("human", "How many?")]}
    for result in (agent.invoke(asked, config), agent.with_config(config).invoke(asked)):
        assert result["messages"][-1].response_metadata["model_name"] == "qwen2.5-7b-instruct"


def test_configurable_alternatives(model):
    chosen = model.configurable_alternatives(
        ConfigurableField("which"),
        default_key="space",
        other=RunnableLambda(lambda _: AIMessage("the other")),
    )
    assert chosen.invoke("echo: the Space").text == "the Space"
    assert chosen.with_config(configurable={"which": "other"}).invoke("hi").text == "the other"


def test_the_model_may_be_given_per_call(model):
    assert (
        sent(model.invoke("tell", model="7B"))["model"]
        == sent(model.bind(model="Qwen/Qwen2.5-7B-Instruct").invoke("tell"))["model"]
    )
    assert model.invoke("tell", model="7B").response_metadata["model_name"] == "qwen2.5-7b-instruct"
    with pytest.raises(UnknownModelError, match="72B"):
        model.invoke("tell", model="gpt-5")


async def test_stop_may_be_given_per_call(model):
    assert model.invoke("echo: one two three", stop=["two"]).text == "one "
    assert (await model.ainvoke("echo: one two three", stop=["three"])).text == "one two "
    chunks = model.bind(stop=[" two"]).stream("echo: one two three")
    assert "".join(chunk.text for chunk in chunks) == "one"


async def test_max_tokens_cuts_the_answer(model):
    for answer in (
        model.invoke("count to 1000", max_tokens=5),
        await model.ainvoke("count to 1000", max_tokens=5),
        sum_up(model.stream("count to 1000", max_tokens=5)),
    ):
        assert answer.response_metadata["finish_reason"] == "length"
        assert answer.usage_metadata["output_tokens"] <= 5
        assert "1\n2\n3".startswith(answer.text)
        assert answer.text
    assert model.invoke("echo: hi", max_tokens=5).response_metadata["finish_reason"] == "stop"


def test_a_setting_that_nobody_knows_is_refused(model):
    with pytest.raises(InvalidInputError, match="Did you mean temperature"):
        model.invoke("hi", temprature=1)


def test_a_setting_of_other_chat_models_is_reported_and_not_sent(model):
    with pytest.warns(UserWarning, match="no input for seed"):
        assert model.invoke("echo: hi", seed=1).content == "hi"


def test_the_model_profile():
    profile = ChatQwenSpace(model="72B").profile
    assert profile["max_input_tokens"] == 131_072
    assert profile["tool_calling"] is True
    assert "structured_output" not in profile
    assert ChatQwenSpace(model="72B", profile={"max_input_tokens": 10}).profile == {
        "max_input_tokens": 10
    }


# Streaming


def sum_up(chunks):
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


async def test_usage_is_reported_on_every_path(model):
    asked = [SystemMessage("Be brief."), HumanMessage("echo: one two")]
    messages = [
        model.invoke(asked),
        await model.ainvoke(asked),
        sum_up(model.stream(asked)),
        model.batch([asked])[0],
        sum_up([chunk async for chunk in model.astream(asked)]),
    ]
    usage = messages[0].usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] == model.get_num_tokens("one two")
    assert usage["input_tokens"] == model.get_num_tokens_from_messages(asked)
    for message in messages:
        assert message.usage_metadata == usage
        assert message.response_metadata["usage_source"] in ("tokenizer", "estimate")


@pytest.mark.parametrize("disable", [True, "tool_calling"])
async def test_disable_streaming(space_url, disable):
    model = ChatQwenSpace(space=space_url, disable_streaming=disable, join_fragments=False)
    streams = len(list(model.stream("echo: one two three four"))) > 1
    assert streams is (disable == "tool_calling")
    bound = model.bind_tools([add], tool_choice="any")
    (call,) = bound.stream("What is 3 plus 4?")
    assert call.tool_calls[0]["args"] == {"a": 3, "b": 4}
    assert len([chunk async for chunk in bound.astream("What is 3 plus 4?")]) == 1


@pytest.mark.parametrize(
    ("reasoning", "text", "thoughts"),
    [(None, "<think>Hm.</think>\n\nYes", None), (True, "Yes", "Hm."), (False, "Yes", None)],
)
async def test_reasoning(model, reasoning, text, thoughts):
    question = "echo: <think>Hm.</think>\n\nYes"
    for answer in (
        model.invoke(question, reasoning=reasoning),
        sum_up([chunk async for chunk in model.astream(question, reasoning=reasoning)]),
    ):
        assert answer.text == text
        assert answer.additional_kwargs.get("reasoning_content") == thoughts


def test_thoughts_are_not_sent_back(model):
    talk = [HumanMessage("hi"), AIMessage("Yes", additional_kwargs={"reasoning_content": "Hm."})]
    assert sent(model.invoke([*talk, HumanMessage("tell")]))["history"] == [["hi", "Yes"]]


@pytest.mark.parametrize("streams", [False, True])
def test_content_of_version_1(space_url, streams):
    model = ChatQwenSpace(space=space_url, output_version="v1", reasoning=True)
    question = "echo: <think>Hm.</think>Yes"
    answer = sum_up(model.stream(question)) if streams else model.invoke(question)
    kinds = {"reasoning": "reasoning", "text": "text"}
    blocks = [(block["type"], block[kinds[block["type"]]]) for block in answer.content]
    assert blocks == [("reasoning", "Hm."), ("text", "Yes")]
    talk = [HumanMessage("hi"), answer, HumanMessage("tell")]
    assert sent(ChatQwenSpace(space=space_url).invoke(talk))["history"] == [["hi", "Yes"]]


def test_content_of_version_0_has_blocks_as_well(model):
    answer = model.invoke("echo: <think>Hm.</think>Yes", reasoning=True)
    assert answer.content == "Yes"
    assert [block["type"] for block in answer.content_blocks] == ["reasoning", "text"]


# Models as values


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_dumps_and_loads_keep_everything_but_secrets(space_url, monkeypatch):
    proxy = "http://user:secret@localhost:3128"
    model = ChatQwenSpace(space=space_url, hf_token="hf_secret", stop=["x"], max_tokens=7)
    secret = ChatQwenSpace(
        space=space_url, hf_token="hf_secret", proxy=proxy, auth=("me", "secret")
    )
    assert "secret" not in dumps(secret).replace('"type": "secret"', "")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    loaded = loads(
        dumps(model),
        allowed_objects=[ChatQwenSpace],
        secrets_from_env=True,
        valid_namespaces=["langchain_qwen_space"],
    )
    assert loaded.hf_token.get_secret_value() == "hf_other"
    assert loaded.model_copy(update={"hf_token": model.hf_token}) == model
    assert loaded.invoke("echo: fine").text == "fine"
    assert len(list(loaded.stream("count to 3"))) > 1


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_and_pickles_work_after_the_first_call_too(space_url, copied):
    model = ChatQwenSpace(space=space_url, hf_token="hf_secret", on_event=lambda event: None)
    model.invoke("echo: hi")
    twin = copied(model)
    assert twin.hf_token == model.hf_token
    assert twin.invoke("echo: fine").text == "fine"


def test_chains_pickle(model):
    chain = ChatPromptTemplate.from_template("echo: {text}") | model | StrOutputParser()
    assert pickle.loads(pickle.dumps(chain)).invoke({"text": "fine"}) == "fine"


# Chains


def test_prompts_and_parsers(model):
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Be {how}."), MessagesPlaceholder("talk"), ("human", "echo: red, {colour}")]
    )
    chain = prompt | model | CommaSeparatedListOutputParser()
    values = {"how": "brief", "talk": [("human", "hi"), ("ai", "hello")], "colour": "green"}
    assert chain.invoke(values) == ["red", "green"]
    assert [part for parts in chain.stream(values) for part in parts] == ["red", "green"]


def test_a_chain_with_retrieval(model):
    library = [Document("Tom is a cat."), Document("Rex is a dog.")]
    found = RunnableLambda(
        lambda question: [d for d in library if question.split()[0] in d.page_content]
    )
    chain = (
        {
            "facts": found | (lambda documents: "\n".join(d.page_content for d in documents)),
            "question": RunnablePassthrough(),
        }
        | ChatPromptTemplate.from_template("echo: {facts} ({question})")
        | model
        | StrOutputParser()
    )
    assert chain.invoke("Tom is what?") == "Tom is a cat. (Tom is what?)"
    assert "".join(chain.stream("Rex is what?")) == "Rex is a dog. (Rex is what?)"


async def test_a_router_chain(model):
    topic = ChatPromptTemplate.from_template("echo: {topic}") | model | StrOutputParser()
    sums = ChatPromptTemplate.from_template("echo: a sum of {question}") | model
    rest = ChatPromptTemplate.from_template("echo: talk of {question}") | model
    chain = RunnablePassthrough.assign(topic=topic) | RunnableBranch(
        (lambda values: values["topic"] == "sums", sums), rest
    )
    assert chain.invoke({"topic": "sums", "question": "2 and 2"}).text == "a sum of 2 and 2"
    assert (await chain.ainvoke({"topic": "art", "question": "art"})).text == "talk of art"


# Token counts


def test_tokens_are_counted(model):
    assert 0 < model.get_num_tokens("Why is the sky blue?") < 20
    talk = [SystemMessage("Be brief."), HumanMessage("Hi")]
    plain = model.get_num_tokens_from_messages(talk)
    assert plain > model.get_num_tokens("Be brief.Hi")
    assert model.get_num_tokens_from_messages(talk, tools=[add]) > plain + 50
    answered = model.get_num_tokens_from_messages([*talk, AIMessage("Hello, how are you?")])
    assert answered > plain + 5
    call = AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "1"}])
    assert (
        model.get_num_tokens_from_messages([*talk, call, ToolMessage("3", tool_call_id="1")])
        > plain
    )


def test_no_messages_are_no_tokens(model):
    assert model.get_num_tokens_from_messages([]) == 0  # a memory asks when it has dropped the last


def test_token_ids_are_never_made_up(monkeypatch):
    monkeypatch.setattr(tokens, "load", tokens.Estimate)
    model = ChatQwenSpace()
    assert model.get_num_tokens("hi") == 1
    with pytest.raises(ImportError, match="tokens"):
        model.get_token_ids("hi")


def test_a_function_of_ones_own_counts_instead():
    model = ChatQwenSpace(custom_get_token_ids=lambda text: [1] * len(text))
    assert model.get_token_ids("abc") == [1, 1, 1]
    assert model.get_num_tokens("abcd") == 4
    short, long = (model.get_num_tokens_from_messages([HumanMessage("x" * n)]) for n in (10, 35))
    assert long - short == 25


def test_messages_are_trimmed_by_it():
    model = ChatQwenSpace()
    talk = [SystemMessage("Be brief.")]
    for number in range(20):
        talk += [HumanMessage(f"Question {number}?"), AIMessage(f"Answer {number}.")]
    kept = trim_messages(
        talk, max_tokens=120, token_counter=model, include_system=True, start_on="human"
    )
    assert kept[0] == talk[0]
    assert kept[-1] == talk[-1]
    assert 3 < len(kept) < len(talk)
    assert model.get_num_tokens_from_messages(kept) <= 120


def test_counting_imports_no_transformers():
    program = (
        "import sys; from langchain_qwen_space import ChatQwenSpace as M; M().get_num_tokens('hi'); "
        "sys.exit('transformers' in sys.modules or 'dashscope' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_family_without_a_size_is_the_spaces_default(space_url):
    answer = ChatQwenSpace(space=space_url, model="qwen-2.5").invoke("Say hello.")
    assert answer.response_metadata["model_name"] == "qwen2.5-72b-instruct"
