"""Calls whose requests a function answers, from memory."""

import asyncio
import copy
import json
import pickle
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    GenerationError,
    InvalidInputError,
    SpaceConnectionError,
    SpaceTimeoutError,
    StreamInterruptedError,
)
from langchain_qwen_space.transport import Request, Response
from tests.unit_tests.faults.server import CONFIG

URL = "https://chat.example"
PIECES = ["Hel", "Hello, ", "Hello, wörld"]


def event(**data):
    return b"data: " + json.dumps(data).encode() + b"\n\n"


class MemorySpace:
    """A Space in memory. `said` is what it answers, step by step; an Event in it is waited for."""

    def __init__(self, said=PIECES, *, url=URL):
        self.said, self.url = said, url
        self.requests: list[Request] = []
        self.left = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, request):
        self.requests.append(request)
        assert request.url.startswith(self.url)
        path = urlsplit(request.url).path
        if path == "/config":
            return Response(body=json.dumps(CONFIG).encode())
        if path == "/login":
            return Response(headers=[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/")])
        if path == "/gradio_api/queue/join":
            return Response(body=b'{"event_id": "e1"}')
        if path == "/gradio_api/queue/data":
            return Response(headers={"Content-Type": "text/event-stream"}, body=self.events())
        assert path == "/gradio_api/cancel"
        self.cancelled.set()
        return Response(body=b"true")

    async def events(self):
        self.opened.set()
        try:
            yield event(msg="process_starts", event_id="e1")
            question = json.loads(self.asked("join").body)["data"][0]
            begun = False
            for step in self.said:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                elif step is None:
                    output = {"error": "out of memory"}
                    yield event(
                        msg="process_completed", event_id="e1", success=False, output=output
                    )
                    return
                else:
                    final = {"data": ["", [[question, step]]]}
                    change = {"data": [[], [["replace", [0, 1], step]]]}
                    output = change if begun else final  # the first is whole
                    begun = True
                    yield event(
                        msg="process_generating", event_id="e1", success=True, output=output
                    )
            yield event(msg="process_completed", event_id="e1", success=True, output=final)
            yield event(msg="close_stream")
        finally:
            self.left.set()

    def asked(self, last):
        return next(r for r in self.requests if urlsplit(r.url).path.endswith(f"/{last}"))

    def model(self, **settings):
        return ChatQwenSpace(
            **{"space": self.url, "hf_token": None, "max_retries": 0, "transport": self, **settings}
        )


async def test_a_whole_call_is_answered_from_memory():
    space = MemorySpace()
    answer = await space.model().ainvoke("Hello?")
    assert answer.content == PIECES[-1]
    assert [urlsplit(r.url).path for r in space.requests] == [
        *("/config", "/gradio_api/queue/join", "/gradio_api/queue/data"),
    ]
    join, data = space.asked("join"), space.asked("data")
    assert join.method == "POST"
    assert data.method == "GET"
    assert join.headers["content-type"] == "application/json"
    assert join.headers["user-agent"].startswith("langchain-qwen-space/")
    session = json.loads(join.body)["session_hash"]
    assert parse_qs(urlsplit(data.url).query) == {"session_hash": [session]}


def test_a_call_without_async_is_answered_too():
    space = MemorySpace()
    model = space.model()
    assert model.invoke("Hello?").content == PIECES[-1]
    assert "".join(chunk.text for chunk in model.stream("Hello?")) == PIECES[-1]


async def test_what_is_yielded_is_streamed_at_once():
    more = asyncio.Event()
    space = MemorySpace([PIECES[0], more, PIECES[1], PIECES[2]])
    seen = []
    async for chunk in space.model().astream("Hello?"):
        seen.append(chunk.text)
        more.set()  # without it there is no second chunk
    assert seen[0] == PIECES[0]
    assert "".join(seen) == PIECES[-1]


async def test_the_apps_failure_is_an_error():
    with pytest.raises(GenerationError, match="out of memory"):
        await MemorySpace([PIECES[0], None]).model().ainvoke("Hello?")


@pytest.mark.parametrize("said", [[ConnectionResetError()], [PIECES[0], ConnectionResetError()]])
async def test_a_transports_failure_is_a_broken_connection(said):
    with pytest.raises(StreamInterruptedError, match="broke"):
        await MemorySpace(said).model().ainvoke("Hello?")


async def test_a_transport_that_refuses_is_a_space_that_cannot_be_reached():
    async def refuse(request):
        raise ConnectionRefusedError

    model = ChatQwenSpace(space=URL, hf_token=None, max_retries=0, transport=refuse)
    with pytest.raises(SpaceConnectionError):
        await model.ainvoke("Hello?")


@pytest.mark.parametrize("said", [[ZeroDivisionError()], [PIECES[0], ZeroDivisionError()]])
async def test_a_defect_of_the_transport_is_not_taken_for_one_of_the_space(said):
    with pytest.raises(ZeroDivisionError):
        await MemorySpace(said).model().ainvoke("Hello?")


@pytest.mark.parametrize("body", ["text", None, 7])
async def test_a_body_of_another_kind_is_a_defect_of_the_transport(body):
    async def transport(request):
        return Response(body=body)

    with pytest.raises(TypeError, match="async for"):
        await ChatQwenSpace(space=URL, hf_token=None, transport=transport).ainvoke("Hello?")


async def test_silence_ends_by_the_models_timeout():
    space = MemorySpace([PIECES[0], asyncio.Event()])
    with pytest.raises(SpaceTimeoutError):
        await space.model(timeout=0.3).ainvoke("Hello?")
    await asyncio.wait_for(space.left.wait(), 10)


async def test_leaving_a_stream_closes_the_body_and_cancels_the_call():
    space = MemorySpace([PIECES[0], asyncio.Event()])
    stream = space.model().astream("Hello?")
    assert (await anext(stream)).text == PIECES[0]
    assert not space.left.is_set()
    await stream.aclose()
    await asyncio.wait_for(asyncio.gather(space.left.wait(), space.cancelled.wait()), 10)
    assert json.loads(space.asked("cancel").body)["event_id"] == "e1"


async def test_a_cancelled_task_closes_the_body_and_cancels_the_call():
    space = MemorySpace([asyncio.Event()])
    task = asyncio.create_task(space.model().ainvoke("Hello?"))
    await asyncio.wait_for(space.opened.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(asyncio.gather(space.left.wait(), space.cancelled.wait()), 10)


async def test_a_body_of_more_than_the_buffer_is_read_in_step_with_the_reader():
    long = [PIECES[0] * 20_000 + "x" * n for n in range(5)]
    assert (await MemorySpace(long).model().ainvoke("Hello?")).content == long[-1]


class TestSecrets:
    """A transport gets what the network would get."""

    @pytest.mark.parametrize("given", [True, False])
    async def test_the_token(self, given, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        space = MemorySpace()
        settings = {"hf_token": SecretStr("hf_secret")} if given else {}
        model = ChatQwenSpace(space=URL, transport=space, **settings)
        await model.ainvoke("Hello?")
        shown = "Bearer hf_secret" if given else None
        assert {r.headers.get("Authorization") for r in space.requests} == {shown}
        assert "hf_secret" not in repr(space.requests)

    async def test_it_is_not_sent_unencrypted(self):
        space = MemorySpace(url="http://chat.example")
        with pytest.raises(InvalidInputError, match="unencrypted"):
            await space.model(hf_token="hf_secret").ainvoke("Hello?")
        assert space.requests == []

    async def test_the_login_and_its_cookies(self):
        space = MemorySpace()
        await space.model(auth=("ann", "p&w")).ainvoke("Hello?")
        assert space.asked("login").body == b"username=ann&password=p%26w"
        assert space.asked("join").headers["Cookie"] == "a=1; b=2"

    async def test_a_proxy_is_handed_on_and_the_environments_is_not(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
        space = MemorySpace()
        await space.model(proxy="http://ann:pw@proxy:3128").ainvoke("Hello?")
        assert {r.proxy for r in space.requests} == {"http://ann:pw@proxy:3128"}
        assert "pw" not in repr(space.requests)
        other = MemorySpace()
        await other.model().ainvoke("Hello?")
        assert {r.proxy for r in other.requests} == {None}


class TestModel:
    """The object stays what it is."""

    async def test_two_transports_share_nothing(self):
        first, second = MemorySpace(["one"]), MemorySpace(["two"])
        assert (await first.model().ainvoke("Hello?")).content == "one"
        assert (await second.model().ainvoke("Hello?")).content == "two"
        assert second.asked("config")

    async def test_equal_models_share_the_page(self):
        space = MemorySpace()
        for _ in range(2):
            await space.model().ainvoke("Hello?")
        assert sum(r.url.endswith("/config") for r in space.requests) == 1

    async def test_copies_and_configured_models_have_it(self):
        async def transport(request):
            raise AssertionError

        model = ChatQwenSpace(space=URL, transport=transport)
        field = model.configurable_fields(temperature=ConfigurableField(id="t"))
        assert copy.copy(model).transport is transport
        assert copy.deepcopy(model).transport is transport
        assert model.model_copy(update={"model": "7B"}).transport is transport
        space = MemorySpace()
        configured = space.model().configurable_fields(timeout=ConfigurableField(id="t"))
        answer = await configured.with_config(configurable={"t": 5.0}).ainvoke("Hello?")
        assert answer.content == PIECES[-1]
        assert field.default.transport is transport

    def test_a_transport_with_connections_is_shared_by_copies(self):
        space = MemorySpace()
        space.lock = threading.Lock()  # as a client of httpx holds some
        model = space.model(temperature=0.5)
        for copied in (copy.deepcopy(model), model.model_copy(deep=True)):
            assert copied.transport is space
            assert copied.temperature == 0.5
        assert copy.deepcopy([model, model])[0].transport is space

    def test_a_function_of_a_module_is_pickled(self):
        model = ChatQwenSpace(space=URL, transport=answered_elsewhere)
        assert pickle.loads(pickle.dumps(model)).transport is answered_elsewhere

    def test_another_is_refused_by_pickle_and_not_left_out(self):
        async def local(request):
            raise AssertionError

        with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
            pickle.dumps(ChatQwenSpace(space=URL, transport=local))

    def test_the_hub_api_is_asked_through_it(self):
        asked = []

        async def transport(request):
            asked.append(request.url)
            return Response(404)

        model = ChatQwenSpace(space="Owner/Name", hf_token=None, transport=transport)
        with pytest.raises(Exception, match="There is no Space"):
            model.invoke("Hello?")
        assert asked[0].startswith("https://huggingface.co/api/spaces/Owner/Name/")


async def answered_elsewhere(request):
    raise AssertionError


@pytest.mark.parametrize("piece", ["text", None])
async def test_a_body_that_yields_no_bytes_is_named(piece):
    async def body():
        yield piece

    async def answer(request):
        return Response(200, {}, body())

    model = ChatQwenSpace(space=URL, hf_token=None, max_retries=0, transport=answer)
    with pytest.raises(TypeError, match=f"yields {type(piece).__name__}; give bytes"):
        await model.ainvoke("Hello?")


async def nothing(request):
    return None


@pytest.mark.parametrize(
    ("transport", "what"),
    [(lambda request: Response(), "is an async function"), (nothing, "returned None")],
)
async def test_a_transport_of_another_kind_is_named(transport, what):
    with pytest.raises(TypeError, match=what):
        await ChatQwenSpace(space=URL, hf_token=None, transport=transport).ainvoke("q")
