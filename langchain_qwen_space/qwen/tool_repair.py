"""What a model wrote as JSON for a call, read as the calls it stands for.

A mistake is repaired where only one reading is possible; everything else is a broken call.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from langchain_qwen_space.qwen import tool_parameters
from langchain_qwen_space.qwen.strict_json import READ, BrokenCallError, listed, with_json_spelling
from langchain_qwen_space.qwen.tool_parameters import ToolSchemas

NESTING_LIMIT = 100
"""Brackets within brackets; with more, the receiver of the call would meet a recursion limit."""

_ARGUMENTS = ("arguments", "parameters", "args")
_LABELS = frozenset({"id", "type"})
_FIRST_KEYS = re.compile(
    r"""\s*\{\s*(["'])name\1\s*:\s*(["'])(?P<name>[^"'\\]+)\2\s*"""
    r"""(?:,\s*(["'])(?:arguments|parameters|args)\4\s*:\s*)?(?P<args>.*)""",
    re.DOTALL,
)
_STRING_OR_BRACKET = re.compile(
    r'"(?:[^"\\]++|\\.)*+(?:"|(?P<open>\\?)\Z)|[{}\[\]]',
    re.DOTALL,
)
_MEMBER = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)


def read_calls(body: str, tools: ToolSchemas) -> list[tuple[str, dict[str, Any]]]:
    """Returns the calls, names with arguments, that a JSON text stands for.

    It is one call or a list of calls. Read besides strict JSON: OpenAI's wrapper
    (`{"type": "function", "function": {…}}`); an `id` or `type` beside the name; no arguments;
    arguments under the key `parameters` or `args`, as a JSON string, or null or "" for none; keys
    in any order; Python's single quotes, `True`, `False` and `None`; raw line breaks in strings;
    commas before a closing bracket; `//` comments; a backslash that is not an escape; a list or object
    as a JSON string where the tool's schema allows nothing else.

    Raises:
        BrokenCallError: It can be read in no way, or in two: a key that stands twice in one object;
            keys besides those, which may be arguments that were left outside by a bracket too many.
    """
    value = _load(body)
    items = value if isinstance(value, list) else [value]
    if not items:
        raise BrokenCallError("The list of calls is empty.")
    return [_call(item, tools) for item in items]


def unwrap(text: str, wanted: Mapping[str, frozenset[str]]) -> str:
    """Returns the JSON text of an object, with lists and objects in place of strings that hold them.

    Args:
        text: The object.
        wanted: The types of its members that are to be lists or objects.
    """
    parts: list[str] = []
    depth, at, key = 0, 0, ""
    for match in _MEMBER.finditer(text):
        mark = match[0]
        if mark in "{[}]":
            depth += 1 if mark in "{[" else -1
        elif depth == 1 and mark == ",":
            key = ""
        elif depth == 1 and not key:
            key = mark
        elif depth == 1 and (allowed := wanted.get(json.loads(key, strict=False))):
            value = json.loads(mark, strict=False)
            read = tool_parameters.from_string(value, allowed)
            if read is not value:
                parts += [text[at : match.start()], json.dumps(read, ensure_ascii=False)]
                at = match.end()
    return "".join([*parts, text[at:]])


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


def _call(item: Any, tools: ToolSchemas) -> tuple[str, dict[str, Any]]:
    if isinstance(item, dict) and isinstance(item.get("function"), dict) and "name" not in item:
        if others := item.keys() - _LABELS - {"function"}:
            raise BrokenCallError(f'{listed(others)} cannot stand beside "function".')
        item = item["function"]
    if not isinstance(item, dict) or "name" not in item:
        msg = 'A call is a JSON object with the keys "name" and "arguments".'
        raise BrokenCallError(msg)
    name = item["name"]
    if not (isinstance(name, str) and name):
        raise BrokenCallError('The "name" of a call is a string, the name of a function.')
    known = tool_parameters.properties(tools.get(name))
    for key in item.keys() & _LABELS:
        # It may be an argument that was left outside.
        if key in known or not _is_label(key, item[key]):
            raise BrokenCallError(_outside({key}))
    given = [key for key in _ARGUMENTS if key in item]
    if len(given) > 1:
        raise BrokenCallError(f"{listed(given)} both hold arguments; write them once.")
    if others := item.keys() - _LABELS - {"name", *given}:
        raise BrokenCallError(_outside(others))
    args = item[given[0]] if given else None
    if isinstance(args, str):
        args = _load(args or "null")
    if args is None:
        args = {}
    if not isinstance(args, dict):
        raise BrokenCallError('"arguments" is a JSON object, with the names of the parameters.')
    if given and given[0] != "arguments" and given[0] in known and given[0] not in args:
        raise BrokenCallError(
            f'"{given[0]}" is a parameter of {name}: write "arguments" around it.'
        )
    for key, allowed in tool_parameters.lists_and_objects(tools.get(name)).items():
        if isinstance(args.get(key), str):
            args[key] = tool_parameters.from_string(args[key], allowed)
    return name, args


def _is_label(key: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str | None) or (key == "id" and is_number)


def _outside(keys: Collection[str]) -> str:
    return f'{listed(keys)} cannot stand beside "name" and "arguments": write arguments inside.'


def _load(text: str) -> Any:
    try:
        return _strict(text)
    except BrokenCallError:
        raise
    except ValueError:
        pass
    try:
        return _strict(with_json_spelling(text))
    except json.JSONDecodeError as error:
        raise BrokenCallError(_explain(error)) from error
    except BrokenCallError:
        raise
    except ValueError as error:  # a number of too many digits
        raise BrokenCallError(f"The call is not valid JSON: {error}.") from error


def _explain(error: json.JSONDecodeError) -> str:
    if not error.doc[error.pos :].strip() or "Unterminated string" in error.msg:
        return "The call ends too early: a quote or a bracket is not closed."
    if "escape" in error.msg:
        return "The call is not valid JSON: a backslash in a string has to be written as two."
    near = error.doc[max(0, error.pos - 20) : error.pos + 20]
    return f"The call is not valid JSON: {error.msg} (near {near!r})."


def _strict(text: str) -> Any:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth > NESTING_LIMIT:
            raise BrokenCallError("The arguments are nested too deeply.")
    # Not strict about line breaks in strings, as LangChain's own parser is not.
    return json.loads(text, strict=False, **READ)
