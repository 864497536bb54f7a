"""JSON schemas: from whatever a caller gives to a schema, and values checked against it.

`jsonschema` is imported where it is needed: it takes 40 ms, and most programs check nothing.
"""

import json
import time
from collections import ChainMap
from collections.abc import Generator, Iterator, Mapping
from enum import Enum
from fractions import Fraction
from functools import cache
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Any

from langchain_core.tools import Tool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import BaseModel

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.patterns import Pattern

if TYPE_CHECKING:
    from jsonschema import ValidationError

Schema = dict[str, Any] | type

_NO_PARAMETERS = {"type": "object", "properties": {}}

# Keywords whose schemas judge the value itself, not a part of it.
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_SAME_VALUE = ("not", "if", "then", "else")
_LISTS = ("allOf", "anyOf", "oneOf")
_BY_NAME = ("dependentSchemas", "dependencies")
_UNEVALUATED = (
    "The schema has both unevaluatedProperties and patternProperties, whose patterns are then not "
    "searched for in linear time. Write additionalProperties for unevaluatedProperties."
)
_MOST_KNOWN = 4096  # schemas that are known to be valid the next time
_MULTIPLE = frozenset(["multipleOf", "divisibleBy"])
_VALUES = frozenset(["enum", "const", "default", "examples"])  # keywords that hold no schemas


def json_schema(schema: Schema, strict: bool | None) -> dict[str, Any]:
    """Returns the JSON schema of all that LangChain, or OpenAI's `response_format`, takes for one.

    Raises:
        TypeError, ValueError: LangChain does not know such a schema.
    """
    _check_class(schema)
    if isinstance(schema, dict):
        if "schema" in schema:
            inner: dict[str, Any] = schema["schema"]
            return inner
        if not schema.keys() & {"name", "function"} and not schema.keys() >= {
            "title",
            "properties",
        }:
            return schema  # LangChain would not take it for a JSON schema, as it is not a tool
    return whole_schema(schema, strict) or convert_to_json_schema(schema, strict=strict)


def openai_tool(tool: Any, strict: bool | None = None) -> dict[str, Any]:
    """Returns a tool of any kind that LangChain knows, in OpenAI's form and with `parameters`.

    A tool that states none takes none, as in OpenAI's API.

    Raises:
        InvalidInputError: Only its provider can run the tool.
        Exception: It is not a tool.
    """
    _check_class(tool)
    given = _function(tool) if isinstance(tool, Mapping) else tool
    form = convert_to_openai_tool(given, strict=strict)
    function = dict(form["function"])
    # A tool's own schema leaves out what LangChain injects; a `Tool` without one takes a string.
    simple = isinstance(tool, Tool) and not tool.args_schema
    own = None if simple else getattr(tool, "tool_call_schema", tool)
    if whole := whole_schema(own, strict):
        function["parameters"] = whole
    if function.get("parameters") in (None, {}):
        function["parameters"] = dict(_NO_PARAMETERS)
    return {**form, "function": function}


def _check_class(cls: Any) -> None:
    """Refuse a class of Python's own and an enumeration, whose constructor LangChain would read.

    Raises:
        TypeError: It is one.
    """
    if isinstance(cls, type) and (
        cls.__module__ in ("builtins", "typing") or issubclass(cls, Enum)
    ):
        raise TypeError(f"{cls.__name__} has no fields.")


def choice_of(name: str) -> dict[str, Any]:
    """Returns the `tool_choice` of one tool, whatever its name, as OpenAI's API takes it."""
    return {"type": "function", "function": {"name": name}}


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that is a dict, in a form of which LangChain leaves out nothing."""
    kind = tool.get("type")
    if kind == "function":
        inner = tool.get("function", {key: value for key, value in tool.items() if key != "type"})
        return {"type": "function", "function": inner}
    if kind not in (None, "object") and not (kind == "custom" and "input_schema" in tool):
        raise InvalidInputError(f"It is {kind!r}, which only its provider can run.")
    if "name" in tool and "input_schema" not in tool:
        return {**tool, "parameters": tool.get("parameters", dict(_NO_PARAMETERS))}
    if "title" in tool and "properties" not in tool:
        rest = {key: value for key, value in tool.items() if key not in ("title", "description")}
        described = {"description": tool["description"]} if "description" in tool else {}
        return {"name": tool["title"], **described, "parameters": {**_NO_PARAMETERS, **rest}}
    return dict(tool)


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


def checked(schema: Any, *, patterns: bool = True) -> dict[str, Any]:
    """Returns an object's schema as JSON holds it, once it is known that values can be checked by it.

    Args:
        schema: What was given for a schema.
        patterns: Whether a pattern is refused that cannot be searched for in linear time. Tools come
            with patterns that are for others.

    Raises:
        InvalidInputError: It is not a JSON schema, is not of an object, holds what is not JSON,
            refers to what it does not hold or to itself without end, or cannot be checked in
            bounded time. The message says where.
    """
    if not isinstance(schema, Mapping):
        raise InvalidInputError(f"The schema is not an object but {schema!r:.100}.")
    try:
        text = json.dumps({name: _of_one_draft(rule) for name, rule in schema.items()})
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The schema cannot be written as JSON: {error!s:.200}.") from error
    # Every call checks its tools, which are seldom others than before.
    key = sha256(text.encode()).digest(), patterns
    if key not in _known:
        _check(text, patterns=patterns)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = None
    rules: dict[str, Any] = json.loads(text)
    kind = rules.get("type", "object")
    if "object" not in ([kind] if isinstance(kind, str) else kind):
        raise InvalidInputError(f"The schema is of type {kind!r}, but must describe an object.")
    return rules


_known: dict[tuple[bytes, bool], None] = {}


def _check(text: str, *, patterns: bool) -> None:
    from jsonschema import FormatChecker
    from jsonschema.validators import extend

    schema = json.loads(text)
    if not isinstance(schema.get("$schema", ""), str):
        raise InvalidInputError("The schema is not valid at schema['$schema']: it is not a string.")
    draft = _validator(schema)
    allowance = Allowance()

    @cache
    def is_linear(pattern: object) -> bool:
        began = time.thread_time()
        if isinstance(pattern, str):
            Pattern(pattern)
        allowance.seconds -= time.thread_time() - began
        if allowance.seconds < 0:
            raise InvalidInputError("The patterns of the schema are too large: use fewer counts.")
        return True

    formats = FormatChecker(())
    formats.checks("regex", InvalidInputError)(is_linear)
    validator = extend(draft, {"uniqueItems": _unique_items})(  # type: ignore[no-untyped-call]
        _metaschema(draft), format_checker=formats if patterns else None
    )

    def check(part: Any) -> None:
        if (error := next(validator.iter_errors(part), None)) is not None:
            where = "".join(f"[{step!r}]" for step in error.absolute_path)
            reason = str(error.cause or error.message)
            msg = f"The schema is not valid at schema{where}: {reason:.400}"
            raise InvalidInputError(msg) from error

    try:
        check(schema)
        targets, keywords = _targets(schema, draft.META_SCHEMA["$schema"])
        for target in targets.values():
            check(target)
        if patterns and keywords >= {"unevaluatedProperties", "patternProperties"}:
            raise InvalidInputError(_UNEVALUATED)
    except InvalidInputError:
        raise
    except CycleError as error:
        msg = "The schema cannot be resolved: it refers to itself endlessly."
        raise InvalidInputError(msg) from error
    except Exception as error:  # a schema of any depth and with any reference meets all of them
        msg = f"The schema cannot be resolved: {type(error).__name__}: {error!s:.200}."
        raise InvalidInputError(msg) from error


@cache
def _metaschema(draft: Any) -> dict[str, Any]:
    """The schema of a draft's schemas, without the parts that those of later drafts refer to.

    Following the references would take `jsonschema` three times as long as the rest of the check.
    """
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    whole = _without_draft(draft.META_SCHEMA)
    base = whole.get("$id", "").removesuffix("schema")
    parts = [REGISTRY.contents(base + part["$ref"]) for part in whole.pop("allOf", ())]
    for name in ("properties", "$defs"):
        whole[name] = dict(ChainMap(*(part.get(name, {}) for part in (whole, *parts))))
    text = json.dumps(whole)
    for reference in ('"$dynamicRef": "#meta"', '"$recursiveRef": "#"'):
        text = text.replace(reference, '"$ref": "#"')
    flat: dict[str, Any] = json.loads(text)
    return flat


def _targets(schema: dict[str, Any], dialect: str) -> tuple[dict[int, Any], set[str]]:
    """What the references of a schema lead to that is not one of its subschemas, by its id.

    Beside it come the keywords of all of them.

    Raises:
        CycleError: Schemas refer to each other without a step into the value.
        InvalidInputError: A number is not finite, or `jsonschema` would take unbounded time.
        referencing.exceptions.Unresolvable: A reference leads nowhere, or out of the schema.
    """
    from referencing import Registry
    from referencing.jsonschema import specification_with

    nothing_else: Registry[Any] = Registry()  # a reference is never fetched
    specification = specification_with(dialect)
    root = specification.create_resource(schema)
    waiting = [(root, nothing_else.resolver_with_root(root))]
    seen: dict[int, list[int]] = {}  # the schemas that judge the same value, by a schema's id
    targets: dict[int, Any] = {}
    inner = {id(schema)}  # the subschemas, which are checked with what they are in
    keywords: set[str] = set()
    while waiting:
        part, resolver = waiting.pop()
        rules = part.contents
        if not isinstance(rules, dict) or id(rules) in seen:
            continue
        for key, value in rules.items():
            if isinstance(value, float) and not isfinite(value) and key != "default":
                raise InvalidInputError(f"The schema is not valid: its {key} is {value}.")
        if rules is not schema and "$schema" in rules:  # our keywords would not count there
            msg = "The schema is not valid: $schema is in a part of it. Write it at the top only."
            raise InvalidInputError(msg)
        keywords |= rules.keys()
        same = [rules[key] for key in _SAME_VALUE if key in rules]
        same += [option for key in _LISTS for option in rules.get(key, ())]
        same += [option for key in _BY_NAME for option in rules.get(key, {}).values()]
        for key in _REFERENCES:
            if key in rules:
                found = resolver.lookup(rules[key])
                targets[id(found.contents)] = found.contents
                same.append(found.contents)
                target = specification.create_resource(found.contents)
                waiting.append((target, found.resolver))
        seen[id(rules)] = [id(other) for other in same]
        for sub in part.subresources():
            inner.add(id(sub.contents))
            waiting.append((sub, resolver.in_subresource(sub)))
    TopologicalSorter(seen).prepare()
    return {id_: target for id_, target in targets.items() if id_ not in inner}, keywords


class Allowance:
    """The CPU time for all checks of one call's answers, each of which may hold many objects.

    Attributes:
        seconds: What is left of it, however busy the machine is.
    """

    def __init__(self) -> None:
        self.seconds = 0.25  # enough for megabytes of plain objects


def mistakes(value: Any, schema: dict[str, Any], allowance: Allowance) -> Generator[str]:
    """Yields in words where a value does not fit a JSON schema, by the schema's own draft.

    A property that is not required may be null, which is how models leave one out, and so may what
    OpenAPI marks as `nullable`. A value does not fit if checking it takes longer than is allowed:
    schemas and answers may come from anybody, and choices within choices take time without bound.

    Args:
        value: The value.
        schema: A schema that was `checked`.
        allowance: The time for it, from which what it takes is deducted.

    Raises:
        InvalidInputError: The schema has a pattern that cannot be searched for in linear time.
    """
    check = _Check(allowance)
    try:
        yield from _mistakes(value, schema, check)
    except RecursionError:
        yield "it: It is nested too deeply."
    except TimeoutError:
        yield "it: It takes too long to check by this schema."
    finally:
        check.end()


def _mistakes(value: Any, schema: dict[str, Any], check: "_Check") -> Iterator[str]:
    from jsonschema.validators import extend
    from referencing import Registry

    check.check_time()
    base = _validator(schema)
    nothing_else: Registry[Any] = Registry()
    keywords = {
        **base.VALIDATORS,
        "type": _unless_nullable(base.VALIDATORS["type"]),
        "enum": _unless_nullable(base.VALIDATORS["enum"]),
        "properties": _unless_left_out(base.VALIDATORS["properties"]),
        # The third draft's name for it is the other one.
        **dict.fromkeys(_MULTIPLE & base.VALIDATORS.keys(), _multiple_of),
        "uniqueItems": _unique_items,
        "pattern": check.pattern,
        "patternProperties": check.pattern_properties,
        "additionalProperties": check.apart_from_patterns(base.VALIDATORS["additionalProperties"]),
    }
    if (unevaluated := base.VALIDATORS.get("unevaluatedProperties")) is not None:
        keywords["unevaluatedProperties"] = _without_patterns(unevaluated, schema)
    validator = extend(  # type: ignore[no-untyped-call]
        base,
        {name: check.timed(keyword) for name, keyword in keywords.items()},
        type_checker=base.TYPE_CHECKER.redefine("number", _is_number),
    )
    rules = _without_draft(schema)
    for error in validator(rules, registry=nothing_else).iter_errors(value):
        yield f"{'it' + error.json_path[1:]}: {error.message:.300}."


def fits(value: Any, schema: dict[str, Any], allowance: Allowance) -> bool:
    """Whether a value is seen to fit a schema that was `checked`: not if it has a wrong pattern."""
    try:
        return next(mistakes(value, schema, allowance), None) is None
    except InvalidInputError:
        return False


def suits(args: dict[str, Any], schema: dict[str, Any], allowance: Allowance) -> bool:
    """Whether an object is seen to hold the arguments that a schema describes, by nothing but its form.

    A schema that demands nothing would fit any object, so the object is not empty, and all in it are
    properties of the schema.
    """
    known = schema.get("properties", {}).keys()
    return bool(args) and args.keys() <= known and fits(args, schema, allowance)


class _Check:
    """One check of a value, whose keywords give up with a TimeoutError when its time is up."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._end = time.thread_time() + allowance.seconds
        self._patterns: dict[str, Pattern] = {}

    def end(self) -> None:
        """Deduct the time that was spent."""
        self._allowance.seconds = self._end - time.thread_time()

    def check_time(self) -> None:
        """Give up if no time is left."""
        if time.thread_time() > self._end:
            raise TimeoutError

    def timed(self, check: Any) -> Any:
        def checked(*given: Any) -> Iterator["ValidationError"]:
            self.check_time()
            yield from check(*given) or ()

        return checked

    def pattern(
        self, validator: Any, pattern: str, value: Any, _: Any
    ) -> Iterator["ValidationError"]:
        from jsonschema import ValidationError

        if validator.is_type(value, "string") and not self._matches(pattern, value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    def pattern_properties(
        self, validator: Any, rules: Any, value: Any, _: Any
    ) -> Iterator["ValidationError"]:
        if validator.is_type(value, "object"):
            for pattern, rule in rules.items():
                for name, item in value.items():
                    if self._matches(pattern, name):
                        yield from validator.descend(item, rule, path=name, schema_path=pattern)

    def apart_from_patterns(self, check: Any) -> Any:
        def checked(
            validator: Any, rule: Any, value: Any, schema: Any
        ) -> Iterator["ValidationError"]:
            if validator.is_type(value, "object"):
                patterns = schema.get("patternProperties", ())
                rest = {
                    name: item
                    for name, item in value.items()
                    if not any(self._matches(pattern, name) for pattern in patterns)
                }
                known = {"properties": schema.get("properties", {})}
                yield from check(validator, rule, rest, known) or ()

        return checked

    def _matches(self, pattern: str, text: str) -> bool:
        self.check_time()
        if pattern not in self._patterns:
            self._patterns[pattern] = Pattern(pattern)
        return self._patterns[pattern].is_in(text)


def _without_patterns(check: Any, schema: dict[str, Any]) -> Any:
    """A keyword that searches for the patterns of properties by Python's expressions."""
    has_patterns = cache(lambda: '"patternProperties"' in json.dumps(schema))

    def checked(*given: Any) -> Iterator["ValidationError"]:
        if has_patterns():
            raise InvalidInputError(_UNEVALUATED)
        yield from check(*given) or ()

    return checked


def _unique_items(validator: Any, wanted: Any, value: Any, _: Any) -> Iterator["ValidationError"]:
    """In linear time, where `jsonschema` compares each object with each."""
    from jsonschema import ValidationError

    is_checked = wanted and validator.is_type(value, "array")
    if is_checked and len({_hashable(item) for item in value}) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def _hashable(value: Any) -> Any:
    """Something that is equal for two values of JSON that are. There, true is not 1."""
    if isinstance(value, dict):
        return frozenset((name, _hashable(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return (bool, value) if isinstance(value, bool) else value


def _validator(schema: dict[str, Any]) -> Any:
    """The class of `jsonschema` for the schema's own draft, else for the latest."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    return validator_for(schema, default=Draft202012Validator)


def _of_one_draft(part: Any) -> Any:
    """A part of a schema without a draft of its own, by which our keywords would not count there."""
    if isinstance(part, list | tuple):
        return [_of_one_draft(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    return {
        name: rule if name in _VALUES else _of_one_draft(rule)
        for name, rule in part.items()
        if name != "$schema" or not isinstance(rule, str)
    }


def _without_draft(schema: Mapping[str, Any]) -> dict[str, Any]:
    """With its draft named, a schema is judged by that draft's own rules where it refers to itself."""
    return {name: rule for name, rule in schema.items() if name != "$schema"}


def _unless_nullable(check: Any) -> Any:
    def checked(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator["ValidationError"]:
        if value is not None or schema.get("nullable") is not True:
            yield from check(validator, rule, value, schema) or ()

    return checked


def _unless_left_out(check: Any) -> Any:
    def checked(validator: Any, rules: Any, value: Any, schema: Any) -> Iterator["ValidationError"]:
        if validator.is_type(value, "object"):
            required = schema.get("required", ())
            rules = {
                name: rule
                for name, rule in rules.items()
                if name not in value
                or value[name] is not None
                or _is_required(name, rule, required)
            }
        yield from check(validator, rules, value, schema) or ()

    return checked


def _is_required(name: str, rule: Any, required: Any) -> bool:
    """Whether a property is; the third draft says so in the property itself."""
    if isinstance(required, list):
        return name in required
    return isinstance(rule, Mapping) and rule.get("required") is True


def _is_number(checker: Any, value: Any) -> bool:
    """JSON has no number that is not finite; Python reads some."""
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _multiple_of(validator: Any, step: Any, value: Any, schema: Any) -> Iterator["ValidationError"]:
    """Without the rounding of floats, and so also where their quotient would not be one."""
    from jsonschema import ValidationError

    if validator.is_type(value, "number") and Fraction(repr(value)) % Fraction(repr(step)):
        yield ValidationError(f"{value!r} is not a multiple of {step!r}")
