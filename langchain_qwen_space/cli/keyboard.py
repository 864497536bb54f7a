"""What a person types in a conversation: the prompt and its keys, questions, an editor."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import NestedCompleter, PathCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from langchain_qwen_space.errors import InvalidInputError

_QUOTES = '"""'


class _History(InMemoryHistory):
    """What the arrow keys bring back: what was sent now, and questions of other days."""

    def __init__(self, questions: Sequence[str]) -> None:
        super().__init__()
        self._questions = questions  # the newest first

    async def load(self) -> AsyncGenerator[str, None]:
        for text in [*reversed(self.get_strings()), *self._questions]:
            yield text


def prompt_session(commands: Sequence[str], questions: Sequence[str]) -> PromptSession[str]:
    """What reads a message: Enter sends, Alt-Enter begins a new line.

    Args:
        commands: What Tab completes at the beginning.
        questions: Questions of earlier conversations, the newest first.
    """
    return PromptSession(
        "> ",
        multiline=True,
        key_bindings=_keys(),
        history=_History(questions),
        placeholder=FormattedText([("fg:ansibrightblack", "Ask anything (/? for help)")]),
        completer=NestedCompleter.from_nested_dict(
            {
                **dict.fromkeys(commands),
                "/save": PathCompleter(expanduser=True),
                "/load": PathCompleter(expanduser=True),
            }
        ),
        complete_while_typing=False,
        enable_open_in_editor=True,
        enable_suspend=True,  # by Ctrl-Z
    )


def block(text: str) -> str | None:
    '''The text between `"""` and `"""`; None if the text is not such a block.'''
    text = text.strip()
    if is_open_block(text) or not text.startswith(_QUOTES):
        return None
    return text.removeprefix(_QUOTES).removesuffix(_QUOTES).strip("\n")


def is_open_block(text: str) -> bool:
    '''Whether the text, or what a command gets, begins with `"""` and does not end with another one.'''
    text = re.sub(r'^/\w+ +(system +)?(?=""")', "", text.strip())
    return text.startswith(_QUOTES) and not (len(text) >= 6 and text.endswith(_QUOTES))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    @keys.add("c-j")  # so arrives an Enter that was typed before the prompt was there
    def _send(event: KeyPressEvent) -> None:
        if is_open_block(event.current_buffer.text):
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


async def confirmed(question: str, *, ctrl_d: bool = False) -> bool:
    """Whether the person types y; anything else, Ctrl-C too, is a no. `ctrl_d` is what Ctrl-D is."""
    try:
        answer: str = await PromptSession[str]().prompt_async(question)
    except KeyboardInterrupt:
        return False
    except EOFError:
        return ctrl_d
    return answer.strip().lower() in ("y", "yes")


def edited(text: str) -> str:
    """The text as the person leaves it in an editor: `VISUAL`, else `EDITOR`, else the system's.

    Raises:
        InvalidInputError: The editor failed.
        OSError: It cannot be started.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or _editor())
    handle, name = tempfile.mkstemp(prefix="qwen-space-", suffix=".md")
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the editor's now
        try:
            with _typing(shows=True):
                done = subprocess.run([*command, name], check=False)  # noqa: S603  what they chose
        finally:
            signal.signal(signal.SIGINT, before)
        if done.returncode:
            raise InvalidInputError(
                f"{command[0]} failed (exit status {done.returncode}); nothing was sent."
            )
        return path.read_text(encoding="utf-8-sig", errors="replace").strip()
    finally:
        path.unlink(missing_ok=True)


def _editor() -> str:
    if sys.platform == "win32":
        return "notepad"
    return next((name for name in ("nano", "vim", "vi") if shutil.which(name)), "vi")


@contextmanager
def unread_keys_wait() -> Iterator[None]:
    """What is typed during an answer does not show in it: it waits, as it is, for the next prompt."""
    with _typing(shows=False):
        yield


@contextmanager
def _typing(*, shows: bool) -> Iterator[None]:
    """Whether the terminal shows what is typed, and hands it over line by line."""
    try:
        import termios
    except ImportError:  # Windows, which does so by itself
        yield
        return
    flags = termios.ECHO | termios.ECHONL | termios.ICANON
    before = termios.tcgetattr(0)
    wanted = [*before]
    wanted[3] = before[3] | termios.ECHO | termios.ICANON if shows else before[3] & ~flags
    termios.tcsetattr(0, termios.TCSANOW, wanted)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)
