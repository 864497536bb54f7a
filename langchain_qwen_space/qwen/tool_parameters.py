"""What a tool's schema says of its parameters, and values read by it."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from langchain_qwen_space.qwen.strict_json import READ, with_json_spelling

ToolSchemas: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The schemas of the parameters of the tools on offer, by the tools' names."""

_INTEGER = re.compile(r"[-+]?\d{1,4000}")
_WORDS = {"true": True, "false": False}
_NULL = ("null", "none")
_TYPES: dict[str, type | tuple[type, ...]] = {"array": list, "object": dict}


def properties(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Returns the schemas of the parameters, by their names."""
    found = (schema or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def types(schema: Mapping[str, Any] | None, name: str) -> frozenset[str]:
    """Returns the JSON types that a parameter may have; none of them if the schema does not say."""
    rules = properties(schema).get(name)
    return frozenset(_types(rules, schema or {}, 10))


def lists_and_objects(schema: Mapping[str, Any] | None) -> dict[str, frozenset[str]]:
    """Returns the parameters that are lists or objects and can be no strings, with their types."""
    allowed = {name: types(schema, name) for name in properties(schema)}
    return {name: found for name, found in allowed.items() if _is_structured(found)}


def from_string(value: str, allowed: frozenset[str]) -> Any:
    """Returns the list or object that a JSON string holds, where nothing else is allowed.

    It may be spelled as `strict_json.with_json_spelling` reads it.
    """
    if _is_structured(allowed):
        for text in (value, with_json_spelling(value)):
            with suppress(ValueError, RecursionError):
                read = json.loads(text, strict=False, **READ)
                if any(isinstance(read, _TYPES[name]) for name in allowed & _TYPES.keys()):
                    return read
    return value


def from_text(text: str, allowed: frozenset[str]) -> Any:
    """Returns the value that a text without quotes stands for: the text where no other type fits.

    A parameter that may be a string, or of which nothing is known, is one; only `null` is read
    where it is allowed beside it.
    """
    bare = text.strip()
    word = bare.lower()
    if word in _NULL and "null" in allowed:
        return None
    if not allowed or "string" in allowed:
        return text
    if "boolean" in allowed and word in _WORDS:
        return _WORDS[word]
    if allowed & {"integer", "number"} and _INTEGER.fullmatch(bare):
        return int(bare)
    if "number" in allowed:
        with suppress(ValueError):
            return float(json.dumps(float(bare), allow_nan=False))
    return from_string(text, allowed - {"integer", "number", "boolean"})


def _is_structured(allowed: frozenset[str]) -> bool:
    return bool(allowed & _TYPES.keys()) and allowed <= {"array", "object", "null"}


def _types(rules: Any, root: Mapping[str, Any], depth: int) -> set[str]:
    if not isinstance(rules, Mapping) or not depth:
        return set()
    found = _named_types(rules, root, depth)
    return found | {"null"} if found and rules.get("nullable") is True else found


def _named_types(rules: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> set[str]:
    named = rules.get("type")
    if isinstance(named, str):
        return {named}
    if isinstance(named, list):
        return {name for name in named if isinstance(name, str)}
    reference = rules.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = root
        for step in reference[2:].split("/"):
            target = target.get(step) if isinstance(target, Mapping) else None
        return _types(target, root, depth - 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(rules.get(key), list):
            each = [_types(option, root, depth - 1) for option in rules[key]]
            return set().union(*each) if all(each) else set()
    for option in rules.get("allOf") or ():
        if found := _types(option, root, depth - 1):
            return found
    values = rules.get("enum", [rules["const"]] if "const" in rules else [])
    return {_type(value) for value in values} if isinstance(values, list) else set()


def _type(value: Any) -> str:
    for name, kind in (("boolean", bool), ("string", str), ("integer", int), ("number", float)):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "array" if isinstance(value, list) else "object"
