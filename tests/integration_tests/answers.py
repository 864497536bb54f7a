"""A scripted answerer, no language model: it does what a prompt says, as a good model would.

It calls the tools that a prompt offers, fills the JSON schemas that it names, calls what it has to
call, and obeys these commands in the question:

- `echo: TEXT`: exactly this text
- `tell`: what arrived, as the JSON list `[system, history, query, model]`
- `in turn: ["TEXT", …]`: one of these texts after the other, as the conversation continues
- `fail: TEXT`: an error
- `fail once: NAME`: an error the first time that this name comes
- `count to NUMBER`: the numbers, a line each
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_qwen_space.local import demo_tools
from langchain_qwen_space.local.demo import fragments

_failed: set[str] = set()


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    text = ""
    for fragment in fragments(reply(system, history, query, model)):
        text += fragment
        yield text


def reply(system: str, history: list[tuple[str, str]], query: str, model: str) -> str:
    turns = [*(user for user, _ in history), query]
    for number, turn in enumerate(turns):
        if turn.startswith("in turn:"):
            return json.loads(turn.removeprefix("in turn:"))[len(turns) - 1 - number]
    command, _, rest = query.partition(": ")
    if command == "echo":
        return rest
    if query == "tell":
        told = json.dumps([system, history, query, model], ensure_ascii=False)
        return told.replace("<", "\\u003c")  # tags in the prompt are no tags of the answer
    if command == "fail":
        raise RuntimeError(rest)
    if command == "fail once" and rest not in _failed:
        _failed.add(rest)
        raise RuntimeError(rest)
    if count := re.fullmatch(r"count to (\d+)", query):
        return "\n".join(map(str, range(1, int(count[1]) + 1)))
    if results := demo_tools.results(query):
        return "The tools said: " + " ".join(results)
    return in_the_form_that(system, asks_for=query) or f"You said: {query}"


def in_the_form_that(system: str, *, asks_for: str) -> str | None:
    """A tool call or a JSON object, where the system prompt asks for one."""
    tools = demo_tools.offered(system)
    if must := re.search(r"You must call (?:the function (\w+)|at least one)", system):
        tool = next(tool for tool in tools if must[1] in (None, tool["name"]))
        return demo_tools.call(asks_for, [tool]) or call(tool, asks_for)
    if schema := re.search(r"JSON schema:\n(.*)", system):
        return json.dumps(filled(json.loads(schema[1]), asks_for), ensure_ascii=False)
    if "JSON object" in system:
        keys = re.findall(r"'(\w+)'", asks_for) or ["answer"]
        return json.dumps(dict.fromkeys(keys, asks_for), ensure_ascii=False)
    return demo_tools.call(asks_for, tools)


def call(tool: dict[str, Any], question: str) -> str:
    arguments = filled({"type": "object", **tool.get("parameters", {})}, question)
    body = json.dumps({"name": tool["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def filled(schema: dict[str, Any], question: str) -> Any:
    return demo_tools._Filler(question, schema.get("$defs", {})).value("", schema)
