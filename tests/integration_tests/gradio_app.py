"""A Gradio app of the tests in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def gradio_app(module: str, servers: int = 1) -> Iterator[list[str]]:
    """Run a module that prints the port of each of its servers; gives their addresses."""
    with subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield [f"http://127.0.0.1:{int(process.stdout.readline())}" for _ in range(servers)]
        finally:
            process.kill()
