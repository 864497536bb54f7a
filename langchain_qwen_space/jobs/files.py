"""Files of rows: their formats, detected from their names, and how text files are opened."""

import csv
import gzip
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError

FORMATS = {
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".txt": "text",
}
"""Formats by the end of a file's name. All but Parquet may be compressed, with `.gz` after it.

Text, with one prompt per line, is read only.
"""
_LONGEST_CELL = 2**31 - 1  # characters; Python's own limit is 128 KiB
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
"""What is raised while a damaged `.gz` file is read."""


def format_of(path: Path, *, written: bool = False) -> str:
    """Returns the format that the name of a file ends in.

    Raises:
        InvalidInputError: It is none of `FORMATS`, or none that can be written.
    """
    name = path.with_suffix("") if is_compressed(path) else path
    known = {end: kind for end, kind in FORMATS.items() if not (written and kind == "text")}
    found = known.get(name.suffix.lower())
    if found is None or (found == "Parquet" and name != path):
        msg = (
            f"{path}: the name must end in {', '.join(known)}; all but .parquet may be followed "
            "by .gz."
        )
        raise InvalidInputError(msg)
    return found


def is_compressed(path: Path) -> bool:
    """Whether the name says that the file is compressed by gzip."""
    return path.suffix.lower() == ".gz"


def open_bytes(path: Path) -> Any:
    """Opens a text file of rows for reading, as bytes, decompressed."""
    return gzip.open(path, "rb") if is_compressed(path) else path.open("rb")


def open_text(path: Path, mode: str, *, like: Path | None = None, **options: Any) -> Any:
    """Opens a text file of rows; `like` is the path whose name tells whether it is compressed."""
    if is_compressed(like or path):
        return gzip.open(path, mode + "t", **options)
    return path.open(mode, **options)


def delimiter_of(kind: str) -> str:
    """What separates the cells of a CSV or TSV file."""
    return "\t" if kind == "TSV" else ","


class _CellLimit:
    """Python's limit on a CSV cell is one for the whole process: raised while any file is read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._before = 0

    @contextmanager
    def raised(self) -> Iterator[None]:
        with self._lock:
            if not self._readers:
                self._before = csv.field_size_limit(_LONGEST_CELL)
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    csv.field_size_limit(self._before)


cell_limit = _CellLimit()
"""Shared by all jobs of this process."""
