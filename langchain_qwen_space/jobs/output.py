"""The output of a job: a new file that takes its place whole, or not at all."""

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_qwen_space.jobs.rows import format_of
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
    """Write the rows to `part`, to the last byte on the disk.

    Args:
        path: What `part` is to become; its name says the format.
        part: The file that is written. One that is there already is replaced.
        columns: The columns and what they hold; None where their values tell.
        rows: Gives the rows, each time it is called.
        source: Where rows come from; types of a Parquet file's columns stay what they are.

    Returns:
        The stamp of `part`, which a rename keeps.
    """
    kind = format_of(path)
    if kind == "Parquet":
        from langchain_qwen_space.jobs import parquet

        known = parquet.types_of(source) if format_of(source) == "Parquet" else {}
        parquet.write_parquet(part, rows, columns, known)
    else:
        # Half a surrogate pair is no UTF-8; JSON has escaped it by now.
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            if kind == "CSV":
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows([as_text(row.get(name)) for name in columns] for row in rows())
            else:
                file.writelines(as_json(row) + "\n" for row in rows())
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    found = stamp(part)
    assert found is not None  # noqa: S101
    return found
