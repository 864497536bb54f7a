"""What all dialects need to write tools, calls and results as text."""

import json
import re
from typing import Any

from langchain_qwen_space.errors import InvalidInputError

BROKEN_CALLS = "broken_tool_calls"
"""Key in a message's `additional_kwargs`: by id, what was written for a call that could not be
read, and what is wrong with it."""

# Every special token of Qwen has the form <|name|>; the rest are the tags of its tool template.
_CONTROL_START = re.compile(
    r"<(?=\|\w++\|>|/?(?:tool_call|tool_response|tools)>)",
    re.IGNORECASE,
)

_SURROGATE = re.compile("[\ud800-\udfff]")


def break_control_strings(text: str) -> str:
    """Returns the text with a space put after the `<` of every control string.

    Control strings are all `<|name|>` and the tags `<tool_call>`, `<tool_response>` and `<tools>`,
    opening and closing, in any letter case. Qwen's tokenizer knows its special tokens by their
    exact characters, so `< |im_end|>` is plain text to it. As nothing is taken away, breaking one
    can never make another. Text without control strings comes back as it is, and so does text
    that was broken before.
    """
    return _CONTROL_START.sub("< ", text)


def has_lone_surrogate(text: str) -> bool:
    """Returns whether the text holds half a character, which cannot be sent as UTF-8."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def to_json(value: Any) -> str:
    """As Qwen's templates do it, but with lone surrogates escaped, which no request can hold.

    Raises:
        InvalidInputError: JSON cannot hold the value.
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"A tool or a tool call cannot be written as JSON ({error}): {value!r:.200}"
        raise InvalidInputError(message) from error
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
