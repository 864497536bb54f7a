"""The state of a job while it runs: which rows are left, where answers go, the output at the end."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.jobs import output
from langchain_qwen_space.jobs.calls import COLUMNS, OWN_FAULTS, RARE, Answer, is_outage
from langchain_qwen_space.jobs.files import format_of
from langchain_qwen_space.jobs.job import Job, Progress, store_path
from langchain_qwen_space.jobs.rows import Key, Row, read_rows
from langchain_qwen_space.jobs.store import AnswerStore, StoredAnswer

OnProgress = Callable[[Progress], None]


class JobState:
    """Holds the answer store open, as a context manager. Belongs to one thread.

    Args:
        job: What to do.
        settings: What shapes the answers; see `AnswerStore`.
        fixed: Names of those that can never change; see `AnswerStore`.
        allow_changes: Whether the others may.
        retry_failed: Whether rows that failed in an earlier run are asked about again.
        give_up_after: How many rows in a row may fail before the run ends; None for any number.
        on_progress: Called when the run begins, with every row that is done, and when it pauses.

    Raises:
        InvalidInputError: The source or the output cannot be used, or is not that of the job that
            was begun; the message says what to do.
    """

    def __init__(
        self,
        job: Job,
        settings: Mapping[str, Any],
        *,
        fixed: Iterable[str],
        allow_changes: bool,
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
        self._paused: str | None = None
        self._check_files()
        self._made_of = [output.stamp(Path(job.source)), job.prefix, job.limit]
        self._store = AnswerStore(
            store_path(job.output), settings, fixed=fixed, allow_changes=allow_changes
        )
        try:
            self._check_output()
            self._plan()
            self._run: int = (self._store.noted("runs") or 1) + 1
            self._store.note("runs", self._run)
        except BaseException:
            self._store.discard() if self._store.is_new else self._store.close()
            raise
        self._began = time.monotonic()
        self._report()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    # Before the first call

    def _check_files(self) -> None:
        source = Path(self.job.source)
        format_of(source)
        format_of(self._output, written=True)
        store = store_path(self._output)
        if not source.is_file():
            raise InvalidInputError(f"There is no file {source}.")
        if not self._output.parent.is_dir():
            raise InvalidInputError(f"There is no folder {self._output.parent}. Create it first.")
        if self._output.exists():
            if self._output.samefile(source):
                raise InvalidInputError(f"{source} cannot be both the prompts and the answers.")
            if not store.exists():
                raise InvalidInputError(_not_ours(self._output))

    def _check_output(self) -> None:
        found = output.stamp(self._output)
        if found is not None and found not in self._written()["stamps"]:
            raise InvalidInputError(_not_ours(self._output))

    def _written(self) -> dict[str, Any]:
        """What the store knows of the output: its stamps, and what it was made of if it is whole."""
        noted: dict[str, Any] | None = self._store.noted("output")
        return noted or {"stamps": [], "made of": None}

    def _note_output(self, *stamps: output.Stamp | None, whole: bool) -> None:
        kept = [each for each in stamps if each is not None]
        made_of = self._made_of if whole else None
        self._store.note("output", {"stamps": kept, "made of": made_of})

    def _plan(self) -> None:
        """Read the whole source once, before anything is asked: what is wrong is said now."""
        columns: dict[str, None] = {}
        if self.job.id is None:
            deque(self._counted(columns), maxlen=0)
        else:
            twice = self._store.first_duplicate(self._counted(columns))
            if twice is not None:
                raise InvalidInputError(f"{self.job.source} contains the id {twice!r} twice.")
        if not self._rows:
            raise InvalidInputError(f"{self.job.source} contains no rows.")
        gone = len(self._store) - self._answered - self._failed
        if gone:
            msg = (
                f"{self.job.source} has changed: {gone} rows that were already sent are no longer "
                "in it. Restore them, or choose another output."
            )
            raise InvalidInputError(msg)
        clash = [name for name in COLUMNS if self.job.prefix + name in columns]
        if clash:
            msg = (
                f"{self.job.source} has columns with the names of answer columns: "
                f"{', '.join(clash)}. Give the answer columns a prefix, such as `--prefix answer_` "
                "(in Python `prefix`)."
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
                self._failed += entry.failed > 0
                self._answered += not entry.failed
            yield row.key

    def _entry(self, row: Row) -> StoredAnswer | None:
        entry = self._store.find(row.key)
        if entry is not None and entry.digest != row.digest:
            what = f"the row {row.key!r}"
            if self.job.id is None and isinstance(row.key, int):  # its position
                what = f"row {row.key + 1}"
            msg = (
                f"{self.job.source} has changed: {what} is not the question that was answered. "
                "Restore it, or choose another output. Rows can be added at the end, or anywhere "
                "if there is an id column."
            )
            raise InvalidInputError(msg)
        return entry

    # During the run

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        seconds = time.monotonic() - self._began
        return Progress(
            self._rows, self._answered, self._failed, self._asked, seconds, self._paused
        )

    def rows(self) -> Iterator[Row]:
        """Yields the rows that are to be asked about: new ones first, then those that are retried."""
        for row in read_rows(self.job):
            if self._entry(row) is None:
                yield row
        for row in read_rows(self.job) if self._retry_failed else ():
            entry = self._entry(row)
            if entry is not None and 0 < entry.failed < self._run:
                yield row

    def add(self, row: Row, answer: Answer) -> None:
        """Put an answer on disk.

        Raises:
            QwenSpaceError: The Space did not come back, too many rows failed one after the other,
                or the disk is full.
        """
        self._paused = None
        if is_outage(answer):
            msg = (
                f"The job stops: {answer['error']} Finished rows are kept, and none was marked as "
                "failed. To resume, run the same command when the Space is available again."
            )
            raise QwenSpaceError(msg)
        if not self._asked:
            self._note_output(*self._written()["stamps"], whole=False)
        has_failed = "error" in answer
        text = json.dumps(answer, default=str)
        entry = StoredAnswer(row.digest, self._run if has_failed else 0, text)
        self._store.add(row.key, entry, answer)
        self._asked += 1
        self._failed += has_failed
        self._answered += not has_failed
        self._report()
        if answer.get("error_type") in OWN_FAULTS:
            return  # it says nothing of the next row
        self._in_a_row = self._in_a_row + 1 if has_failed else 0
        if self._give_up_after is not None and self._in_a_row >= self._give_up_after:
            msg = (
                f"The last {self._in_a_row} rows all failed, so the job stops here. The last error: "
                f"{answer['error']} Finished rows are kept. Find the cause, then run the same "
                "command with `--retry-failed`."
            )
            raise QwenSpaceError(msg)

    def pause(self, reason: str) -> None:
        """Report that the run waits for the Space."""
        self._paused = reason
        self._report()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.progress)

    # At the end

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
                    f"kept in {self._store.path}. Free disk space or check the permissions, then run "
                    "the job again. No answered row is sent again."
                )
                raise QwenSpaceError(msg) from error
        return progress

    def _write(self, before: output.Stamp | None) -> None:
        part = self._store.path.with_name(self._store.path.name + ".part")
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
        kept = {*COLUMNS} - (RARE - self._store.columns)
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
