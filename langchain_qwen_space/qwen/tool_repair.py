"""What a model wrote inside one `<tool_call>` tag, read as the calls it stands for.

A mistake is repaired where only one reading is possible; everything else is a broken call.
"""

import json
import re
from typing import Any

NESTING_LIMIT = 100
"""Brackets within brackets; with more, the receiver of the call would meet a recursion limit."""

_CALL_KEYS = ({"name", "arguments"}, {"name", "parameters"})
_FIRST_KEYS = re.compile(
    r"""\s*\{\s*(["'])name\1\s*:\s*(["'])(?P<name>[^"'\\]+)\2\s*"""
    r"""(?:,\s*(["'])(?:arguments|parameters)\4\s*:\s*)?(?P<args>.*)""",
    re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_TOKEN = re.compile(
    r'"(?:[^"\\]++|\\.)*+"' rf"|'(?P<quoted>(?:[^'\\]++|\\.)*+)'|\b(?P<word>{'|'.join(_WORDS)})\b",
    re.DOTALL,
)
_IN_QUOTES = re.compile(r'\\(.)|"', re.DOTALL)
_STRING_OR_BRACKET = re.compile(
    r'"(?:[^"\\]++|\\.)*+(?:"|(?P<open>\\?)\Z)|[{}\[\]]',
    re.DOTALL,
)


def read_calls(body: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns the calls, names with arguments, that the body of a tag stands for; none if broken.

    A body is one call or a JSON list of calls. Read besides strict JSON: arguments under the key
    `parameters`, as a JSON string, or null or "" for none; both keys in either order; Python's
    single quotes, `True`, `False` and `None`; raw line breaks in strings. Broken is what can be
    read in two ways: a key that stands twice in one object, and keys besides those two, which may
    be arguments that were left outside by a bracket too many.
    """
    try:
        value = _load(body)
        return [_call(item) for item in (value if isinstance(value, list) else [value])]
    except ValueError:
        return []


def as_json(text: str) -> str:
    """Returns the text with what Python writes in its own way put as JSON; JSON stays as it is."""
    return _TOKEN.sub(_token, text)


def read_broken(body: str) -> tuple[str | None, str]:
    """Returns the name, if one can be found, and the arguments as written of a broken call.

    The arguments are all that follows the name, and without a name the whole body.
    """
    match = _FIRST_KEYS.match(body)
    return (match["name"], match["args"]) if match else (None, body)


def give_up(args: str) -> str:
    r"""Returns what to append to broken arguments so that LangChain takes the call for invalid.

    `langchain_core.utils.json.parse_partial_json` completes what is cut off, but gives up at a
    bracket that closes the wrong one. So: an open escape is closed with a backslash, an open
    string with a quote, then comes a bracket that cannot follow.
    """
    tail, brackets = "", [""]
    for match in _STRING_OR_BRACKET.finditer(args):
        mark = match[0]
        if match["open"] is not None:
            tail = match["open"] + '"'
        elif mark in "{[":
            brackets.append(mark)
        elif mark in "}]" and len(brackets) > 1:
            brackets.pop()
    return tail + ("}" if brackets[-1] == "[" else "]")


def _call(item: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(item, dict) or item.keys() not in _CALL_KEYS:
        raise ValueError
    name, args = item["name"], item.get("arguments", item.get("parameters"))
    if not (isinstance(name, str) and name):
        raise ValueError
    if isinstance(args, str):
        args = _load(args or "null")
    if args is None:
        args = {}
    if not isinstance(args, dict):
        raise ValueError
    return name, args


def _load(text: str) -> Any:
    try:
        return _strict(text)
    except ValueError:
        return _strict(as_json(text))


def _strict(text: str) -> Any:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth > NESTING_LIMIT:
            raise ValueError
    # Not strict about line breaks in strings, as LangChain's own parser is not.
    return json.loads(text, strict=False, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError
    return value


def _token(match: re.Match[str]) -> str:
    if match["word"]:
        return _WORDS[match["word"]]
    if match["quoted"] is None:
        return match[0]
    return f'"{_IN_QUOTES.sub(_escape, match["quoted"])}"'


def _escape(match: re.Match[str]) -> str:
    if match[0] == '"':
        return '\\"'
    return "'" if match[1] == "'" else match[0]
