"""What the Hub API says of a Space that does not answer, and a Hub API that does not answer."""

import asyncio

import pytest
from yarl import URL

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    SpaceAuthenticationError,
    SpaceNotFoundError,
    SpaceUnavailableError,
)
from langchain_qwen_space.events import WakeEvent
from langchain_qwen_space.space.routing import hub, target
from tests.unit_tests.faults.calls import ask, failure
from tests.unit_tests.faults.server import (
    ANSWER,
    CONFIG,
    close,
    json,
    late,
    page,
    raw,
    reply,
    reset,
    silence,
)

GOOD = reply(json.dumps(CONFIG))
HOST = "https://owner-some-name.hf.space"


@pytest.fixture
def model(space, monkeypatch):
    """A model of the Space `Owner/Some.Name`; hub and host are the fault server."""
    monkeypatch.setenv("HF_ENDPOINT", space.url)
    monkeypatch.setattr(target, "_HUB_PATIENCE", 0.2)
    hosts = []

    def through_the_server(find):
        def found(*args):
            hosts.append(str(find(*args)))
            return URL(space.url)

        return found

    monkeypatch.setattr(target, "host_from", through_the_server(hub.host_from))
    monkeypatch.setattr(target, "host_by_rule", through_the_server(hub.host_by_rule))
    space.on("host", reply(json.dumps({"host": "https://as-the-hub-says.hf.space"})))

    def make(**settings):
        return ChatQwenSpace(
            space="Owner/Some.Name", **{"max_retries": 0, "timeout": 2, **settings}
        )

    make.hosts = hosts
    return make


def stage(name):
    return reply(json.dumps({"stage": name}))


async def test_the_hub_api_says_where_a_space_is(space, model):
    assert (await ask(model())).text == ANSWER
    assert [request.target for request in space.asked("host")] == [
        "/api/spaces/Owner/Some.Name/host"
    ]
    assert model.hosts == ["https://as-the-hub-says.hf.space"]


@pytest.mark.parametrize(
    "fault",
    [
        reset,
        close,
        silence,
        page(500),
        page(503),
        page(429),
        reply("{}"),
        reply("null"),
        reply("{"),
        reply('{"host": "http://plain.example"}'),
        reply('{"host": 7}'),
        reply('{"host": "https://["}'),
        reply('{"host": "javascript:alert(1)"}'),
        reply('{"host": "https://\\u00b4\\u2024"}'),
        raw([b"nonsense\r\n\r\n"]),
        late(reply("{}"), 1),
    ],
)
async def test_a_hub_api_that_says_nothing_of_use_leaves_the_host_to_the_rule(space, model, fault):
    space.on("host", fault)
    async with asyncio.timeout(20):
        assert (await ask(model())).text == ANSWER
    assert model.hosts == [HOST]


async def test_a_hub_api_that_refuses_connections_leaves_the_host_to_the_rule(model, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert (await ask(model())).text == ANSWER
    assert model.hosts == [HOST]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_space_that_the_hub_api_does_not_show_is_not_found(space, model, status):
    space.on("host", reply('{"error": "Repository not found"}', status))
    error = await failure(
        model(), SpaceNotFoundError, "There is no Space Owner/Some.Name, or it is"
    )
    assert error.status == status
    assert not error.is_retryable
    assert "hf_token" in str(error)


STARTING = ["SLEEPING", "BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"]


@pytest.mark.parametrize("name", STARTING)
@pytest.mark.parametrize("answer", [page(503), page(404), close], ids=["503", "404", "closed"])
async def test_a_space_that_will_run_is_woken_and_waited_for(space, model, name, answer):
    broken = [answer] * (4 if answer is close else 2)  # aiohttp asks twice where it breaks
    space.on("config", *broken, GOOD)
    space.on("runtime", stage(name))
    told = []
    outcome = await ask(model(on_event=told.append))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert [event.stage for event in told if isinstance(event, WakeEvent)] == [name] * 2


async def test_a_space_that_does_not_wake_in_time_is_unavailable(space, model):
    space.on("config", page(503))
    space.on("runtime", stage("SLEEPING"))
    error = (await ask(model(wake_timeout=0.5))).error
    assert isinstance(error, SpaceUnavailableError)
    assert "is asleep (SLEEPING). Try again in a minute, or raise wake_timeout" in str(error)
    assert error.is_retryable
    assert 2 <= len(space.asked("config")) <= 27


async def test_without_wake_timeout_nobody_waits(space, model):
    space.on("config", page(503))
    space.on("runtime", stage("BUILDING"))
    error = (await ask(model(wake_timeout=0))).error
    assert "is being built (BUILDING)" in str(error)
    assert len(space.asked("config")) == 1


async def test_waiting_for_a_space_ends_with_total_timeout(space, model):
    space.on("config", page(503))
    space.on("runtime", stage("SLEEPING"))
    async with asyncio.timeout(20):
        error = (await ask(model(total_timeout=0.2))).error
    assert error is not None


STOPPED = {
    "PAUSED": "is paused",
    "STOPPED": "is stopped",
    "DELETING": "is being deleted",
    "NO_APP_FILE": "holds no app",
    "CONFIG_ERROR": "is set up wrongly",
    "BUILD_ERROR": "could not be built",
    "RUNTIME_ERROR": "has crashed",
}


@pytest.mark.parametrize("name", STOPPED)
async def test_a_space_that_will_not_run_says_why_and_is_not_asked_again(space, model, name):
    space.on("config", page(503))
    space.on("runtime", stage(name))
    error = await failure(model(max_retries=3), SpaceUnavailableError, STOPPED[name])
    assert f"({name})" in str(error)
    assert not error.is_retryable
    assert len(space.asked("config")) == 1


def test_every_stage_has_its_own_words():
    said = [
        str(hub.stage_error({"stage": name}, "Space x")).replace(name, "")
        for name in [*STOPPED, "SLEEPING", "BUILDING", "APP_STARTING"]
    ]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize(
    "runtime",
    [
        stage("RUNNING"),
        stage("SOMETHING_NEW"),
        reply("{}"),
        reply("null"),
        reply('{"stage": 7}'),
        page(500),
        reply("[]"),
        reset,
        silence,
        reply("{}", 401),
    ],
)
async def test_where_the_hub_api_knows_no_reason_the_space_s_own_answer_counts(
    space, model, runtime
):
    space.on("config", page(503))
    space.on("runtime", runtime)
    async with asyncio.timeout(20):
        error = await failure(model(), SpaceUnavailableError, "GET /config with 503")
    assert error.is_retryable


async def test_a_space_that_wants_a_token_is_not_looked_up(space, model):
    space.on("config", reply("{}", 401))
    await failure(model(), SpaceAuthenticationError, "hf_token")
    assert space.asked("runtime") == []


@pytest.mark.parametrize(
    ("space_id", "host"),
    [
        ("Qwen/Qwen2.5", "qwen-qwen2-5.hf.space"),
        ("a_b/C--d", "a-b-c-d.hf.space"),
        ("A/b.", "a-b.hf.space"),
    ],
)
def test_the_rule_makes_a_host_of_an_id(space_id, host):
    assert hub.host_by_rule(space_id).host == host


async def test_the_hub_api_of_the_environment_sees_no_token(space, model):
    await ask(model(hf_token="hf_secret"))
    (request,) = space.asked("host")
    assert "hf_secret" not in repr(request)
