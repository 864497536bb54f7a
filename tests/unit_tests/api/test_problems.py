"""Errors: their statuses, types, codes and headers, before the first chunk and after it."""

import logging
import math

import pytest

from langchain_qwen_space.api.problems import problem_of
from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.errors import SpaceRateLimitError
from tests.unit_tests.api.callers import events, post, question, server_for, text_of
from tests.unit_tests.faults.server import (
    STARTS,
    appended,
    close,
    event,
    generating,
    page,
    reply,
    reset,
    silence,
    stream,
    value,
)


def failed(words):
    return event("process_completed", output={"error": words}, success=False)


TOO_LONG = "This model's maximum context length is 32768 tokens."
# Which request the Space fails, and how -> status, type, code
MEANS = {
    "limited": ("join", page(429), 429, "rate_limit_error", "rate_limit_exceeded"),
    "full": (
        "join",
        reply('{"detail": "Queue is full."}', 503),
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
    ),
    "overloaded": ("config", page(503), 503, "server_error", "space_unavailable"),
    "crashed": ("config", page(500), 503, "server_error", "space_unavailable"),
    "closed": ("config", close, 503, "server_error", "space_unreachable"),
    "silent": ("join", silence, 504, "server_error", "timeout"),
    "garbled": ("join", reply("nonsense"), 502, "server_error", "bad_gateway"),
    "locked": ("join", page(401), 500, "server_error", "space_error"),
    "forbidden": ("join", page(403), 500, "server_error", "space_error"),
    "missing": ("config", page(404), 500, "server_error", "space_error"),
    "refused": ("join", page(422), 400, "invalid_request_error", None),
    "failed": ("data", stream([STARTS, failed("Oh")]), 500, "server_error", "generation_failed"),
    "too long": (
        "data",
        stream([STARTS, failed(TOO_LONG)]),
        400,
        "invalid_request_error",
        "context_length_exceeded",
    ),
}
NOT_RETRIED = {"locked", "forbidden", "missing", "failed"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", MEANS)
async def test_what_the_space_does_wrong_has_a_status_type_and_code(space, name, streamed):
    step, answer, status, kind, code = MEANS[name]
    space.on(step, answer)
    patience = {"timeout": 0.3} if name == "silent" else {}
    response = await post(server_for(space, settings=patience), question(stream=streamed))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == (kind, code)
    assert error["message"]
    assert (response.headers.get("x-should-retry") == "false") is (name in NOT_RETRIED)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "passed_on", "should_retry"),
    [("7", "7", None), ("60", "60", None), ("61", "61", "false"), ("9" * 400, "31536000", "false")],
)
async def test_retry_after_is_passed_on_and_a_long_one_stops_the_clients_retries(
    space, streamed, status, asked, passed_on, should_retry
):
    space.on("config", page(status, {"Retry-After": asked}))
    response = await post(server_for(space), question(stream=streamed))
    assert response.status_code == status
    assert response.headers["retry-after"] == passed_on
    assert response.headers.get("x-should-retry") == should_retry


@pytest.mark.parametrize("seconds", [math.inf, 1e300, math.nan, -5.0, 0.2])
def test_any_number_of_seconds_is_a_header_of_digits(seconds):
    problem = problem_of(SpaceRateLimitError("Wait.", retry_after=seconds))
    assert problem.status == 429
    assert problem.headers["retry-after"].isdigit()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (reset, "stream_interrupted"),
        (stream([failed("Oh")], head=b""), "generation_failed"),
    ],
)
async def test_an_error_in_mid_stream_is_the_last_event_and_nothing_says_done(space, end, code):
    begun = [STARTS, generating(value("He")), appended("llo")]
    space.on("data", stream(begun, end=end))
    response = await post(server_for(space), question(stream=True))
    assert response.status_code == 200
    *answer, last = events(response.text)
    assert text_of(answer) == "Hello"
    assert "finish_reason" not in response.text.replace('"finish_reason":null', "")
    assert last["error"]["code"] == code
    assert last["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [""]}, "stop"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "base64": "aGk="}]}]},
            "messages[0]",
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_value_that_the_call_refuses_is_named_by_its_field(space, wrong, param, streamed):
    response = await post(server_for(space), {**question(stream=streamed), **wrong})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_gpu_quota_says_when_to_come_back(space, streamed):
    words = "You have exceeded your GPU quota (60s requested vs. 0s left). Try again in 0:10:32"
    space.on("data", stream([STARTS, failed(words)]))
    response = await post(server_for(space), question(stream=streamed))
    assert response.status_code == 429
    assert response.headers["retry-after"] == "632"
    assert response.headers["x-should-retry"] == "false"
    assert len(space.asked("join")) == 1, "no retry before that"


class Broken(ChatQwenSpace):
    async def _agenerate(self, messages, *args, **kwargs):
        raise KeyError(messages[-1].content)

    async def _astream(self, messages, *args, **kwargs):
        raise KeyError(messages[-1].content)
        yield


@pytest.mark.parametrize("streamed", [False, True])
async def test_of_a_fault_of_the_server_only_the_class_is_logged(space, caplog, streamed):
    from langchain_qwen_space.api import app

    caplog.set_level(logging.DEBUG)
    application = app(Broken(space=space.url))
    response = await post(application, question("the secret prompt", stream=streamed))
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "secret" not in response.text
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


async def test_half_a_character_in_an_error_does_not_break_it(space):
    space.on("data", stream([STARTS, failed("half \ud800 a character")]))
    response = await post(server_for(space), question())
    assert response.status_code >= 500
    assert response.json()["error"]["message"]
