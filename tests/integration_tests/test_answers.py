"""What an answer carries besides its text: blocks, counts of tokens, names, limits."""

import json
import threading

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph

from langchain_qwen_space import ChatQwenSpace, _sync


def weather(city: str) -> str:
    """Return the weather of a city."""
    return city


def call_of(city):
    body = json.dumps({"name": "weather", "arguments": {"city": city}})
    return f"<tool_call>\n{body}\n</tool_call>"


EVERYTHING = f"<think>Two cities.</think>Let me look.\n{call_of('Rome')}\n{call_of('Oslo')}"
QUESTION = "in turn: " + json.dumps([EVERYTHING] * 3)


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url)


def summed(chunks):
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


class TestBlocks:
    """`output_version="v1"`: thoughts, text and several calls are blocks of their own."""

    KINDS = ("reasoning", "text", "tool_call", "tool_call")

    @pytest.fixture
    def v1(self, space_url):
        model = ChatQwenSpace(space=space_url, output_version="v1", reasoning=True)
        return model.bind_tools([weather])

    def check(self, message):
        blocks = message.content_blocks
        assert tuple(block["type"] for block in blocks) == self.KINDS
        assert blocks[0]["reasoning"] == "Two cities."
        assert blocks[1]["text"] == "Let me look."
        assert [call["args"] for call in message.tool_calls] == [{"city": "Rome"}, {"city": "Oslo"}]
        assert [block["args"] for block in blocks[2:]] == [{"city": "Rome"}, {"city": "Oslo"}]

    async def test_of_a_whole_answer(self, v1):
        self.check(v1.invoke(QUESTION))
        self.check(await v1.ainvoke(QUESTION))

    async def test_of_a_stream(self, v1):
        self.check(summed(list(v1.stream(QUESTION))))
        self.check(summed([chunk async for chunk in v1.astream(QUESTION)]))


class TestUsage:
    def test_thoughts_are_counted_and_named(self, space_url):
        question = "echo: <think>Hm, well.</think>Yes."
        seen = {}
        for reasoning in (True, False):
            model = ChatQwenSpace(space=space_url, reasoning=reasoning)
            usage = seen[reasoning] = model.invoke(question).usage_metadata
            assert usage == summed(list(model.stream(question))).usage_metadata
        assert seen[True] == seen[False]
        assert 0 < usage["output_token_details"]["reasoning"] < usage["output_tokens"]

    def test_a_counter_of_the_callers_own_counts_usage_too(self, space_url):
        model = ChatQwenSpace(
            space=space_url, custom_get_token_ids=lambda text: list(text.encode())
        )
        assert model.invoke("echo: hello").usage_metadata["output_tokens"] == 5

    async def test_a_slow_counter_of_the_callers_own_holds_up_no_event_loop(self, space_url):
        threads = set()

        def count(text):
            threads.add(threading.current_thread())
            return list(text.encode())

        model = ChatQwenSpace(space=space_url, custom_get_token_ids=count)
        for message in (model.invoke("echo: hello"), await model.ainvoke("echo: hello")):
            assert message.usage_metadata["output_tokens"] == 5
        assert threads.isdisjoint({threading.current_thread(), _sync._thread._thread})


def test_the_first_chunk_names_the_provider(model):
    chunks = list(model.stream("echo: a few words more"))
    assert chunks[0].response_metadata == {"model_provider": "qwen_space"}
    assert all(not chunk.response_metadata for chunk in chunks[1:-2])
    assert summed(chunks).response_metadata["model_provider"] == "qwen_space"


def test_an_answer_in_json_is_parsed_as_openais_client_does(model):
    schema = {"title": "T", "type": "object", "properties": {"a": {"type": "integer"}}}
    bound = model.bind(response_format=schema)
    for message in (bound.invoke('echo: {"a": 1}'), summed(bound.stream('echo: {"a": 1}'))):
        assert message.additional_kwargs["parsed"] == {"a": 1}
    assert "parsed" not in bound.invoke('echo: {"a": "x"}').additional_kwargs


class Limiter(BaseRateLimiter):
    def __init__(self):
        self.requests = 0

    def acquire(self, *, blocking=True):
        self.requests += 1
        return True

    async def aacquire(self, *, blocking=True):
        return self.acquire()


async def test_a_rate_limiter_counts_every_request_of_a_call(space_url):
    limiter = Limiter()
    model = ChatQwenSpace(space=space_url, rate_limiter=limiter).bind_tools(
        [weather], tool_choice="any"
    )
    question = "in turn: " + json.dumps(["No.", "No.", call_of("Rome")])
    model.invoke(question)
    assert limiter.requests == 2  # asked once more for the call
    await model.ainvoke(question)
    assert limiter.requests == 4
    plain = ChatQwenSpace(space=space_url, rate_limiter=limiter, max_retries=1)
    plain.invoke("echo: hi")
    assert limiter.requests == 5


async def test_queue_events_are_in_a_graphs_custom_stream(model):
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    runs = graph.compile()
    asked = {"messages": [("user", "echo: hi")]}
    seen = [event["type"] for event in runs.stream(asked, stream_mode="custom")]
    assert "qwen_space_start" in seen
    asynchronous = [e["type"] async for e in runs.astream(asked, stream_mode="custom")]
    assert "qwen_space_start" in asynchronous


class Angry(BaseCallbackHandler):
    def __init__(self, *, raise_error):
        self.raise_error = raise_error
        self.heard = 0

    def on_custom_event(self, name, data, **kwargs):
        self.heard += 1
        raise RuntimeError("a handler's own")


class TestErrorsOfListeners:
    @pytest.mark.parametrize("how", ["invoke", "stream"])
    def test_a_handler_that_raises_ends_the_call_only_if_it_says_so(self, model, how):
        chain = RunnableLambda(lambda x: x) | model
        for raise_error in (False, True):
            handler = Angry(raise_error=raise_error)

            def ask(callbacks=(handler,)):
                config = {"callbacks": list(callbacks)}
                if how == "invoke":
                    return chain.invoke("echo: hi", config).content
                return "".join(chunk.content for chunk in chain.stream("echo: hi", config))

            if raise_error:
                with pytest.raises(RuntimeError, match="a handler's own"):
                    ask()
            else:
                assert ask() == "hi"
            assert handler.heard

    async def test_an_error_in_on_event_is_logged_and_the_call_continues(self, space_url, caplog):
        def broken(event):
            raise KeyError("a listener's own")

        model = ChatQwenSpace(space=space_url, on_event=broken)
        assert model.invoke("echo: hi").content == "hi"
        assert "".join([chunk.text async for chunk in model.astream("echo: hi")]) == "hi"
        assert "on_event failed" in caplog.text


def test_langsmith_sees_the_parameters_of_the_call():
    model = ChatQwenSpace(model="72B", stop=["x"], max_tokens=5, temperature=0.5)
    params = model._get_ls_params()
    assert params["ls_stop"] == ["x"]
    assert params["ls_max_tokens"] == 5
    assert params["ls_temperature"] == 0.5
    assert params["ls_model_name"] == "qwen2.5-72b-instruct"
    assert params["ls_provider"] == "qwen_space"
    changed = model._get_ls_params(stop=["y"], max_completion_tokens=7, model_name="7B")
    assert (changed["ls_stop"], changed["ls_max_tokens"]) == (["y"], 7)
    assert changed["ls_model_name"] == "qwen2.5-7b-instruct"


def test_an_unnamed_models_profile_is_learnt_from_its_space(space_url):
    from langchain.agents.middleware import SummarizationMiddleware

    model = ChatQwenSpace(space=space_url)
    assert model.profile is None
    model.describe()
    assert model.profile["max_input_tokens"] == 131_072
    assert SummarizationMiddleware(model=model, trigger=("fraction", 0.8))
    called = ChatQwenSpace(space=space_url)
    called.invoke("echo: hi")
    assert called.profile == model.profile
