"""The rows of a job: what is read of the source, and which question each asks."""

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs.files import (
    DAMAGED,
    cell_limit,
    delimiter_of,
    format_of,
    open_bytes,
    open_text,
)
from langchain_qwen_space.jobs.job import Job

Key = int | str


@dataclass(frozen=True)
class Row:
    """A row of the source."""

    key: Key
    """Its position, or what its id column holds."""
    columns: dict[str, Any]
    question: str
    """What is asked, as JSON: `{"prompt": …}` or `{"messages": …}`."""

    @property
    def digest(self) -> bytes:
        """Tells whether the question is still the one that was answered."""
        return hashlib.blake2b(self.question.encode(), digest_size=16).digest()


def read_rows(job: Job) -> Iterator[Row]:
    """Yields the rows of a job's source, in its order, holding one at a time.

    Raises:
        InvalidInputError: The file is missing or broken, or a row has no id; the message says where.
    """
    for position, columns in enumerate(islice(read_columns(Path(job.source)), job.limit)):
        if position == 0:
            _check_columns(job, columns)
        key: Key = position
        if job.id is not None:
            key = columns.get(job.id, "")
            if isinstance(key, bool) or not isinstance(key, int | str) or key == "":
                msg = (
                    f"{job.source}: row {position + 1} has {key!r} in its id column {job.id!r}; "
                    "it must be a string or an integer in every row."
                )
                raise InvalidInputError(msg)
        name = "prompt" if columns.get(job.messages) in (None, "") else "messages"
        asked = {name: _as_text(columns.get(job.prompt if name == "prompt" else job.messages))}
        yield Row(key, columns, json.dumps(asked, sort_keys=True, default=str))


def _as_text(value: Any) -> Any:
    """Bytes as the text that they are: so do some programs write text into Parquet files."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return list(value)  # which is not a question, and reported as the row's own fault


def read_columns(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a file as dicts, as `read_rows` does."""
    kind = format_of(path)
    try:
        if kind == "JSONL":
            yield from _read_jsonl(path)
        elif kind == "text":
            yield from ({"prompt": text} for _, text in _lines(path))
        elif kind == "Parquet":
            from langchain_qwen_space.jobs.parquet import read_parquet

            yield from read_parquet(path)
        else:
            yield from _read_csv(path, delimiter_of(kind))
    except DAMAGED as error:
        raise InvalidInputError(f"{path} is not a complete gzip file: {error}.") from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InvalidInputError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text: {error.reason} at byte {error.start}. Convert it."
        raise InvalidInputError(msg) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, each with its number."""
    with open_bytes(path) as file:  # bytes: their lines end at \n only, as JSONL's do
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield number, text


def _read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    for number, text in _lines(path):
        try:
            columns = json.loads(text)
        except (ValueError, RecursionError) as error:
            msg = f"{path}, line {number} is not JSON: {error}. Fix it, then run the job again."
            raise InvalidInputError(msg) from None
        if not isinstance(columns, dict):
            msg = f"{path}, line {number} is not a JSON object: {text:.40}"
            raise InvalidInputError(msg)
        yield columns


def _read_csv(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    with cell_limit.raised(), open_text(path, "r", encoding="utf-8-sig", newline="") as file:
        if delimiter == ",":
            delimiter = _delimiter(file.readline())
            file.seek(0)
        lines = csv.reader(file, strict=True, delimiter=delimiter)
        try:
            header = next(lines, [])
            if len(set(header)) < len(header):
                raise InvalidInputError(f"{path}: two columns have the same name: {header}")
            for cells in lines:
                if not cells:
                    continue
                if len(cells) != len(header):
                    msg = (
                        f"{path}, line {lines.line_num}: {len(cells)} cells under "
                        f"{len(header)} column names. A separator or a quote is missing."
                    )
                    raise InvalidInputError(msg)
                yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise InvalidInputError(f"{path}, line {lines.line_num}: {error}.") from None


def _delimiter(header: str) -> str:
    """A comma; in a header without one, the semicolon or tab that spreadsheets write in its place."""
    bare = re.sub(r'"[^"]*"', "", header)
    return next((each for each in ",;\t" if each in bare), ",")


def _check_columns(job: Job, first: dict[str, Any]) -> None:
    """Report once, not for every row, that there is no such column."""
    if not {job.prompt, job.messages} & first.keys():
        msg = (
            f"{job.source} has no column {job.prompt!r} or {job.messages!r}; its first row "
            f"has {', '.join(map(repr, first)) or 'none'}. Name the column with the prompts "
            "(`--prompt-column`, in Python `prompt`)."
        )
        raise InvalidInputError(msg)
