"""What the local Spaces of these tests answer with. It runs in the server's process."""

import json
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path


def scripted(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterable[str]:
    """Do what the query's first word says."""
    order, _, rest = query.partition(" ")
    if order == "show":
        return [json.dumps([system, history, query, model], ensure_ascii=False)]
    if order == "say":
        warnings.warn("A warning is no error here.", stacklevel=1)
        return (rest[:end] for end in range(1, len(rest) + 1))
    if order == "run":
        return run_until_left(Path(rest))
    if order == "iterate":
        return UntilClosed(Path(rest))
    if order == "return":
        return rest
    print("printed by the function")  # noqa: T201  it is to be found in the log
    raise RuntimeError(rest)


def run_until_left(marker: Path) -> Iterator[str]:
    """Answer for a minute; note in `marker` that it began, and how it ended."""
    marker.write_text("began")
    try:
        for step in range(600):
            yield f"{step}"
            time.sleep(0.1)
        marker.write_text("ran to its end")
    except GeneratorExit:
        marker.write_text("was closed")
        raise


class UntilClosed:
    """An iterator that is not a generator: it never ends, and notes in `marker` that it was closed."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __iter__(self) -> "UntilClosed":
        return self

    def __next__(self) -> str:
        time.sleep(0.05)
        return "more"

    def close(self) -> None:
        self.marker.write_text("was closed")
