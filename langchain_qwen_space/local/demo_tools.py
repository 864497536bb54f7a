"""How the demo calls tools: by the words that the question and a tool have in common.

Tools are offered, called and answered in the words of Qwen2.5's chat template.
"""

import json
import re
from contextlib import suppress
from typing import Any

# A JSON schema, or a tool's "function" object with its name, description and parameters.
Json = dict[str, Any]

# Words that do not tell which tool is meant.
_COMMON = re.compile(
    r"an?|and|are|be|by|can|do|for|from|get|given|how|i|in|is|it|me|my|of|on|or|please|that|the|"
    r"this|to|tool|use[ds]?|using|value|was|what|when|which|with|your?"
)
# How ChatQwenSpace says that a call must be made, and of which tool.
_DEMAND = re.compile(r"You must call (?:the function (\S+)|at least one .*) in your answer\.")
# How it says that the answer is to be an object, and of which schema.
_OBJECT = re.compile(r"Answer with one JSON object .*?(?:JSON schema:\n(\{.*\})|$)", re.MULTILINE)
_CALL = re.compile(r"<tool_call>\n(\{.*\})\n</tool_call>")
# Parameters of these names want all that the user said, not a word out of it.
_WHOLE_QUESTION = {"question", "query", "text", "prompt", "input", "message"}


def offered(system: str) -> list[Json]:
    """The tools that a system prompt offers, in its order."""
    section = re.search(r"\n<tools>\n(.*?)\n</tools>", system, re.DOTALL)
    if section is None:
        return []
    tools = [json.loads(line) for line in section[1].split("\n")]
    return [tool.get("function", tool) for tool in tools]


def results(query: str) -> list[str]:
    """What the tools answered; empty where `query` is a human's."""
    if not query.startswith("<tool_response>"):
        return []
    return re.findall(r"<tool_response>\n(.*?)\n</tool_response>", query, re.DOTALL)


def asked(history: list[tuple[str, str]], query: str) -> str:
    """What the human said last, which `query` is unless it brings results."""
    turns = [said for said, _ in history] + [query]
    return next((said for said in reversed(turns) if not results(said)), query)


def called(history: list[tuple[str, str]], query: str) -> set[str]:
    """The tools that were called since the human spoke."""
    names: set[str] = set()
    for said, answer in reversed(history):
        if not results(query):
            break
        for body in _CALL.findall(answer):
            with suppress(ValueError, KeyError, TypeError):
                names.add(json.loads(body)["name"])
        query = said
    return names


def wanted_object(system: str, said: str) -> str | None:
    """The JSON object that the system prompt wants, of what was `said`; None if it wants none."""
    wanted = _OBJECT.search(system)
    if wanted is None:
        return None
    schema: Json = json.loads(wanted[1]) if wanted[1] else {"required": ["question"]}
    value = _Filler(said, schema.get("$defs", {})).value("", {"type": "object", **schema})
    return json.dumps(value, ensure_ascii=False)


def demanded(system: str) -> list[Json]:
    """The tools of which the system prompt demands that one be called."""
    demand = _DEMAND.search(system)
    if demand is None:
        return []
    return [tool for tool in offered(system) if demand[1] in (None, tool["name"])]


def call(question: str, tools: list[Json], *, must: bool = False) -> str | None:
    """A call of the tool that suits `question` best; unless it `must` be, None if none suits it."""
    best = max(tools, key=lambda tool: _likeness(question, tool), default=None)
    if best is None or (not must and _likeness(question, best) == 0):
        return None
    schema = {"type": "object", **best.get("parameters", {})}
    arguments = _Filler(question, schema.get("$defs", {})).value("", schema)
    body = json.dumps({"name": best["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def _likeness(question: str, tool: Json) -> int:
    said = _words(question)
    parameters = tool.get("parameters", {}).get("properties", {})
    numbers_wanted = sum(p.get("type") in ("integer", "number") for p in parameters.values())
    return (
        3 * len(said & _words(tool["name"]))
        + len(said & _words(f"{tool.get('description', '')} {' '.join(parameters)}"))
        # "What is 3 plus 4?" suits a tool that takes two numbers, whatever it is called.
        + (0 < numbers_wanted <= len(_numbers(question)))
    )


def _words(text: str) -> set[str]:
    """The words of a sentence, or of a name in snake_case or camelCase; plurals as singulars."""
    words = (word.lower() for word in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+", text))
    return {word.removesuffix("s") for word in words if not _COMMON.fullmatch(word)}


def _numbers(text: str) -> list[float]:
    found = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text)
    return [float(number) if "." in number else int(number) for number in found]


def _names(text: str) -> list[str]:
    """What is quoted; else what is in capitals; else what stands where a name would."""
    return (
        re.findall(r"[\"“']\b(.+?)[\"”'](?!\w)", text)
        or re.findall(r"(?<=[^.?!] )[A-Z]\w+(?: [A-Z]\w+)*", text)
        or re.findall(r"\b(?:about|called|for|from|in|named|of|to) (?:the |an? )?(\w+)", text)
    )


class _Filler:
    """Fills a schema with what a question says, and takes each number and name only once."""

    def __init__(self, question: str, definitions: Json) -> None:
        self._question = question
        self._definitions = definitions
        self._numbers = _numbers(question)
        self._names = _names(question)

    def value(self, name: str, schema: Json) -> Any:
        """A value for the property `name` that fits `schema`."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            said = self._question.lower()
            return next((e for e in schema["enum"] if str(e).lower() in said), schema["enum"][0])
        match schema.get("type"):
            case "object":
                properties = schema.get("properties", {})
                return {
                    key: self.value(key, properties.get(key, {}))
                    for key in schema.get("required", [])
                }
            case "array":
                return self._array(name, schema.get("items", {}))
            case "integer":
                return int(self._number(schema))
            case "number":
                return self._number(schema)
            case "boolean":
                return re.search(r"\b(no|not|never|without)\b|n't\b", self._question) is None
            case "null":
                return None
        return self._text(name)

    def _resolved(self, schema: Json) -> Json:
        """`schema` without references and alternatives: the first that is not null is taken."""
        if "$ref" in schema:
            return self._resolved(self._definitions[schema["$ref"].rpartition("/")[2]])
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self._resolved(next(s for s in schema[key] if s.get("type") != "null"))
        if isinstance(schema.get("type"), list):
            return {**schema, "type": next(kind for kind in schema["type"] if kind != "null")}
        return schema

    def _array(self, name: str, items: Json) -> list[Any]:
        """As many items as the question has numbers or names left for, but at least one."""
        kind = self._resolved(items).get("type")
        left = len(self._names if kind == "string" else self._numbers)
        if kind not in ("string", "integer", "number"):
            left = 1
        return [self.value(name, items) for _ in range(max(1, left))]

    def _number(self, schema: Json) -> float:
        return self._numbers.pop(0) if self._numbers else schema.get("minimum", 0)

    def _text(self, name: str) -> str:
        if self._names and name.lower() not in _WHOLE_QUESTION:
            return self._names.pop(0)
        return self._question
