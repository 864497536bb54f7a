import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_qwen_space.errors import (
    ContextTooLongError,
    GenerationError,
    InvalidInputError,
    ProtocolError,
    QueueFullError,
    QwenSpaceError,
    SpaceAuthenticationError,
    SpaceNotFoundError,
    SpacePermissionError,
    SpaceRateLimitError,
    SpaceUnavailableError,
)
from langchain_qwen_space.space.wire.faults import from_output, from_status

WHERE = "Space Owner/Name"


def refused(status, body="", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_status(status, headers, body, WHERE, "POST queue/join")


def failed(output, title=None, *, quoted=False, partial=""):
    return from_output(output, title, WHERE, partial, quoted=quoted)


def raised(text, **options):
    return failed({"error": text}, **options)


STATUSES = [
    (400, InvalidInputError, False, "refuses this input"),
    (401, SpaceAuthenticationError, False, "hf_token="),
    (403, SpacePermissionError, False, "may not use"),
    (404, SpaceNotFoundError, False, "Check the id or URL"),
    (408, SpaceUnavailableError, True, "try again later"),
    (413, InvalidInputError, False, "too large"),
    (418, ProtocolError, False, "418"),
    (422, InvalidInputError, False, "refuses this input"),
    (429, SpaceRateLimitError, True, "lower max_concurrency"),
    (500, SpaceUnavailableError, True, "try again later"),
    (501, ProtocolError, True, "501"),
    (502, SpaceUnavailableError, True, "try again later"),
    (503, SpaceUnavailableError, True, "try again later"),
    (504, SpaceUnavailableError, True, "try again later"),
    (520, ProtocolError, True, "520"),
]


@pytest.mark.parametrize(("status", "kind", "retryable", "hint"), STATUSES)
def test_a_status_is_an_error_that_says_where_and_what_to_do(status, kind, retryable, hint):
    error = refused(status, '{"detail":"it says why."}')
    assert type(error) is kind
    assert error.is_retryable is retryable
    assert error.status == status
    assert str(error).startswith(f"{WHERE} answered POST queue/join with {status}: it says why.")
    assert hint in str(error)


@pytest.mark.parametrize(
    "body",
    [
        '{"detail":"Not authenticated"}',
        '{"detail":{"error":"Not authenticated","auth_message":null}}',
    ],
)
def test_a_space_with_a_login_asks_for_one(body):
    error = refused(401, body)
    assert "401: Not authenticated. The Space has a login: give auth=" in str(error)


def test_a_full_queue_is_distinguished_from_a_space_that_is_down():
    full = refused(503, '{"detail":"Queue is full. Max size is 1 and size is 1."}', Retry_After="7")
    assert type(full) is QueueFullError
    assert full.is_retryable
    assert full.retry_after == 7
    assert "Queue is full. Max size is 1 and size is 1. Try again later." in str(full)
    assert type(refused(503, '{"detail":"Queue is stopped."}')) is SpaceUnavailableError


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    error = refused(status, Location="https://elsewhere.example/" + "x" * 1000)
    assert type(error) is SpaceUnavailableError
    assert not error.is_retryable
    assert "redirects POST queue/join to https://elsewhere.example/" in str(error)
    assert len(str(error)) < 700
    assert "to nowhere" in str(refused(status))


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        ('{"detail":"one  two."}', "application/json", ": one two."),
        ('{"error": "why"}', "application/json", ": why."),
        ('{"detail":[{"loc":["body"],"msg":"Field required"}]}', "", ": Field required."),
        ('{"detail":[{"message":"not allowed"}]}', "", ": not allowed."),
        ('{"detail":"a \\"b\\""}', "", ': a \\"b\\".'),
        ("plain words", "text/plain", ": plain words."),
        ("<!DOCTYPE html><title>502 Bad\n Gateway</title><p>x", "", ": 502 Bad Gateway."),
        ("  <html><TITLE lang=en>Asleep</TITLE>", "", ": Asleep."),
        ("<html><body>long words</body></html>", "text/html; charset=utf-8", "."),
        ("no tag", "text/html", "."),
        ("", "", "."),
    ],
)
def test_only_the_text_of_a_body_is_reported(body, content_type, said):
    error = refused(502, body, Content_Type=content_type)
    assert f"answered POST queue/join with 502{said} It may" in str(error)


@pytest.mark.parametrize("body", ["x" * 60_000, "<title>" + "x" * 60_000 + "</title>"])
def test_a_long_body_is_cut(body):
    assert len(str(refused(500, body))) < 500


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), (" 7 ", 7), ("soon", None), ("", None), ("-5", None), ("²", None)],
)
def test_retry_after_in_seconds(value, seconds):
    for status in (429, 503):
        assert refused(status, Retry_After=value).retry_after == seconds
    assert refused(429).retry_after is None


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be changed here")
@pytest.mark.parametrize("zone", [" GMT", " +0000", " -0000", ""])
def test_retry_after_as_a_date(zone, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=90)).removesuffix(" +0000")
        assert refused(429, Retry_After=date + zone).retry_after == pytest.approx(90, abs=60)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_that_is_past_means_now():
    assert refused(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT").retry_after == 0


DATES = st.lists(
    st.sampled_from(["Wed,", "21", "Oct", "99999", "0", "07:28:00", "25:61", "GMT", "-0000", "\0"])
).map(" ".join)


@given(st.integers(300, 599), st.text() | DATES, st.text(), st.text())
@example(429, "Mon, 1 Jan 0001 00:00:00 -2359", "", "")
def test_any_answer_is_a_qwen_space_error(status, retry_after, body, content_type):
    error = refused(status, body, Retry_After=retry_after, Content_Type=content_type)
    assert isinstance(error, QwenSpaceError)
    assert error.retry_after is None or error.retry_after >= 0


@pytest.mark.parametrize("output", [None, {}, {"error": None}, {"error": " "}, {"error": 7}, "x"])
def test_an_app_that_hides_its_errors_failed_without_saying_why(output):
    error = failed(output, "Error", partial="half an ans")
    assert type(error) is GenerationError
    assert error.is_retryable
    assert error.partial == "half an ans"
    assert str(error).startswith(f"The app on {WHERE} failed without saying why")


def test_what_the_app_raised_is_reported():
    error = raised("it broke", partial="half")
    assert type(error) is GenerationError
    assert str(error) == f"The app on {WHERE} failed: it broke"
    assert error.partial == "half"
    assert error.status is None
    assert not error.is_retryable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("'it broke'", "it broke"),
        ('"it\'s broken"', "it's broken"),
        (repr("both ' and \""), "both ' and \""),
        (repr("lines\nand \\ and \t and \x1b and 中"), "lines\nand \\ and \t and \x1b and 中"),
        ("it broke", "it broke"),
        ("'half", "'half"),
        ("'a' + 'b'", "'a' + 'b'"),
        ("'a' 'b'", "'a' 'b'"),
        (r"'C:\data'", r"'C:\data'"),
        (r"'\xzz'", r"'\xzz'"),
        ("'" + "(" * 500 + "'", "(" * 500),
        ("'", "'"),
    ],
)
def test_before_5_2_the_words_of_gr_error_are_quoted(text, said):
    start = f"The app on {WHERE} failed: "
    assert str(failed({"error": text, "duration": 0.1}, quoted=True)) == start + said
    assert str(failed({"error": text, "duration": 0.1})) == start + text  # later releases
    assert str(raised(text, quoted=True)) == start + text  # a plain exception


@given(st.text())
def test_whatever_gr_error_says_comes_out_of_its_quotes(text):
    error = failed({"error": repr(text), "duration": 0.1}, quoted=True)
    if text.strip():
        assert str(error).endswith(f"failed: {text}")


@pytest.mark.parametrize(
    ("output_title", "title", "said"),
    [
        (None, None, "failed: it broke"),
        ("Error", None, "failed: it broke"),
        ("", "Error", "failed: it broke"),
        ("Too busy", None, "failed: Too busy: it broke"),
        ("Too busy", "Another", "failed: Too busy: it broke"),
        (None, "Too busy", "failed: Too busy: it broke"),
        (7, None, "failed: it broke"),
    ],
)
def test_a_title_stands_before_the_words(output_title, title, said):
    assert str(failed({"error": "it broke", "title": output_title}, title)).endswith(said)


def upstream(status, code, message):
    return raised(
        f"Request id: 4f0-1, Status code: {status}, error code: {code}, error message: {message}"
    )


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, GenerationError, False),
        (401, GenerationError, False),
        (408, GenerationError, True),
        (429, SpaceRateLimitError, True),
        (500, GenerationError, True),
        (503, GenerationError, True),
    ],
)
def test_the_status_of_the_service_behind_the_app_is_read(status, kind, retryable):
    error = upstream(status, "SomeCode", "some words")
    assert type(error) is kind
    assert error.status == status
    assert error.is_retryable is retryable
    assert "error message: some words" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "Rate limit exceeded",
        "rate_limit_exceeded",
        "RateLimitError: slow down",
        "You have exceeded your GPU quota (60s left vs. 60s requested).",
        "Too Many Requests",
        "Requests throttled, try again later",
        "You exceeded your current limit",
        "HTTP status_code=429",
    ],
)
def test_a_quota_is_a_rate_limit(text):
    error = raised(text, partial="half")
    assert type(error) is SpaceRateLimitError
    assert error.is_retryable
    assert error.partial == "half"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Try again in 0:10:32", 632),
        ("<a href='x'>Subscribe</a> and retry in 23:59:59.", 86399),
        ("Try again in 1 day, 2:00:00", 93600),
        ("Retry after 20 seconds.", 20),
        ("Try again in 5s", 5),
        ("Try again in 5 steps", None),
        ("Try again later", None),
    ],
)
def test_how_long_a_quota_lasts_is_read_from_the_apps_words(said, seconds):
    error = raised(f"You have exceeded your GPU quota (60s requested vs. 0s left). {said}")
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Range of input length should be [1, 30720]",
        "This model's maximum context length is 32768 tokens",
        "context_length_exceeded",
        "The context window of the model was exceeded",
        "exceeds the context length",
        "Prompt is too long",
        "Status code: 429, error message: Input is too long",
    ],
)
def test_a_conversation_that_is_too_long_says_so(text):
    error = raised(text)
    assert type(error) is ContextTooLongError
    assert not error.is_retryable
    assert "Shorten the conversation" in str(error)


def test_the_status_of_a_context_that_is_too_long_is_kept():
    error = upstream(400, "InvalidParameter", "Range of input length should be [1, 30720]")
    assert type(error) is ContextTooLongError
    assert error.status == 400


@pytest.mark.parametrize(
    "text",
    [
        "context length" * 200_000,
        "exceeded your " * 200_000,
        "'" + "\\'" * 500_000 + "'",
        '"' * 1_000_000,
        "'" * 1_000_001,
        "''+" + "-" * 9000 + "''",
        "status code" + " " * 1_000_000,
    ],
)
def test_a_long_text_costs_no_time_and_is_cut(text):
    start = time.process_time()
    error = failed({"error": text, "duration": 1, "title": text}, quoted=True)
    page = refused(502, text.replace("context length", "<title"))
    assert time.process_time() - start < 1
    assert len(str(error)) + len(str(page)) < 5000
