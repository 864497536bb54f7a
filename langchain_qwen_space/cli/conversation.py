"""A conversation, and the file that it is saved in."""

import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_qwen_space.cli.common import as_json, reason
from langchain_qwen_space.content_blocks import file_block
from langchain_qwen_space.errors import InvalidInputError

_FORMAT = "qwen-space conversation"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, its answer, and the files that came with the question, as content blocks."""

    user: str
    assistant: str
    files: tuple[dict[str, Any], ...] = ()

    @property
    def kept(self) -> str:
        """The question as it is kept: of its files the names only."""
        return with_names(self.user, self.files)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far, and to whom.

    Attributes:
        system: The system prompt; None is Qwen's own.
        model: The model; None is the Space's own default.
        turns: What was said.
    """

    system: str | None = None
    model: str | None = None
    turns: tuple[Turn, ...] = ()

    def messages(
        self, question: str, files: Sequence[dict[str, Any]] = ()
    ) -> list[tuple[str, Any]]:
        """The messages that ask `question` next, as LangChain takes them."""
        said = [
            message
            for turn in self.turns
            for message in (("human", _content(turn.user, turn.files)), ("ai", turn.assistant))
        ]
        system: list[Any] = [] if self.system is None else [("system", self.system)]
        return [*system, *said, ("human", _content(question, files))]


def attached(path: Path) -> dict[str, Any]:
    """The content block of a file as it is now, whatever becomes of the file.

    Raises:
        InvalidInputError: It cannot be read.
    """
    try:
        return file_block(path)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be attached: {reason(error)}.") from None


def names(files: Sequence[dict[str, Any]]) -> str:
    """The names of files, in one line."""
    return ", ".join(block["extras"]["filename"] for block in files)


def with_names(question: str, files: Sequence[dict[str, Any]]) -> str:
    """The question, with the names of its files at its end."""
    return f"{question}\n\n(with {names(files)})" if files else question


def _content(text: str, files: Sequence[dict[str, Any]]) -> str | list[Any]:
    return [{"type": "text", "text": text}, *files] if files else text


def save(conversation: Conversation, path: Path, *, overwrite: bool = False) -> None:
    """Write the conversation as JSON: the whole file or, if that fails, none of it.

    Raises:
        FileExistsError: There is such a file, and `overwrite` is False.
        OSError: It cannot be written.
    """
    given, path = path, path.resolve()  # what a link points to is replaced, not the link
    if path.exists() and not overwrite:
        raise FileExistsError(path)
    turns = [{"user": turn.kept, "assistant": turn.assistant} for turn in conversation.turns]
    about = {"system": conversation.system, "model": conversation.model, "turns": turns}
    data = {"format": _FORMAT, "version": _VERSION, **about}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(f"{as_json(data, 'utf-8', indent=1)}\n")
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, draft)
        draft.replace(path)
    except OSError as error:  # which names the draft, of which nobody knows
        raise OSError(error.errno, reason(error), str(given)) from error
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path) -> Conversation:
    """The conversation that `save` wrote.

    Raises:
        InvalidInputError: The file holds something else.
        OSError: It cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device may never end
        raise InvalidInputError(f"{path} is not a file.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT or data["version"] != _VERSION:
            raise ValueError(data["version"])
        return Conversation(
            system=_text_or_none(data["system"]),
            model=_text_or_none(data["model"]),
            turns=tuple(
                Turn(_text(turn["user"]), _text(turn["assistant"])) for turn in data["turns"]
            ),
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        msg = f"{path} is not a conversation that this version saved with /save."
        raise InvalidInputError(msg) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)
