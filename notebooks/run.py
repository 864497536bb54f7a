#!/usr/bin/env python3
"""Run the notebooks from top to bottom; with `--save`, store the outputs in them.

Every cell has to run without an error and without a word on stderr, the kernel has to end by
itself, and the file has to hold an output for each cell that has one.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

HERE = Path(__file__).parent
# Seconds. A notebook on the local Space takes far less.
CELL_TIMEOUT = 300
# jupyter_client waits half of this before it ends the kernel by a signal. Where the machine is busy,
# a kernel that has loaded a lot takes its time.
SHUTDOWN_TIMEOUT = 120.0


def faults(path: Path, *, save: bool) -> list[str]:
    """Run one notebook and tell what is wrong with it."""
    stored, notebook = read(path), read(path)
    try:
        returncode, said = execute(notebook)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return [str(error)]
    if save:
        # The version of the Python that it ran on would change the file on each machine.
        notebook.metadata.language_info = {"name": "python"}
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        stored = notebook
    found = [
        f"cell {number} holds no output; run `make notebooks SAVE=1`"
        for number, (cell, old) in enumerate(zip(notebook.cells, stored.cells, strict=True), 1)
        if cell.get("outputs") and not old.get("outputs")
    ]
    found += [f"cell {number} wrote to stderr: {text}" for number, text in complaints(notebook)]
    if returncode != 0:
        found.append(f"the kernel did not end by itself (exit code {returncode})")
    if said:
        found.append(f"the kernel wrote to stderr: {said}")
    return found


def read(path: Path) -> NotebookNode:
    """The notebook in a file."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def execute(notebook: NotebookNode) -> tuple[int, str]:
    """Run the cells and put the outputs into `notebook`.

    Returns:
        The kernel's exit code, and what it wrote to its own stderr, outside of any cell.
    """
    processes: list[subprocess.Popen[bytes]] = []
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(HERE)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--colors=NoColor", "--log-level=ERROR"],
        config=Config({"KernelManager": {"shutdown_wait_time": SHUTDOWN_TIMEOUT}}),
    )

    def started(**_notebook: object) -> None:
        kernel: Any = client.km
        processes.append(kernel.provisioner.process)

    client.on_notebook_start = started
    with tempfile.TemporaryFile("w+") as stderr:
        client.execute(stderr=stderr)
        stderr.seek(0)
        return processes[0].wait(), stderr.read().strip()


def complaints(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """What was written to stderr, with the number of its cell: warnings, mostly."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                yield number, output["text"]


def main() -> int:
    """Run all notebooks of this folder, or those that are named; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--save", action="store_true", help="store the outputs")
    parser.add_argument("paths", nargs="*", type=Path, help="by default all of this folder")
    arguments = parser.parse_args()
    failed = False
    for path in arguments.paths or sorted(HERE.glob("*.ipynb")):
        print(f"{path.name} ... ", end="", flush=True)
        found = faults(path, save=arguments.save)
        print("\n  ".join(["failed", *found]) if found else "ok")
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
