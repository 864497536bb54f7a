"""The parent's side of the server's process: its start, its log, its certain end."""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import BinaryIO

from langchain_qwen_space.errors import SpaceUnavailableError
from langchain_qwen_space.local.server import HOST, Settings

# The child finds modules where its parent does, be it in a notebook's folder or in a test's.
_CHILD = (
    "import sys; sys.path[:] = {path!r}; from langchain_qwen_space.local.server import main; main()"
)
# How much of what the server printed is kept, and how much of it an error quotes, in bytes.
_KEPT_LOG = 65_536
_QUOTED_LOG = 2_000
# Seconds. A process that was killed is gone at once, but one that it started may hold its log open.
_LOG_END_TIMEOUT = 1.0


class ServerProcess:
    """One run of the server, from the start in the constructor to `end`.

    It ends at the latest when this object is collected or when this process ends: the server
    watches the pipe that it reads its settings from.

    Args:
        settings: What to serve, and how.
        timeout: How long the start may take, in seconds.

    Raises:
        ImportError: Gradio is not installed.
        InvalidInputError: The port is in use, or what answers cannot be loaded.
        SpaceUnavailableError: The server did not start.
    """

    def __init__(self, settings: Settings, timeout: float) -> None:
        self._log = bytearray()
        code = _CHILD.format(path=[entry or str(Path.cwd()) for entry in sys.path])
        self._process = subprocess.Popen(  # noqa: S603  this very Python, and our own code
            [sys.executable, "-u", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_child_environment(),
            # Out of the parent's process group, for whose members a notebook's kernel waits.
            start_new_session=True,
        )
        keeper = threading.Thread(target=_keep, args=(self._process.stderr, self._log), daemon=True)
        keeper.start()
        self._finalizer = weakref.finalize(self, _end, self._process, keeper)
        try:
            self.port = self._wait_until_ready(settings, timeout)
        except BaseException:
            self.end()
            raise

    @property
    def log(self) -> str:
        """The last that the server printed."""
        return self._log.decode(errors="replace")

    def end(self) -> None:
        """Stop the server at once. In a fork of the process that started it, only let go of it."""
        self._finalizer()

    def _wait_until_ready(self, settings: Settings, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        # A killed process closes its pipes and its port, so nothing below waits any longer.
        killer = threading.Timer(timeout, self._process.kill)
        killer.start()
        try:
            report = _exchange(self._process, settings)
            if isinstance(report, int):
                _get_config(report)
        except (OSError, EOFError, HTTPException) as error:
            self.end()  # after it the log is whole
            what = f"ended while it started (exit code {self._process.returncode})"
            if time.monotonic() >= deadline:
                what = f"did not start within {timeout:g} seconds (`start_timeout`)"
            raise SpaceUnavailableError(
                f"The local Space {what}. Its last output:\n{self.log[-_QUOTED_LOG:]}"
            ) from error
        finally:
            killer.cancel()
            killer.join()
        if isinstance(report, Exception):
            raise report
        return report


def _child_environment() -> dict[str, str]:
    environment = dict(os.environ, PYTHONIOENCODING="utf-8")
    # Meant for this process. In the child, a warning of Gradio's imports would become its end.
    environment.pop("PYTHONWARNINGS", None)
    return environment


def _exchange(process: "subprocess.Popen[bytes]", settings: Settings) -> int | Exception:
    """Tell the server its settings. Its report is the port, or the error to raise."""
    assert process.stdin is not None  # noqa: S101  for mypy: they are pipes
    assert process.stdout is not None  # noqa: S101
    pickle.dump(settings, process.stdin)
    process.stdin.flush()
    report: int | Exception = pickle.load(process.stdout)  # noqa: S301  our own child wrote it
    return report


def _get_config(port: int) -> None:
    """Wait for the first answer. The port is listened on by now, so connecting needs no retry."""
    connection = HTTPConnection(HOST, port)  # which uses no proxy
    try:
        connection.request("GET", "/config")
        connection.getresponse().read()
    finally:
        connection.close()


def _keep(printed: BinaryIO, log: bytearray) -> None:
    """Move what the server prints to `log`, so that its pipe never fills up."""
    with printed:
        # By os.read, since a buffered read holds a lock, which a fork of this process would inherit
        while data := os.read(printed.fileno(), _KEPT_LOG):
            log += data
            del log[:-_KEPT_LOG]


def _end(process: "subprocess.Popen[bytes]", keeper: threading.Thread) -> None:
    # In a fork of the process that started it, all of this lets go of the server but leaves it
    # running: `Popen` sees that it is not a child of the fork, and sends no signal.
    process.kill()
    process.wait()
    keeper.join(_LOG_END_TIMEOUT)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # of settings that were never read
            pipe.close()
