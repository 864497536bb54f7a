#!/usr/bin/env python3
"""Make `docs/pictures/streaming.svg`: a call on a Space, as a terminal shows it.

Starts a Space on this machine in which a script answers, with one slot and two other callers. The
call waits in the queue, then its answer streams. The picture shows what was printed, when it was
printed. It is an SVG that CSS animates; readers who prefer no motion see the last image.
"""

import argparse
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path

from langchain_qwen_space import ChatQwenSpace, QueueProgressCallbackHandler
from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.local.demo import fragments

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "streaming.svg"
QUESTION = "Why is the sky blue?"
ANSWER = """\
The answers in this picture come from a script, not a language model.

The sky is blue because air scatters short waves more than long ones:

- Blue light, at 450 nm, is scattered about four times as much as red
  light, at 650 nm.
- So the light that reaches you from all over the sky is mostly blue."""
PROGRAM = f"""\
>>> from langchain_qwen_space import ChatQwenSpace, QueueProgressCallbackHandler
>>> model = ChatQwenSpace(on_event=QueueProgressCallbackHandler())
>>> for chunk in model.stream("{QUESTION}"):
...     print(chunk.content, end="", flush=True)
..."""
PACE = 0.05  # seconds between two chunks
OTHERS = "Is there water on Mars?"
REST = 4.0  # seconds for which the whole answer is shown before the picture starts over
_CONTROL = re.compile(r"\r|\x1b\[2K")  # what the progress line writes to clear itself

SIZE, LINE, LEFT, TOP = 14, 20, 18, 52
WIDTH = 760


@dataclass(frozen=True)
class Shown:
    """Text that came onto the screen, and when: in seconds since the question was asked."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Recording:
    """What a call showed: its progress line, which each entry replaces, and its answer."""

    progress: list[Shown]
    answer: list[Shown]


class _Terminal(StringIO):
    """Standard error as the progress line sees it, with the times of what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.began = time.perf_counter()
        self.written: list[Shown] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        seconds = time.perf_counter() - self.began
        self.written.append(Shown(seconds, _CONTROL.sub("", text)))
        return len(text)


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """The same answer to every question."""
    text = ""
    for piece in fragments(ANSWER):
        text += piece
        yield text


def record(pace: float = PACE) -> Recording:
    """Make the call and note what it shows."""
    with LocalSpace(answer, concurrency=1, pace=pace) as space:
        others = [_caller(space.url) for _ in range(2)]
        terminal = _Terminal()
        model = ChatQwenSpace(
            space=space.url, on_event=QueueProgressCallbackHandler(terminal), join_fragments=False
        )
        shown = [
            Shown(time.perf_counter() - terminal.began, chunk.text)
            for chunk in model.stream(QUESTION)
            if chunk.text
        ]
        for other in others:
            other.join()
    return Recording(terminal.written, shown)


def _caller(url: str) -> threading.Thread:
    """Another caller, whose call is in the queue when this returns."""
    joined = threading.Event()
    model = ChatQwenSpace(space=url, on_event=lambda _: joined.set())
    caller = threading.Thread(target=model.invoke, args=(OTHERS,))
    caller.start()
    joined.wait()
    return caller


def svg(recording: Recording) -> str:
    """The animated picture of a recording."""
    length = recording.answer[-1].seconds + REST
    styles: list[str] = []

    def times(*moments: tuple[float, str]) -> str:
        """An animation that sets `visibility` at these seconds; returns its style."""
        name = f"t{len(styles)}"
        steps = "".join(f"{100 * at / length:.2f}%{{visibility:{how}}}" for at, how in moments)
        styles.append(f"@keyframes {name}{{{steps}}}")
        return f'class="moves" style="animation-name:{name}"'

    program = PROGRAM.split("\n")
    first = len(program) + 1
    drawn = [_line(number, escape(text)) for number, text in enumerate(program)]
    ends = [*(shown.seconds for shown in recording.progress[1:]), length]
    for shown, end in zip(recording.progress, ends, strict=True):
        if shown.text:
            when = times((0, "hidden"), (shown.seconds, "visible"), (end, "hidden"))
            drawn.append(_line(first, f"<tspan {when}>{escape(shown.text)}</tspan>", "progress"))

    lines = [""]
    for shown in recording.answer:
        when = times((0, "hidden"), (shown.seconds, "visible"))
        before, *others = (
            f"<tspan {when}>{escape(part)}</tspan>" if part else ""
            for part in shown.text.split("\n")
        )
        lines[-1] += before
        lines += others
    drawn += [_line(first + number, text, "answer") for number, text in enumerate(lines)]

    height = TOP + LINE * (first + len(lines)) + 6
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">
<title>A call that waits in the queue of a Space, and whose answer streams</title>
<style>
text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
white-space:pre;fill:#cdd6e4}}
.answer{{fill:#a6e3a1}} .progress{{fill:#f9c96d}} .progress tspan{{visibility:hidden}}
@media (prefers-reduced-motion:no-preference){{
.moves{{animation:{length:.2f}s step-end infinite}}
{"".join(styles)}
}}
</style>
<rect width="{WIDTH}" height="{height}" rx="8" fill="#1b2130"/>
<circle cx="22" cy="20" r="6" fill="#ff5f57"/><circle cx="42" cy="20" r="6" fill="#febc2e"/>\
<circle cx="62" cy="20" r="6" fill="#28c840"/>
{"".join(drawn)}
</svg>
"""


def _line(number: int, content: str, kind: str = "program") -> str:
    """A line of the terminal."""
    y = TOP + LINE * number
    return f'<text x="{LEFT}" y="{y}" class="{kind}" xml:space="preserve">{content}</text>\n'


def main() -> None:
    """Record a call and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=PICTURE, help="where to write it")
    arguments = parser.parse_args()
    picture = svg(record())
    arguments.to.write_text(picture, encoding="utf-8")
    print(f"{arguments.to}: {len(picture) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
