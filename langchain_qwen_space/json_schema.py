"""JSON schemas: from whatever a caller gives to a schema, and values checked against it.

`jsonschema` is imported where it is needed: it takes 40 ms, and most programs check nothing.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel

from langchain_qwen_space.errors import InvalidInputError

if TYPE_CHECKING:
    from jsonschema import ValidationError

Schema = dict[str, Any] | type


def json_schema(schema: Schema, strict: bool | None) -> dict[str, Any]:
    """Returns the JSON schema of all that LangChain, or OpenAI's `response_format`, takes for one.

    Raises:
        TypeError, ValueError: LangChain does not know such a schema.
    """
    if isinstance(schema, dict):
        if isinstance(schema.get("schema"), dict):
            return dict(schema["schema"])
        if not schema.keys() & {"name", "function"} and not schema.keys() >= {
            "title",
            "properties",
        }:
            return schema  # LangChain would not take it for a JSON schema, as it is not a tool
    return whole_schema(schema, strict) or convert_to_json_schema(schema, strict=strict)


def whole_schema(schema: Any, strict: bool | None = None) -> dict[str, Any] | None:
    """Returns the schema of a pydantic class that refers to others or to itself, else None.

    LangChain writes what is referred to into its place, where recursion is lost.
    """
    if not isinstance(schema, type) or not issubclass(schema, BaseModel):
        return None
    whole = schema.model_json_schema()
    if "$defs" not in whole:
        return None
    if "properties" not in whole:  # pydantic puts a recursive class itself among the definitions
        name = whole["$ref"].rpartition("/")[2]
        whole = {**whole["$defs"][name], "$defs": whole["$defs"]}
    if strict:
        for part in (whole, *whole["$defs"].values()):
            if part.get("type") == "object":
                part["additionalProperties"] = False
    return {"title": schema.__name__, **whole}


def check_schema(schema: dict[str, Any]) -> None:
    """Check that a schema is one.

    Raises:
        InvalidInputError: It is not; the message says where.
    """
    from jsonschema.exceptions import SchemaError

    try:
        _validator(schema).check_schema(schema)
    except SchemaError as error:
        where = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise InvalidInputError(
            f"The schema is not valid at schema{where}: {error.message}"
        ) from error


def mistakes(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Yields in words where a value does not fit a JSON schema, by the schema's own draft.

    A property that is not required may be null, which is how models leave one out, and so may what
    OpenAPI marks as `nullable`.

    Raises:
        InvalidInputError: The schema refers to what it does not hold, or to itself without end, or
            has a pattern that is not one of Python's.
    """
    from jsonschema.validators import extend
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    base = _validator(schema)
    nothing_else: Registry[Any] = Registry()  # a reference is never fetched
    validator = extend(  # type: ignore[no-untyped-call]
        base,
        {
            "type": _unless_nullable(base.VALIDATORS["type"]),
            "enum": _unless_nullable(base.VALIDATORS["enum"]),
            "properties": _properties,
        },
    )(schema, registry=nothing_else)
    try:
        for error in validator.iter_errors(value):
            yield f"{'it' + error.json_path[1:]}: {error.message:.300}."
    except (Unresolvable, RecursionError, re.error) as error:
        msg = f"The schema cannot be followed: {type(error).__name__}: {error!s:.200}."
        raise InvalidInputError(msg) from error


def _validator(schema: dict[str, Any]) -> Any:
    """The class of `jsonschema` for the schema's own draft, else for the latest."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    return validator_for(schema, default=Draft202012Validator)


def _unless_nullable(check: Any) -> Any:
    def checked(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator["ValidationError"]:
        if value is not None or schema.get("nullable") is not True:
            yield from check(validator, rule, value, schema) or ()

    return checked


def _properties(validator: Any, rules: Any, value: Any, schema: Any) -> Iterator["ValidationError"]:
    if not validator.is_type(value, "object"):
        return
    required = schema.get("required", ())
    for name, rule in rules.items():
        if name in value and not (value[name] is None and name not in required):
            yield from validator.descend(value[name], rule, path=name, schema_path=name)
