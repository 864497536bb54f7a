"""`qwen-space log`: the conversations that were kept."""

import sys
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.cells import cell_len, set_cell_size

from langchain_qwen_space.cli.common import (
    console,
    exit_codes,
    print_json,
    print_text,
    printable,
)
from langchain_qwen_space.cli.conversation import Conversation
from langchain_qwen_space.cli.conversation_log import VARIABLE, ConversationLog, log_path
from langchain_qwen_space.cli.options import JsonOption
from langchain_qwen_space.errors import InvalidInputError

_ONE_LINE = 60  # columns; in a narrower window the question has its own line


def log(
    number: Annotated[
        int | None,
        typer.Argument(
            min=1, help="The conversation to print. Without it, the last ones are listed."
        ),
    ] = None,
    search: Annotated[
        str, typer.Option(metavar="TEXT", help="List conversations that contain this text.")
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="List at most this many.")
    ] = 20,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the conversation permanently.")
    ] = False,
    path: Annotated[bool, typer.Option("--path", help="Print where the log is.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the conversations of `qwen-space chat`, or print one.

    For example:

        qwen-space log
        qwen-space log 12
        qwen-space log --search "sky blue"
        qwen-space log 12 --delete
        qwen-space chat --conversation 12

    The log is an SQLite file on this machine that only you can read. `--path` prints its path. The
    environment variable `QWEN_SPACE_LOG` names another file; `QWEN_SPACE_LOG=off` turns the log off.

    `--json` prints one object per line, for each conversation: `id` (its number), `at` (when it was last
    continued), `turns` (how many), `space`, `model` and `title`. With a NUMBER, it prints one object with
    `id`, `space`, `system`, `model` and `turns`, here a list of objects with `user` and `assistant`.
    """
    with exit_codes():
        file = log_path()
        if file is None:
            raise InvalidInputError(f"There is no log: {VARIABLE} is off.")
        kept = ConversationLog(file)
        if path:
            print_text(f"{file}\n")
        elif number is None:
            if delete:
                raise InvalidInputError(
                    "Name the conversation to delete: qwen-space log NUMBER --delete"
                )
            _list(kept, limit, search, as_json=as_json)
        elif delete:
            kept.delete(number)
            print_text(f"Deleted conversation {number}.\n")
        else:
            talk, conversation = kept.load(number)
            if as_json:
                turns = [
                    {"user": turn.user, "assistant": turn.assistant} for turn in conversation.turns
                ]
                about = {"id": talk.number, "space": talk.space, "system": conversation.system}
                print_json({**about, "model": conversation.model, "turns": turns})
            else:
                _print(conversation, talk.unanswered)


def _list(kept: ConversationLog, limit: int, search: str, *, as_json: bool) -> None:
    entries = kept.entries(limit, search)
    if as_json:
        for entry in entries:
            print_json(asdict(entry))
        return
    if not entries:
        print_text("No conversations.\n")
        return
    out = console()
    for entry in entries:
        when = datetime.fromisoformat(entry.at).astimezone()
        head = f"{entry.id:>4}  {when:%Y-%m-%d %H:%M}  {entry.turns:>3} turn{'s' if entry.turns != 1 else ' '}"
        title = printable(" ".join(entry.title.split()))
        if out.is_terminal:  # one line each, or two where there is no room
            narrow = out.width < _ONE_LINE
            head += "\n      " if narrow else "  "
            room = out.width - (6 if narrow else len(head))
            title = title if cell_len(title) <= room else set_cell_size(title, room - 1) + "…"
            out.print(head + title, soft_wrap=True)
        else:
            print_text(f"{head}  {title}\n")


def _print(conversation: Conversation, unanswered: str) -> None:
    """A conversation as Markdown: rendered in a terminal, else as it is."""
    parts = [] if conversation.system is None else [f"**System**\n\n{conversation.system}"]
    for turn in conversation.turns:
        parts += [f"**You**\n\n{turn.user}", f"**Model**\n\n{turn.assistant}"]
    if unanswered:
        parts.append(f"**You**\n\n{unanswered}")
    elif not conversation.turns:
        parts.append("No question was answered.")
    text = "\n\n".join(parts)
    if sys.stdout.isatty():
        from langchain_qwen_space.cli.markdown import AnswerMarkdown

        console().print(AnswerMarkdown(printable(text)))
    else:
        print_text(f"{text}\n")
