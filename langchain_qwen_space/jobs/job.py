"""What a job is, and its progress."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError


@dataclass(frozen=True)
class Job:
    """A file of prompts, and the file for their answers.

    A job can be resumed as long as these stay the same. `source` may be moved, and rows may be added
    at its end, or anywhere if there is an id column.

    Args:
        source: The prompts: a file whose name ends in `.jsonl`, `.csv`, `.tsv` or `.parquet`; all
            but Parquet may be compressed, with `.gz` after that. Each row has a prompt or
            messages; all its columns are kept.
        output: The answers, likewise; the formats may differ. The rows are those of `source`, in
            its order. It is written when all rows are done; until then the answers are in the
            answer store, `output` with `.job` at its end.
        prompt: The column with plain prompts.
        messages: The column with messages in the format of OpenAI's API, as a list or as JSON. If a
            row has both, its messages are used.
        id: The column that identifies a row. By default its position does.
        system: The system prompt of rows without one.
        schema: A JSON schema, or another schema that `with_structured_output` accepts. Answers are
            then objects, in the column `parsed`.
        prefix: Prefix for the names of the answer columns, if the source has columns with these
            names.
        limit: Use only this many rows, from the first; None for all of them. It may be raised later.
    """

    source: str | Path
    output: str | Path
    prompt: str = "prompt"
    messages: str = "messages"
    id: str | None = None
    system: str | None = None
    schema: Mapping[str, Any] | type | None = None
    prefix: str = ""
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit <= 0:
            raise InvalidInputError(f"limit must be greater than 0, not {self.limit}.")


def store_path(output: str | Path) -> Path:
    """The path of the answer store, which keeps a job's answers until this output is written."""
    path = Path(output)
    return path.with_name(path.name + ".job")


@dataclass(frozen=True)
class Progress:
    """The progress of a job."""

    rows: int
    """All rows of the source."""
    answered: int
    failed: int
    asked: int
    """Those of them that were asked about in this run."""
    seconds: float
    """How long this run has been asking."""
    paused: str | None = None
    """Why it waits for the Space, while it does; the error's own words."""

    @property
    def left(self) -> int:
        """The number of rows that this run still has to complete."""
        return self.rows - self.answered - self.failed

    @property
    def rate(self) -> float:
        """Rows per second in this run."""
        return self.asked / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the rest is done at this rate; None while it is not known."""
        return self.left / self.rate if self.rate else None
