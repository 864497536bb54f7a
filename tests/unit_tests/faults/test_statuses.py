"""HTTP statuses other than 200, with words, with HTML, and with `Retry-After`."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from langchain_qwen_space.errors import (
    InvalidInputError,
    ProtocolError,
    QueueFullError,
    SpaceAuthenticationError,
    SpaceNotFoundError,
    SpacePermissionError,
    SpaceRateLimitError,
    SpaceUnavailableError,
)
from tests.unit_tests.faults.calls import failure, model_for
from tests.unit_tests.faults.server import UNKNOWN, page, reply

STEPS = ["config", "login", "join", "data"]
MEANS = {
    400: (InvalidInputError, False),
    401: (SpaceAuthenticationError, False),
    403: (SpacePermissionError, False),
    404: (SpaceNotFoundError, False),
    408: (SpaceUnavailableError, True),
    413: (InvalidInputError, False),
    418: (ProtocolError, False),
    422: (InvalidInputError, False),
    429: (SpaceRateLimitError, True),
    500: (SpaceUnavailableError, True),
    502: (SpaceUnavailableError, True),
    503: (SpaceUnavailableError, True),
    504: (SpaceUnavailableError, True),
    599: (ProtocolError, True),
}


def model_at(space, step, **settings):
    auth = {"auth": ("ann", "secret")} if step == "login" else {}
    return model_for(space, **auth, **settings)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", MEANS)
async def test_a_status_at_any_request_is_the_error_that_it_means(space, step, status):
    kind, retryable = MEANS[status]
    if step == "login" and status == 400:
        kind = SpaceAuthenticationError  # how Gradio refuses a password
    if step == "data" and status == 404:
        kind, retryable = SpaceUnavailableError, True  # the session is not known there
    if step == "join":
        space.on("data", UNKNOWN)
    space.on(step, reply('{"detail": "Words of the Space."}', status))
    error = await failure(model_at(space, step), kind)
    assert error.status == status
    assert error.is_retryable is retryable
    assert f"Space {space.url}" in str(error)
    if not (step == "login" and status in (400, 401)):
        assert "Words of the Space" in str(error)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
async def test_a_page_of_html_says_its_title_and_no_markup(space, step, status):
    space.on(step, page(status))
    if step == "join":
        space.on("data", UNKNOWN)
    unknown = step == "data" and status == 404
    kind = SpaceUnavailableError if unknown else MEANS[status][0]
    error = await failure(model_at(space, step), kind)
    assert "<" not in str(error)
    if not (step == "login" and status == 401):
        assert f"{status} from the proxy" in str(error)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds_stands_in_the_error(space, status):
    space.on("join", page(status, {"Retry-After": "120"}))
    space.on("data", UNKNOWN)
    error = await failure(model_for(space, max_retries=2), MEANS[status][0])
    assert error.retry_after == 120
    assert len(space.asked("join")) == 1, "a Space that asks for that much is left alone"


@pytest.mark.parametrize("value", ["9" * 30, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_retry_after_beyond_all_measure_is_a_long_time(space, value):
    space.on("join", page(429, {"Retry-After": value}))
    error = await failure(model_for(space, max_retries=2), SpaceRateLimitError)
    assert 3600 * 24 * 365 < error.retry_after < 3600 * 24 * 367


async def test_retry_after_as_a_date_stands_in_the_error(space):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    space.on("join", page(429, {"Retry-After": date}))
    error = await failure(model_for(space, max_retries=2), SpaceRateLimitError)
    assert 240 < error.retry_after <= 300
    assert len(space.asked("join")) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        "9" * 400 + "x",
        "soon",
        "-5",
        "²",
        "1e9",
        "Mon, 99 Foo 2026",
        "Mon, 01 Jan 2024 00:00:00 +9999999999",
    ],
)
async def test_a_retry_after_that_cannot_be_read_is_none(space, value):
    space.on("join", page(429, {"Retry-After": value}))
    error = await failure(model_for(space), SpaceRateLimitError)
    assert error.retry_after is None


@pytest.mark.parametrize("value", ["0", "Mon, 01 Jan 2024 00:00:00 GMT"])
async def test_a_retry_after_that_has_passed_is_now(space, value):
    space.on("join", page(429, {"Retry-After": value}))
    error = await failure(model_for(space), SpaceRateLimitError)
    assert error.retry_after == 0


async def test_a_full_queue_is_its_own_error(space):
    space.on("join", reply('{"detail": "Queue is full. Max size is 1."}', 503))
    error = await failure(model_for(space), QueueFullError, "Queue is full")
    assert error.is_retryable


async def test_a_long_answer_to_a_failed_request_is_quoted_in_part(space):
    space.on("join", reply("x" * 60_000, 500))
    space.on("data", UNKNOWN)
    error = await failure(model_for(space), SpaceUnavailableError, "xxx")
    assert len(str(error)) < 600


@pytest.mark.parametrize("step", STEPS)
async def test_an_endless_answer_to_a_failed_request_is_not_read(space, step):
    endless = (b"x" * 65536 for _ in iter(int, 1))

    async def pour(exchange):
        await exchange.send(b"HTTP/1.1 500 Status\r\nContent-Length: 99999999999\r\n\r\n")
        for piece in endless:
            await exchange.send(piece)

    space.on(step, pour)
    kind = ProtocolError
    await failure(model_at(space, step), kind, "bytes, which are not read")


async def test_a_refused_join_is_not_cancelled(space):
    space.on("join", page(429))
    await failure(model_for(space), SpaceRateLimitError, "429")
    await space.quiet(cancels=0)


async def test_a_join_that_a_proxy_gave_up_is_cancelled(space):
    space.on("join", page(502))
    space.on("data", UNKNOWN)
    await failure(model_for(space), SpaceUnavailableError, "502")
    await space.quiet(cancels=1)


async def test_a_call_whose_stream_is_refused_is_cancelled(space):
    space.on("data", page(502))
    await failure(model_for(space), SpaceUnavailableError, "502")
    await space.quiet(cancels=1)
    assert space.asked("cancel")[0].json()["event_id"] == "e1"
