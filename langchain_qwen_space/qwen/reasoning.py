"""A stream of answer text -> the answer and the thoughts that `<think>` tags mark in it."""

from dataclasses import dataclass

_TAGS = ("<think>", "</think>")


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A fragment of the model's thoughts."""

    text: str


class ThinkSplitter:
    """Tells thoughts from text, incrementally.

    The tags belong to neither, nor does the blank space right after them. A `</think>` that closes
    nothing is text. Held back is only what may still become a tag.
    """

    def __init__(self) -> None:
        self._thinking = False
        self._trim = False  # blank space that follows a tag is dropped
        self._held = ""

    def feed(self, text: str) -> list[str | Reasoning]:
        """Return what can be told of this text."""
        out: list[str | Reasoning] = []
        text = self._held + text
        while True:
            tag = _TAGS[self._thinking]
            at = text.find(tag)
            if at < 0:
                break
            self._give(text[:at], out)
            text = text[at + len(tag) :]
            self._thinking = not self._thinking
            self._trim = True
        keep = next(
            (n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0
        )
        self._held = text[len(text) - keep :]
        self._give(text[: len(text) - keep], out)
        return out

    def finish(self) -> list[str | Reasoning]:
        """Return what was held back: the text ends here."""
        out: list[str | Reasoning] = []
        self._give(self._held, out)
        self._held = ""
        return out

    def _give(self, text: str, out: list[str | Reasoning]) -> None:
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        if text:
            out.append(Reasoning(text) if self._thinking else text)
