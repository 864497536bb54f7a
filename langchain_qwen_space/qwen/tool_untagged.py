"""Calls in JSON without tags, as Qwen2.5-Coder writes them: where they are the whole answer."""

import re
from typing import Any

from langchain_qwen_space.qwen.tool_body import JSONCall, skip
from langchain_qwen_space.qwen.tool_parameters import ToolSchemas
from langchain_qwen_space.qwen.tool_repair import read_calls

_AROUND = re.compile(r"(?:\s++|`{3,}\w*+(?=\s)|</?tools>|</tool_call>)*+")
_AROUND_BEGUN = re.compile(r"(?:`+\w*+|</?[a-z_]*+)\Z")
_AT_THE_END = re.compile(r"(?:`{3,}\w*+)?")
_NAME = re.compile(r"""["']name["']\s*:\s*["']([^"'\\]+)["']""")
_ARGUMENTS = re.compile(r"""["'](?:arguments|parameters|args)["']\s*:""")


class UntaggedCalls:
    """Takes an answer that began like a call; says at its end whether it is nothing but calls.

    Calls are bare, in a fence, in `<tools>`, or end with a `</tool_call>` that nothing opened. Each
    names a tool on offer and has a key for its arguments; anything else may be an answer in JSON.

    Attributes:
        refuted: The answer is something else.
    """

    def __init__(self, tools: ToolSchemas) -> None:
        self.refuted = False
        self._tools = tools
        self._parts: list[str] = []
        self._bodies: list[JSONCall] = []

    @property
    def text(self) -> str:
        """All that was taken in."""
        return "".join(self._parts)

    @property
    def first(self) -> str:
        """The text of the first call."""
        return self._bodies[0].text

    def scan(self, text: str, start: int) -> int:
        """Takes text in from a position on and returns how far, unless it is `refuted`."""
        position = start
        while position < len(text) and not self.refuted:
            if not self._bodies or self._bodies[-1].whole:
                end = skip(_AROUND, text, position)
                if end == len(text) or _AROUND_BEGUN.match(text, end):
                    position = end
                    break
                self.refuted = text[end] not in "{["
                position = end
                if not self.refuted:
                    self._bodies.append(JSONCall(self._tools, may_stream=False))
            else:
                body, begin = self._bodies[-1], position
                position = body.scan(text, begin)
                self.refuted = body.broken
                if text.startswith("<", position) and not body.whole:
                    body.take("<")
                    position += 1
                if position == begin:
                    break
        self._parts.append(text[start:position])
        return position

    def end(self, held: str) -> list[tuple[str, dict[str, Any]]]:
        """Returns the calls that an ended answer is; none of them if it is something else.

        Args:
            held: The end of the answer, that was not taken in yet.

        Raises:
            BrokenCallError: It is a call of a tool on offer, but one that cannot be read.
        """
        self._parts.append(held)
        if not self._bodies:
            return []
        whole = self._bodies[-1].whole
        if not whole:
            self._bodies[-1].take(held)
        elif not _AT_THE_END.fullmatch(held):
            return []
        calls = []
        for body in self._bodies:
            named = _NAME.search(body.text)
            if named is None or named[1] not in self._tools or not _ARGUMENTS.search(body.text):
                return []
            calls += read_calls(body.text, self._tools)
        return calls if all(name in self._tools for name, _ in calls) else []
