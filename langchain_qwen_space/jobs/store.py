"""The answer store of a job: which rows are done, and their answers.

An SQLite file. Each answer is a transaction of its own, so a process that is killed loses no answer
that it had, and leaves no half of one; a machine that loses its power may lose the last few, which
are then asked again.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.jobs.rows import Key

_APPLICATION = 0x6C71736A  # SQLite's mark for whose file it is: "lqsj"
_TABLES = """
CREATE TABLE answers (
  key PRIMARY KEY, digest BLOB NOT NULL, failed INTEGER NOT NULL, answer TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE columns (name TEXT PRIMARY KEY);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class StoredAnswer:
    """What the store knows of a row."""

    digest: bytes
    failed: int
    """0 if it was answered, else the number of the run in which it failed last."""
    answer: str
    """The answer's columns, as JSON."""


class AnswerStore:
    """A job's answers on disk. One process at a time may have it open.

    Args:
        path: The file; it is made where there is none.
        settings: What shapes the answers of this run.
        fixed: Names of those settings that can never change between two runs of a job.
        allow_changes: Whether the other settings may differ from those of the run before.

    Raises:
        InvalidInputError: The file belongs to something else, to a job with other settings, or is
            in use.
        QwenSpaceError: The disk is full, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        *,
        fixed: Iterable[str] = (),
        allow_changes: bool = False,
    ) -> None:
        self._fixed = frozenset(fixed)
        self._allow_changes = allow_changes
        self.path = path
        self.is_new = not path.exists()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            raise InvalidInputError(f"{path} cannot be opened: {error}.") from error
        try:
            self._open(settings)
        except sqlite3.Error as error:
            self._db.close()
            code = getattr(error, "sqlite_errorcode", 0)
            if code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise self._not_written(error) from error
            busy = code == sqlite3.SQLITE_BUSY
            reason = "another process is at work on this job" if busy else f"{error}"
            raise InvalidInputError(f"{path} cannot be used: {reason}.") from error
        except BaseException:
            self.close()
            raise

    def _open(self, settings: Mapping[str, Any]) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (mark,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and mark != _APPLICATION:
            raise InvalidInputError(
                f"{self.path} is not the answer store of a job. Choose another output."
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA temp_store = FILE")
        db.execute("BEGIN IMMEDIATE")
        if not tables:
            for statement in _TABLES.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self.note("settings", settings)
        db.execute("COMMIT")
        self._columns = {name for (name,) in db.execute("SELECT name FROM columns")}
        self._check(settings)

    def _check(self, settings: Mapping[str, Any]) -> None:
        before: dict[str, Any] = self.noted("settings")
        changed = [name for name in settings if before.get(name) != settings[name]]
        if not changed:
            return
        differences = "; ".join(
            f"{name} was {before.get(name)!r:.200} and is now {settings[name]!r:.200}"
            for name in changed
        )
        may_change = self._fixed.isdisjoint(changed)
        if may_change and self._allow_changes:
            self.note("settings", settings)
            return
        msg = (
            f"{self.path} contains answers of this job with other settings: {differences}. Use the "
            "same settings, or choose another output"
        )
        if may_change:
            msg += (
                "; to mix the answers, pass `--allow-changes` (in Python `allow_changes=True`): "
                "each row says which Space, model and options answered it"
            )
        raise InvalidInputError(f"{msg}.")

    def find(self, key: Key) -> StoredAnswer | None:
        """What is known of a row; None if it has not been asked about."""
        found = self._db.execute(
            "SELECT digest, failed, answer FROM answers WHERE key = ?", (_stored(key),)
        ).fetchone()
        return None if found is None else StoredAnswer(*found)

    def add(self, key: Key, entry: StoredAnswer, columns: Iterable[str]) -> None:
        """Put an answer on disk, in place of an earlier one.

        Raises:
            QwenSpaceError: The disk is full, or gone.
        """
        with self._writing():
            for name in {*columns} - self._columns:
                self._db.execute("INSERT OR IGNORE INTO columns VALUES (?)", (name,))
                self._columns.add(name)
            self._db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                (_stored(key), entry.digest, entry.failed, entry.answer),
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._not_written(error) from error

    def _not_written(self, error: sqlite3.Error) -> QwenSpaceError:
        return QwenSpaceError(
            f"{self.path} cannot be written: {error}. The answers that it holds are kept. Make room "
            "on its disk, then run the job again; it resumes where it stopped."
        )

    @property
    def columns(self) -> frozenset[str]:
        """The columns that answers have had."""
        return frozenset(self._columns)

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM answers").fetchone()
        return int(count)

    def first_duplicate(self, keys: Iterable[Key]) -> Key | None:
        """The first key that was there before; they are compared on disk, not in memory."""
        with self._writing():
            self._db.execute("CREATE TEMP TABLE seen (key PRIMARY KEY) WITHOUT ROWID")
            self._db.execute("BEGIN")
            try:
                for key in keys:
                    try:
                        self._db.execute("INSERT INTO seen VALUES (?)", (_stored(key),))
                    except sqlite3.IntegrityError:
                        return key
                return None
            finally:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    self._db.execute("ROLLBACK")
                    self._db.execute("DROP TABLE IF EXISTS seen")

    def note(self, name: str, value: Any) -> None:
        """Keep something about the job as a whole.

        Raises:
            QwenSpaceError: The disk is full, or gone.
        """
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value))
            )

    def noted(self, name: str) -> Any:
        """What `note` has kept; None if nothing was."""
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def close(self) -> None:
        """Let go of the file."""
        with suppress(sqlite3.Error):  # each answer is on disk; a full disk only keeps the WAL
            self._db.close()

    def discard(self) -> None:
        """Close, and delete the file, which must hold no answer."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)


def _stored(key: Key) -> int | str | bytes:
    """A key as SQLite can hold it: numbers of 64 bits, and text that is UTF-8; all else is bytes."""
    if isinstance(key, int):
        return key if -(2**63) <= key < 2**63 else b"int:%d" % key
    try:
        key.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return b"text:" + key.encode("utf-8", "surrogatepass")
    return key
