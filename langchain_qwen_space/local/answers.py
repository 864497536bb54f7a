"""What the functions that answer on a page have in common."""

import inspect
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

Answerer = Callable[..., Iterable[str]]
"""`(system, history, query, model)` -> the text so far, again and again; see `LocalSpace`.

One that has a parameter `files` as well gets the paths of each user turn's files there, the question's
last. Its attribute `file_types` says which files it takes, as Gradio's components do (`image`, `.pdf`);
an empty list is no file, and without the attribute it takes any.
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


def takes_files(answer: Answerer) -> bool:
    """Whether files can be attached to what is asked of `answer`."""
    has_parameter = "files" in inspect.signature(answer).parameters
    return has_parameter and file_types(answer) != []


def file_types(answer: Answerer) -> list[str] | None:
    """Which files `answer` takes, as Gradio's components name them; None is any."""
    types: list[str] | None = getattr(answer, "file_types", None)
    return types


def paths(message: dict[str, Any]) -> list[str]:
    """Where the files of a message of the history are."""
    return [part["file"]["path"] for part in message["content"] if part["type"] == "file"]


def messages(
    system: str,
    history: list[tuple[str, str]],
    query: str,
    files: Sequence[Sequence[str]] = (),
    part: Callable[[str], dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The conversation as chat templates and OpenAI-compatible servers take it.

    An empty system prompt is left out, since some templates have no place for one. A turn with files is
    a list of parts, its text the last of them.

    Args:
        system: The system prompt.
        history: The earlier turns, as (user, assistant) pairs.
        query: The question.
        files: For each user turn, the question's last, where its files are.
        part: Makes the part of a file.
    """
    said: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for number, turn in enumerate([*history, (query,)]):
        for role, text in zip(("user", "assistant"), turn, strict=False):
            content: Any = text
            if role == "user" and part is not None and files and files[number]:
                content = [part(path) for path in files[number]]
                content += [{"type": "text", "text": text}] if text else []
            said.append({"role": role, "content": content})
    return said


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
