"""JSON objects in the text of an answer."""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from langchain_core.utils.json import parse_partial_json

from langchain_qwen_space.qwen.strict_json import READ, BrokenCallError, with_json_spelling

# A brace that begins an object. One without a name in quotes behind it is part of the prose.
_OBJECT = re.compile(
    r"""\{(?=\s*(?:\}|"(?:[^"\\]|\\.)*+"\s*:|'(?:[^'\\]|\\.)*+'\s*:))""", re.DOTALL
)
_FENCED = re.compile(r"(`{3,})[\w-]*+\s(.*)\1", re.DOTALL)
# Line breaks in strings pass, as in LangChain's parsers.
_DECODER = json.JSONDecoder(strict=False, **READ)


class BrokenJSONError(ValueError):
    """What looks like an object cannot be read; the message says why."""


def find(text: str) -> Iterator[dict[str, Any]]:
    """Yields the JSON objects in a text: bare, in Markdown fences or in the midst of prose.

    What Python spells its own way (`True`, single quotes) is read as well.

    Raises:
        BrokenJSONError: One cannot be read, or holds a key twice. What is inside it or follows it is
            not looked at: a part of an object must not pass for the whole.
    """
    while match := _OBJECT.search(text):
        value, text = _read(text[match.start() :])
        yield value


def whole(text: str) -> dict[str, Any] | None:
    """Returns the JSON object that a text is, bare or in a fence; None if it is anything else."""
    text = text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[2].strip()
    if not _OBJECT.match(text):
        return None
    with suppress(ValueError, RecursionError):
        value, end = _DECODER.raw_decode(text)
        return None if text[end:] else value
    if "//" not in text:  # a comment would be left out, whatever it says
        with suppress(BrokenJSONError):
            value, rest = _read(text)
            return None if rest else value
    return None


def as_call(value: dict[str, Any]) -> tuple[str, Any] | None:
    """Returns the name and the arguments of an object in a form in which models write calls."""
    inner = value.get("function")
    if isinstance(inner, dict) and value.keys() == {"type", "function"}:
        value = inner
    for key in ("arguments", "parameters"):
        if value.keys() == {"name", key} and isinstance(name := value["name"], str):
            return name, value[key]
    return None


def readings(value: dict[str, Any], fields: Collection[str]) -> Iterator[Any]:
    """Yields what an object may stand for: itself, and if it has the form of a call, the arguments.

    Args:
        value: The object.
        fields: The names of the properties that are wanted, where they are known.
    """
    call = as_call(value)
    if call is None or not fields or value.keys() <= set(fields):
        yield value
    if call is not None:
        yield call[1]


def _read(text: str) -> tuple[dict[str, Any], str]:
    """The object at the beginning of a text, and what follows it."""
    try:
        value, end = _DECODER.raw_decode(text)
    except BrokenCallError as error:
        raise BrokenJSONError(str(error)) from error
    except (ValueError, RecursionError) as error:
        text = with_json_spelling(text)
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError) as second:
            twice = isinstance(second, BrokenCallError)
            message = str(second) if twice else f"Its JSON cannot be read: {error}."
            raise BrokenJSONError(message) from error
    return value, text[end:]


def so_far(text: str) -> dict[str, Any] | None:
    """Returns the first JSON object in a growing text as far as it has come; None before that."""
    match = _OBJECT.search(text)
    if match is None:
        return None
    text = text[match.start() :]
    with suppress(ValueError, RecursionError):
        value: dict[str, Any] = _DECODER.raw_decode(text)[0]
        return value
    with suppress(ValueError, RecursionError):
        part = parse_partial_json(text)
        return part if isinstance(part, dict) else None
    return None
