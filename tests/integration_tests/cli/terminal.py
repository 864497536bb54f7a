"""`qwen-space` in a real terminal of its own (a pty), and what a person sees there."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.unit_tests.cli.screen import Screen

CTRL_C, CTRL_D, ENTER = "\x03", "\x04", "\r"
_PATIENCE = 60.0  # seconds; what is waited for comes at once on a machine that is idle


class Terminal:
    """Types, and looks at the screen."""

    def __init__(self, arguments: list[str], columns: int, rows: int, cwd: Path | None) -> None:
        self.screen = Screen(columns, rows)
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "langchain_qwen_space.cli", *arguments],
            # pyte does not answer when it is asked where the cursor is.
            env={**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"},
            dimensions=(rows, columns),
            cwd=cwd,
            encoding="utf-8",
        )
        self._child.delaybeforesend = None

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def sees(self, pattern: str) -> str:
        """Wait until the screen, or what scrolled away, shows `pattern`; returns all of it."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            seen = "\n".join(self.screen.lines)
            if re.search(pattern, seen, re.MULTILINE):
                return seen
            try:
                self.screen.write(self._child.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
        raise AssertionError(f"{pattern!r} is not on the screen:\n" + "\n".join(self.screen.lines))

    def exit_status(self) -> int | None:
        """Wait for the end."""
        self.screen.write(self._child.read())
        self._child.close()
        return self._child.exitstatus

    def close(self) -> None:
        """Close the window, and leave the process to itself."""
        self._child.ptyproc.fileobj.close()

    def signal(self, number: int) -> None:
        self._child.kill(number)

    def end(self) -> None:
        self._child.close(force=True)


@contextmanager
def terminal(
    *arguments: str, columns: int = 80, rows: int = 20, cwd: Path | None = None
) -> Iterator[Terminal]:
    """Run `qwen-space` in a new terminal.

    Args:
        *arguments: Its arguments.
        columns: The width of the terminal.
        rows: Its height.
        cwd: The folder that it runs in, so that what is typed and shown may be short relative
            paths: where the temporary folder lies decides nothing about where lines wrap.
    """
    opened = Terminal([*arguments], columns, rows, cwd)
    try:
        yield opened
    finally:
        opened.end()
