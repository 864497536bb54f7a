"""Tools and calls as JSON: Qwen2.5, Qwen3 and QwQ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from langchain_qwen_space.qwen.dialects.dialect import Calls, Dialect, Tools, split_thoughts
from langchain_qwen_space.qwen.tools import to_json

_BEFORE_TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>"""

_AFTER_TOOLS = """
</tools>

For each function call, return a json object with function name and arguments \
within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


@dataclass(frozen=True)
class Hermes(Dialect):
    """The dialect of Qwen2.5, Qwen3 and QwQ.

    Attributes:
        default_system: The system text where nobody wrote one; None is none at all. An empty one
            leaves the blank line before the tools.
        thoughts: What becomes of thoughts in the history. "text": nothing, the template does not
            know them. "dropped": they are left out. "in tool loops": those after the last question
            stay. "in tool loops, tagged": so too, but only a block that opens the text is one, as
            the model may be any.
    """

    name = "hermes"

    default_system: str | None = None
    thoughts: Literal["text", "dropped", "in tool loops", "in tool loops, tagged"] = (
        "in tool loops, tagged"
    )

    def system(self, text: str | None, tools: Tools) -> str:
        """See `Dialect`."""
        text = self.default_system if text is None else text
        section = tools_section(tools)
        return section.removeprefix("\n\n") if text is None else text + section

    def assistant(
        self, text: str, reasoning: str | None, calls: Calls, *, after_query: bool
    ) -> str:
        """See `Dialect`."""
        if self.thoughts == "dropped":
            # A turn of nothing but thoughts keeps the newline between its text and its calls.
            rest = text.rpartition("</think>")[2].lstrip("\n")
            return _with_calls(rest, calls, newline=bool(text))
        tagged = text.lstrip().startswith("<think>") or reasoning is not None
        if self.thoughts == "text" or not (tagged or self.thoughts == "in tool loops"):
            return render_tool_calls(text, calls)
        thoughts, said = split_thoughts(text, reasoning)
        turn = said
        if after_query and thoughts:
            stripped, rest = thoughts.strip("\n"), said.lstrip("\n")
            turn = f"<think>\n{stripped}\n</think>\n\n{rest}"
        return _with_calls(turn, calls, newline=bool(said))


def tools_section(tools: Tools) -> str:
    """Returns what the template appends to the system text, nothing if there are no tools.

    Raises:
        InvalidInputError: A tool holds something that JSON cannot hold.
    """
    if not tools:
        return ""
    lines = [f"\n\n{_BEFORE_TOOLS}", *(to_json(dict(tool)) for tool in tools)]
    return "\n".join(lines) + _AFTER_TOOLS


def render_tool_calls(content: str, calls: Calls) -> str:
    """Returns an assistant turn: its text, if any, then its calls.

    An invalid call without a name is written as its arguments.

    Raises:
        InvalidInputError: Arguments hold something that JSON cannot hold.
    """
    return _with_calls(content, calls, newline=bool(content))


def _with_calls(text: str, calls: Calls, *, newline: bool) -> str:
    blocks = "\n".join(
        call if isinstance(call, str) else f"<tool_call>\n{_call(call)}\n</tool_call>"
        for call in calls
    )
    return f"{text}\n{blocks}" if blocks and newline else text + blocks


def _call(call: Mapping[str, Any]) -> str:
    args = call["args"]
    raw = to_json(args) if isinstance(args, Mapping) else args or ""
    name = call["name"]
    return f'{{"name": {to_json(name)}, "arguments": {raw}}}' if name else raw
