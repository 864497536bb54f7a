"""The JSON inside one `<tool_call>` tag, while it arrives."""

import re

from langchain_qwen_space.qwen.tool_repair import NESTING_LIMIT, as_json, give_up

# What a call begins with if its arguments may stream, and within how many characters.
_HEAD = re.compile(
    r'\{\s*"name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*"arguments"\s*:\s*(?=\{\s*["}])',
)
_HEAD_LIMIT = 1024

# Up to what opens or closes something, or is how Python, not JSON, spells it.
_BETWEEN_MARKS = re.compile(r"""[^"'{}\[\]<TFN]*+""")
_NOT_JSON = ("'", "<", "T", "F", "N")
_IN_STRING = {
    '"': re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL),
    "'": re.compile(r"(?:[^'\\]++|\\.)*+", re.DOTALL),
}
_CLOSER = {"{": "}", "[": "]"}


class CallBody:
    """Finds where a call ends, without parsing it, and which of its arguments may stream.

    Args:
        may_stream: Whether arguments may be given out before the call is whole.
    """

    def __init__(self, *, may_stream: bool) -> None:
        self.name: str | None = None
        """The call's name, once its arguments stream."""
        self.whole = False
        """The bracket that opened the value has been closed."""
        self.broken = False
        """A bracket closes the wrong one, or there are too many."""
        self._may_stream = may_stream
        self._parts: list[str] = []
        self._size = 0
        self._quote = ""
        self._closers: list[str] = []
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

    def scan(self, text: str, start: int) -> int:
        """Takes text in from a position on and returns how far.

        Stops after the bracket that makes the body `whole`, before one that makes it `broken`,
        before a `<` outside of strings, and before a backslash that ends the text.
        """
        position = start
        while position < len(text):
            if self._quote:
                position = skip(_IN_STRING[self._quote], text, position)
                if not text.startswith(self._quote, position):
                    break
                self._quote = ""
            else:
                position = skip(_BETWEEN_MARKS, text, position)
                mark = text[position : position + 1]
                self._mark(mark, self._size + position - start)
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
            self._args_start = self._sent = head.end()
            base = 0
        else:
            text = self._parts[-1]
            base = self._size - len(text)
        # The last brace of the arguments waits until the whole call is known to be sound.
        limits = [self._size, self._args_end, self._repair_from]
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
        return (args if self._repair_from is None else as_json(args))[
            self._sent - self._args_start :
        ]

    def close(self) -> None:
        """Adds the last bracket of a call whose arguments are closed and which itself is not."""
        if self._closers == ["}"] and self._args_end is not None and not self.broken:
            self.take("}")
            self.whole = True

    def _mark(self, mark: str, offset: int) -> None:
        if mark in _NOT_JSON and self._repair_from is None:
            self._repair_from = offset
        if mark in _IN_STRING:
            self._quote = mark
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
