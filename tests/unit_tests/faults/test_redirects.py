"""Redirects: followed on the same origin, elsewhere not; and where the token goes."""

import json
from types import SimpleNamespace

import pytest
from yarl import URL

from langchain_qwen_space.errors import InvalidInputError, SpaceUnavailableError
from langchain_qwen_space.space.wire.access import Access
from langchain_qwen_space.space.wire.client import _redirect
from tests.unit_tests.faults.calls import ask, failure, model_for
from tests.unit_tests.faults.server import ANSWER, CONFIG, fault_server, reply

TOKEN = "hf_only_for_the_space"
STATUSES = [301, 302, 303, 307, 308]


def moved(status: int, target: str):
    return reply(b"", status, {"Location": target})


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("target", ["/moved/config", "moved/config"])
async def test_a_redirect_of_the_description_on_the_same_host_is_followed(space, status, target):
    space.on("config", moved(status, target), reply(json.dumps(CONFIG)))
    outcome = await ask(model_for(space, hf_token=TOKEN))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    assert [request.target for request in space.asked("config")] == ["/config", "/moved/config"]


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_of_the_join_that_keeps_its_body_is_followed(space, status):
    join = reply('{"event_id": "e1"}')
    space.on("join", moved(status, "/moved/queue/join"), join)
    outcome = await ask(model_for(space))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    first, second = space.asked("join")
    assert second.target == "/moved/queue/join"
    assert second.body == first.body


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_of_the_join_that_loses_its_body_is_not_followed(space, status):
    space.on("join", moved(status, "/moved/queue/join"))
    error = await failure(model_for(space), SpaceUnavailableError, "redirects POST queue/join")
    assert len(space.asked("join")) == 1
    assert not error.is_retryable


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("step", ["config", "login", "join", "data"])
async def test_a_redirect_to_another_host_is_not_followed(space, step, status):
    auth = {"auth": ("ann", "secret")} if step == "login" else {}
    async with fault_server() as other:  # the same machine, but another port is another server
        for target in (f"{other.url}/{step}", f"//127.0.0.1:{URL(other.url).port}/{step}"):
            space.on(step, moved(status, target))
            model = model_for(space, hf_token=TOKEN, **auth)
            await failure(model, SpaceUnavailableError, "is not followed")
        assert other.requests == []


@pytest.mark.parametrize("status", STATUSES)
async def test_a_cancel_request_is_redirected_nowhere(space, status):
    async with fault_server() as other:
        space.on("cancel", moved(status, f"{other.url}/cancel"))
        async for _ in model_for(space, hf_token=TOKEN).astream("hi"):
            break
        await space.quiet(cancels=1)
        assert other.requests == []


@pytest.mark.parametrize(
    "target",
    [
        "",
        "http://",
        "http://[",
        "javascript:alert(1)",
        "mailto:a@b",
        "file:///etc/passwd",
        "//",
        "https://127.0.0.1/config",
        "http://localhost:1/config",
        "http://a:99999/",
    ],
)
async def test_a_redirect_to_nonsense_is_a_qwen_space_error(space, target):
    space.on("config", moved(302, target))
    error = await failure(model_for(space), SpaceUnavailableError, "redirects")
    assert not error.is_retryable


@pytest.mark.parametrize(
    ("source", "target", "followed"),
    [
        ("http://a.example/config", "https://a.example/config", True),
        ("https://a.example/config", "http://a.example/config", False),
        ("https://a.example/config", "https://a.example:8443/config", False),
        ("http://a.example:7860/config", "https://a.example/config", False),
        ("http://a.example:7860/config", "https://a.example:7860/config", False),
        ("http://a.example/config", "https://b.example/config", False),
        ("https://a.example/config", "https://a.example/x?y=1", True),
    ],
)
def test_a_redirect_to_https_is_followed_and_none_away_from_it(source, target, followed):
    answer = SimpleNamespace(status=302, url=URL(source), headers={"Location": target})
    assert _redirect(answer, "GET") == (URL(target) if followed else None)


async def test_redirects_in_a_circle_end(space):
    space.on("config", moved(302, "/config"))
    await failure(model_for(space), SpaceUnavailableError, "redirects")
    assert len(space.asked("config")) < 10


async def test_a_token_that_was_given_goes_to_the_space_in_headers_only(space):
    await ask(model_for(space, hf_token=TOKEN))
    for request in space.requests:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in request.target
        assert TOKEN.encode() not in request.body


async def test_a_token_of_the_environment_is_not_shown_to_a_url(space, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    await ask(model_for(space))
    assert space.requests
    assert TOKEN not in repr(space.requests)


async def test_a_root_on_another_host_is_ignored(space):
    async with fault_server() as other:
        space.on("config", reply(json.dumps(CONFIG | {"root": f"http://localhost:1{other.url}"})))
        assert (await ask(model_for(space, hf_token=TOKEN))).text == ANSWER
        assert other.requests == []


async def test_a_root_on_another_port_is_ignored(space):
    async with fault_server() as other:
        space.on("config", reply(json.dumps(CONFIG | {"root": other.url})))
        assert (await ask(model_for(space, hf_token=TOKEN))).text == ANSWER
        assert other.requests == []


@pytest.mark.parametrize("prefix", ["//evil.example/x", "http://evil.example", "/../..", "?", "#"])
async def test_a_prefix_never_leads_to_another_host(space, prefix):
    space.on("config", reply(json.dumps(CONFIG | {"api_prefix": prefix})))
    outcome = await ask(model_for(space, hf_token=TOKEN))
    assert outcome.error is not None or outcome.text == ANSWER


EXPLICIT = [
    ("https://huggingface.co/api", "Owner/Name", True),
    ("https://owner-name.hf.space/config", "Owner/Name", True),
    ("https://evil.example/config", "Owner/Name", False),
    ("https://hf.space.evil.example/config", "Owner/Name", False),
    ("https://evilhf.space/config", "Owner/Name", False),
    ("https://huggingface.co.evil.example/", "Owner/Name", False),
    ("https://my.example/config", "https://my.example", True),
    ("https://my.example/x/config", "https://my.example/x", True),
    ("https://evil.example/config", "https://my.example", False),
    ("http://127.0.0.1:7860/config", "http://127.0.0.1:7860", True),
    ("http://[::1]:7860/config", "http://[::1]:7860", True),
    ("http://localhost:7860/config", "http://localhost:7860", True),
]


@pytest.mark.parametrize(("url", "given", "shown"), EXPLICIT)
def test_the_token_goes_only_where_it_was_meant_to(url, given, shown):
    access = Access(given, TOKEN, token_is_explicit=True)
    assert bool(access.token_headers(URL(url))) is shown
    ours = URL(url).host in ("huggingface.co", "owner-name.hf.space")
    found = Access(given, TOKEN, token_is_explicit=False)
    assert bool(found.token_headers(URL(url))) is ours


@pytest.mark.parametrize("url", ["http://my.example", "http://x.hf.space", "http://10.0.0.1:7860"])
async def test_the_token_is_refused_to_plain_http(url):
    with pytest.raises(InvalidInputError, match="unencrypted") as caught:
        await model_for(url, hf_token=TOKEN).ainvoke("hi")
    assert TOKEN not in str(caught.value)
