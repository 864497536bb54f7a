"""What a job is, and its progress."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError


@dataclass(frozen=True)
class Job:
    """A file of prompts that is to become a file of answers.

    A job is the same job as long as these stay the same; `source` may be moved, and rows may be
    added at its end, or anywhere where an id column tells the rows apart.

    Args:
        source: The prompts: a file whose name ends in `.jsonl`, `.csv`, `.tsv` or `.parquet`; all
            but Parquet may be compressed, with `.gz` after that. Each row holds a prompt or
            messages; all its columns are kept.
        output: The answers, likewise; the formats may differ. The rows are those of `source`, in
            its order. It is written when all rows are done; until then the answers are in the
            answer store, `output` with `.job` at its end.
        prompt: The column that holds a plain prompt.
        messages: The column that holds messages as OpenAI's API takes them, or their JSON. Where a
            row has messages, they count, not its prompt.
        id: The column that tells the rows apart. Without one, their position does.
        system: The system prompt of rows that bring none.
        schema: A JSON schema, or another schema that `with_structured_output` takes. Answers are
            then objects, in the column `parsed`.
        prefix: Put before the names of the answer's columns, if the source has columns of these
            names.
        limit: How many rows of the source count, from its first; None for all of them. It may be
            raised later.
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
    """Where the answers to a job with this output are kept until the output is written."""
    path = Path(output)
    return path.with_name(path.name + ".job")


@dataclass(frozen=True)
class Progress:
    """How far a job has come."""

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
        """How many rows are still to be asked about."""
        return self.rows - self.answered - self.failed

    @property
    def rate(self) -> float:
        """Rows a second in this run."""
        return self.asked / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at this rate; None while it is not known."""
        return self.left / self.rate if self.rate else None
