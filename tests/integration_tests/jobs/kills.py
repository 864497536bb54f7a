"""A job that is killed at random moments, again and again, until it ends."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_qwen_space.local import LocalSpace

_LOOK = 0.01  # seconds between two looks at how many calls there were


@contextmanager
def counting_space(
    log: Path, seconds: float, concurrency: int, port: int | None = None
) -> Iterator[str]:
    """A Space whose answers take so many seconds. It notes the question of every call in `log`."""
    path = str(log)

    def answer(system: str, history: Any, query: str, model: str) -> Iterator[str]:
        import os
        import time

        # One write each: calls at the same time do not mix their lines.
        file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, f"{query}\n".encode())
        os.close(file)
        time.sleep(seconds)
        yield f"You said: {query}"

    with LocalSpace(answer, port=port, concurrency=concurrency, revises=False) as space:
        yield space.url


def write_prompts(path: Path, rows: int) -> None:
    """Rows whose prompts are all different."""
    with path.open("w") as file:
        for number in range(rows):
            file.write(json.dumps({"prompt": f"question {number}", "number": number}) + "\n")


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the runs that it took, and how often each question was asked."""

    kills: int
    seconds: float
    """From the start of the first run to the end of the last."""
    asked: Counter[str]

    @property
    def repeated(self) -> int:
        """How many calls were made more than once a question."""
        return self.asked.total() - len(self.asked)


def run_with_kills(
    command: list[str], log: Path, waits: Callable[[], int], kills: int, chance: random.Random
) -> Outcome:
    """Run a command until it ends by itself; kill it `kills` times, each after some calls more.

    Args:
        command: What runs the job.
        log: Where the Space notes its calls.
        waits: Gives the number of calls that are waited for before the next kill.
        kills: How often to kill it.
        chance: Decides the moment after the last of these calls.
    """
    began = time.monotonic()
    done = 0
    while True:
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            if done < kills:
                due = calls(log) + waits()
                while calls(log) < due and run.poll() is None:
                    time.sleep(_LOOK)
                time.sleep(chance.random() * 0.1)
                with suppress(ProcessLookupError):
                    os.kill(run.pid, signal.SIGKILL)
            _, told = run.communicate()
        finally:
            run.kill()
        if run.returncode != -signal.SIGKILL:
            break
        done += 1
    assert run.returncode == 0, told.decode()
    asked = Counter(log.read_text().splitlines())
    return Outcome(done, time.monotonic() - began, asked)


def batch_command(source: Path, output: Path, *options: str) -> list[str]:
    """The command line of a job."""
    program = [sys.executable, "-m", "langchain_qwen_space.cli", "batch"]
    return [*program, str(source), str(output), *options]


def wrong_rows(source: Path, output: Path) -> int:
    """How many lines of a JSONL output are not what they have to be."""
    with source.open() as prompts, output.open() as answers:
        wrong = 0
        for asked, answered in zip(prompts, answers, strict=True):
            row = json.loads(answered)
            expected = json.loads(asked)
            expected |= {"text": f"You said: {expected['prompt']}", "error": None}
            wrong += expected != {name: row.get(name) for name in expected}
        return wrong


def calls(log: Path) -> int:
    """How many calls a counting Space has noted."""
    return log.read_bytes().count(b"\n") if log.exists() else 0
