"""Several Spaces as one: real ones of different speed, one that is killed, and ones that fail."""

import asyncio
import copy
import json
import pickle
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing

import cloudpickle
import pytest
from langchain_core.load import dumps, loads
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError
from yarl import URL

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    InvalidInputError,
    QueueFullError,
    SpaceRateLimitError,
    SpaceTimeoutError,
    StreamInterruptedError,
    UnknownModelError,
)
from langchain_qwen_space.events import RetryEvent
from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.space.routing import hub, slots, space_call, target
from tests.ports import free_port
from tests.unit_tests.faults.server import (
    ANSWER,
    STARTS,
    FaultServer,
    answer_events,
    event,
    fault_server,
    late,
    page,
    reply,
    reset,
    silence,
    stream,
)

FAILED = event("process_completed", output={"error": None}, success=False)


def paced(seconds: float) -> Callable[..., Iterator[str]]:
    """An answer function that repeats the question, in so many seconds."""

    def answer(system: str, history: object, query: str, model: str) -> Iterator[str]:
        import time

        time.sleep(seconds)
        yield query

    return answer


@pytest.fixture(scope="module")
def fast() -> Iterator[LocalSpace]:
    with LocalSpace(paced(0.02), concurrency=4) as space:
        yield space


@pytest.fixture(scope="module")
def slow() -> Iterator[LocalSpace]:
    with LocalSpace(paced(1.0), concurrency=1) as space:
        yield space


@pytest.fixture(autouse=True)
def _unknown(monkeypatch, tmp_path):
    """Nothing is known of any Space, nobody's token is used, and pauses are short."""
    for name in ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "QWEN_SPACE", "QWEN_SPACE_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(space_call, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(space_call, "_JITTER", 0.0)
    monkeypatch.setattr(space_call, "_WAKE_POLL", 0.02)
    monkeypatch.setattr(slots, "_slot_queue", slots.SlotQueue())
    target._pages.clear()


@pytest.fixture
async def servers() -> AsyncIterator[list[FaultServer]]:
    """Two Spaces that answer `ANSWER`, unless they are set to fail."""
    async with fault_server() as one, fault_server() as other:
        yield [one, other]


def model_for(*spaces: FaultServer | LocalSpace, **settings: object) -> ChatQwenSpace:
    return ChatQwenSpace(space=[space.url for space in spaces], **{"timeout": 60, **settings})


def standings() -> list[slots.SpaceState]:
    """What is known of the Spaces."""
    return list(slots.current_slots()._spaces.values())


async def space_of(model: ChatQwenSpace, query: str = "hi") -> str:
    """The Space that answered."""
    return (await model.ainvoke(query)).response_metadata["space"]


class TestSpacesOfDifferentSpeed:
    async def test_all_are_used_and_the_faster_one_more(self, fast, slow):
        model = model_for(fast, slow)
        answers = await asyncio.gather(*(model.ainvoke(f"call {n}") for n in range(40)))
        assert [answer.content for answer in answers] == [f"call {n}" for n in range(40)]
        shares = Counter(answer.response_metadata["space"] for answer in answers)
        assert shares[fast.url] > shares[slow.url] > 0

    async def test_calls_one_after_the_other_go_to_the_faster_one(self, fast, slow):
        model = model_for(slow, fast)
        spaces = [await space_of(model) for _ in range(5)]
        assert spaces == [slow.url, *[fast.url] * 4]  # each is tried once

    async def test_the_space_and_the_timeout_are_chosen_at_run_time(self, fast, slow):
        model = ChatQwenSpace(space=fast.url, timeout=30, max_retries=0).configurable_fields(
            space=ConfigurableField("space"),
            timeout=ConfigurableField("timeout"),
            max_tokens=ConfigurableField("most"),
        )
        chain = ChatPromptTemplate.from_template("{x}") | model
        elsewhere = {"configurable": {"space": slow.url}}
        assert model.invoke("hi").response_metadata["space"] == fast.url
        assert model.invoke("hi", elsewhere).response_metadata["space"] == slow.url
        answers = await chain.abatch([{"x": "one"}, {"x": "two"}], [{}, elsewhere])
        assert [a.response_metadata["space"] for a in answers] == [fast.url, slow.url]
        both = {"configurable": {"space": [slow.url, fast.url], "most": 2}}
        assert (await chain.ainvoke({"x": "hi"}, both)).content == "hi"
        hasty = {"configurable": {"space": slow.url, "timeout": 0.05}}
        with pytest.raises(SpaceTimeoutError, match=r"0\.05 seconds"):
            model.invoke("hi", hasty)
        with pytest.raises(SpaceTimeoutError, match=r"0\.05 seconds"):
            list(chain.stream({"x": "hi"}, hasty))
        with pytest.raises(ValidationError):
            model.invoke("hi", {"configurable": {"timeout": -1}})

    async def test_no_space_has_more_calls_than_it_may(self, fast, slow):
        most: Counter[str] = Counter()

        def hear(event: object) -> None:
            for space in standings():
                most[space.name] = max(most[space.name], len(space.slots))

        model = model_for(fast, slow, max_concurrency=3, on_event=hear)
        await asyncio.gather(*(model.ainvoke("hi") for _ in range(20)))
        assert max(most.values()) == 3

    def test_the_plain_methods_choose_too(self, fast, slow):
        model = model_for(slow, fast)
        assert [model.invoke("hi").content for _ in range(2)] == ["hi", "hi"]
        assert "".join(chunk.text for chunk in model.stream("hi there")) == "hi there"
        assert [answer.content for answer in model.batch(["a", "b", "c"])] == ["a", "b", "c"]

    async def test_a_stream_that_is_left_frees_its_place(self, fast, slow):
        model = model_for(fast, slow, max_concurrency=1)
        for _ in range(4):
            async with aclosing(model.astream("one two three")) as chunks:
                async for _ in chunks:
                    break
        assert not any(space.slots for space in standings())

    async def test_the_models_on_offer_are_those_of_every_space(self, fast, slow):
        both = await model_for(fast, slow).alist_models()
        assert both == await ChatQwenSpace(space=fast.url).alist_models() != []
        assert (await model_for(fast, slow).adescribe()).space == fast.url

    async def test_a_model_that_is_not_offered_is_an_error(self, fast, slow):
        with pytest.raises(UnknownModelError):
            await model_for(fast, slow).ainvoke("hi", model="GPT-2")


class TestASpaceThatIsKilled:
    async def test_no_call_is_lost_and_it_is_used_again_when_it_is_back(self, slow, monkeypatch):
        monkeypatch.setattr(slots, "_FIRST_PAUSE", 0.05)
        monkeypatch.setattr(slots, "_LONGEST_PAUSE", 0.5)
        port = free_port()
        with LocalSpace(paced(0.2), concurrency=4, port=port) as mortal:
            model = model_for(mortal, slow)
            first = [asyncio.create_task(model.ainvoke(f"call {n}")) for n in range(16)]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.to_thread(mortal.stop)
            for number, answer in enumerate(await asyncio.gather(*first, return_exceptions=True)):
                if isinstance(answer, StreamInterruptedError):  # killed in the midst of its answer
                    assert answer.partial == f"call {number}"
                else:
                    assert answer.content == f"call {number}"
            assert await space_of(model) == slow.url
            with LocalSpace(paced(0.2), concurrency=4, port=port) as again:
                end = time.monotonic() + 60
                # Of calls one after the other all go to the one that was faster, which may be `slow`.
                while again.url not in await asyncio.gather(*(space_of(model) for _ in range(4))):
                    assert time.monotonic() < end, "it is not used again"


class TestASpaceThatFails:
    async def test_the_call_moves_on_to_the_next_at_once(self, servers):
        one, other = servers
        one.on("join", reply("busy", 429))
        heard: list[object] = []
        model = model_for(one, other, max_retries=0, on_event=heard.append)
        answer = await model.ainvoke("hi")
        assert answer.content == ANSWER
        assert answer.response_metadata["space"] == other.url
        (event,) = (event for event in heard if isinstance(event, RetryEvent))
        assert (event.delay, event.attempt) == (0.0, 2)
        assert one.url in event.error

    @pytest.mark.parametrize(
        ("step", "answer"),
        [
            pytest.param("join", reply('"Queue is full"', 503), id="queue full"),
            pytest.param("join", reply("slow", 429, {"Retry-After": "99"}), id="rate limit"),
            pytest.param("config", page(502), id="gateway"),
            pytest.param("config", reset, id="connection"),
            pytest.param("data", stream([STARTS]), id="broken off"),
            pytest.param("data", stream([STARTS, FAILED]), id="the app's error"),
        ],
    )
    async def test_another_answers_and_it_is_left_alone(self, servers, step, answer):
        servers[0].on(step, answer)
        model = model_for(*servers, max_retries=0)
        assert await space_of(model) == servers[1].url
        count = len(servers[0].asked(step))
        assert {await space_of(model) for _ in range(3)} == {servers[1].url}
        assert len(servers[0].asked(step)) == count

    @pytest.mark.parametrize("answer", [reply("nothing", 404), reply("<h1>Hello</h1>"), page(403)])
    async def test_what_another_try_there_would_not_help_moves_on_too(self, servers, answer):
        servers[0].on("config", answer)
        told = []
        assert await space_of(model_for(*servers, on_event=told.append)) == servers[1].url
        (event,) = (event for event in told if isinstance(event, RetryEvent))
        assert servers[0].url in event.error

    async def test_a_space_that_fails_is_tried_again_later(self, servers, monkeypatch):
        monkeypatch.setattr(slots, "_FIRST_PAUSE", 0.02)
        servers[0].on("join", reply("busy", 429), reply(json.dumps({"event_id": "e1"})))
        model = model_for(*servers)
        assert await space_of(model) == servers[1].url
        await asyncio.sleep(0.03)
        assert servers[0].url in {await space_of(model) for _ in range(3)}

    async def test_a_wrong_input_is_not_tried_elsewhere(self, servers):
        servers[0].on("join", reply("no", 422))
        with pytest.raises(InvalidInputError):
            await model_for(*servers).ainvoke("hi")
        assert not servers[1].requests

    async def test_after_the_first_chunk_none_is_tried(self, servers):
        servers[0].on("data", stream(answer_events()[:2]))
        with pytest.raises(StreamInterruptedError) as caught:
            await model_for(*servers).ainvoke("hi")
        assert caught.value.partial == ANSWER[0]
        assert not servers[1].requests

    async def test_when_all_fail_the_last_error_mentions_the_others(self, servers):
        for server in servers:
            server.on("join", reply("busy", 429))
        with pytest.raises(SpaceRateLimitError, match=servers[1].url) as caught:
            await model_for(*servers, max_retries=0).ainvoke("hi")
        assert servers[0].url in caught.value.__notes__[0]
        assert [len(server.asked("join")) for server in servers] == [1, 1]

    async def test_further_tries_are_counted(self, servers):
        for server in servers:
            server.on("join", reply('{"detail": "Queue is full."}', 503))
        with pytest.raises(QueueFullError):
            await model_for(*servers, max_retries=3).ainvoke("hi")
        assert sum(len(server.asked("join")) for server in servers) == 2 + 3

    async def test_the_time_of_a_call_that_waits_for_room_may_be_up(self, servers):
        for server in servers:
            server.on("data", silence)
        patient = model_for(*servers, max_concurrency=1)
        hasty = model_for(*servers, max_concurrency=1, total_timeout=1)
        calls = [asyncio.create_task(patient.ainvoke("hi")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(
            SpaceTimeoutError, match=r"None of the Spaces .* room .*total_timeout=1"
        ):
            await hasty.ainvoke("hi")
        for waiting in calls:
            waiting.cancel()
        await asyncio.wait(calls)
        assert not any(space.failures or space.slots for space in standings())

    async def test_the_time_of_a_call_continues_with_it_to_another_space(self, servers):
        servers[0].on("join", late(reply("busy", 429), 0.2))
        servers[1].on("data", silence)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(SpaceTimeoutError, match=r"within 0\.3 seconds"):
            await model_for(*servers, total_timeout=0.3).ainvoke("hi")
        assert loop.time() - began < 0.5

    async def test_a_space_that_sleeps_is_not_waited_for_while_another_is_up(
        self, servers, monkeypatch
    ):
        looks = asleep(monkeypatch, {servers[0].url: 1000})
        model = model_for(*servers)
        assert await space_of(model) == servers[1].url
        assert looks[servers[0].url] == 1

    async def test_when_all_sleep_one_is_waited_for(self, servers, monkeypatch):
        looks = asleep(monkeypatch, {servers[0].url: 1000, servers[1].url: 5})
        model = model_for(*servers, max_retries=0)
        assert await space_of(model) == servers[1].url
        assert looks[servers[1].url] == 6


def asleep(monkeypatch, spaces: dict[str, int]) -> Counter[str]:
    """Let Spaces be asleep for so many looks at them; the looks are counted."""
    looks: Counter[str] = Counter()
    visit = target.SpaceTarget.visit

    async def look(self, pool, stale=None):
        space = self.access.space
        looks[space] += 1
        if looks[space] <= spaces.get(space, 0):
            raise hub.SpaceAsleepError("It sleeps.", "SLEEPING")
        return await visit(self, pool, stale)

    monkeypatch.setattr(target.SpaceTarget, "visit", look)
    return looks


class TestSecrets:
    async def test_a_token_of_the_environment_goes_to_no_url(self, servers, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_found")
        await asyncio.gather(*(model_for(*servers).ainvoke("hi") for _ in range(4)))
        assert not any("hf_found" in str(r.headers) for s in servers for r in s.requests)

    async def test_one_that_is_given_goes_to_each_url_that_is_given(self, servers):
        await asyncio.gather(
            *(model_for(*servers, hf_token="hf_given").ainvoke("hi") for _ in range(4))
        )
        for server in servers:
            assert server.requests
            assert all(
                "hf_given" in request.headers["authorization"] for request in server.requests
            )

    def test_each_space_is_shown_what_it_may_see(self, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_found")
        model = ChatQwenSpace(space=["A/b", "https://foreign.example"])
        hub_id, url = (model._target(space).access for space in model._spaces)
        assert hub_id.token_headers(URL("https://a-b.hf.space"))
        assert not url.token_headers(URL("https://foreign.example"))
        assert not hub_id.token_headers(URL("https://foreign.example"))

    def test_a_login_of_one_space_is_not_shown_to_others(self):
        with pytest.raises(ValidationError, match="auth cannot be used with several Spaces"):
            ChatQwenSpace(space=["A/b", "C/d"], auth=("joe", "hunter2"))


class TestSettings:
    def test_spaces_are_put_into_one_spelling(self):
        model = ChatQwenSpace(space=("https://huggingface.co/spaces/A/b", "http://127.0.0.1:1/"))
        assert model.space == ["A/b", "http://127.0.0.1:1"]

    def test_a_list_of_one_is_that_one(self):
        assert ChatQwenSpace(space=["A/b"]).space == "A/b"

    def test_the_environment_may_name_several(self, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", "A/b, http://127.0.0.1:7860,")
        assert ChatQwenSpace().space == ["A/b", "http://127.0.0.1:7860"]

    @pytest.mark.parametrize(
        ("space", "words"),
        [
            ([], "list of at least one"),
            (["A/b", 7], "as a string, or a list"),
            (["A/b", None], "as a string, or a list"),
            ({"A/b": 1}, "as a string, or a list"),
            (["A/b", "https://huggingface.co/spaces/A/b"], "the same Space twice"),
            (["A/b", "no id"], "neither the id"),
            (["A/b", ""], "neither the id"),
        ],
    )
    def test_what_names_no_spaces_is_refused(self, space, words):
        with pytest.raises(ValidationError, match=words):
            ChatQwenSpace(space=space)

    def test_a_password_in_one_of_them_is_not_told(self):
        with pytest.raises(ValidationError) as caught:
            ChatQwenSpace(space=["A/b", "https://joe:hunter2@host.example"])
        assert "hunter2" not in str(caught.value)

    @pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
    def test_they_are_saved_and_copied_with_the_model(self):
        model = ChatQwenSpace(space=["A/b", "C/d"])
        loaded = loads(
            dumps(model), allowed_objects=[ChatQwenSpace], valid_namespaces=["langchain_qwen_space"]
        )
        copies = [loaded, copy.copy(model), copy.deepcopy(model), model.model_copy(deep=True)]
        copies += [pickle.loads(pickle.dumps(model)), pickle.loads(cloudpickle.dumps(model))]
        copies += [ChatQwenSpace.model_validate(model.model_dump())]
        for again in copies:
            assert again.space == ["A/b", "C/d"]
            assert again._identifying_params == model._identifying_params

    def test_they_are_distinguished_in_a_cache_and_in_traces(self):
        one, several = ChatQwenSpace(space="A/b"), ChatQwenSpace(space=["A/b", "C/d"])
        assert one._get_llm_string() != several._get_llm_string()
        assert several._identifying_params["space"] == ["A/b", "C/d"]
        assert "['A/b', 'C/d']" in repr(several)
        assert several._get_ls_params() == one._get_ls_params()

    async def test_copies_share_what_is_known(self, servers):
        servers[0].on("join", reply("busy", 429))
        model = model_for(*servers)
        assert await space_of(model) == servers[1].url
        count = len(servers[0].requests)
        for again in (model.bind(stop=["x"]), copy.deepcopy(model), model.with_config(tags=["t"])):
            answer = await again.ainvoke("hi")
            assert answer.response_metadata["space"] == servers[1].url
        assert len(servers[0].requests) == count

    async def test_a_model_that_was_used_is_pickled(self, servers):
        model = model_for(*servers)
        await model.ainvoke("hi")
        assert await space_of(pickle.loads(cloudpickle.dumps(model))) in [s.url for s in servers]

    async def test_one_space_in_a_list_is_that_space(self, servers):
        assert await space_of(ChatQwenSpace(space=[servers[0].url])) == servers[0].url
