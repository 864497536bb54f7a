"""The log of conversations: one SQLite file for each user of this machine.

Nothing in it leaves the machine. Only its owner can read it.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from langchain_qwen_space.cli.common import reason
from langchain_qwen_space.cli.conversation import Conversation, Turn
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError

VARIABLE = "QWEN_SPACE_LOG"
_VERSION = 1
_PATIENCE = 5.0  # seconds, while another process writes
_MOST = 2**63 - 1  # what SQLite takes as a number
_TABLES = """
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space TEXT NOT NULL,
    system TEXT,
    model TEXT
);
CREATE TABLE turn (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
    at TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT,
    error TEXT,
    model TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    seconds REAL,
    undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX turn_conversation ON turn (conversation);
CREATE VIEW shown AS SELECT * FROM turn WHERE answer IS NOT NULL AND NOT undone;
"""


class LogError(QwenSpaceError):
    """The log cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one call was asked, and what came of it.

    Attributes:
        question: What was asked.
        answer: The text of the answer; None if there is none.
        error: Why the answer is missing or incomplete; None if it is complete, or still awaited.
        model: The model that answered.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        seconds: How long it took.
    """

    question: str
    answer: str | None
    error: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation in a list of them.

    Attributes:
        id: Its number.
        at: When its last turn was, UTC, as ISO 8601 writes it.
        turns: How many turns it has.
        space: The Space that answered.
        model: The model; None is the Space's own default.
        title: Its first question.
    """

    id: int
    at: str
    turns: int
    space: str
    model: str | None
    title: str


def log_path() -> Path | None:
    """Where the log is: `QWEN_SPACE_LOG`, else the folder for users' data; None if it is "off".

    Raises:
        InvalidInputError: The path begins with the home of a user that does not exist.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given.lower() == "off":
        return None
    if not given:
        return _data_folder() / "qwen-space" / "log.db"
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise InvalidInputError(f"{VARIABLE}={given}: there is no such user.") from None


def _data_folder() -> Path:
    if folder := os.environ.get("XDG_DATA_HOME"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path.home() / ".local" / "share"


class ConversationLog:
    """Conversations in a file, which is made when the first one is added.

    Args:
        path: The file.

    All methods raise `LogError` if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, limit: int | None = None, words: str = "") -> list[Entry]:
        """The conversations that hold `words`, the last one first."""
        with self._read() as db:
            rows = db.execute(
                "SELECT c.id, max(t.at), count(*), c.space, c.model,"
                " (SELECT question FROM shown WHERE conversation = c.id ORDER BY id LIMIT 1)"
                " FROM conversation c JOIN shown t ON t.conversation = c.id"
                " WHERE ?1 = '' OR c.id IN (SELECT conversation FROM shown"
                " WHERE instr(lower(question || char(10) || answer), lower(?1)))"
                " GROUP BY c.id ORDER BY max(t.id) DESC LIMIT ?2",
                (words, -1 if limit is None else min(limit, _MOST)),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def load(self, number: int | None = None) -> tuple["LoggedTalk", Conversation]:
        """A conversation by its number, or the last one.

        Raises:
            InvalidInputError: There is no such conversation.
        """
        with self._read() as db:
            if number is None:
                row = db.execute(
                    "SELECT conversation FROM turn WHERE NOT undone"
                    " AND (answer IS NOT NULL OR error IS NULL) ORDER BY id DESC LIMIT 1"
                ).fetchone()
                if row is None:
                    raise InvalidInputError(f"There is no conversation in {self.path} yet.")
                number = int(row[0])
            about = db.execute(
                "SELECT space, system, model FROM conversation WHERE id = ?", (min(number, _MOST),)
            ).fetchone()
            if about is None:
                raise self._missing(number)
            turns = db.execute(
                "SELECT id, question, answer FROM shown WHERE conversation = ? ORDER BY id",
                (number,),
            ).fetchall()
            last = turns[-1][0] if turns else 0
            awaited = db.execute(
                "SELECT question FROM turn WHERE conversation = ? AND id > ?"
                " AND answer IS NULL AND error IS NULL ORDER BY id DESC LIMIT 1",
                (number, last),
            ).fetchone()
        space, system, model = about
        talk = LoggedTalk(self, space, number, [turn[0] for turn in turns])
        talk.unanswered = awaited[0] if awaited else ""
        return talk, Conversation(system, model, tuple(Turn(*turn[1:]) for turn in turns))

    def questions(self, limit: int) -> list[str]:
        """The last questions, the newest first."""
        with self._read() as db:
            rows = db.execute("SELECT question FROM turn ORDER BY id DESC LIMIT ?", (limit,))
            return [row[0] for row in rows]

    def delete(self, number: int) -> None:
        """Delete a conversation for good.

        Raises:
            InvalidInputError: There is no such conversation.
        """
        with self.write() as db:
            if not db.execute(
                "DELETE FROM conversation WHERE id = ?", (min(number, _MOST),)
            ).rowcount:
                raise self._missing(number)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of what is done in the block, or nothing."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise self._error(error) from error
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            self._check(db)
            with db:
                yield db

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        try:
            there = self.path.exists()
        except OSError as error:  # a folder that may not be entered, a name that is too long
            raise self._error(error) from error
        if not there:
            with self._open(":memory:") as db:
                self._check(db)
                yield db
            return
        with self._open() as db:
            self._check(db)
            yield db

    @contextmanager
    def _open(self, path: str | None = None) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(path or self.path, _PATIENCE, isolation_level=None)
            try:
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")  # what is deleted is not left in the file
                yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _check(self, db: sqlite3.Connection) -> None:
        """Make the tables of a new file; refuse a file of another version."""
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in filter(str.strip, _TABLES.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise LogError(f"{self.path} was written by another version of qwen-space.")

    def _missing(self, number: int) -> InvalidInputError:
        return InvalidInputError(f"There is no conversation {number} in {self.path}.")

    def _error(self, error: OSError | sqlite3.Error) -> LogError:
        why = reason(error) if isinstance(error, OSError) else error
        return LogError(f"The log {self.path} cannot be used: {why}.")


class LoggedTalk:
    """One conversation as it is written to the log.

    Args:
        log: The log.
        space: The Space that answers.
        number: Its number in the log; None until its first turn is there.
        turns: The numbers of its turns.

    Attributes:
        unanswered: The last question, if it has no answer yet, because another process is still
            asking it or was killed; else empty.
    """

    def __init__(
        self, log: ConversationLog, space: str, number: int | None = None, turns: Sequence[int] = ()
    ) -> None:
        self.log = log
        self.space = space
        self.number = number
        self.unanswered = ""
        self._turns = list(turns)
        self._awaited: int | None = None  # the number of the turn that was begun

    def begin(self, before: Conversation, question: str) -> None:
        """Add a question that is about to be asked, for if this process is killed.

        Args:
            before: As `add`, which is to follow.
            question: The question.

        Raises:
            LogError: The log cannot be written.
        """
        self._awaited = self._add(before, Exchange(question, None))

    def add(self, before: Conversation, exchange: Exchange) -> None:
        """Add a turn.

        Args:
            before: The conversation until now. It becomes a new one in the log if it is not there, or
                if another process has continued or deleted it in the meantime.
            exchange: The turn.

        Raises:
            LogError: The log cannot be written.
        """
        self._add(before, exchange)
        self._awaited = None

    def _add(self, before: Conversation, exchange: Exchange) -> int:
        with self.log.write() as db:
            db.execute("DELETE FROM turn WHERE id = ?", (self._awaited,))
            number, turns = self.number, self._turns
            there = db.execute(
                "SELECT id FROM shown WHERE conversation = ? ORDER BY id", (number,)
            ).fetchall()
            known = db.execute("SELECT 1 FROM conversation WHERE id = ?", (number,)).fetchone()
            if known is None or [row[0] for row in there] != turns:
                number = db.execute(
                    "INSERT INTO conversation (space) VALUES (?)", (self.space,)
                ).lastrowid
                turns = [
                    _insert(db, number, Exchange(turn.kept, turn.assistant))
                    for turn in before.turns
                ]
            # A question that was left without an answer is not the last one any more.
            db.execute(
                "UPDATE turn SET error = 'Interrupted.'"
                " WHERE conversation = ? AND answer IS NULL AND error IS NULL",
                (number,),
            )
            db.execute(
                "UPDATE conversation SET space = ?, system = ?, model = ? WHERE id = ?",
                (self.space, _storable(before.system), before.model, number),
            )
            added = _insert(db, number, exchange)
        self.number = number
        self._turns = turns if exchange.answer is None else [*turns, added]
        return added

    def undo(self) -> None:
        """Take the last turn back.

        Raises:
            LogError: The log cannot be written.
        """
        if self._turns:
            with self.log.write() as db:
                db.execute("UPDATE turn SET undone = 1 WHERE id = ?", (self._turns[-1],))
            del self._turns[-1]


def _insert(db: sqlite3.Connection, conversation: int | None, exchange: Exchange) -> int:
    row = db.execute(
        "INSERT INTO turn (conversation, at, question, answer, error, model, input_tokens,"
        " output_tokens, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conversation,
            datetime.now(UTC).isoformat(timespec="seconds"),
            _storable(exchange.question),
            _storable(exchange.answer),
            _storable(exchange.error),
            exchange.model,
            exchange.input_tokens,
            exchange.output_tokens,
            exchange.seconds,
        ),
    )
    assert row.lastrowid is not None  # noqa: S101
    return row.lastrowid


def _storable(text: str | None) -> str | None:
    """The text without lone surrogates, which SQLite does not store."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")
