"""A call in JSON, while it arrives."""

import re

from langchain_qwen_space.qwen import tool_parameters
from langchain_qwen_space.qwen.strict_json import BLANKS, with_json_spelling
from langchain_qwen_space.qwen.tool_parameters import ToolSchemas
from langchain_qwen_space.qwen.tool_repair import NESTING_LIMIT, give_up, unwrap

# What a call begins with if its arguments may stream, and within how many characters.
_HEAD = re.compile(
    r'\{\s*"name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*"arguments"\s*:\s*(?=\{\s*["}])',
)
_HEAD_LIMIT = 1024

# Up to what opens or closes something, or is not how JSON spells it.
_BETWEEN_MARKS = re.compile(rf"""[^"'{{}}\[\]<TFN/,{BLANKS}]*+""")
_NOT_JSON = ("'", "<", "T", "F", "N", "/")
_INSIDE = {
    '"': re.compile(r'(?:[^"\\]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+'),
    "'": re.compile(r"(?:[^'\\]++|\\.)*+", re.DOTALL),
    "//": re.compile(r"[^\n<]*+"),
}
_END = {'"': '"', "'": "'", "//": "\n"}
_PART_OF_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_AFTER_COMMA = re.compile(r"\s{0,64}+")
_JSON_AFTER_COMMA = re.compile(r"\s{0,63}+[^\s}\]/]")
_CLOSER = {"{": "}", "[": "]"}

_KEY = re.compile(r'[{,]\s*"((?:[^"\\]|\\.)*)"\s*:\s*\Z', re.DOTALL)
_TAIL = 300  # characters before a value in which its key is looked for


class JSONCall:
    """Finds where a call ends, without parsing it, and which of its arguments may stream.

    Args:
        tools: The tools on offer.
        may_stream: Whether arguments may be given out before the call is whole.
    """

    def __init__(self, tools: ToolSchemas, *, may_stream: bool) -> None:
        self.name: str | None = None
        """The call's name, once its arguments stream."""
        self.whole = False
        """The bracket that opened the value has been closed."""
        self.broken = False
        """A bracket closes the wrong one, or there are too many."""
        self._tools = tools
        self._may_stream = may_stream
        self._parts: list[str] = []
        self._size = 0
        self._tail = ""
        self._inside = ""  # of which kind of string, or comment
        self._closers: list[str] = []
        self._structured: dict[str, frozenset[str]] = {}
        self._strings: dict[str, int] = {}  # offsets of arguments that are strings, by name
        # Offsets: the braces around the arguments, the first thing that needs repair, and how far
        # the arguments were given out.
        self._args_start = 0
        self._args_end: int | None = None
        self._repair_from: int | None = None
        self._sent = 0

    @property
    def text(self) -> str:
        """All that was taken in."""
        return "".join(self._parts)

    def take(self, text: str) -> None:
        """Takes text in without looking at it."""
        self._parts.append(text)
        self._size += len(text)
        self._tail = (self._tail + text[-_TAIL:])[-_TAIL:]

    def scan(self, text: str, start: int) -> int:
        """Takes text in from a position on and returns how far.

        Stops after the bracket that makes the body `whole`, before one that makes it `broken`,
        before a `<` outside of strings, and before a backslash, slash or comma of which more text has
        to say what it is.
        """
        position = start
        while position < len(text):
            if self._inside:
                position = skip(_INSIDE[self._inside], text, position)
                if self._inside == '"' and text.startswith("\\", position):
                    if _PART_OF_ESCAPE.match(text, position):
                        break
                    self._needs_repair(self._size + position - start)
                    position += 2
                    continue
                if not text.startswith(_END[self._inside], position):
                    break
                self._inside = ""
            else:
                position = skip(_BETWEEN_MARKS, text, position)
                mark = text[position : position + 1]
                if mark in (",", "/") and skip(_AFTER_COMMA, text, position + 1) == len(text):
                    break
                self._mark(mark, self._size + position - start, text, start, position)
                if mark in ("", "<") or self.broken:
                    break
            position += 1
            if self.whole:
                break
        self.take(text[start:position])
        return position

    def new_arguments(self) -> str:
        """Returns arguments that were just taken in and may stream; sets `name` with the first."""
        if self.name is None:
            if not self._may_stream:
                return ""
            text = self.text
            head = _HEAD.match(text, 0, _HEAD_LIMIT)
            if head is None:
                self._may_stream = len(text) < _HEAD_LIMIT
                return ""
            self.name = head["name"]
            self._structured = tool_parameters.lists_and_objects(self._tools.get(self.name))
            self._args_start = self._sent = head.end()
            base = 0
        else:
            text = self._parts[-1]
            base = self._size - len(text)
        # The last brace of the arguments waits until the whole call is known to be sound.
        limits = [self._size, self._args_end, self._repair_from]
        limits += [self._strings.get(name) for name in self._structured]
        limit = min(offset for offset in limits if offset is not None)
        if limit <= self._sent:
            return ""
        new = text[self._sent - base : limit - base]
        self._sent = limit
        return new

    def rest(self, *, sound: bool) -> str:
        """Returns what to give out after the arguments that have streamed.

        Args:
            sound: Whether the call can be read; if not, the rest makes it invalid.
        """
        text = self.text
        if not sound:
            return text[self._sent :] + give_up(text[self._args_start :])
        args = text[self._args_start : (self._args_end or 0) + 1]
        if self._repair_from is not None:
            args = with_json_spelling(args)
        if self._strings.keys() & self._structured.keys():
            args = unwrap(args, self._structured)
        return args[self._sent - self._args_start :]

    def close(self) -> None:
        """Adds the last bracket of a call whose arguments are closed and which itself is not."""
        if self._closers == ["}"] and self._args_end is not None and not self.broken:
            self.take("}")
            self.whole = True

    def _needs_repair(self, offset: int) -> None:
        if self._repair_from is None:
            self._repair_from = offset

    def _mark(self, mark: str, offset: int, text: str, start: int, position: int) -> None:
        if not mark:
            return
        is_last_comma = mark == "," and not _JSON_AFTER_COMMA.match(text, position + 1)
        if mark in _NOT_JSON or mark.isspace() or is_last_comma:
            self._needs_repair(offset)
        if mark == "/":
            self._inside = "//" if text.startswith("//", position) else ""
        elif mark in ('"', "'"):
            self._inside = mark
            if len(self._closers) == 2 and self._args_end is None:
                begun = text[max(start, position - _TAIL) : position]
                if key := _KEY.search((self._tail + begun)[-_TAIL:]):
                    self._strings.setdefault(key[1], offset)
        elif mark in _CLOSER:
            self._closers.append(_CLOSER[mark])
            self.broken = len(self._closers) > NESTING_LIMIT
        elif mark in _CLOSER.values():
            self.broken = self._closers.pop() != mark
            if len(self._closers) == 1 and self._args_end is None:
                self._args_end = offset
            self.whole = not self._closers and not self.broken


def skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Returns where a match at this position ends; the position itself if there is none."""
    match = pattern.match(text, position)
    return match.end() if match else position
