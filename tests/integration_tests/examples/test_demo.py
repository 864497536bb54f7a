"""`make demo`: a chain that streams, a tool call and an object."""

import re
import subprocess
import sys

from tests.docs.snippets import ROOT

COMMAND = [sys.executable, str(ROOT / "examples" / "demo.py")]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


def test_it_shows_all_three_on_a_space_that_it_starts_itself():
    done = run()
    assert done.returncode == 0, done.stderr
    assert "not a language model" in done.stdout
    count = re.search(r"last of (\d+) after", done.stdout)
    assert int(count[1]) > 10, "it did not stream"
    assert "multiply(a=6, b=7), which returns 42." in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.endswith("Trip(city='Paris', days=3)\n")


def test_a_space_that_is_not_there_is_reported_in_one_line():
    done = run("--space", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
