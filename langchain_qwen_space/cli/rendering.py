"""An answer on the screen while it is written."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.spinner import Spinner

from langchain_qwen_space.cli.common import printable
from langchain_qwen_space.cli.markdown import AnswerMarkdown, finished
from langchain_qwen_space.cli.timed_reply import TimedReply, describe_event

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.events import SpaceEvent

_FRAMES = 10  # a second
_SHARE = 5  # drawing takes at most one part in so many of the time

# Terminals differ in how wide some emoji are. What is drawn over must not take more rows than were
# counted, so the terminal cuts such lines off; what is printed for good wraps (DECAWM, ECMA-48 SM).
_NO_WRAP = Segment("\x1b[?7l", None, [(ControlType.HOME,)])
_WRAP = Segment("\x1b[?7h", None, [(ControlType.HOME,)])


class AnswerDisplay:
    """Shows one answer as Markdown: blocks that are done scroll away, the last one is still drawn.

    Only the block that still grows is drawn again and again, and of that no more than fits into the
    window; once it is done it is printed whole. So the scrollback holds each line once, however
    long the answer is::

        with AnswerDisplay(console) as display:
            display.wait("2 before you")
            display.add("Hello")
            display.finish("Hello")

    Leaving the block without `finish` prints what has come until then.

    Args:
        console: Where it is shown.
        clock: Seconds, ever growing.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._done = ""  # printed for good
        self._rest = ""  # still drawn
        self._next_look = 0.0  # when it is worth looking for blocks that are done
        self._next_drawing = 0.0
        self._drawn: list[list[Segment]] = []
        self._spinner = Spinner("dots")
        self._live = Live(
            self,
            console=console,
            refresh_per_second=_FRAMES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._print(self._rest)
        self._rest = ""

    def wait(self, what: str) -> None:
        """Say what is waited for, as long as there is no text."""
        self._spinner.update(text=printable(what))

    def note(self, text: str) -> None:
        """Print a remark above the answer."""
        self._console.print(printable(text), style="dim")

    def add(self, text: str) -> None:
        """Take a chunk of the answer."""
        self._rest += printable(text)
        began = self._clock()
        if began >= self._next_look:
            size = finished(self._rest)
            self._next_look = began + max(1 / _FRAMES, _SHARE * (self._clock() - began))
            if size:
                block, self._rest = self._rest[:size], self._rest[size:]
                self._drawn, self._next_drawing = [], 0.0
                self._print(block)
                self._done += block

    def finish(self, text: str) -> None:
        """Take the whole answer, which may differ in blank space from the sum of its chunks."""
        text = printable(text)
        if text.startswith(self._done):
            self._rest = text[len(self._done) :]
        elif self._looks(text) != self._looks(self._done + self._rest):
            self.note("\nThe Space changed the indentation while it wrote. The whole answer again:")
            self._rest = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What is drawn now: the end of the text, or what is waited for."""
        if not self._rest.strip():
            yield self._spinner
            return
        began = self._clock()
        if began >= self._next_drawing:
            self._drawn = console.render_lines(self._shown(self._rest), options, pad=False)
            self._next_drawing = began + _SHARE * (self._clock() - began)
        yield _NO_WRAP
        # One row is the cursor's, one keeps the first from scrolling away when that moves on.
        for line in self._drawn[-max(1, options.size.height - 2) :]:
            yield from line
            yield Segment.line()
        yield _WRAP

    def _shown(self, text: str) -> RenderableType:
        return AnswerMarkdown(text)

    def _print(self, text: str) -> None:
        if text.strip():
            if self._done:
                self._console.print()
            self._console.print(self._shown(text))

    def _looks(self, text: str) -> list[list[Segment]]:
        return self._console.render_lines(self._shown(text), pad=False)


async def show(
    model: "ChatQwenSpace",
    messages: Sequence[tuple[str, Any]],
    reply: TimedReply,
    console: Console,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Ask, and show the answer while it is written.

    Args:
        model: What is asked; its `on_event` is replaced.
        messages: The conversation, the question last.
        reply: Takes what arrives.
        console: Where it is shown.
        settings: Settings of this call.

    Raises:
        QwenSpaceError: See `errors`; what had arrived is on the screen and in `reply`.
    """
    from langchain_qwen_space.events import NoticeEvent, WarningEvent

    with AnswerDisplay(console) as display:

        def show_event(event: "SpaceEvent") -> None:
            if isinstance(event, NoticeEvent | WarningEvent):
                display.note(event.message)
            elif waits := describe_event(event):
                display.wait(waits)

        display.wait("Looking for the Space")
        await reply.read(model, messages, display.add, show_event, settings)
        display.finish(reply.text)
    for file in reply.files:
        console.print(printable(f"{file['name']}: {file['url']}"), style="dim")
