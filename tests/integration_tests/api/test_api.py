"""The API server on a real port in front of a real local Space, asked by real clients."""

import asyncio
import base64
import json
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest
import uvicorn
from pydantic import BaseModel

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.api import app
from langchain_qwen_space.local import LocalSpace
from tests.pictures import RED

KEY = "a-key-for-tests"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@contextmanager
def served(application):
    server = uvicorn.Server(
        uvicorn.Config(application, port=0, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def url(space_url):
    with served(app(ChatQwenSpace(space=space_url), api_key=KEY, max_body_bytes=100_000)) as url:
        yield url


@pytest.fixture
def client(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def ask(client, text, **settings):
    settings = {"model": "72B", "messages": [{"role": "user", "content": text}], **settings}
    return client.chat.completions.create(**settings)


def test_a_whole_answer(client):
    answer = ask(client, "echo: Ja, „gut“ 🙂")
    assert answer.choices[0].message.content == "Ja, „gut“ 🙂"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "qwen2.5-72b-instruct"
    assert answer.usage.total_tokens > 0


def test_a_streamed_answer_is_the_same_text_and_ends_with_usage(client):
    stream = ask(client, "count to 50", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "\n".join(map(str, range(1, 51)))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert len({c.id for c in chunks}) == 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_on_tokens_ends_the_answer(client, name):
    answer = ask(client, "count to 50", **{name: 5})
    assert answer.choices[0].finish_reason == "length"


def test_a_stop_string_ends_the_answer(client):
    assert ask(client, "echo: one two three", stop=["two"]).choices[0].message.content == "one "


def test_a_tool_call_whole_and_its_result(client):
    answer = ask(client, "What is the weather in Paris?", tools=[WEATHER], tool_choice="required")
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls[0].function.name == "get_weather"
    messages = [
        {"role": "user", "content": "What is the weather in Paris?"},
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "18 degrees"},
    ]
    final = ask(client, "", messages=messages, tools=[WEATHER])
    assert "18 degrees" in final.choices[0].message.content


def test_a_tool_call_streamed_through_the_clients_own_helper(client):
    with client.chat.completions.stream(
        model="72B",
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    ) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in call.function.arguments


def test_the_clients_parse_helper_gives_an_object(client):
    class City(BaseModel):
        name: str

    answer = client.chat.completions.parse(
        model="72B",
        messages=[{"role": "user", "content": "Paris"}],
        response_format=City,
    )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_an_object_streamed_through_the_clients_own_helper(client):
    class City(BaseModel):
        name: str

    with client.chat.completions.stream(
        model="72B",
        messages=[{"role": "user", "content": "Paris"}],
        response_format=City,
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)
    assert "content.delta" in kinds


@pytest.mark.parametrize("stream", [False, True])
def test_a_strict_tool_is_parsed_into_the_clients_own_class(client, stream):
    class Weather(BaseModel):
        """The weather of a city"""

        city: str

    asked = {
        "model": "72B",
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [openai.pydantic_function_tool(Weather)],
        "tool_choice": "required",
    }
    if stream:
        with client.chat.completions.stream(**asked) as helper:
            final = helper.get_final_completion()
    else:
        final = client.chat.completions.parse(**asked)
    (call,) = final.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_json_object_and_the_async_client(url, stream):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        answer = await client.chat.completions.create(
            model="72B",
            messages=[{"role": "user", "content": "Give 'name' as JSON"}],
            response_format={"type": "json_object"},
            stream=stream,
        )
        if stream:
            deltas = [chunk.choices[0].delta.content or "" async for chunk in answer]
            text = "".join(deltas)
        else:
            text = answer.choices[0].message.content
    assert json.loads(text).keys() == {"name"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_is_seen(picture_space_url, stream):
    pixel = base64.b64encode(RED).decode()
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
    ]
    with (
        served(app(ChatQwenSpace(space=picture_space_url))) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        answer = client.chat.completions.create(
            model="72B", messages=[{"role": "user", "content": parts}], stream=stream
        )
        if stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        else:
            text = answer.choices[0].message.content
    assert "8 x 8 pixels" in text


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_reasoning_content(client, stream):
    answer = ask(client, "echo: <think>Hm.</think>Yes.", stream=stream)
    if stream:
        deltas = [c.choices[0].delta for c in answer]
        text = "".join(d.content or "" for d in deltas)
        thoughts = "".join(getattr(d, "reasoning_content", None) or "" for d in deltas)
    else:
        text = answer.choices[0].message.content
        thoughts = answer.choices[0].message.reasoning_content
    assert (text, thoughts) == ("Yes.", "Hm.")


def test_models_are_listed(client):
    ids = [model.id for model in client.models.list()]
    assert "qwen2.5-72b-instruct" in ids
    assert client.models.retrieve("qwen2.5-72b-instruct").object == "model"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_404(client, stream):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, "hello", model="gpt-nothing", stream=stream)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "wrong", [{"n": 2}, {"temperature": -1}, {"max_tokens": 0}, {"extra_body": {"nonsense": 1}}]
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_field_is_400(client, wrong, stream):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "hello", stream=stream, **wrong)
    assert caught.value.type == "invalid_request_error"


def test_a_field_that_is_not_honoured_is_named_in_a_header(url):
    body = {"messages": [{"role": "user", "content": "echo: x"}], "seed": 3, "user": "ann"}
    answer = httpx.post(
        f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}
    )
    assert answer.status_code == 200, answer.text
    assert "seed" in answer.headers["x-qwen-space-warning"]
    assert "user" not in answer.headers["x-qwen-space-warning"]


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong", f"Basic {KEY}"])
def test_a_wrong_key_is_401(url, key):
    for path in ("/v1/models", "/v1/models/x"):
        answer = httpx.get(url + path, headers={"authorization": key})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert httpx.post(f"{url}/v1/chat/completions", json={}).status_code == 401
    assert httpx.get(f"{url}/health").status_code == 200


def test_a_body_that_is_too_long_is_413_and_one_that_is_not_json_400(url):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    post = f"{url}/v1/chat/completions"
    assert httpx.post(post, content=b" " * 100_001, headers=headers).status_code == 413
    assert httpx.post(post, content=b"{", headers=headers).status_code == 400
    assert (
        httpx.post(
            post, data={"a": "b"}, headers=headers | {"content-type": "text/plain"}
        ).status_code
        == 415
    )


def test_a_body_far_over_the_limit_is_refused_before_it_has_arrived(url):
    """The server answers and closes the connection, or a client that only writes may see it closed."""
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: 1000000000\r\n\r\n"
    )
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + b" " * 200_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_callers_do_not_see_each_others_conversations(client):
    ask(client, "echo: my secret is 42")
    told = ask(client, "tell").choices[0].message.content
    assert "42" not in told


def test_a_failure_of_the_space_is_a_server_error(client):
    with pytest.raises(openai.InternalServerError):
        ask(client, "fail: broken")


def _slow(system, history, query, model):
    """It runs in another process, which files tell the test about."""
    if query.startswith("silent"):
        time.sleep(1.5)
    if query == "silent failure":
        raise RuntimeError("broken")
    if query in ("quick", "silent"):
        yield "done"
        return
    begun, ended = (Path(query) / name for name in ("begun", "ended"))
    begun.touch()
    try:
        text = ""
        for number in range(100_000):
            text += f"{number} "
            yield text
            time.sleep(0.02)
    finally:
        ended.touch()


@pytest.fixture(scope="module")
def one_slot():
    """The API server before a Space that gives one answer at a time."""
    with (
        LocalSpace(_slow, concurrency=1) as space,
        served(
            app(ChatQwenSpace(space=space.url, max_concurrency=1, max_retries=0), heartbeat=0.2)
        ) as url,
    ):
        yield url


async def appears(path):
    async with asyncio.timeout(60):
        while not path.exists():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_ends_the_apps_generator_and_frees_its_slot(
    tmp_path, one_slot, stream
):
    body = {"messages": [{"role": "user", "content": str(tmp_path)}], "stream": stream}
    async with httpx.AsyncClient(base_url=one_slot, timeout=60) as client:
        if stream:
            async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                async for line in answer.aiter_lines():
                    if '"content":"' in line and "2 " in line:
                        break
        else:
            asking = asyncio.create_task(client.post("/v1/chat/completions", json=body))
            await appears(tmp_path / "begun")
            asking.cancel()
        # The first answer would take half an hour.
        quick = {"messages": [{"role": "user", "content": "quick"}]}
        answer = await client.post("/v1/chat/completions", json=quick)
        assert answer.json()["choices"][0]["message"]["content"] == "done"
    await appears(tmp_path / "ended")


def test_a_silent_stream_gets_comments_and_then_its_answer_or_an_error_event(one_slot):
    body = {"messages": [{"role": "user", "content": "silent"}], "stream": True}
    raw = httpx.post(f"{one_slot}/v1/chat/completions", json=body, timeout=60).text
    assert raw.startswith(": ")
    assert raw.endswith("data: [DONE]\n\n")
    assert "done" in raw
    with (
        openai.OpenAI(base_url=f"{one_slot}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(openai.APIError, match="Space"),
    ):
        list(ask(client, "silent failure", stream=True))
