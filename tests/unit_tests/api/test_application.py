"""Who may call the server: keys, origins, bodies, and the application in another one."""

import gzip
import hmac
import json
import logging

import httpx
import pytest
from fastapi import FastAPI

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.api import app, application
from langchain_qwen_space.errors import InvalidInputError
from tests.unit_tests.api.callers import COMPLETIONS, SCOPE, client_of, post, question, server_for
from tests.unit_tests.faults.server import CONFIG, page, reply

KEYS = ["a-first-key", "schlüssel"]
PAGE = "https://chat.example"


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": ""},
        {"api_key": []},
        {"api_key": ["a", ""]},
        {"heartbeat": 0},
        {"hosts": ["https://chat.example"]},
        {"hosts": ["chat.example", "chat.example/v1"]},
        {"hosts": [""]},
        {"hosts": ["2001:db8::1"]},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        app(ChatQwenSpace(), **wrong)


async def test_each_of_several_keys_opens_and_no_other(space):
    server = server_for(space, api_key=KEYS)
    for key in KEYS:
        raw = b"Bearer " + key.encode()
        async with client_of(server) as client:
            opened = await client.get("/v1/models", headers=[(b"authorization", raw)])
        assert opened.status_code == 200
    for key in ["", "a-first-ke", "a-first-key2", "A-FIRST-KEY", "*", "\xff"]:
        raw = b"Bearer " + key.encode()
        async with client_of(server) as client:
            refused = await client.get("/v1/models", headers=[(b"authorization", raw)])
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"


async def test_every_key_is_compared_in_constant_time(space, monkeypatch):
    compared = []

    def compare(sent, key):
        compared.append(key)
        return compare_digest(sent, key)

    compare_digest = hmac.compare_digest
    monkeypatch.setattr(application.hmac, "compare_digest", compare)
    server = server_for(space, api_key=KEYS)
    for key in ("a-first-key", "wrong"):  # the first one's fit does not end the comparing
        compared.clear()
        await post(server, question(), authorization=f"Bearer {key}")
        assert compared == [key.encode() for key in KEYS]


async def test_a_caller_without_the_key_sends_no_body_that_is_read(space):
    server = server_for(space, api_key=KEYS, max_body_bytes=10)
    refused = await post(server, question("far longer than ten bytes"))
    assert refused.status_code == 401
    assert space.requests == []


async def test_without_a_key_a_page_may_ask_only_if_its_origin_was_given(space):
    assert (await post(server_for(space), question(), origin=PAGE)).status_code == 403
    assert (await post(server_for(space), question(), origin="null")).status_code == 403
    assert space.requests == []
    open_to = server_for(space, cors=[PAGE])
    assert (await post(open_to, question(), origin=PAGE)).status_code == 200
    assert (await post(open_to, question(), origin="https://evil.example")).status_code == 403
    assert (await post(server_for(space, cors=["*"]), question(), origin=PAGE)).status_code == 200
    async with client_of(server_for(space), origin=PAGE) as client:
        assert (await client.get("/v1/models")).status_code == 403


async def test_an_origin_may_be_given_as_people_write_it(space):
    server = server_for(space, cors=["https://Chat.Example/"])
    answer = await post(server, question(), origin=PAGE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("host", "given", "status"),
    [
        ("127.0.0.1:8000", {}, 200),
        ("localhost:8000", {}, 200),
        ("LOCALHOST", {}, 200),
        ("[::1]:8000", {}, 200),
        ("localhost.:8000", {}, 200),
        ("chat.localhost", {}, 200),
        ("127.0.0.2", {}, 200),
        ("[::ffff:127.0.0.1]:8000", {}, 200),
        # Some browsers let pages call this machine by it that may not call 127.0.0.1.
        ("0.0.0.0:8000", {}, 403),
        ("[::]:8000", {}, 403),
        ("localhost.evil.example", {}, 403),
        ("evil.example@localhost", {}, 403),
        ("localhost/.evil.example", {}, 403),
        ("localhost#.evil.example", {}, 403),
        ("evil.example:8000", {}, 403),
        ("127.0.0.1.evil.example", {}, 403),
        ("192.168.0.1", {}, 403),
        ("[", {}, 403),
        ("evil.example", {"hosts": ["chat.example"]}, 403),
        ("chat.example", {"hosts": ["chat.example"]}, 200),
        ("chat.example:8080", {"hosts": ["Chat.Example"]}, 200),
        ("CHAT.example", {"hosts": ["chat.example:8080"]}, 200),
        ("chat.example.", {"hosts": ["chat.example"]}, 200),
        ("chat.example", {"hosts": ["chat.example."]}, 200),
        ("xn--bcher-kva.example", {"hosts": ["Bücher.example"]}, 200),
        ("[2001:DB8::1]:8000", {"hosts": ["[2001:db8::1]"]}, 200),
        ("chat.example", {"hosts": ["*"]}, 200),
        ("chat.example", {"api_key": KEYS}, 200),
    ],
)
async def test_a_page_whose_name_leads_to_this_machine_reads_nothing(space, host, given, status):
    """DNS rebinding: for the browser, the server and the page have one origin, so it sends none."""
    transport = httpx.ASGITransport(server_for(space, **given))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        key = f"Bearer {KEYS[0]}"
        answer = await client.get("/v1/models", headers={"host": host, "authorization": key})
    assert answer.status_code == status
    assert status == 200 or space.requests == []


async def preflight(server, origin=PAGE):
    wanted = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    async with client_of(server, **wanted) as client:
        return await client.options(COMPLETIONS)


async def test_cors_is_off_unless_origins_are_given(space):
    closed = await preflight(server_for(space))
    assert closed.status_code == 405
    assert not [name for name in closed.headers if name.startswith("access-control")]


async def test_a_page_of_a_given_origin_may_send_what_openais_client_sends_and_read_our_headers(
    space,
):
    space.on("join", page(429, {"Retry-After": "7"}))
    server = server_for(space, cors=[PAGE], api_key=KEYS)
    allowed = await preflight(server)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "x-stainless-os" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in (await preflight(server, "https://a.b")).headers
    key = {"authorization": f"Bearer {KEYS[0]}"}
    for headers, status in ((key, 429), ({}, 401)):
        answer = await post(server, question(), origin=PAGE, **headers)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        readable = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert {"x-qwen-space-warning", "retry-after", "x-request-id"} <= set(readable)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/embeddings", 404),
        ("POST", "/v1/responses", 404),
        ("GET", COMPLETIONS, 405),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/v1/models/gpt-nothing", 404),
        ("POST", f"{COMPLETIONS}/", 404),
        ("POST", "/chat/completions", 404),
        ("GET", "/", 404),
    ],
)
async def test_what_is_not_there_is_reported_in_openais_form(space, method, path, status):
    async with client_of(server_for(space)) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    if status == 404 and error["code"] is None:
        assert f"Invalid URL ({method} {path})" in error["message"]
        assert COMPLETIONS in error["message"]


async def test_health_asks_for_no_key_and_not_for_the_space(space):
    async with client_of(server_for(space, api_key=KEYS)) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
    assert space.requests == []


async def test_a_space_without_a_choice_is_the_model_that_is_listed_and_taken(space):
    server = server_for(space)
    async with client_of(server) as client:
        (listed,) = (await client.get("/v1/models")).json()["data"]
        assert listed["id"] == space.url
        assert (await client.get(f"/v1/models/{space.url}")).json() == listed
    assert (await post(server, question(model=listed["id"]))).status_code == 200


def offering(*choices):
    """A Space's page with a choice of models."""
    dropdown = {
        "id": 3,
        "type": "dropdown",
        "props": {"label": "Model", "choices": [[c, c] for c in choices], "value": choices[0]},
    }
    dependency = {**CONFIG["dependencies"][0], "inputs": [1, 2, 3]}
    config = {"components": [*CONFIG["components"], dropdown], "dependencies": [dependency]}
    return reply(json.dumps({**CONFIG, **config}))


@pytest.mark.parametrize(
    ("choices", "name", "id_"),
    [
        (["Qwen3-32B", "Qwen3-8B"], "32B", "qwen3-32b"),
        (["Qwen3-32B", "Qwen3-8B"], "Qwen/Qwen3-8B", "qwen3-8b"),
        (["Qwen2.5-Coder-32B-Instruct", "Coder-7B"], "32B", "qwen2.5-coder-32b-instruct"),
        (["72B", "7B"], "72B", "qwen2.5-72b-instruct"),
        (["one/Qwen3-8B", "other/Qwen3-8B"], "other/Qwen3-8B", "other/Qwen3-8B"),
    ],
)
async def test_a_listed_model_is_found_by_the_names_that_a_completion_takes(
    space, choices, name, id_
):
    space.on("config", offering(*choices))
    server = server_for(space)
    async with client_of(server) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        assert len({model["id"] for model in listed}) == len(choices)
        assert (await client.get(f"/v1/models/{name}")).json()["id"] == id_
        assert (await client.get("/v1/models/1B")).status_code == 404
        for model in listed:
            assert (await client.get(f"/v1/models/{model['id']}")).json() == model
    for taken in (name, *(model["id"] for model in listed)):
        assert (await post(server, question(model=taken))).status_code == 200
    assert (await post(server, question(model="1B"))).status_code == 404


async def test_a_space_that_fails_is_an_error_of_the_list_of_models_too(space):
    space.on("config", page(503))
    async with client_of(server_for(space)) as client:
        assert (await client.get("/v1/models")).status_code == 503


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
async def test_a_body_of_json_is_read_up_to_the_limit(space, kind):
    server = server_for(space, max_body_bytes=100)
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    async with client_of(server, **{"content-type": kind}) as client:
        assert (await client.post(COMPLETIONS, content=body.ljust(100))).status_code == 200
        too_long = await client.post(COMPLETIONS, content=body.ljust(101))
        assert too_long.status_code == 413
        assert "100 bytes" in too_long.json()["error"]["message"]


async def test_a_body_without_end_is_read_up_to_the_limit_only(space):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 1000

    async with client_of(server_for(space, max_body_bytes=10_000)) as client:
        headers = {"content-type": "application/json"}
        answer = await client.post(COMPLETIONS, content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent <= 12


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_forms_that_any_page_may_send_are_refused(space, kind):
    async with client_of(server_for(space)) as client:
        answer = await client.post(COMPLETIONS, content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("encoding", "status"),
    [
        ("gzip", 415),
        ("br", 415),
        ("identity, gzip", 415),
        ("identity", 200),
        (" Identity ", 200),
        ("", 200),
    ],
)
async def test_a_compressed_body_is_refused_by_what_it_is(space, encoding, status):
    headers = {"content-type": "application/json", "content-encoding": encoding}
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    async with client_of(server_for(space), **headers) as client:
        sent = gzip.compress(body) if status == 415 else body
        answer = await client.post(COMPLETIONS, content=sent)
    assert answer.status_code == status
    assert status == 200 or "Content-Encoding" in answer.json()["error"]["message"]


async def test_mounted_in_another_application_it_keeps_its_paths_errors_and_keys(space):
    own = FastAPI()

    @own.get("/v1/models")
    async def of_the_other() -> str:
        return "mine"

    own.mount("/qwen", server_for(space, api_key=KEYS))
    async with client_of(own, authorization=f"Bearer {KEYS[0]}") as client:
        assert (await client.get("/v1/models")).json() == "mine"
        assert (await client.get("/qwen/health")).json() == {"status": "ok"}
        assert (await client.get("/qwen/v1/models")).json()["data"]
        answer = await client.post(f"/qwen{COMPLETIONS}", json=question())
        assert answer.json()["choices"][0]["message"]["content"] == "Hello, wörld 🌍!"
        wrong = await client.post(f"/qwen{COMPLETIONS}", json=question(n=2))
        assert wrong.json()["error"]["param"] == "n"
        assert (await client.get("/qwen/v1/nothing")).json()["error"]
    async with client_of(own) as client:
        assert (await client.get("/qwen/v1/models")).json()["error"]["code"] == "invalid_api_key"


async def test_no_key_token_or_prompt_is_in_a_log_or_an_error(space, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    secrets = [
        "the-api-key",
        "hf_the_token",
        "the-password",
        "the prompt",
        "the system",
        "what the tool is for",
    ]
    key, token, password, prompt, system, tool = secrets
    server = server_for(
        space,
        api_key=key,
        settings={"hf_token": token, "auth": ("ann", password), "max_retries": 1},
    )
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": prompt},
    ]
    function = {"name": "f", "description": tool, "parameters": {}}
    bodies = [
        {"messages": messages, "tools": [{"type": "function", "function": function}]},
        {"messages": messages, "stream": True, "seed": 1},
        {"messages": messages, "n": 2},
        {"messages": [{"role": "user", "content": 5}, *messages]},
        {"messages": messages, "temperature": -1},
        {"messages": messages, "tool_choice": "nothing"},
    ]
    said = []
    for failing in (False, True):
        if failing:
            space.on("join", page(429))
        for body in bodies:
            said.append((await post(server, body, authorization=f"Bearer {key}")).text)
            said.append((await post(server, body, authorization=f"Bearer {key}x")).text)
    assert len(space.asked("join")) >= 4
    assert [request.headers for request in space.requests if token in str(request.headers)]
    for secret in secrets:
        assert secret not in caplog.text
        assert secret not in "".join(said)


async def test_a_caller_that_leaves_in_the_middle_of_its_body_leaves_nothing_in_the_log(
    space, caplog
):
    caplog.set_level(logging.DEBUG)
    given = [
        {"type": "http.request", "body": b'{"messages": "the prompt', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = []

    async def receive():
        return given.pop(0)

    async def send(message):
        sent.append(message)

    await server_for(space)({**SCOPE}, receive, send)  # raises nothing
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    assert httpx.Response(sent[0]["status"]).is_error
