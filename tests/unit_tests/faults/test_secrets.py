"""Token, proxy password and login: where they go, and that nothing else ever shows them."""

import base64
import io
import json
import logging
import pickle
import traceback

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.load import dumps
from langchain_core.messages import HumanMessage
from yarl import URL

from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.space.routing import hub, target
from tests.unit_tests.faults.calls import ask, model_for
from tests.unit_tests.faults.server import (
    CLOSE,
    CONFIG,
    UNKNOWN,
    close,
    completed,
    event,
    fault_server,
    generating,
    page,
    reply,
    reset,
    silence,
    stream,
    value,
)

TOKEN = "hf_TokenOfAnn"
PASSWORD = "PasswordOfAnn"
PROXY_PASSWORD = "ProxyPasswordOfAnn"
SECRETS = [TOKEN, PASSWORD, PROXY_PASSWORD]
SECRETS += [
    base64.b64encode(f"{user}:{word}".encode()).decode()
    for user, word in [("ann", PASSWORD), ("joe", PROXY_PASSWORD)]
]
SETTINGS = {"hf_token": TOKEN, "auth": ("ann", PASSWORD)}


def found_in(text: object) -> list[str]:
    return [secret for secret in SECRETS if secret in str(text)]


class Listener(AsyncCallbackHandler):
    """Writes down everything that LangChain's callbacks receive."""

    def __init__(self):
        self.told = []

    def __getattribute__(self, name):
        if name.startswith("on_"):

            async def note(*args, **kwargs):
                self.told.append(repr((name, args, kwargs)))

            return note
        return super().__getattribute__(name)


@pytest.fixture
def emitted(caplog):
    """All that was logged, at every level and by every library."""
    logging.getLogger().setLevel(1)
    for name in ("aiohttp", "aiohttp.client", "asyncio", "langchain_qwen_space"):
        caplog.set_level(1, logger=name)
    return caplog


def all_of(error: BaseException) -> str:
    """Everything that an error shows of itself: words, fields, causes, pickle."""
    out = io.StringIO()
    traceback.print_exception(error, file=out)
    out.write(repr(vars(error)))
    seen, chain = error, []
    while seen is not None:
        assert seen not in chain, "an error is its own cause"
        chain.append(seen)
        out.write(f"{seen!r} {seen!s} {vars(seen)!r}")
        seen = seen.__cause__ or seen.__context__
    out.write(repr(pickle.dumps(error)))
    return out.getvalue()


FAULTS = {
    "none": {},
    "refused login": {"login": reply("{}", 401)},
    "config 401": {"config": reply("{}", 401)},
    "config 500": {"config": page(500)},
    "config reset": {"config": reset},
    "redirect": {"config": reply("", 302, {"Location": "http://evil.example/config"})},
    "join 403": {"join": reply("{}", 403)},
    "join silent": {"join": silence},
    "data closed": {"data": close},
    "data cut": {"data": stream([], end=close)},
    "garbage": {"config": reply(b"\xff\xfe")},
}


@pytest.mark.parametrize("name", FAULTS)
async def test_no_secret_is_logged_raised_or_told(space, name, emitted):
    for step, answer in FAULTS[name].items():
        space.on(step, answer)
    listener, events = Listener(), []
    model = model_for(space, **SETTINGS, timeout=0.5, max_retries=1, on_event=events.append)
    error = None
    try:
        message = await model.ainvoke("hi", config={"callbacks": [listener]})
        assert not found_in(repr(message))
        async for chunk in model.astream("hi", config={"callbacks": [listener]}):
            assert not found_in(repr(chunk))
    except QwenSpaceError as caught:
        error = caught
    assert (error is None) == (name == "none")
    if error is not None:
        assert not found_in(all_of(error))
    assert listener.told
    assert not found_in(listener.told)
    assert not found_in(events)
    assert not found_in(emitted.text + repr([vars(record) for record in emitted.records]))


async def test_secrets_go_where_they_belong_and_into_no_url(space):
    await ask(model_for(space, **SETTINGS))
    assert not found_in([request.target for request in space.requests])
    for request in space.requests:
        assert TOKEN in request.headers["authorization"]
        assert not found_in(request.body) or request.step == "login"
    (login,) = space.asked("login")
    assert login.body == f"username=ann&password={PASSWORD}".encode()


async def test_secrets_show_in_no_form_of_the_model(space):
    proxy = f"http://joe:{PROXY_PASSWORD}@127.0.0.1:9"
    model = model_for(space, **SETTINGS, proxy=proxy)
    forms = [
        repr(model),
        str(model),
        dumps(model),
        model.model_dump_json(),
        repr(model.model_dump()),
        repr(model._identifying_params),
        repr(model._get_ls_params()),
        repr(model._get_llm_string()),
        repr(model.metadata),
        repr(model.lc_attributes),
        repr(model.to_json()),
        repr(model.bind(stop=["x"])),
        json.dumps(model.config_schema().model_json_schema()),
        repr(model._target()),
        repr(model._target().access),
        repr(target._pages),
    ]
    for form in forms:
        assert not found_in(form), form
    assert str(HumanMessage("x")) not in forms


PROXY_FAULTS = {
    "refused": None,
    "407": reply("", 407, {"Proxy-Authenticate": "Basic"}),
    "403": page(403),
    "502": page(502),
    "reset": reset,
    "closed": close,
    "silent": silence,
    "garbage": reply(b"\x00", 200),
}


@pytest.mark.parametrize("name", PROXY_FAULTS)
@pytest.mark.parametrize("url", ["http://a.example", "https://a.example"])
@pytest.mark.parametrize("where", ["given", "environment"])
async def test_the_password_of_a_proxy_is_shown_to_the_proxy_only(
    url, name, where, emitted, monkeypatch
):
    async with fault_server() as proxy:
        if PROXY_FAULTS[name] is not None:
            proxy.on("config", PROXY_FAULTS[name])
            proxy.on("other", PROXY_FAULTS[name])
        else:
            proxy.listener.close()
        address = f"http://joe:{PROXY_PASSWORD}@{URL(proxy.url).authority}"
        if where == "given":
            model = model_for(url, proxy=address, timeout=0.8)
        else:
            monkeypatch.setenv("HTTP_PROXY", address)
            monkeypatch.setenv("HTTPS_PROXY", address)
            model = model_for(url, timeout=0.8)
        events = []
        outcome = await ask(model.model_copy(update={"on_event": events.append}))
        assert outcome.error is not None
        assert not found_in(all_of(outcome.error))
        assert not found_in(events)
        assert not found_in(emitted.text + repr([vars(record) for record in emitted.records]))
        if PROXY_FAULTS[name] is not None:
            assert proxy.requests
            assert not found_in([request.target for request in proxy.requests])
            assert found_in([request.headers for request in proxy.requests])


async def test_an_https_proxy_that_fails_keeps_its_password(emitted):
    async with fault_server() as proxy:
        address = f"https://joe:{PROXY_PASSWORD}@{URL(proxy.url).authority}"
        outcome = await ask(model_for("http://a.example", proxy=address, timeout=0.3))
        assert not found_in(all_of(outcome.error))
        assert not found_in(emitted.text)


@pytest.mark.parametrize("status", [400, 401, 500, 503])
@pytest.mark.parametrize("step", ["config", "join", "data", "login"])
async def test_a_space_that_says_our_secrets_back_is_not_quoted(space, step, status, emitted):
    space.on(step, reply(json.dumps({"detail": f"Bearer {TOKEN} / {PASSWORD} is wrong"}), status))
    if step == "join":
        space.on("data", UNKNOWN)
    outcome = await ask(model_for(space, **SETTINGS))
    assert outcome.error is not None
    assert not found_in(all_of(outcome.error))
    assert not found_in(emitted.text)


def echoes(secret):
    """What a Space may send in mid-call that repeats a secret."""
    failed = {"error": f"upstream refused {secret}", "title": secret}
    return {
        "error": [event("process_completed", success=False, output=failed, title=secret)],
        "log": [event("log", log=f"got {secret}", level="info", title=secret), CLOSE],
        "progress": [event("progress", progress_data=[{"desc": secret, "unit": secret}]), CLOSE],
        "value": [completed({"not a conversation": secret})],
        "given up": [event("unexpected_error", None, message=f"no {secret}")],
        "garbage": [b'data: {"msg": "' + secret.encode() + b"\n\n", CLOSE],
        "edit": [
            generating(value("a")),
            event("process_generating", output={"data": [[[secret]]]}),
        ],
    }


@pytest.mark.parametrize("name", echoes(""))
@pytest.mark.parametrize("secret", [TOKEN, "pass\"word'ö <&> 12", "back\\slash%20"])
async def test_an_event_that_repeats_a_secret_is_reported_without_it(space, name, secret, emitted):
    space.on("data", stream(echoes(secret)[name]))
    told, listener = [], Listener()
    settings = {"hf_token": TOKEN, "auth": ("ann", secret)}
    model = model_for(space, **settings, on_event=told.append)
    with pytest.raises(QwenSpaceError) as caught:
        await model.ainvoke("hi", config={"callbacks": [listener]})
    written = [secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]]
    shown = all_of(caught.value) + repr(told) + repr(listener.told) + emitted.text
    shown += "".join(record.getMessage() for record in emitted.records)
    assert told or name not in ("log", "progress")
    assert not [form for form in written if form in shown]


async def test_a_redirect_and_a_description_that_repeat_a_secret_are_reported_without_it(space):
    space.on("join", reply("", 302, {"Location": f"http://evil.example/?t={TOKEN}"}))
    outcome = await ask(model_for(space, **SETTINGS))
    assert "evil.example" in str(outcome.error)
    assert not found_in(all_of(outcome.error))
    config = json.dumps(CONFIG).replace('"Input"', json.dumps(f"Input {TOKEN}"))
    target._pages.clear()
    space.on("config", reply(config))
    description = await model_for(space, **SETTINGS).adescribe()
    assert "Input …" in str(description)
    assert not found_in(repr(description))


async def test_the_hub_api_s_refusal_keeps_the_token(space, monkeypatch, emitted):
    monkeypatch.setattr(target, "hub_url", lambda *_: URL(space.url) / "host")
    space.on("host", reply("{}", 401))
    outcome = await ask(model_for("Owner/Name", hf_token=TOKEN))
    assert not found_in(all_of(outcome.error))
    assert not found_in(emitted.text)
    assert hub.host_by_rule("Owner/Name").host == "owner-name.hf.space"
