"""Makes one virtual environment a Gradio release under `.compat/`, from `requirements/`.

`python -m tests.compat.environments` makes those that are missing or whose requirements changed.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .forms import RELEASES

REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = Path(__file__).parents[2] / ".compat"
BUILD_TIMEOUT = 900.0
"""Seconds that one environment may take; about 30 are usual, a slow network needs more."""


def ensure(release: str) -> Path:
    """Makes the environment of a Gradio release, unless it is there and up to date.

    Returns:
        The environment's Python.

    Raises:
        subprocess.CalledProcessError: pip could not install the requirements; its words are on
            standard error.
        subprocess.TimeoutExpired: It took longer than `BUILD_TIMEOUT`.
    """
    requirements = REQUIREMENTS / f"gradio-{release}.txt"
    environment = ENVIRONMENTS / f"gradio-{release}"
    # Written last, so an environment whose creation was interrupted is created again.
    stamp = environment / "made-from"
    python = environment / "bin" / "python"
    wanted = _fingerprint(requirements)
    with _locked(ENVIRONMENTS / f"{environment.name}.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(environment, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(environment))
            _run(
                *(str(python), "-m", "pip", "install"),
                *("--quiet", "--disable-pip-version-check", "--requirement", str(requirements)),
            )
            stamp.write_text(wanted)
    return python


def _fingerprint(requirements: Path) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{version} {hashlib.sha256(requirements.read_bytes()).hexdigest()}\n"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=BUILD_TIMEOUT)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lets one process at a time in; the lock goes with the process, however that ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Makes all environments and says how long each took."""
    for release in RELEASES:
        started = time.monotonic()
        python = ensure(release)
        seconds = time.monotonic() - started
        sys.stdout.write(f"Gradio {release}: {python} ({seconds:.0f} s)\n")


if __name__ == "__main__":
    main()
