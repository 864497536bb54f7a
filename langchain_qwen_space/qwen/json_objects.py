"""JSON objects in the text of an answer, and whether they fit a JSON schema."""

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
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


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


def mistakes(value: Any, schema: Any, *, root: Any = None, where: str = "it") -> Iterator[str]:
    """Yields in words where a value does not fit a JSON schema.

    Checked are types, `enum` and `const`, required, named and additional properties, items, the
    combinations `anyOf`, `oneOf` and `allOf`, and references inside the schema. A property that is
    not required may be null: that is how models leave one out.
    """
    root = schema if root is None else root
    if not isinstance(schema, dict):
        if schema is False:
            yield f"{where} must not be there."
        return
    if "$ref" in schema:
        yield from mistakes(value, _referred(schema["$ref"], root), root=root, where=where)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{where} must be of type {' or '.join(kinds)}."
        return
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices is not None and value not in choices:
        yield f"{where} must be one of {json.dumps(choices, ensure_ascii=False)}."
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if options and all(any(mistakes(value, option, root=root)) for option in options):
            yield f"{where} fits none of the forms that it may have."
    for part in schema.get("allOf", ()):
        yield from mistakes(value, part, root=root, where=where)
    if isinstance(value, dict):
        yield from _in_object(value, schema, root, where)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            here = f"{where}[{number}]"
            yield from mistakes(item, schema.get("items"), root=root, where=here)


def _in_object(value: dict[str, Any], schema: Any, root: Any, where: str) -> Iterator[str]:
    required, properties = schema.get("required", ()), schema.get("properties", {})
    yield from (f"{where}.{name} is missing." for name in required if name not in value)
    for name, item in value.items():
        if item is None and name in properties and name not in required:
            continue
        rule = properties.get(name, schema.get("additionalProperties"))
        yield from mistakes(item, rule, root=root, where=f"{where}.{name}")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and kind == "integer":
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, object))


def _referred(reference: str, root: Any) -> Any:
    """What a reference such as `#/$defs/Name` stands for; nothing is known of other documents."""
    part = root
    for key in reference.removeprefix("#").strip("/").split("/"):
        if key:
            part = part.get(key, {})
    return part if reference.startswith("#") else None
