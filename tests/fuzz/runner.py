"""What the harnesses share, and the command that runs them one after the other.

    python -m tests.fuzz.runner [--runs N] [--seed N] [--corpus FOLDER] [sse] [tool_calls] [answer] [reply]

Each harness also runs by itself, with libFuzzer's own options: `python -m tests.fuzz.fuzz_sse
-runs=100000`. A harness ends at the first failure and leaves its input in a file `crash-…`, which
the harness takes as an argument.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LONGEST_INPUT = {"sse": 96, "tool_calls": 20, "answer": 24, "reply": 24}
"""Bytes: what is wrong is wrong in little, and little is fast. The harnesses expand theirs."""
HANG = 5  # seconds that one input may take
MOST_MEMORY = 1024  # MB: none of the harnesses needs a quarter of it


def fuzz(check: Callable[[bytes], None]) -> None:
    """Run libFuzzer on a check, with the options on the command line. Does not return."""
    import atheris  # the harnesses need it, and the command that runs them does not

    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


def run(name: str, runs: int, seed: int, corpus: Path | None) -> int:
    """Run one harness in a process of its own and return its exit status."""
    command = [sys.executable, "-m", f"tests.fuzz.fuzz_{name}", f"-runs={runs}", f"-seed={seed}"]
    command += [
        f"-max_len={LONGEST_INPUT[name]}",
        f"-timeout={HANG}",
        f"-rss_limit_mb={MOST_MEMORY}",
    ]
    command += ["-print_final_stats=1"]
    if corpus:
        (corpus / name).mkdir(parents=True, exist_ok=True)
        command.append(str(corpus / name))
    _say(f"== {name}: {' '.join(command[1:])}")
    start = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    end = "clean" if status == 0 else f"FAILED with status {status}"
    _say(f"== {name}: {end} after {time.monotonic() - start:.0f} s")
    return status


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the parts that read what a Space sends.")
    parser.add_argument(
        "harness",
        nargs="*",
        default=[*LONGEST_INPUT],
        metavar="HARNESS",
        help=f"of {', '.join(LONGEST_INPUT)}; by default all",
    )
    parser.add_argument("--runs", type=int, default=100_000, help="executions of each")
    parser.add_argument("--seed", type=int, default=1, help="0 takes another one each time")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps the inputs found")
    asked = parser.parse_args()
    return max([run(name, asked.runs, asked.seed, asked.corpus) for name in asked.harness])


if __name__ == "__main__":
    sys.exit(main())
