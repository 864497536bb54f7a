"""`qwen-space serve` as a user starts it: a process of its own, whose words are read."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND = [
    sys.executable,
    "-c",
    "import typer; from langchain_qwen_space.cli.serve import serve; typer.run(serve)",
]
PATIENCE = 90  # seconds: a start loads Gradio, on a busy machine


@dataclass
class Served:
    """A Space that is running, and what is known of its process."""

    url: str
    process: "subprocess.Popen[str]"
    errors: Path

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does; returns its exit status."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def serving(folder: Path, *options: str, **variables: str) -> Iterator[Served]:
    """Run `qwen-space serve` with these options and environment variables, on a free port."""
    with running([*COMMAND, "--port", "0", *options], folder, **variables) as served:
        yield served


@contextlib.contextmanager
def running(command: list[str], folder: Path, **variables: str) -> Iterator[Served]:
    """Run a command that prints the URL which it serves."""
    errors = folder / "standard_error"
    with (
        errors.open("w") as file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
            cwd=folder,
        ) as process,
    ):
        try:
            for line in process.stdout:
                if found := re.search(r"http://[\w.:\[\]]+:\d+", line):
                    yield Served(found[0], process, errors)
                    break
            else:
                raise AssertionError(f"nothing was served: {errors.read_text()}")
        finally:
            process.kill()
