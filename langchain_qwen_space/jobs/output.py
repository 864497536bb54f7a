"""The output of a job: a new file that takes its place whole, or not at all."""

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_qwen_space.jobs.files import delimiter_of, format_of, open_text
from langchain_qwen_space.jobs.text import as_json, as_text

Rows = Callable[[], Iterable[Mapping[str, Any]]]
Stamp = list[int]


def stamp(path: Path) -> Stamp | None:
    """What tells a file from one that was written later; None if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_size, found.st_mtime_ns]


def write(
    path: Path, part: Path, columns: Mapping[str, type | None], rows: Rows, source: Path
) -> Stamp:
    """Write the rows to `part`, to the last byte on the disk. Nothing is left of it if that fails.

    Args:
        path: What `part` is to become; its name says the format.
        part: The file that is written. One that is there already is replaced.
        columns: The columns and what they hold; None where their values tell.
        rows: Gives the rows, each time it is called.
        source: Where rows come from; a Parquet file's columns stay what they are in another.

    Returns:
        The stamp of `part`, which a rename keeps.
    """
    try:
        _write(path, part, columns, rows, source)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        found = stamp(part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    assert found is not None  # noqa: S101
    return found


def _write(
    path: Path, part: Path, columns: Mapping[str, type | None], rows: Rows, source: Path
) -> None:
    kind = format_of(path)
    if kind == "Parquet":
        from langchain_qwen_space.jobs import parquet

        kept = source if format_of(source) == "Parquet" else None
        parquet.write_parquet(part, rows, columns, kept)
        return
    # A lone surrogate is not UTF-8; JSON has escaped it by now.
    options = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with open_text(part, "w", like=path, **options) as file:
        if kind == "JSONL":
            file.writelines(as_json(row) + "\n" for row in rows())
        else:
            writer = csv.writer(file, delimiter=delimiter_of(kind))
            writer.writerow(columns)
            writer.writerows([as_text(row.get(name)) for name in columns] for row in rows())
