"""What a Space of the tests answers: the query itself says what is to happen.

A query is `command:argument`; anything else is echoed whole.

| query | answer |
| --- | --- |
| `echo:TEXT` | TEXT, three characters an event |
| `blank:` | an empty answer |
| `nothing:` | a function that ends without a word |
| `long:N` | N numbers, three characters an event |
| `args:` | what reached the function, as one line of JSON |
| `revise:A\\|B` | A at once, then B in its place |
| `parts:A\\|B` | several assistant messages |
| `think:T\\|A` | a thought with a title, then A; only where the form has thoughts |
| `file:TEXT` | TEXT, then a file |
| `mention:TEXT` | TEXT, then a word that names a file on the server |
| `slow:SECONDS:TEXT` | TEXT after a silence |
| `hold:KEY` | ticks for half a minute; `RUNS` counts them under KEY |
| `info:TEXT` | an info and a warning, then "done" |
| `progress:N` | N steps of progress, then "done" |
| `raise:TEXT`, `late-raise:TEXT` | `gr.Error` before and after the first text |
| `crash:TEXT` | an exception that is not Gradio's |
"""

import json
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import gradio as gr

HOLD_STEPS = 600
HOLD_PAUSE = 0.05
FRAGMENT = 3
"""Characters that an event adds, as in the recordings."""


@dataclass(frozen=True)
class Thought:
    """Text that the model thought before it answered."""

    text: str
    title: str
    done: bool


@dataclass(frozen=True)
class File:
    """A file that is part of an answer."""

    path: str


Part = str | Thought | File
"""One assistant message of an answer."""


class Runs:
    """Counts what became of the calls that a key names, so that a test can see one end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, dict[str, int]] = {}

    def of(self, key: str) -> dict[str, int]:
        """How many calls under this key have `started` and `ended`, and their `steps` in all."""
        with self._lock:
            return dict(self._counts.get(key, {"started": 0, "ended": 0, "steps": 0}))

    def count(self, key: str, what: str) -> None:
        """Adds one to `started`, `ended` or `steps`."""
        with self._lock:
            counts = self._counts.setdefault(key, {"started": 0, "ended": 0, "steps": 0})
            counts[what] += 1


RUNS = Runs()


def answers(query: str, received: dict[str, object]) -> Iterator[list[Part]]:
    """The answer to a query as it grows, each time whole.

    Args:
        query: What the user asks. Where earlier turns were written into it, its last command counts.
        received: What `args:` tells: everything that reached the function, by role.

    Raises:
        gr.Error: The query asked for it.
        RuntimeError: Likewise.
    """
    command, argument = _command(query)
    match command:
        case "blank":
            yield from _growing("")
        case "nothing":
            return
        case "long":
            yield from _growing(" ".join(f"{number:05}" for number in range(int(argument))))
        case "args":
            yield [json.dumps(received, ensure_ascii=False)]
        case "revise":
            placeholder, text = argument.split("|")
            yield [placeholder]
            yield from _growing(text)
        case "parts":
            for step in _growing_parts(argument.split("|")):
                yield [*step]
        case "think":
            thought, text = argument.split("|")
            yield from _thinking(thought, text)
        case "file":
            yield from _growing(argument)
            yield [argument, File(_file())]
        case "mention":
            yield from _growing(f"{argument} {_file()}")
        case "slow":
            seconds, _, text = argument.partition(":")
            time.sleep(float(seconds))
            yield from _growing(text)
        case "hold":
            yield from _holding(argument)
        case "info":
            gr.Info(argument)
            gr.Warning(argument)
            yield from _growing("done")
        case "progress":
            steps = int(argument)
            progress = gr.Progress()
            for done in range(steps):
                progress((done, steps), desc="thinking")
                time.sleep(0.1)
            yield from _growing("done")
        case "raise":
            raise gr.Error(argument)
        case "late-raise":
            yield ["partial answer"]
            raise gr.Error(argument)
        case "crash":
            raise RuntimeError(argument)
        case _:
            yield from _growing(argument)


_COMMANDS = (
    "echo|blank|nothing|long|args|revise|parts|think|file|mention|slow|hold|info|progress"
    "|raise|late-raise|crash"
)
_COMMAND = re.compile(rf"(?<![\w-])({_COMMANDS}):")


def _command(query: str) -> tuple[str, str]:
    found = _COMMAND.match(query)
    if found is None:
        *_, found = [None, *_COMMAND.finditer(query)]
    return (found[1], query[found.end() :]) if found else ("echo", query)


def _growing(text: str) -> Iterator[list[Part]]:
    for end in range(FRAGMENT, max(len(text), 1) + FRAGMENT, FRAGMENT):
        yield [text[:end]]


def _growing_parts(texts: list[str]) -> Iterator[list[Part]]:
    for index, text in enumerate(texts):
        for step in _growing(text):
            yield [*texts[:index], *step]


def _thinking(thought: str, text: str) -> Iterator[list[Part]]:
    for step in _growing(thought):
        yield [Thought(str(step[0]), "Thinking", done=False)]
    for step in _growing(text):
        yield [Thought(thought, "Thinking", done=True), *step]


def _holding(key: str) -> Iterator[list[Part]]:
    RUNS.count(key, "started")
    try:
        for step in range(HOLD_STEPS):
            RUNS.count(key, "steps")
            yield ["tick " * (step + 1)]
            time.sleep(HOLD_PAUSE)
    finally:
        RUNS.count(key, "ended")


def _file() -> str:
    """A file where every release lets an app's files be: in the temporary directory."""
    path = Path(tempfile.gettempdir()) / "answer.csv"
    path.write_text("a,b\n1,2\n")
    return str(path)
