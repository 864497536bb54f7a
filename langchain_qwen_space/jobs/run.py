"""One run of a job: what is still to be asked, where answers go, and the output at the end."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.jobs import output
from langchain_qwen_space.jobs.asking import COLUMNS, RARE, Answer
from langchain_qwen_space.jobs.job import Job, Progress, default_ledger
from langchain_qwen_space.jobs.ledger import Entry, Ledger
from langchain_qwen_space.jobs.rows import Key, Row, format_of, read_rows

OnProgress = Callable[[Progress], None]


class Run:
    """Holds the ledger open, as a context manager. Belongs to one thread.

    Args:
        job: What to do.
        settings: What must not change between two runs of the job.
        retry_failed: Whether rows that failed in an earlier run are asked about again.
        give_up_after: How many rows in a row may fail before the run ends; None for any number.
        on_progress: Told of every row that is done, and of the beginning.

    Raises:
        InvalidInputError: The source or the output cannot be used, or is not that of the job that
            was begun; the message says what to do.
    """

    def __init__(
        self,
        job: Job,
        settings: Mapping[str, Any],
        *,
        retry_failed: bool,
        give_up_after: int | None,
        on_progress: OnProgress | None,
    ) -> None:
        self.job = job
        self._output = Path(job.output)
        self._retry_failed = retry_failed
        self._give_up_after = give_up_after
        self._on_progress = on_progress
        self._names: list[str] = []
        self._rows = self._answered = self._failed = self._asked = self._in_a_row = 0
        self._check_files()
        self._made_of = [output.stamp(Path(job.source)), job.prefix]
        self._ledger = Ledger(default_ledger(job.output), settings)
        try:
            self._check_output()
            self._plan()
        except BaseException:
            self._ledger.discard() if self._ledger.is_new else self._ledger.close()
            raise
        self._began = time.monotonic()
        self._tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()

    # Before

    def _check_files(self) -> None:
        source, ledger = Path(self.job.source), default_ledger(self.job.output)
        format_of(source)
        format_of(self._output)
        if not source.is_file():
            raise InvalidInputError(f"There is no file {source}.")
        if not self._output.parent.is_dir():
            raise InvalidInputError(f"There is no folder {self._output.parent}. Make it first.")
        if self._output.exists():
            if self._output.samefile(source):
                raise InvalidInputError(f"{source} cannot be both the prompts and the answers.")
            if not ledger.exists():
                raise InvalidInputError(_not_ours(self._output))

    def _check_output(self) -> None:
        found = output.stamp(self._output)
        if found is not None and found not in self._written()["stamps"]:
            raise InvalidInputError(_not_ours(self._output))

    def _written(self) -> dict[str, Any]:
        """What the ledger knows of the output: its stamps, and what it was made of if it is whole."""
        noted: dict[str, Any] | None = self._ledger.noted("output")
        return noted or {"stamps": [], "made of": None}

    def _note_output(self, *stamps: output.Stamp | None, whole: bool) -> None:
        kept = [each for each in stamps if each is not None]
        made_of = self._made_of if whole else None
        self._ledger.note("output", {"stamps": kept, "made of": made_of})

    def _plan(self) -> None:
        """Read the whole source once, before anything is asked: what is wrong is said now."""
        columns: dict[str, None] = {}
        if self.job.id is None:
            deque(self._counted(columns), maxlen=0)
        else:
            twice = self._ledger.first_that_comes_twice(self._counted(columns))
            if twice is not None:
                raise InvalidInputError(f"{self.job.source}: the id {twice!r} is there twice.")
        if not self._rows:
            raise InvalidInputError(f"{self.job.source} holds no rows.")
        gone = len(self._ledger) - self._answered - self._failed
        if gone:
            msg = (
                f"{self.job.source} has changed: {gone} rows that were asked about are no longer "
                "in it. Put them back, or choose another output."
            )
            raise InvalidInputError(msg)
        clash = [name for name in COLUMNS if self.job.prefix + name in columns]
        if clash:
            msg = (
                f"{self.job.source} has columns that the answers bring too: {', '.join(clash)}. "
                "Put something before the answers' names: `--prefix answer_`, in Python `prefix`."
            )
            raise InvalidInputError(msg)
        self._names = list(columns)
        if self._retry_failed:
            self._failed = 0

    def _counted(self, columns: dict[str, None]) -> Iterator[Key]:
        for row in read_rows(self.job):
            self._rows += 1
            columns.update(dict.fromkeys(row.columns))
            entry = self._entry(row)
            if entry is not None:
                self._failed += entry.failed
                self._answered += not entry.failed
            yield row.key

    def _entry(self, row: Row) -> Entry | None:
        entry = self._ledger.find(row.key)
        if entry is not None and entry.digest != row.digest:
            what = f"row {row.key + 1}" if self.job.id is None else f"the row {row.key!r}"  # type: ignore[operator]
            msg = (
                f"{self.job.source} has changed: {what} asks something else than when it was "
                "answered. Put it back, or choose another output. Rows may be added at the end, "
                "and anywhere if an id column tells them apart."
            )
            raise InvalidInputError(msg)
        return entry

    # Meanwhile

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        seconds = time.monotonic() - self._began
        return Progress(self._rows, self._answered, self._failed, self._asked, seconds)

    def rows(self) -> Iterator[Row]:
        """Yields the rows that are to be asked about."""
        for row in read_rows(self.job):
            entry = self._entry(row)
            if entry is None or (entry.failed and self._retry_failed):
                yield row

    def take(self, row: Row, answer: Answer) -> None:
        """Put an answer on disk.

        Raises:
            QwenSpaceError: Too many rows failed, one after the other.
        """
        if not self._asked:
            self._note_output(*self._written()["stamps"], whole=False)
        has_failed = "error" in answer
        text = json.dumps(answer, default=str)
        self._ledger.add(row.key, Entry(row.digest, has_failed, text), answer)
        self._asked += 1
        self._failed += has_failed
        self._answered += not has_failed
        self._tell()
        if answer.get("error_type") == InvalidInputError.__name__:
            return  # the row's own fault; it says nothing of the next one
        self._in_a_row = self._in_a_row + 1 if has_failed else 0
        if self._give_up_after is not None and self._in_a_row >= self._give_up_after:
            msg = (
                f"The last {self._in_a_row} rows all failed, so the job ends here. The last error: "
                f"{answer['error']} What is done is kept. See to the cause; then go on with "
                "the same command and `--retry-failed`."
            )
            raise QwenSpaceError(msg)

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.progress)

    # After

    def finish(self) -> Progress:
        """Write the output, if it is not there yet as it is to be. Returns how far the job came.

        Raises:
            InvalidInputError: The source was changed during the run, or somebody put a file where
                the output goes.
            QwenSpaceError: The output cannot be written.
        """
        progress = self.progress
        before = output.stamp(self._output)
        if before is None or self._written()["made of"] != self._made_of:
            try:
                self._write(before)
            except OSError as error:
                msg = (
                    f"{self._output} cannot be written: {error.strerror or error}. The answers are "
                    f"kept in {self._ledger.path}; run the job again."
                )
                raise QwenSpaceError(msg) from error
        return progress

    def _write(self, before: output.Stamp | None) -> None:
        part = self._ledger.path.with_name(self._ledger.path.name + ".part")
        prefixed = {name: self.job.prefix + name for name in self._answer_columns()}
        columns = {
            **dict.fromkeys(self._names),
            **{full: COLUMNS[name] for name, full in prefixed.items()},
        }
        source = Path(self.job.source)
        written = output.write(self._output, part, columns, lambda: self._all(prefixed), source)
        self._check_output()
        # Whichever of the two a sudden end leaves there, the next run knows it for its own.
        self._note_output(before, written, whole=False)
        os.replace(part, self._output)  # noqa: PTH105  (what it does is its name)
        self._note_output(written, whole=True)

    def _answer_columns(self) -> list[str]:
        kept = {*COLUMNS} - (RARE - self._ledger.columns)
        if self.job.schema is not None:
            kept.add("parsed")
        return [name for name in COLUMNS if name in kept]

    def _all(self, prefixed: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for row in read_rows(self.job):
            entry = self._entry(row)
            if entry is None:
                msg = f"{self.job.source} was changed during the run. Run the job again."
                raise InvalidInputError(msg)
            answer = json.loads(entry.answer)
            columns = {full: answer.get(name) for name, full in prefixed.items()}
            yield {**row.columns, **columns}


def _not_ours(path: Path) -> str:
    return (
        f"{path} is there already and was not written by this job. It is left as it is; choose "
        "another output, or move it away."
    )
