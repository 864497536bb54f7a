"""What the functions that answer on a page have in common."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

Answer = Callable[..., Iterable[str]]
"""``(system, history, query, model)`` -> the text so far, again and again; see `LocalSpace`.

A function that has a parameter `files` as well gets the paths of the files there.
"""

NOTHING_YET = ""
"""What to yield before beginning anything that has to be ended again.

Gradio closes only generators that have yielded before. One that is left before is dropped, and ends
when it is collected, which may be late.
"""

# Seconds. Gradio ends a call whose caller has left between two yields only. So a function that has
# nothing new for so long yields the same text again.
_SILENCE = 1.0


def paced(texts: Iterable[str], pace: float) -> Generator[str]:
    """Yields what a function that answers gave, with `pace` seconds after each text.

    Raises:
        TypeError: It gave one string.
    """
    if isinstance(texts, str):
        raise TypeError(
            "The answering function returned a string. It must yield the text so far, "
            "piece by piece: use `yield`."
        )
    try:
        for text in texts:
            yield text
            time.sleep(pace)
    finally:
        # Gradio closes this generator when its caller has left. The one inside must end now,
        # not when it is collected.
        if hasattr(texts, "close"):
            texts.close()


def pairs(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The history as (user, assistant) pairs of plain text."""
    roles = [message["role"] for message in messages]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        raise ValueError(f"The history must be pairs of user and assistant, but it is {roles}.")
    texts = ["".join(part.get("text", "") for part in message["content"]) for message in messages]
    return list(zip(texts[::2], texts[1::2], strict=True))


def messages(system: str, history: list[tuple[str, str]], query: str) -> list[dict[str, str]]:
    """The conversation as chat templates and OpenAI-compatible servers take it.

    An empty system prompt is left out, since some templates have no place for one.
    """
    roles = ("user", "assistant")
    said = [
        {"role": role, "content": text}
        for pair in history
        for role, text in zip(roles, pair, strict=True)
    ]
    before = [{"role": "system", "content": system}] if system else []
    return [*before, *said, {"role": "user", "content": query}]


class Draft:
    """A text that grows in one thread and is handed on in another."""

    def __init__(self) -> None:
        self._text = ""
        self._changed = threading.Event()

    def write(self, text: str) -> None:
        """Set the text so far."""
        self._text = text
        self._changed.set()

    def readings(self, work: "Future[None]") -> Iterator[str]:
        """Yields the text so far: whenever it has changed, else every second, until `work` is done.

        Raises:
            Exception: What `work` failed with, after the text until then.
        """
        work.add_done_callback(lambda _: self._changed.set())
        while not work.done():
            self._changed.wait(_SILENCE)
            self._changed.clear()
            yield self._text
        yield self._text
        work.result()
