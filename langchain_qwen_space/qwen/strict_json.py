"""JSON that can be read in one way only."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

_WORDS = {"True": "true", "False": "false", "None": "null"}
_COMMENT = r"(?<!:)//[^\n]*+"
BLANKS = r"\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The blank space that JSON does not have between its tokens, as in brackets of an expression."""

_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]++|\\.)*+")'
    rf"|'(?P<quoted>(?:[^'\\]++|\\.)*+)'|(?P<open>[\"'].*+)|\b(?P<word>{'|'.join(_WORDS)})\b"
    rf"|(?P<gap>{_COMMENT}|,(?=(?:\s++|{_COMMENT})*+[}}\]])|[{BLANKS}]++)",
    re.DOTALL,
)
_IN_QUOTES = re.compile(r'\\(.)|"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_JSON_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')


class BrokenCallError(ValueError):
    """A call cannot be read. The message says what is wrong, in words for the model."""


def listed(keys: Collection[str]) -> str:
    """Returns keys in quotes, with "and" between them."""
    return " and ".join(f'"{key}"' for key in sorted(keys))


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object with these members, for `json`.

    Raises:
        BrokenCallError: A key is given twice.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = [key for key, count in counts.items() if count > 1]
        raise BrokenCallError(f"{listed(twice)} is given twice in one object.")
    return value


def number_of(text: str) -> float:
    """Returns the number that a text stands for, for `json`.

    Raises:
        BrokenCallError: It is `NaN`, an infinity, or too large: JSON has no such number, so a receiver
            of the arguments may read another value or none.
    """
    value = float(text)
    if not math.isfinite(value):
        raise BrokenCallError(f"{text:.30} is not a number that JSON can hold.")
    return value


READ: Mapping[str, Any] = {
    "object_pairs_hook": object_of,
    "parse_constant": number_of,
    "parse_float": number_of,
}
"""Arguments for `json.loads`."""


def with_json_spelling(text: str) -> str:
    """Returns the text with what is spelled in another way than JSON's put as JSON.

    JSON stays as it is.
    """
    return _TOKEN.sub(_token, text)


def _token(match: re.Match[str]) -> str:
    if match["open"]:  # a string without an end
        return match[0]
    if match["gap"]:
        return " "
    if match["word"]:
        return _WORDS[match["word"]]
    if match["string"] is not None:
        return _with_json_escapes(match["string"])
    return f'"{_IN_QUOTES.sub(_escape, match["quoted"])}"'


def _with_json_escapes(string: str) -> str:
    r"""A string in quotes, with backslashes that are no escapes doubled, as in `"\d+"`.

    Where others are escapes, as the second one in `"C:\dir\new"`, the string could be read in two
    ways and stays as it is: invalid.
    """
    escapes = {match[0] for match in _ESCAPE.finditer(string)} - {'\\"', "\\'"}
    if any(_JSON_ESCAPE.fullmatch(escape) for escape in escapes):
        return string
    return _ESCAPE.sub(_double, string)


def _double(match: re.Match[str]) -> str:
    if match[0] == "\\'":
        return "'"
    return match[0] if match[0] == '\\"' else f"\\{match[0]}"


def _escape(match: re.Match[str]) -> str:
    if match[0] == '"':
        return '\\"'
    return "'" if match[1] == "'" else match[0]
