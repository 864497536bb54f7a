"""What a Space answers when it does not answer -> the error that the caller gets."""

import ast
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

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

_SHOWN = 300  # characters of a foreign text that a message quotes
_TOLD = 2000  # characters of what an app says, which may end with the reason
_LONGEST_WAIT = 366 * 24 * 3600.0  # seconds that a Space may ask to be left alone
_SEARCHED = 4096  # characters of an answer in which words are looked for
_LITERAL = re.compile(  # what `repr` makes of a string, and no other expression
    r"""'[^'\\\n]*(?:\\[\\'nrtxuU][^'\\\n]*)*'|"[^"\\\n]*(?:\\[\\nrtxuU][^"\\\n]*)*\""""
)
_STATUS = re.compile(r"status[ _]code[:=]?\s*(\d{3})\b", re.IGNORECASE)
_QUOTA = re.compile(
    r"\b(rate[ _-]?limit|quota|too many requests|throttl|exceeded your .*limit)", re.IGNORECASE
)
_AGAIN = re.compile(  # as ZeroGPU writes it: "Try again in 1:02:03"
    r"\b(?:retry|try again)(?: in| after) "
    r"(?:(?:(\d{1,3}) days?, )?(\d{1,3}):(\d\d):(\d\d)\b|(\d{1,8}) ?s(?:ec(?:ond)?s?)?\b)",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"range of input length|maximum context length|context[ _](length|window).*exceed"
    r"|exceed.*context (length|window)|prompt is too long|input is too long",
    re.IGNORECASE,
)


def from_status(
    status: int, headers: Mapping[str, str], body: str, where: str, step: str
) -> QwenSpaceError:
    """The error for an HTTP status other than 200.

    Args:
        status: The status.
        headers: The answer's headers.
        body: The answer's body.
        where: The Space, for the message.
        step: The request that was answered so, as `POST queue/join`.
    """
    detail = _detail(body, headers)
    said = f": {detail}" if detail else ""
    again = _retry_after(headers)
    text = f"{where} answered {step} with {status}{said}."
    if status == 401:
        if "Not authenticated" in body:
            hint = "The Space has a login: give auth=(user, password)."
        else:
            hint = "A private Space needs hf_token=… of somebody who may see it."
        return SpaceAuthenticationError(f"{text} {hint}", status=status)
    if status == 403:
        hint = "The token or login may not use this Space."
        return SpacePermissionError(f"{text} {hint}", status=status)
    if status == 404 and step == "GET queue/data":
        hint = (
            "It does not know the session that was just opened: it has restarted, or another replica "
            "of it has answered. Try again."
        )
        return SpaceUnavailableError(f"{text} {hint}", status=status, retry_after=again)
    if status == 404:
        hint = "Check the id or URL of the Space; if it is private, give hf_token=…"
        return SpaceNotFoundError(f"{text} {hint}", status=status)
    if status in (400, 413, 422):
        hint = (
            "The conversation is too large for it." if status == 413 else "It refuses this input."
        )
        return InvalidInputError(f"{text} {hint}", status=status)
    if status == 429:
        hint = "Call it less often, or lower max_concurrency."
        return SpaceRateLimitError(f"{text} {hint}", status=status, retry_after=again)
    if status == 503 and re.search(r"queue is full", body, re.IGNORECASE):
        return QueueFullError(f"{text} Try again later.", status=status, retry_after=again)
    if 300 <= status < 400:
        target = headers.get("Location", "nowhere")[:_SHOWN]
        msg = (
            f"{where} redirects {step} to {target}, which is not followed. If that is an address "
            "of the app that you trust, pass it as space=…"
        )
        return SpaceUnavailableError(msg, status=status, is_retryable=False)
    if status in (408, 500, 502, 503, 504):
        hint = "It may be starting or overloaded; try again later."
        return SpaceUnavailableError(f"{text} {hint}", status=status, retry_after=again)
    return ProtocolError(text, status=status, is_retryable=status > 500)


def from_output(
    output: object, title: object, where: str, partial: str, *, quoted: bool, hint: str = ""
) -> QwenSpaceError:
    """The error for a call that the app failed.

    Args:
        output: The `output` of the final event: what the app raised is in its `error`.
        title: The event's own title.
        where: The Space, for the message.
        partial: The text of the answer until then.
        quoted: Whether this release sends what `gr.Error` says as `repr` writes it.
        hint: What in the question may be the cause, in a sentence.
    """
    found = output if isinstance(output, dict) else {}
    error = found.get("error")
    if not isinstance(error, str) or not error.strip():
        msg = (
            f"The app on {where} failed without saying why (it hides its errors). Try again; if it "
            "happens every time, ask the Space's owner to check its log."
        )
        return GenerationError(f"{msg} {hint}".rstrip(), partial=partial)
    said = _unquoted(error) if quoted and "duration" in found else error
    heading = found.get("title") or title
    if isinstance(heading, str) and heading not in ("", "Error"):
        said = f"{heading[:_SHOWN]}: {said}"
    said = said[:_TOLD]
    text = f"The app on {where} failed: {said}"
    match = _STATUS.search(said)
    status = int(match[1]) if match else None
    if _TOO_LONG.search(said):
        return ContextTooLongError(
            f"{text} (Shorten the conversation.)", partial=partial, status=status
        )
    if status == 429 or _QUOTA.search(said):
        return SpaceRateLimitError(text, partial=partial, status=status, retry_after=_wait_in(said))
    retryable = status is not None and (status >= 500 or status == 408)
    text = f"{text} ({hint})" if hint else text
    return GenerationError(text, partial=partial, status=status, is_retryable=retryable)


def _detail(body: str, headers: Mapping[str, str]) -> str:
    """What the body says in words; a page of HTML says at most its title."""
    if headers.get("Content-Encoding"):
        return ""
    body = body[:_SEARCHED]
    if "html" in headers.get("Content-Type", "") or body.lstrip()[:1] == "<":
        match = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
        text = match[1] if match else ""
    else:
        match = re.search(r'"(?:detail|error|message|msg)"\s*:\s*"((?:[^"\\]|\\.)*)"', body)
        text = match[1] if match else body
    return " ".join(text.split())[:_SHOWN].rstrip(".")


def _wait_in(said: str) -> float | None:
    """Seconds to wait, as an app's own words say."""
    match = _AGAIN.search(said)
    if match is None:
        return None
    days, hours, minutes, seconds, alone = (float(number or 0) for number in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + alone


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `Retry-After` in seconds or as a date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    try:
        if value.isascii() and value.isdigit():
            return min(_LONGEST_WAIT, float(value))
        date = parsedate_to_datetime(value)
        seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(_LONGEST_WAIT, max(0.0, seconds))


def _unquoted(text: str) -> str:
    """The string that `text` is the `repr` of, or `text` itself."""
    if _LITERAL.fullmatch(text):
        with suppress(SyntaxError, ValueError):
            return str(ast.literal_eval(text))
    return text
