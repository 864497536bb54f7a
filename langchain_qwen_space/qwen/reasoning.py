"""A stream of answer text -> the answer and the thoughts that stand before it.

A model's thoughts are the block `<think>…</think>` that opens its answer, with those that follow
right after it. Where the model's template opens the block itself (QwQ, the Thinking models), only
`</think>` is seen: then everything before it was thought. A tag anywhere else is text, as in a
sentence or in a string of a tool call.
"""

from dataclasses import dataclass
from enum import Enum

_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's thoughts.

    Attributes:
        text: The thoughts, without tags and the blank space after them.
        written: What stands in the answer for it; empty where the Space itself separates thoughts.
    """

    text: str
    written: str = ""


@dataclass(frozen=True, slots=True)
class ThoughtsEnd:
    """A `</think>` that nothing opened: all text before it was thought."""

    written: str = _CLOSE


class _State(Enum):
    START = 1  # nothing but blank space so far, or since the last block
    THINKING = 2
    ANSWERING = 3  # a `</think>` may still say that this is thinking
    ANSWERED = 4  # the rest is text


class ThoughtSplitter:
    """Separates thoughts from the answer, incrementally.

    `written` of the thoughts, and the text, add up to the input. Only what may still become a tag is
    held back.
    """

    def __init__(self) -> None:
        self._state = _State.START
        self._thought = False  # whether a block has ended
        self._trim = False  # blank space right after a tag belongs to neither side
        self._blank: list[str] = []  # what the text has begun with so far
        self._held = ""

    @property
    def settled(self) -> bool:
        """Whether nothing that was given out as text can still turn out to be thought."""
        return self._thought or self._state is _State.ANSWERED

    def feed(self, text: str) -> list[str | Reasoning | ThoughtsEnd]:
        """Return what can be decided now that this text has arrived."""
        out: list[str | Reasoning | ThoughtsEnd] = []
        if self._state is _State.START and not self._held and not self._thought and text.isspace():
            self._blank.append(text)
            return out
        text = "".join([*self._blank, self._held, text])
        self._blank.clear()
        while text:
            if self._state is _State.START:
                solid = text.lstrip()
                if self._thought and solid != text:
                    out.append(Reasoning("", text[: len(text) - len(solid)]))
                    text = solid
                    continue
                if not solid.startswith(_OPEN):
                    if _OPEN.startswith(solid):
                        break
                    self._state = _State.ANSWERED if self._thought else _State.ANSWERING
                    continue
                size = len(text) - len(solid) + len(_OPEN)
                out.append(Reasoning("", text[:size]))
                self._state, self._trim, text = _State.THINKING, True, text[size:]
            elif self._state is _State.THINKING:
                end = text.find(_CLOSE)
                stop = _undecided(text, _CLOSE) if end < 0 else end
                self._think(text[:stop], out)
                text = text[stop:]
                if end < 0:
                    break
                out.append(Reasoning("", _CLOSE))
                self._state, self._thought, text = _State.START, True, text[len(_CLOSE) :]
            elif self._state is _State.ANSWERING:
                if "<" not in text:  # as nearly every piece of an answer
                    out.append(text)
                    text = ""
                    break
                end, opened = text.find(_CLOSE), text.find(_OPEN)
                if opened >= 0 and not 0 <= end < opened:
                    self._state = _State.ANSWERED
                    continue
                stop = min(_undecided(text, _CLOSE), _undecided(text, _OPEN)) if end < 0 else end
                if text[:stop]:
                    out.append(text[:stop])
                text = text[stop:]
                if end < 0:
                    break
                out.append(ThoughtsEnd())
                self._state, self._thought, text = _State.START, True, text[len(_CLOSE) :]
            else:
                out.append(text)
                text = ""
        self._held = text
        return out

    def finish(self) -> list[str | Reasoning]:
        """Return what was held back: the text ends here."""
        out: list[str | Reasoning | ThoughtsEnd] = []
        held, self._held = "".join([*self._blank, self._held]), ""
        if held and self._state is _State.THINKING:
            self._think(held, out)
        elif held:
            out.append(held)
        return [piece for piece in out if not isinstance(piece, ThoughtsEnd)]

    def _think(self, text: str, out: list[str | Reasoning | ThoughtsEnd]) -> None:
        shown = text.lstrip() if self._trim else text
        self._trim = self._trim and not shown
        if text:
            out.append(Reasoning(shown, text))


def without_thoughts(text: str) -> str:
    """Returns the answer in a text, as far as it has come; a tag in a string of it is text."""
    splitter = ThoughtSplitter()
    answer: list[str] = []
    for piece in (*splitter.feed(text), *splitter.finish()):
        if isinstance(piece, ThoughtsEnd):
            answer.clear()
        elif isinstance(piece, str):
            answer.append(piece)
    return "".join(answer)


def _undecided(text: str, tag: str) -> int:
    """Where the end of `text` begins that may still become `tag`."""
    at = text.rfind(tag[0], max(0, len(text) - len(tag) + 1))  # which stands nowhere else in a tag
    return at if at >= 0 and tag.startswith(text[at:]) else len(text)
