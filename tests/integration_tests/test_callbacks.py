"""What traces and callbacks are told of a call on a real Space, and in which context."""

import asyncio
import threading
from contextvars import ContextVar

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import collect_runs

from langchain_qwen_space import ChatQwenSpace


@pytest.fixture
def model(space_url) -> ChatQwenSpace:
    return ChatQwenSpace(space=space_url)


class Listener(BaseCallbackHandler):
    """What callbacks are told, and in which threads."""

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
