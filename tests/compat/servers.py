"""Starts and stops the server of a form, and speaks to it as bare HTTP."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

import pytest

from .environments import ensure
from .forms import Form

TESTS = Path(__file__).parents[1]
START_TIMEOUT = 300.0
"""Seconds until a server answers; 5 to 10 are usual, a busy machine needs more."""
STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Server:
    """A running server of one form."""

    form: Form
    url: str

    def base_url(self, layout: str) -> str:
        """Where a layout's app is, as a user would give it: with no slash at the end."""
        return f"{self.url}/{layout}"


@contextmanager
def kept(
    factory: pytest.TempPathFactory, only: str | None = None
) -> Iterator[Callable[[Form], Server]]:
    """Gives the server of a form, started when first needed and kept to the end.

    Args:
        factory: Makes the folders of the servers.
        only: As for `running`.
    """
    with ExitStack() as stack:
        started: dict[Form, Server] = {}

        def server_of(form: Form) -> Server:
            if form not in started:
                directory = factory.mktemp(form.name)
                started[form] = stack.enter_context(running(form, directory, only=only))
            return started[form]

        yield server_of


@contextmanager
def running(
    form: Form, directory: Path, *, python: str | None = None, only: str | None = None
) -> Iterator[Server]:
    """A server of a form, for as long as the context lasts.

    Args:
        form: Which release and chatbot; the release's environment is made if it is missing.
        directory: Where the server keeps its log and its temporary files.
        python: The Python of another environment that has the release.
        only: "pictures" for nothing but the apps that take files, "public" for those of `public_apps`.

    Raises:
        RuntimeError: It did not start; the message has its log.
    """
    log = directory / "server.log"
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(directory),
    }
    # A person's Python settings are not for another environment's interpreter.
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS"):
        environment.pop(name, None)
    with log.open("w") as errors:
        process = subprocess.Popen(
            [
                *(python or str(ensure(form.release)), "-m", "compat.app", form.name, "0"),
                *([only] if only else []),
            ],
            cwd=TESTS,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        port = _port(process, process.stdout)
        if port is None:
            raise RuntimeError(f"The server of {form.name} did not start:\n{log.read_text()}")
        yield Server(form, f"http://127.0.0.1:{port}")
    finally:
        _stop(process)


def _port(process: subprocess.Popen[str], output: IO[str]) -> int | None:
    """The port from the server's one line, or None where it ends or hangs before that."""
    killer = Timer(START_TIMEOUT, process.kill)
    killer.start()
    try:
        line = output.readline()
    finally:
        killer.cancel()
    return int(json.loads(line)["port"]) if line else None


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
