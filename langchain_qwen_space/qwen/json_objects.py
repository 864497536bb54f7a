"""JSON objects in the text of an answer."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from langchain_core.utils.json import parse_partial_json

from langchain_qwen_space.qwen.tool_repair import as_json

# A brace that begins an object. One without a name in quotes behind it is part of the prose.
_OBJECT = re.compile(
    r"""\{(?=\s*(?:\}|"(?:[^"\\]|\\.)*+"\s*:|'(?:[^'\\]|\\.)*+'\s*:))""", re.DOTALL
)
_DECODER = json.JSONDecoder(strict=False)  # line breaks in strings pass, as in LangChain's parsers


class BrokenJSONError(ValueError):
    """What looks like an object cannot be read; the message says why."""


def find(text: str) -> Iterator[dict[str, Any]]:
    """Yields the JSON objects in a text: bare, in Markdown fences or in the midst of prose.

    What Python spells its own way (`True`, single quotes) is read as well.

    Raises:
        BrokenJSONError: One cannot be read. What is inside it or follows it is not looked at: a
            part of an object must not pass for the whole.
    """
    while match := _OBJECT.search(text):
        text = text[match.start() :]
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError) as error:
            text = as_json(text)
            try:
                value, end = _DECODER.raw_decode(text)
            except (ValueError, RecursionError):
                raise BrokenJSONError(f"Its JSON cannot be read: {error}.") from error
        yield value
        text = text[end:]


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
