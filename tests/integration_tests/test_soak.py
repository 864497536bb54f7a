"""The soak and the crowd in short forms: that nothing is left, and that no stream is mixed up.

Warnings are errors, and nothing may be said on standard error: a socket or a task that was left
would show there.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_calls_that_succeed_fail_and_are_left_leave_nothing_behind():
    assert '"calls": 100' in run("benchmarks/soak.py", "--calls", "100", "--minutes", "0.05")


def test_streams_in_a_crowd_are_whole_and_keep_to_max_concurrency():
    told = run("benchmarks/crowd.py", "--streams", "100")
    assert "100 streams all at once: 100 whole, at most 100 open at once" in told
    assert "100 streams through 5: 100 whole, at most 5 open at once" in told
    assert "20 streams on Gradio: 20 whole" in told
