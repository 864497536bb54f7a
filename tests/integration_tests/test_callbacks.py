"""What traces and callbacks receive of a call on a real Space, and in which context."""

import asyncio
import threading
import warnings
from contextvars import ContextVar

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import collect_runs

from langchain_qwen_space import ChatQwenSpace
from tests.unit_tests.faults.server import answer_events as events
from tests.unit_tests.faults.server import fault_server, silence, stream


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url)


class Listener(BaseCallbackHandler):
    """What callbacks receive, and in which threads."""

    def __init__(self):
        self.tokens = []
        self.threads = set()

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.threads.add(threading.get_ident())

    def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)
        self.threads.add(threading.get_ident())


# Traces


def test_traces_name_the_model_and_the_versions(model):
    with collect_runs() as runs:
        model.invoke("echo: hi", model="7B", stop=["x"], max_tokens=9)
    metadata = runs.traced_runs[0].extra["metadata"]
    assert metadata["ls_provider"] == "qwen_space"
    assert metadata["ls_model_name"] == "qwen2.5-7b-instruct"
    assert metadata["ls_model_type"] == "chat"
    assert metadata["ls_stop"] == ["x"]
    assert metadata["ls_max_tokens"] == 9
    assert {"langchain-core", "langchain-qwen-space"} <= metadata["lc_versions"].keys()


def test_traces_hold_no_secrets(space_url):
    model = ChatQwenSpace(space=space_url, hf_token="hf_secret")
    with collect_runs() as runs:
        model.invoke("echo: hi")
        list(model.stream("echo: hi"))
    assert "hf_secret" not in "".join(run.model_dump_json() for run in runs.traced_runs)


# Callbacks

_who = ContextVar("_who", default="nobody")


class Here(BaseCallbackHandler):
    """Who asks, as the context of each callback has it."""

    def __init__(self):
        self.seen = set()

    def on_llm_new_token(self, token, **kwargs):
        self.seen.add(_who.get())

    def on_llm_end(self, response, **kwargs):
        self.seen.add(_who.get())


class AsyncHere(AsyncCallbackHandler):
    def __init__(self):
        self.seen = set()
        self.loops = set()

    async def on_llm_new_token(self, token, **kwargs):
        self.seen.add(_who.get())
        self.loops.add(asyncio.get_running_loop())


def test_callbacks_run_in_the_callers_thread_with_its_context(model):
    _who.set("caller")
    here, listener = Here(), Listener()
    list(model.stream("echo: one two", {"callbacks": [here, listener]}))
    assert here.seen == {"caller"}
    assert listener.threads == {threading.get_ident()}
    assert "".join(listener.tokens) == "one two"


async def test_async_callbacks_run_in_the_callers_loop_with_its_context(model):
    _who.set("task")
    here = AsyncHere()
    _ = [chunk async for chunk in model.astream("echo: one two", {"callbacks": [here]})]
    assert here.seen == {"task"}
    assert here.loops == {asyncio.get_running_loop()}


def test_threads_keep_their_contexts_apart(model):
    seen = {}

    def ask(name):
        _who.set(name)
        here = Here()
        list(model.stream(f"echo: {name}", {"callbacks": [here]}))
        seen[name] = here.seen

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {name: {name} for name in "abc"}


def test_context_variables_reach_batches_and_chains(model):
    _who.set("caller")
    here = Here()
    chain = RunnableLambda(lambda text: f"echo: {text} {_who.get()}") | model
    answers = chain.batch(["one", "two"], {"callbacks": [here]})
    assert [answer.text for answer in answers] == ["one caller", "two caller"]
    assert here.seen == {"caller"}


# Errors in callbacks


class Broken(BaseCallbackHandler):
    """Fails at every token and at every event of the queue."""

    def __init__(self, *, raise_error, at):
        self.raise_error = raise_error
        self.at = at
        self.failures = 0

    def on_llm_new_token(self, token, **kwargs):
        self._fail("token")

    def on_custom_event(self, name, data, **kwargs):
        self._fail("event")

    def _fail(self, at):
        if at == self.at:
            self.failures += 1
            raise ZeroDivisionError(at)


class AsyncBroken(AsyncCallbackHandler):
    def __init__(self, *, raise_error, at):
        self.raise_error = raise_error
        self.handler = Broken(raise_error=raise_error, at=at)

    @property
    def failures(self):
        return self.handler.failures

    async def on_llm_new_token(self, token, **kwargs):
        self.handler.on_llm_new_token(token, **kwargs)

    async def on_custom_event(self, name, data, **kwargs):
        self.handler.on_custom_event(name, data, **kwargs)


async def streamed(runnable, config, *, asynchronous):
    if asynchronous:
        return "".join([chunk.text async for chunk in runnable.astream("echo: one two", config)])
    return await asyncio.to_thread(
        lambda: "".join(chunk.text for chunk in runnable.stream("echo: one two", config))
    )


async def answered(runnable, config, *, asynchronous):
    if asynchronous:
        return (await runnable.ainvoke("echo: one two", config)).text
    return (await asyncio.to_thread(runnable.invoke, "echo: one two", config)).text


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("call", "at"), [(streamed, "token"), (streamed, "event"), (answered, "event")]
)
async def test_an_error_in_a_callback_ends_the_call_where_raise_error_is_set(
    space_url, call, at, asynchronous
):
    chain = RunnableLambda(lambda text: text) | ChatQwenSpace(space=space_url)
    kind = AsyncBroken if asynchronous else Broken
    quiet, loud = kind(raise_error=False, at=at), kind(raise_error=True, at=at)
    assert await call(chain, {"callbacks": [quiet]}, asynchronous=asynchronous) == "one two"
    assert quiet.failures >= 2
    with pytest.raises(ZeroDivisionError, match=at):
        await call(chain, {"callbacks": [loud]}, asynchronous=asynchronous)
    assert loud.failures == 1


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_an_error_in_a_callback_cancels_the_call_on_the_space(asynchronous):
    async with fault_server() as space:
        space.on("data", stream(events()[:3], end=silence))
        model = ChatQwenSpace(space=space.url, timeout=60)
        loud = Broken(raise_error=True, at="token")
        with pytest.raises(ZeroDivisionError):
            await streamed(model, {"callbacks": [loud]}, asynchronous=asynchronous)
        await space.quiet(cancels=1, seconds=30)


# Warnings


def ask(model, how):
    if how == "invoke":
        model.invoke("echo: hi", seed=1)
    elif how == "stream":
        list(model.stream("echo: hi", seed=1))
    elif how == "chain":
        (RunnableLambda(lambda x: x) | model.bind(seed=1)).invoke("echo: hi")
    elif how == "agent":
        create_agent(model.bind(seed=1), []).invoke({"messages": [("human", "echo: hi")]})


async def aask(model, how):
    if how == "invoke":
        await model.ainvoke("echo: hi", seed=1)
    elif how == "stream":
        _ = [chunk async for chunk in model.astream("echo: hi", seed=1)]
    elif how == "chain":
        await (RunnableLambda(lambda x: x) | model.bind(seed=1)).ainvoke("echo: hi")


@pytest.mark.parametrize("how", ["invoke", "stream", "chain", "agent"])
def test_a_warning_points_at_the_callers_line(model, how):
    with pytest.warns(UserWarning, match="no input for seed") as caught:
        ask(model, how)
    (warning,) = caught
    assert warning.filename == __file__


@pytest.mark.parametrize("how", ["invoke", "stream", "chain"])
def test_a_warning_of_an_async_call_points_at_the_callers_code(model, how):
    with pytest.warns(UserWarning, match="no input for seed") as caught:
        asyncio.run(aask(model, how))  # LangChain makes tasks, below which stands this line alone
    (warning,) = caught
    assert warning.filename == __file__


def test_a_warning_in_a_thread_of_langchains_is_issued_all_the_same(model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.bind(seed=1).batch(["echo: hi", "echo: ho"])
    assert {str(warning.message) for warning in caught} == {
        "A Space has no input for seed, which is not sent."
    }
