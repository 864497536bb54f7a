"""Calls as XML: Qwen3-Coder, which also reads its tools so, and Qwen3.5, which reads them as JSON."""

from collections.abc import Collection, Mapping
from typing import Any

from langchain_qwen_space.qwen.dialects.dialect import Calls, Dialect, Tools, split_thoughts
from langchain_qwen_space.qwen.tools import to_json

_BEFORE_TOOLS = "# Tools\n\nYou have access to the following functions:\n\n<tools>"

_AFTER_TOOLS = """
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must \
be nested within <tool_call></tool_call> XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function \
call, but NOT after
- If there is no function call available, answer the question like normal with your current \
knowledge and do not tell the user about function calls
</IMPORTANT>"""


class Qwen3Coder(Dialect):
    """Tools and calls as XML."""

    name = "qwen3-coder"
    between_results = ""
    default_system = (
        "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks."
    )

    def system(self, text: str | None, tools: Tools) -> str:
        """See `Dialect`."""
        if not tools:
            return text or ""
        written = "".join(_tool(tool["function"]) for tool in tools)
        system = self.default_system if text is None else text
        return f"{system}\n\n{_BEFORE_TOOLS}{written}{_AFTER_TOOLS}"

    def assistant(
        self, text: str, reasoning: str | None, calls: Calls, *, after_query: bool
    ) -> str:
        """See `Dialect`."""
        said = text.strip()
        return _with_calls(said, calls, blank_line=bool(said)) if calls else text

    def result(self, text: str) -> str:
        """See `Dialect`."""
        return super().result(text) + "\n"


class Qwen35(Dialect):
    """Tools as JSON, calls as XML."""

    name = "qwen3.5"

    def system(self, text: str | None, tools: Tools) -> str:
        """See `Dialect`."""
        text = (text or "").strip()
        if not tools:
            return text
        written = "".join(f"\n{to_json(dict(tool))}" for tool in tools)
        section = f"{_BEFORE_TOOLS}{written}{_AFTER_TOOLS}"
        return f"{section}\n\n{text}" if text else section

    def user(self, text: str) -> str:
        """See `Dialect`."""
        return text.strip()

    def assistant(
        self, text: str, reasoning: str | None, calls: Calls, *, after_query: bool
    ) -> str:
        """See `Dialect`."""
        thoughts, said = split_thoughts(text.strip(), reasoning)
        turn = f"<think>\n{thoughts.strip()}\n</think>\n\n{said}" if after_query else said
        return _with_calls(turn, calls, blank_line=bool(said.strip()))

    def result(self, text: str) -> str:
        """See `Dialect`."""
        return super().result(text.strip())


def _with_calls(text: str, calls: Calls, *, blank_line: bool) -> str:
    blocks = "\n".join(call if isinstance(call, str) else _call(call) for call in calls)
    return f"{text}\n\n{blocks}" if blocks and blank_line else text + blocks


def _call(call: Mapping[str, Any]) -> str:
    args = call["args"]
    if isinstance(args, Mapping):
        written = "".join(
            f"<parameter={key}>\n{_value(value)}\n</parameter>\n" for key, value in args.items()
        )
    else:  # of an invalid call, as they are
        written = f"{args or ''}\n"
    return f"<tool_call>\n<function={call['name'] or ''}>\n{written}</function>\n</tool_call>"


def _tool(function: Mapping[str, Any]) -> str:
    parameters = function.get("parameters") or {}
    written = [f"<function>\n<name>{function['name']}</name>"]
    if "description" in function:
        written.append(f"<description>{function['description'].strip()}</description>")
    written.append("<parameters>")
    for name, rules in (parameters.get("properties") or {}).items():
        written.append(f"<parameter>\n<name>{name}</name>")
        known = rules if isinstance(rules, Mapping) else {}
        if "type" in known:
            written.append(f"<type>{known['type']}</type>")
        if "description" in known:
            written.append(f"<description>{str(known['description']).strip()}</description>")
        written += [*_others(known, ("name", "type", "description")), "</parameter>"]
    written += [*_others(parameters, ("type", "properties")), "</parameters>"]
    written += _others(function, ("type", "name", "description", "parameters"))
    return "".join(f"\n{line}" for line in [*written, "</function>"])


def _others(values: Mapping[str, Any], known: Collection[str]) -> list[str]:
    return [f"<{key}>{_value(value)}</{key}>" for key, value in values.items() if key not in known]


def _value(value: Any) -> str:
    """As the template writes it: JSON for what has parts, else Python's own text."""
    return to_json(value) if isinstance(value, Mapping | list | tuple) else str(value)
