"""Whole values and edits of a chatbot -> fragments of the answer's text.

A Space sends its chatbot's value once and then edits to it (see "Edits" and "The server revises
itself" in `docs/protocol.md`). While the text only grows, what is new is handed out as it comes,
at a cost that does not depend on what came before. When the Space takes something back, the true
text and what was handed out part ways; `Track` finds the place to go on from.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_qwen_space.errors import ProtocolError
from langchain_qwen_space.space.chatbot import Form, Path, join

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thought:
    """A fragment of the model's reasoning, which is not part of the answer."""

    text: str


Fragment = str | Thought


class Track:
    """The true text of an answer, beside what was handed out of it."""

    def __init__(self) -> None:
        self.revised = False
        self._parts: list[str] = []  # the true text, in pieces
        self._ahead: str | None = None  # what was handed out, where that is more than the text

    @property
    def text(self) -> str:
        """The text as the Space has it now."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def level(self) -> bool:
        """Whether exactly the true text was handed out, so that what is new may just follow."""
        return self._ahead is None

    def append(self, fragment: str) -> None:
        """Note a fragment that followed a level text and was handed out as it came."""
        self._parts.append(fragment)

    def take(self, text: str) -> str:
        """Make `text` the true text and return what of it is still to be handed out.

        After a revision nothing is handed out twice, and nothing but blank space left out: what
        both texts begin with, blank space aside, counts as handed out. Where they part inside a
        word, the whole word is handed out.
        """
        old = self.text if self._ahead is None else self._ahead
        self._parts = [text]
        self._ahead = None
        if text.startswith(old):
            return text[len(old) :]
        self.revised = True
        common = _common_length("".join(old.split()), solid := "".join(text.split()))
        start = _index_after(text, common, len(solid))
        if common == len("".join(old.split())):
            # All of it stands again; the blank space that ended it may stand again as well.
            tail = old[len(old.rstrip()) :]
            return text[start + _common_length(tail, text[start:]) :]
        if common == len(solid):
            self._ahead = old
            return ""
        while start and not text[start - 1].isspace():
            start -= 1
        while start and text[start - 1].isspace():
            start -= 1
        return text[start:]


def _common_length(one: str, other: str) -> int:
    """How many characters both begin with, found in logarithmically many comparisons."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _index_after(text: str, count: int, solid: int) -> int:
    """The index in `text` right behind its first `count` characters that are not blank space.

    Counted from the end, where the place usually is; `solid` is how many there are in all.
    """
    index = len(text)
    while solid > count:
        index -= 1
        solid -= not text[index].isspace()
    return len(text[:index].rstrip())


class Reply:
    """Reads one answer out of a chatbot's changing value.

    Args:
        form: The chatbot's form.
        turns: How many turns of history were sent.
        query: The question that was sent.
        whole: Whether every event holds the whole value (protocol `sse_v1`).
        max_chars: The most that an answer may hold before the call is given up.
    """

    def __init__(self, form: Form, turns: int, query: str, *, whole: bool, max_chars: int) -> None:
        self._form, self._turns, self._query = form, turns, query
        self._whole = whole
        self._max = max_chars
        self._size = 0
        self._value: Any = None
        self._known = False  # a first value has come, and every edit since could be made
        self._broken = False
        self._tail: Path | None = None  # where the answer grows
        self._grown: list[str] = []  # what grew there and does not stand in the value yet
        self.answer = Track()
        self.thoughts = Track()

    @property
    def revised(self) -> bool:
        """Whether the Space took back any of the answer that was handed out."""
        return self.answer.revised

    def generating(self, output: object) -> list[Fragment]:
        """Take the chatbot's part of a `process_generating` event.

        Edits that cannot be made are logged; the text then waits for the whole value at the end.

        Raises:
            ProtocolError: The answer is longer than `max_chars`.
        """
        if self._whole or not self._known:
            if self._broken:
                return []
            self._known = True
            try:
                return self._replace(output)
            except ValueError:
                return self._break(output)
        if not isinstance(output, list):
            return self._break(output)
        tail = self._tail
        if len(output) == 1:
            edit = output[0]
            if (
                isinstance(edit, list)
                and len(edit) == 3
                and edit[1] == tail
                and edit[0] == "append"
                and tail is not None
                and isinstance(edit[2], str)
            ):
                fragment = edit[2]
                self._grown.append(fragment)
                self.answer.append(fragment)
                self._grow(len(fragment))
                return [fragment] if fragment else []
        if not output:
            return []
        self._settle()
        try:
            for edit in output:
                self._value = _apply(self._value, edit)
            return self._read()
        except (LookupError, TypeError, ValueError):
            return self._break(output)

    def completed(self, output: object) -> list[Fragment]:
        """Take the chatbot's part of the final event: the whole value, or null for no change."""
        try:
            return self._replace(output)
        except ValueError:
            msg = f"The answer has not the form that the Space's /config promised: {output!r:.200}"
            raise ProtocolError(msg, partial=self.answer.text, is_retryable=False) from None

    def _replace(self, output: object) -> list[Fragment]:
        self._grown.clear()
        self._tail = None
        self._value = output
        return self._read()

    def _read(self) -> list[Fragment]:
        """Find the answer in the value and return what of it is new."""
        value, base = self._value, []
        if isinstance(value, dict) and "__type__" in value:
            value, base = value.get("value"), ["value"]
        if value is None:
            return []
        segments = self._form.read(value, self._turns, self._query)
        if segments is None:
            return []
        answer = [segment for segment in segments if not segment.thought]
        fragments: list[Fragment] = []
        if len(answer) != len(segments):
            thoughts = join([segment for segment in segments if segment.thought])
            if fragment := self.thoughts.take(thoughts):
                fragments.append(Thought(fragment))
        text = join(answer)
        self._grow(len(text) - self._size)
        if fragment := self.answer.take(text):
            fragments.append(fragment)
        self._tail = [*base, *answer[-1].path] if answer and self.answer.level else None
        return fragments

    def _settle(self) -> None:
        """Write what grew at the tail into the value, so that edits find it there."""
        if self._grown and self._tail is not None:
            self._value = _apply(self._value, ["append", self._tail, "".join(self._grown)])
            self._grown.clear()

    def _break(self, output: object) -> list[Fragment]:
        logger.warning(
            "An edit to the answer cannot be made; waiting for its final text: %.200r", output
        )
        self._broken, self._known, self._tail = True, False, None
        return []

    def _grow(self, count: int) -> None:
        self._size += count
        if self._size > self._max:
            msg = (
                f"The answer grew beyond {self._max:,} characters and was given up. If answers of "
                "this length are wanted, raise max_reply_bytes."
            )
            raise ProtocolError(msg, partial=self.answer.text, is_retryable=False)


def _apply(value: Any, edit: Sequence[Any]) -> Any:
    """Make one edit `[action, path, operand]` and return the new value.

    Raises:
        LookupError, TypeError, ValueError: The edit does not fit the value.
    """
    action, path, operand = edit
    if not path:
        if action == "append":
            return value + operand
        if action in ("replace", "add"):
            return operand
        raise ValueError(action)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    if action == "append":
        parent[key] += operand
    elif action == "delete":
        if isinstance(parent, list):
            parent.pop()  # only tails are deleted, and the indices are not to be trusted
        else:
            del parent[key]
    elif action == "add" and isinstance(parent, list):
        parent.insert(key, operand)
    elif action in ("add", "replace"):
        parent[key] = operand
    else:
        raise ValueError(action)
    return value
