"""The ledger of a job: which rows are done, and their answers. It is on disk at all times.

An SQLite file. Each answer is a transaction of its own, so a process that is killed leaves neither
half an answer nor none that it had; only a machine that loses its power may lose the last few,
which are then asked again.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
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
class Entry:
    """What the ledger knows of a row."""

    digest: bytes
    failed: bool
    answer: str
    """The answer's columns, as JSON."""


class Ledger:
    """A job's answers on disk. One process at a time may have it open.

    Args:
        path: The file; it is made where there is none.
        settings: What must not change between two runs of a job.

    Raises:
        InvalidInputError: The file belongs to something else, to a job with other settings, or is
            in use.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
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
            busy = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
            told = "another process is at work on this job" if busy else f"{error}"
            raise InvalidInputError(f"{path} cannot be used: {told}.") from error
        except BaseException:
            self.close()
            raise

    def _open(self, settings: Mapping[str, Any]) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (mark,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and mark != _APPLICATION:
            raise InvalidInputError(f"{self.path} is no ledger of a job. Choose another output.")
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
        if changed:
            told = "; ".join(
                f"{name} was {before.get(name)!r:.200} and is now {settings[name]!r:.200}"
                for name in changed
            )
            msg = (
                f"{self.path} holds the answers of a job that was begun otherwise: {told}. Run it "
                "as it was begun, or choose another output."
            )
            raise InvalidInputError(msg)

    def find(self, key: Key) -> Entry | None:
        """What is known of a row; None if it has not been asked about."""
        found = self._db.execute(
            "SELECT digest, failed, answer FROM answers WHERE key = ?", (key,)
        ).fetchone()
        return None if found is None else Entry(found[0], bool(found[1]), found[2])

    def add(self, key: Key, entry: Entry, columns: Iterable[str]) -> None:
        """Put an answer on disk, in place of an earlier one.

        Raises:
            QwenSpaceError: The disk is full, or gone.
        """
        try:
            for name in {*columns} - self._columns:
                self._db.execute("INSERT OR IGNORE INTO columns VALUES (?)", (name,))
                self._columns.add(name)
            self._db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                (key, entry.digest, entry.failed, entry.answer),
            )
        except sqlite3.Error as error:
            raise QwenSpaceError(f"{self.path} cannot be written: {error}.") from error

    @property
    def columns(self) -> frozenset[str]:
        """The columns that answers have had."""
        return frozenset(self._columns)

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM answers").fetchone()
        return int(count)

    def first_that_comes_twice(self, keys: Iterable[Key]) -> Key | None:
        """The first key that was there before; they are compared on disk, not in memory."""
        self._db.execute("CREATE TEMP TABLE seen (key PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")
        try:
            for key in keys:
                try:
                    self._db.execute("INSERT INTO seen VALUES (?)", (key,))
                except sqlite3.IntegrityError:
                    return key
            return None
        finally:
            self._db.execute("COMMIT")
            self._db.execute("DROP TABLE seen")

    def note(self, name: str, value: Any) -> None:
        """Keep something about the job as a whole."""
        self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))

    def noted(self, name: str) -> Any:
        """What `note` has kept; None if nothing was."""
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def discard(self) -> None:
        """Close, and delete the file, which must hold no answer."""
        self.close()
        self.path.unlink(missing_ok=True)
