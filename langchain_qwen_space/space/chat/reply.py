"""Whole values and edits of a chatbot -> pieces of the answer's text.

A Space sends its chatbot's value once and then edits to it (see "Edits" and "Revised text" in
`docs/developers/protocol.md`). While the text only grows, what is new is handed out as it comes, at
a cost that does not depend on what came before. When the Space takes something back, the true text
and what was handed out part ways; `Track` finds the place to continue from.
"""

import logging
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from langchain_qwen_space.errors import ProtocolError
from langchain_qwen_space.space.chat.chatbot import Form, Path, join, solid
from langchain_qwen_space.space.chat.habits import Habits, common_length

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the model's reasoning, which is not part of the answer."""

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
        """Note a piece that followed a level text and was returned as it came."""
        self._parts.append(fragment)

    def take(self, text: str) -> str:
        """Make `text` the true text and return what of it is still to be handed out.

        After a revision nothing is handed out twice, and nothing but blank space left out: what
        both texts begin with, blank space aside, counts as handed out. Where the word that was
        handed out is not the word that stands there, the whole word is handed out.
        """
        old = self.text if self._ahead is None else self._ahead
        self._parts = [text]
        self._ahead = None
        if text.startswith(old):
            return text[len(old) :]
        self.revised = True
        old_solid, text_solid = solid(old), solid(text)
        common = common_length(old_solid, text_solid)
        start = _index_after(text, common, len(text_solid))
        if common == len(old_solid):
            # All of it stands again; the blank space that ended it may stand again as well.
            tail = old[len(old.rstrip()) :]
            return text[start + common_length(tail, text[start:]) :]
        if common == len(text_solid):
            self._ahead = old
            return ""
        if _is_letter(old[_index_after(old, common, len(old_solid))]):
            while start and _is_letter(text[start - 1]):
                start -= 1
            while start and text[start - 1].isspace():
                start -= 1
        return text[start:]


def _is_letter(char: str) -> bool:
    """Whether words are made of it; from CJK on, scripts mostly have no blanks between words."""
    return char.isalnum() and char < "\u2e80"


def _index_after(text: str, count: int, total: int) -> int:
    """The index in `text` right behind its first `count` characters that are not blank space.

    Counted from the end, where the place usually is; `total` is how many there are in all.
    """
    index = len(text)
    while total > count:
        index -= 1
        total -= not text[index].isspace()
    return len(text[:index].rstrip())


class Reply:
    """Reads one answer out of a chatbot's changing value.

    Args:
        form: The chatbot's form.
        turns: How many turns of history were sent.
        query: The question that was sent.
        whole: Whether every event holds the whole value (protocol `sse_v1`).
        max_chars: The most that the value may hold as JSON before the call is given up.
        habits: What the app was seen to replace; None where nothing is known of it.
        shown_before: The chatbot's value when the question is asked.

    Attributes:
        answered: Whether the value holds an answer, if only an empty one.
        files: The files in the completed answer, as Gradio names them.
        tail: Where the answer grows: what is appended there may go to `grow`. None if unknown.
    """

    def __init__(
        self,
        form: Form,
        turns: int,
        query: str,
        *,
        whole: bool,
        max_chars: int,
        habits: Habits | None = None,
        shown_before: object = None,
    ) -> None:
        self._form, self._turns, self._query = form, turns, query
        self._before = form.shown(shown_before)
        self._whole = whole
        self._max = max_chars
        self._size = 0  # roughly what the value holds, or more
        self._value: Any = None
        self._known = False  # a first value has come, and every edit since could be made
        self._broken = False
        self.answered = False
        self.files: list[Mapping[str, Any]] = []
        self.tail: Path | None = None
        self._habits = habits or Habits()
        self._seen = self._habits.seen
        self._ordered = turns < 2 or self._habits.newest_first  # as they were sent
        self._held = ""  # the end of the text that is held back
        self._grown: list[str] = []  # what grew there and does not stand in the value yet
        self.answer = Track()
        self.thoughts = Track()

    @property
    def revised(self) -> bool:
        """Whether the Space took back any of the answer, or of the thoughts, that was handed out."""
        return self.answer.revised or self.thoughts.revised

    def next_step(self) -> None:
        """Another function of the chain writes the value from here on, whole at first."""
        self._known = self._broken = False
        self._grown.clear()
        self.tail = None

    def generating(self, output: object) -> list[Fragment]:
        """Take the chatbot's part of a `process_generating` event.

        What cannot be read is logged; the text then waits for the whole value at the end.

        Raises:
            ProtocolError: The value is larger than `max_chars`.
        """
        if self._broken:
            return []
        try:
            if self._whole or not self._known:
                self._known = True
                return self._replace(output) or []
            return self._edit(output)
        except (LookupError, TypeError, ValueError, OverflowError):
            logger.warning("A change of the answer cannot be read; waiting for its final text.")
            self._broken = True
            self.tail = None
            return []

    def grow(self, fragment: str) -> list[Fragment]:
        """Take text that is appended at `tail`.

        Raises:
            ProtocolError: The value is larger than `max_chars`.
        """
        self._grown.append(fragment)
        self.answer.append(fragment)
        self._count(len(fragment))
        return [fragment] if fragment else []

    def completed(
        self, output: object, *, last: bool = True, noticed: bool = False
    ) -> list[Fragment]:
        """Take the chatbot's part of the final event: the whole value, or null for no change.

        Args:
            output: That part.
            last: Whether no other function writes the answer any more, so that nothing is held back,
                and a conversation that is as it was before holds the same answer once more.
            noticed: Whether the app showed a notice, which then stands in place of that answer.

        Raises:
            ProtocolError: The value is larger than `max_chars`, has not the chatbot's form, or is
                the last and does not hold the question, so that there is no telling what answers it.
        """
        if last and not noticed:
            self._forget_what_was_shown()
        try:
            fragments = self._replace(output, last=last)
            if fragments is not None and (value := self._current_value()[0]) is not None:
                self.files = self._form.files(value, self._turns, self._query, self._before)
        except (TypeError, ValueError):
            what = "has not the form that the Space's /config promised"
        else:
            if fragments is not None or self.answer.text or not last:
                return fragments or []
            what = "does not hold the question"
        msg = f"The chatbot's final value {what}: {reprlib.repr(output)}"
        raise ProtocolError(msg, partial=self.answer.text, is_retryable=False)

    def _edit(self, edits: Any) -> list[Fragment]:
        if not edits:
            return []
        if len(edits) == 1 and self.tail is not None:
            action, path, fragment = edits[0]
            if action == "append" and path == self.tail and isinstance(fragment, str):
                return self.grow(fragment)
        self._settle()
        for edit in edits:
            self._value = _apply(self._value, edit)
        self._count(_length(edits))
        return self._read() or []

    def _replace(self, output: object, *, last: bool = False) -> list[Fragment] | None:
        self._grown.clear()
        self._value, self._size = output, 0
        self._count(_length(output))
        return self._read(last=last)

    def _read(self, *, last: bool = False) -> list[Fragment] | None:
        """Find the answer in the value and return what of it is new.

        None where the value does not hold the question.
        """
        self.tail = None
        value, base = self._current_value()
        if value is None:
            return self._release() if last else []
        if not self._ordered:
            self._check_order(value)
        segments = self._form.read(value, self._turns, self._query, self._before, growing=not last)
        if segments is None:
            return None
        self._ordered = True
        self.answered = bool(segments)
        if any(segment.text for segment in segments):
            self._forget_what_was_shown()
        answer = [segment for segment in segments if not segment.thought]
        fragments: list[Fragment] = []
        if len(answer) != len(segments):
            thoughts = join([segment for segment in segments if segment.thought])
            if fragment := self.thoughts.take(thoughts):
                fragments.append(Thought(fragment))
        text = join(answer)
        if fragment := self.answer.take(self._without_placeholder(text, last=last)):
            fragments.append(fragment)
        # A message without text yet will begin with the blank line that sets it apart.
        grows = self.answer.level and not self._held and not self._whole
        if answer and grows and (answer[-1].text or not text):
            self.tail = [*base, *answer[-1].path]
        return fragments

    def _forget_what_was_shown(self) -> None:
        """From here on, what the chatbot shows is new, even where it is what it showed before."""
        self._before = self._before._replace(value=None)

    def _check_order(self, value: object) -> None:
        """Give the call up where the chatbot turns out to show the newest turn on top.

        The earlier turns were sent in the other order, and so the model may have read them.
        """
        if self._form.is_newest_first(value, self._turns, self._query, self._before):
            self._habits.newest_first = True
            msg = (
                "The chatbot shows the newest turn on top, and the earlier turns were sent in the "
                "other order. Call again: they will be sent in this order."
            )
            raise ProtocolError(msg)

    def _without_placeholder(self, text: str, *, last: bool) -> str:
        """What of the text may be handed out; the rest is held back."""
        known = self.answer.text
        if not text.startswith(known + self._held) and not (self._held and text.startswith(known)):
            self._habits.learn(known + self._held, text)
        shown = text if last else self._seen.without(text)
        self._held = text[len(shown) :]
        return shown

    def _release(self) -> list[Fragment]:
        """Hand out what is held back: it is the answer's end after all."""
        held, self._held = self._held, ""
        fragment = self.answer.take(self.answer.text + held)
        return [fragment] if fragment else []

    def _current_value(self) -> tuple[Any, Path]:
        """What the chatbot shows, and where in the output that stands."""
        if isinstance(self._value, dict) and "__type__" in self._value:
            return self._value.get("value"), ["value"]
        return self._value, []

    def _settle(self) -> None:
        """Write what grew at the tail into the value, so that edits find it there."""
        if self._grown and self.tail is not None:
            self._value = _apply(self._value, ["append", self.tail, "".join(self._grown)])
            self._grown.clear()

    def _count(self, size: int) -> None:
        """Count what came in, and measure the value where that may be too much."""
        self._size += size
        if self._size > self._max:
            self._settle()
            self._size = _length(self._value)
        if self._size > self._max:
            msg = (
                f"The answer grew beyond {self._max:,} characters, and the call was cancelled. If "
                "you expect answers of this length, raise max_reply_bytes."
            )
            raise ProtocolError(msg, partial=self.answer.text, is_retryable=False)


def _length(value: object) -> int:
    """How many characters of JSON a value is; a TypeError for one that is nested too deeply."""
    return len(orjson.dumps(value).decode())


def _apply(value: Any, edit: Sequence[Any]) -> Any:
    """Make one edit `[action, path, operand]` and return the new value.

    Raises:
        LookupError, TypeError, ValueError, OverflowError: The edit does not fit the value.
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
