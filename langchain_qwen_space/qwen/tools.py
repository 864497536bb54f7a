"""Tools as text, word for word as Qwen2.5's chat template writes them."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_qwen_space.errors import InvalidInputError

BROKEN_CALLS = "broken_tool_calls"
"""Key in a message's `additional_kwargs`: by id, what was written for a call that could not be
read, and what is wrong with it."""

_BEFORE_TOOLS = """

# Tools

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

# Every special token of Qwen has the form <|name|>; the rest are the tags of its tool template.
_CONTROL_START = re.compile(
    r"<(?=\|\w++\|>|/?(?:tool_call|tool_response|tools)>)",
    re.IGNORECASE,
)

_SURROGATE = re.compile("[\ud800-\udfff]")


def tools_section(tools: Sequence[Mapping[str, Any]]) -> str:
    """Returns what the template appends to the system text, nothing if there are no tools.

    Args:
        tools: Tools as OpenAI's API takes them: `{"type": "function", "function": {…}}`.

    Raises:
        InvalidInputError: A tool holds something that JSON cannot hold.
    """
    if not tools:
        return ""
    return "\n".join([_BEFORE_TOOLS, *(_json(dict(tool)) for tool in tools)]) + _AFTER_TOOLS


def render_tool_calls(content: str, calls: Sequence[Mapping[str, Any] | str]) -> str:
    """Returns an assistant turn: its text, if any, then its calls.

    Args:
        content: The turn's text.
        calls: LangChain's `ToolCall`s and `InvalidToolCall`s. The arguments of an invalid one are
            written as they are; without a name, they are the whole call. A string is what the model
            wrote for a call, tags included, so that it sees its own mistake.

    Raises:
        InvalidInputError: Arguments hold something that JSON cannot hold.
    """
    blocks = [
        call if isinstance(call, str) else f"<tool_call>\n{_call(call)}\n</tool_call>"
        for call in calls
    ]
    return "\n".join(filter(None, [content, *blocks]))


def render_tool_response(text: str) -> str:
    """Returns the result of one call as it stands in a user turn."""
    return f"<tool_response>\n{text}\n</tool_response>"


def break_control_strings(text: str) -> str:
    """Returns the text with a space put after the `<` of every control string.

    Control strings are all `<|name|>` and the tags `<tool_call>`, `<tool_response>` and `<tools>`,
    opening and closing, in any letter case. Qwen's tokenizer knows its special tokens by their
    exact characters, so `< |im_end|>` is plain text to it. As nothing is taken away, breaking one
    can never make another. Text without control strings comes back as it is, and so does text
    that was broken before.
    """
    return _CONTROL_START.sub("< ", text)


def has_lone_surrogate(text: str) -> bool:
    """Returns whether the text holds half a character, which cannot be sent as UTF-8."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _call(call: Mapping[str, Any]) -> str:
    args = call["args"]
    raw = _json(args) if isinstance(args, Mapping) else args or ""
    name = call["name"]
    return f'{{"name": {_json(name)}, "arguments": {raw}}}' if name else raw


def _json(value: Any) -> str:
    """As the template does it, but with lone surrogates escaped, which no request can hold."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"A tool or a tool call cannot be written as JSON ({error}): {value!r:.200}"
        raise InvalidInputError(message) from error
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
