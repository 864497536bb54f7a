"""`qwen-space chat`: a conversation in the terminal, or one answer for a script."""

import asyncio
import os
import stat
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from langchain_qwen_space.cli.common import chat_model, exit_codes, reason
from langchain_qwen_space.cli.conversation import Conversation, attached
from langchain_qwen_space.cli.conversation_log import ConversationLog, LoggedTalk, log_path
from langchain_qwen_space.cli.options import (
    AuthOption,
    MaxTokensOption,
    ModelOption,
    ProxyOption,
    SpaceOption,
    StopOption,
    SystemOption,
    TemperatureOption,
    TimeoutOption,
    TokenOption,
    TopPOption,
    TotalTimeoutOption,
)
from langchain_qwen_space.errors import InvalidInputError


def chat(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(help="The question; words are joined. Without it, a conversation starts."),
    ] = None,
    space: SpaceOption = None,
    model: ModelOption = None,
    system: SystemOption = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="Add a file's text to the prompt. Can be repeated."
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image",
            "-i",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="Attach a picture, or another file that the Space accepts. Can be repeated.",
        ),
    ] = None,
    continues: Annotated[
        bool, typer.Option("--continue", "-c", help="Continue the last conversation, on its Space.")
    ] = False,
    conversation: Annotated[
        int | None,
        typer.Option(
            "--conversation",
            min=1,
            metavar="NUMBER",
            help="Continue this one; `qwen-space log` lists them.",
        ),
    ] = None,
    temperature: TemperatureOption = None,
    top_p: TopPOption = None,
    max_tokens: MaxTokensOption = None,
    stop: StopOption = None,
    timeout: TimeoutOption = None,
    total_timeout: TotalTimeoutOption = None,
    token: TokenOption = None,
    proxy: ProxyOption = None,
    auth: AuthOption = None,
    no_log: Annotated[
        bool, typer.Option("--no-log", help="Keep this conversation out of the log.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Report the times and tokens of each answer.")
    ] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="In a pipe: print the answer when it is complete.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for the answer.")
    ] = False,
) -> None:
    """Chat with a model, in the terminal or in a script.

    Without a prompt, this starts a conversation: answers are rendered as they arrive, Ctrl-C stops an
    answer, Ctrl-D leaves, `/help` lists the commands. With a prompt, a file or piped text, it prints one
    answer. If you give several of these, they are joined in this order, with an empty line between.

    For example:

        qwen-space chat
        qwen-space chat "Why is the sky blue?" --model 7B
        qwen-space chat -c "And at sunset?"
        qwen-space chat -f main.py "What does it do?" -s "You answer briefly."
        qwen-space chat -i photo.jpg "What is in this picture?" --space OWNER/NAME
        git diff --staged | qwen-space chat "Write a commit message for this"
        qwen-space chat --json "Hi" | jq -r .text

    Conversations are kept in a log on this machine. `qwen-space log` lists them, and `--no-log` keeps one
    out of it. The environment variable `QWEN_SPACE_LOG` names another file; `QWEN_SPACE_LOG=off` turns the
    log off. The log contains the names of attached files, not their contents.

    If standard output is not a terminal, only the text and a newline are printed. Redirected to a file, it
    is the final text, and so it is in a pipe with `--no-stream`. Otherwise a pipe receives each chunk as it
    arrives. A Space sometimes revises text that it has already sent; the pipe then holds text that is not in
    the final one, or lacks some of its whitespace. The addresses of files in the answer are printed to
    standard error.

    `--json` prints one object with these keys: `text`; `usage`, which is LangChain's `usage_metadata`
    and a `source`, "tokenizer" or "estimate"; `tool_calls`; `files`, each with `name` and `url`; `space`;
    `model`; `finish_reason`; `event_id`, the Space's id of the call; `id`, the message's id;
    `conversation`, its number in the log; `seconds`, an object with `queue` (the time in the queue),
    `first` (until the first chunk) and `whole` (the whole answer). If the call fails, the object has
    `error` (`type`, `message`, `retryable`, `status`, `retry_after`) and the `text` received so far, and
    the exit status is still 1 or 2.
    """
    with exit_codes():
        question = _question(" ".join(prompt) if prompt else None, file or [])
        in_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        if question is None and (as_json or not in_terminal):
            raise InvalidInputError("Pass a prompt, as an argument or through a pipe.")
        files = [attached(path) for path in image or []]
        talk, begun = _begin(continues=continues, number=conversation)
        begun = replace(
            begun,
            system=begun.system if system is None else system,
            model=begun.model if model is None else model,
        )
        with warnings.catch_warnings():
            # What the model warns of is an event too, and shown as such.
            warnings.simplefilter("ignore", UserWarning)
            asked = chat_model(
                space or (talk.space if talk else None),
                begun.model,
                token,
                proxy,
                auth,
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                stop=stop or None,
                timeout=timeout,
                total_timeout=total_timeout,
            )
            talk = None if no_log else _logged(talk, asked.space)
            if question is None:
                from langchain_qwen_space.cli.interactive import converse

                asyncio.run(converse(asked, begun, talk, files, verbose=verbose))
            else:
                from langchain_qwen_space.cli.one_answer import OneAnswer

                one = OneAnswer(
                    asked,
                    begun,
                    question,
                    files,
                    talk,
                    streams=not no_stream,
                    verbose=verbose,
                )
                asyncio.run(one.print_json() if as_json else one.print_text())


def _begin(*, continues: bool, number: int | None) -> tuple[LoggedTalk | None, Conversation]:
    """The conversation that is continued, or an empty one.

    Raises:
        InvalidInputError: There is no such conversation.
    """
    if not continues and number is None:
        return None, Conversation()
    path = log_path()
    if path is None:
        raise InvalidInputError("There is no log to continue from: QWEN_SPACE_LOG is off.")
    return ConversationLog(path).load(number)


def _logged(talk: LoggedTalk | None, spaces: str | list[str]) -> LoggedTalk | None:
    """The conversation as it will be added to the log; None if nothing is to be kept."""
    path = log_path()
    if path is None:
        return None
    space = spaces if isinstance(spaces, str) else ",".join(spaces)
    if talk is None:
        return LoggedTalk(ConversationLog(path), space)
    talk.space = space
    return talk


def _question(prompt: str | None, files: Sequence[Path]) -> str | None:
    """The prompt, the files' texts and what is piped in; None if there is none of them.

    Raises:
        InvalidInputError: What there is, is empty, is not text, or cannot be read.
    """
    parts = [] if prompt is None else [prompt]
    for path in files:
        try:
            parts.append(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(
                f"--file: {path} cannot be read as text: {reason(error)}."
            ) from None
    if _is_piped():
        try:
            piped = sys.stdin.read().removeprefix("\ufeff")  # with which Windows marks UTF-8
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"The piped input is not text: {error}.") from None
        if piped.strip() or not parts:
            parts.append(piped)
    question = "\n\n".join(parts)
    if parts and not question.strip():
        raise InvalidInputError("The prompt is empty.")
    try:
        question.encode()
    except UnicodeEncodeError:  # how Python keeps bytes that are not text
        raise InvalidInputError("The prompt is not text: its bytes are not UTF-8.") from None
    return question if parts else None


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file; a terminal or nothing at all is not."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # it is closed, or no file of the system's
        return sys.stdin is not None and not sys.stdin.isatty()
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
