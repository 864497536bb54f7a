"""A call in XML, as Qwen3-Coder and Qwen3.5 write it, while it arrives.

    <function=NAME>
    <parameter=KEY>
    VALUE
    </parameter>
    </function>

A value is everything between its tags but one line break on either side. If the first is CR LF, the
last may be too: further line breaks, JSON and other tags belong to it. `</parameter>` ends it only
where `<parameter=`, `</function>` or `</tool_call>` follows. Where that tag is missing, the value
ends before a line that begins with `<parameter=` and a parameter that the tool has and that was not
given yet, or with `</function>` and the end of the call. What type a value has is said by the
tool's schema.
"""

import json
import re
from typing import Any

from langchain_qwen_space.qwen import tool_parameters
from langchain_qwen_space.qwen.tool_parameters import ToolSchemas
from langchain_qwen_space.qwen.tool_repair import give_up

FUNCTION = "<function="

CUT_OFF = "The call was cut off. Write the whole call again."

_NAME = re.compile(r"<function=([^<>\n]{1,256})>")
_PARAMETER = re.compile(r"<parameter=([^<>\n]{1,256})>")
_PART_OF_HEAD = re.compile(r"<(?:function|parameter)=[^<>\n]{0,256}\Z")
_PARAMETER_OPEN, _PARAMETER_CLOSE, _FUNCTION_CLOSE, _TAG_CLOSE = (
    "<parameter=",
    "</parameter>",
    "</function>",
    "</tool_call>",
)
_AFTER_VALUE = (_PARAMETER_OPEN, _FUNCTION_CLOSE, _TAG_CLOSE)
_BLANK = re.compile(r"\s*+")
_LOOKAHEAD = re.compile(r"\s{0,64}+")


class XMLCall:
    """Reads one call; its arguments come out as JSON, strings as they arrive.

    Attributes:
        name: Its name, once that is known.
        whole: It has come to its end.
        error: What is wrong with it, in words for the model; None if nothing is.
    """

    def __init__(self, tools: ToolSchemas) -> None:
        self.name: str | None = None
        self.whole = False
        self.error: str | None = None
        self._tools = tools
        self._schema: Any = None
        self._json: list[str] = []  # all arguments so far
        self._given = 0  # how many of these parts were given out
        self._step = self._head
        self._ended = False  # no more text comes
        self._seen: set[str] = set()
        self._key = ""
        self._types: frozenset[str] = frozenset()
        self._value: list[str] = []
        self._fresh = False  # nothing of the value has been read, not even the first line break
        self._crlf = False  # lines end with CR LF
        self._at_line = False  # what comes next begins a line
        self._streams = False
        self._closing_inside = False  # the value holds a `</parameter>`
        self._end_inside = False  # a value holds a `</function>`
        self._debris: list[str] = []

    def scan(self, text: str, start: int) -> int:
        """Takes text in from a position on and returns how far, at most to the end of the call."""
        position = start
        while position < len(text) and not (self.whole or self.error):
            step, begin = self._step, position
            position = step(text, begin)
            if position == begin and self._step == step:
                break
        return position

    def take(self, text: str) -> None:
        """Takes in what cannot be read any more."""
        self._debris.append(text)

    def finish(self, text: str) -> None:
        """Takes in the end of the answer."""
        self._ended = True
        self.take(text[self.scan(text, 0) :])
        if not self.whole and self.error is None:
            self.error = CUT_OFF

    def close(self) -> None:
        """Does nothing at a `</tool_call>`: only a call in JSON may lack its last bracket there."""

    def new_arguments(self) -> str:
        """Returns arguments that can be given out."""
        new = "".join(self._json[self._given :])
        self._given = len(self._json)
        return new

    def rest(self) -> str:
        """Returns the last of the arguments; for a call with an error, text that makes its JSON invalid."""
        new = self.new_arguments()
        if self.error is None:
            return new + ("}" if self._json else "{}")
        if self.name is None:
            new = "".join(self._debris)
            return new + give_up(new)
        return new + give_up("".join(self._json))

    # Steps: each reads from a position on and returns how far it came.

    def _head(self, text: str, start: int) -> int:
        if match := _NAME.match(text, start):
            self.name = match[1].strip().strip("\"'")
            self._schema = self._tools.get(self.name)
            self._step = self._between
            return match.end()
        if not _PART_OF_HEAD.match(text, start):
            self.error = "The name of the function cannot be read: write <function=NAME>."
        return start

    def _between(self, text: str, start: int) -> int:
        match = _BLANK.match(text, start)
        at = match.end() if match else start
        if at == len(text):
            return at
        if parameter := _PARAMETER.match(text, at):
            self._begin(parameter[1])
            return parameter.end()
        if text.startswith(_FUNCTION_CLOSE, at):
            self.whole = True
            return at + len(_FUNCTION_CLOSE)
        if text.startswith(_TAG_CLOSE, at):
            if self._end_inside:  # unless it was to end the call
                self.error = f'It cannot be said where the parameter "{self._key}" ends.'
            self.whole = self.error is None
            return at
        rest = text[at : at + len(_PARAMETER_CLOSE)]
        if not (_PART_OF_HEAD.match(text, at) or any(tag.startswith(rest) for tag in _AFTER_VALUE)):
            self.error = "Text stands between the parameters: write each as <parameter=KEY>."
        return at

    def _in_value(self, text: str, start: int) -> int:
        if self._fresh:
            if text[start:] == "\r" and not self._ended:
                return start
            self._fresh = False
            self._crlf = text.startswith("\r\n", start)
            if self._crlf or text[start] == "\n":
                self._at_line = True
                return start + 1 + self._crlf
        at = text.find("<", start)
        if at < 0:
            stop = self._before_break(text, start, len(text))
            self._add(text[start:stop])
            return stop
        stop = self._before_break(text, start, at)
        self._add(text[start:stop])
        begins_line = stop < at or (self._at_line and stop == start)
        end = self._end_of_value(text, at, begins_line=begins_line)
        if end is None:
            return stop
        if end < at:
            self._add(text[stop : at + 1])
            self._closing_inside = self._closing_inside or text.startswith(_PARAMETER_CLOSE, at)
            self._end_inside = self._end_inside or text.startswith(_FUNCTION_CLOSE, at)
            return at + 1
        if self._closing_inside and end == at:
            self.error = f'It cannot be said where the parameter "{self._key}" ends.'
        self._close_value()
        return end

    # What the steps share.

    def _before_break(self, text: str, start: int, end: int) -> int:
        """Returns where a line break at the end of a part of a value begins, half of one included."""
        at = end - text.endswith("\n", start, end)
        if self._crlf and (at < end or end == len(text)):
            at -= text.endswith("\r", start, at)
        return at

    def _end_of_value(self, text: str, at: int, *, begins_line: bool) -> int | None:
        """Returns where reading continues after a value that ends here; -1 if it does not end.

        None if more text has to decide.
        """
        if text.startswith(_PARAMETER_CLOSE, at):
            end = at + len(_PARAMETER_CLOSE)
            follows = _follows(text, end, _AFTER_VALUE)
            return follows if follows is None else end if follows else -1
        if text.startswith(_FUNCTION_CLOSE, at):
            if not begins_line:
                return -1
            follows = _follows(text, at + len(_FUNCTION_CLOSE), (_TAG_CLOSE,))
            if follows is None and self._ended and not text[at + len(_FUNCTION_CLOSE) :].strip():
                follows = True
            return follows if follows is None else at if follows else -1
        if begins_line and (parameter := _PARAMETER.match(text, at)):
            return at if self._is_new(parameter[1].strip()) else -1
        rest = text[at : at + len(_PARAMETER_CLOSE)]
        if any(
            tag.startswith(rest) for tag in (_PARAMETER_OPEN, _PARAMETER_CLOSE, _FUNCTION_CLOSE)
        ):
            return None
        return None if begins_line and _PART_OF_HEAD.match(text, at) else -1

    def _is_new(self, key: str) -> bool:
        if key in self._seen:
            return False
        return self._schema is None or key in tool_parameters.properties(self._schema)

    def _begin(self, key: str) -> None:
        key = key.strip().strip("\"'")
        if key in self._seen:
            self.error = f'The parameter "{key}" is given twice.'
            return
        self._seen.add(key)
        self._key, self._closing_inside = key, False
        self._types = tool_parameters.types(self._schema, key)
        self._streams = self._types <= {"string"}
        self._json.append(f"{', ' if self._json else '{'}{_json(key)}: " + '"' * self._streams)
        self._value.clear()
        self._fresh, self._at_line = True, False
        self._step = self._in_value

    def _add(self, text: str) -> None:
        if text:
            self._at_line = False
            if self._streams:
                self._json.append(_json(text)[1:-1])
            else:
                self._value.append(text)

    def _close_value(self) -> None:
        if self._streams:
            self._json.append('"')
        else:
            self._json.append(_json(tool_parameters.from_text("".join(self._value), self._types)))
        self._step = self._between


def _follows(text: str, at: int, tags: tuple[str, ...]) -> bool | None:
    """Whether one of the tags follows after blank space; None if that cannot be said yet."""
    match = _LOOKAHEAD.match(text, at)
    after = match.end() if match else at
    rest = text[after : after + len(_PARAMETER_CLOSE)]
    if not rest and after - at == 64:
        return False
    if rest.startswith(tags):
        return True
    return None if any(tag.startswith(rest) for tag in tags) else False


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
