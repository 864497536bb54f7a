"""Where the `qwen-space` command begins."""

import errno
import io
import os
import sys
from typing import NoReturn

_PARTS = ("typer", "rich", "prompt_toolkit")  # what the extra `cli` installs
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)  # why a write fails


def main() -> None:
    """Run the command that the arguments name, and exit.

    The exit status is 0 if it went well, 1 if the work failed, 2 if the arguments are wrong, 130 if
    it was interrupted.
    """
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What an encoding such as cp1252 lacks becomes a question mark, not a traceback. Outside
            # a terminal, ends of lines are those of the text, on Windows too.
            stream.reconfigure(errors="replace", newline=None if stream.isatty() else "")
    try:
        _run()
    except KeyboardInterrupt:  # while the commands are loaded
        sys.exit(130)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        _give_up_output(error)
    finally:
        _finish_output()


def _replace_closed_streams() -> None:
    """Open what the caller closed, so that no file of the command takes its number.

    Standard input is empty then, and standard output cannot be written.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            flags = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


def _run() -> None:
    try:
        from langchain_qwen_space.cli.app import app

        app()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PARTS:
            raise
        sys.exit(f"qwen-space needs {missing}: pip install 'langchain-qwen-space[cli]'")


def _finish_output() -> None:
    """Write out what standard output still holds."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up_output(error)


def _give_up_output(error: OSError) -> NoReturn:
    """Exit with 1, since standard output cannot be written."""
    # What it still holds would fail again when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # the reader closed the pipe
        sys.exit(1)
    sys.exit(f"Error: Standard output cannot be written: {error.strerror}.")
