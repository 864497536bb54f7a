"""`qwen-space chat`: a conversation in the terminal, or one answer for a script."""

import asyncio
import os
import stat
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from langchain_qwen_space.cli.answering import Reply
from langchain_qwen_space.cli.common import (
    AuthOption,
    ModelOption,
    ProxyOption,
    SpaceOption,
    SystemOption,
    TokenOption,
    chat_model,
    console,
    error_console,
    exit_codes,
    print_json,
    print_text,
    printable,
)
from langchain_qwen_space.cli.conversation import Conversation
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.events import SpaceEvent


def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="The question. Without it, a conversation begins.")
    ] = None,
    space: SpaceOption = None,
    model: ModelOption = None,
    system: SystemOption = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Sampling temperature, where the Space has an input for it."),
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Nucleus sampling, where the Space has an input for it.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The most tokens of an answer.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Cut the answer before this text. May be repeated."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="The longest silence of the Space, in seconds.")
    ] = None,
    token: TokenOption = None,
    proxy: ProxyOption = None,
    auth: AuthOption = None,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="In a pipe: print the answer when it is complete.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for the answer, see above.")
    ] = False,
) -> None:
    """Talk with a model, in the terminal or in a script.

    Without a prompt it is a conversation: answers are rendered while they are written, Ctrl-C stops
    one, Ctrl-D leaves, `/help` tells the rest. With a prompt, or with text piped in, it is one
    answer. A prompt and piped text are asked together, the prompt first.

    For example:

        qwen-space chat
        qwen-space chat "Why is the sky blue?" --model 7B
        git diff --staged | qwen-space chat "Write a commit message for this"
        qwen-space chat --json "Hi" | jq -r .text

    Where the output is not a terminal, it is the answer's exact text and a newline. A pipe gets each
    chunk at once. A Space may revise blank space that it has already sent; a pipe that needs the
    exact indentation, of code for example, takes `--no-stream`. A file always gets the exact text.

    With `--json` it is one object with these keys. `text`; `usage`: the counts of LangChain's
    `usage_metadata`, with `source`, "tokenizer" or "estimate"; `tool_calls`; `space`; `model`;
    `finish_reason`; `event_id`, the Space's id of the call; `id`, the message's; `seconds`: `first`
    chunk and `whole` answer. If the call fails it has `error` (`type`, `message`, `retryable`,
    `status`, `retry_after`) and the `text` until then; the exit status is 1 or 2 all the same.
    """
    with exit_codes():
        settings = {
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "stop": stop or None,
            "timeout": timeout,
        }
        asked = _question(prompt)
        in_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        if asked is None and (as_json or not in_terminal):
            raise InvalidInputError("Give a prompt, as an argument or through a pipe.")
        with warnings.catch_warnings():
            # What the model warns of is an event too, and shown as such.
            warnings.simplefilter("ignore", UserWarning)
            begun = chat_model(space, model, token, proxy, auth, **settings)
            if asked is None:
                from langchain_qwen_space.cli.interactive import converse

                asyncio.run(converse(begun, Conversation(system, model)))
            else:
                one = _Once(begun, Conversation(system).messages(asked), streams=not no_stream)
                asyncio.run(one.as_json() if as_json else one.as_text())


def _question(prompt: str | None) -> str | None:
    """The prompt and what is piped in; None if there is neither.

    Raises:
        InvalidInputError: What there is, is empty, or no text.
    """
    parts = [] if prompt is None else [prompt]
    if _is_piped():
        try:
            piped = sys.stdin.read()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"What is piped in is no text: {error}.") from None
        if piped.strip() or not parts:
            parts.append(piped)
    question = "\n\n".join(parts)
    if parts and not question.strip():
        raise InvalidInputError("The prompt is empty.")
    return question if parts else None


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file; a terminal or nothing at all is not."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # it is closed, or no file of the system's
        return sys.stdin is not None and not sys.stdin.isatty()
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


class _Once:
    """One question and its answer, printed for a person or for a script."""

    def __init__(
        self, model: "ChatQwenSpace", messages: list[tuple[str, str]], *, streams: bool
    ) -> None:
        self._model, self._messages = model, messages
        self._streams = streams and not _is_file(sys.stdout)
        self._reply = Reply()

    async def as_text(self) -> None:
        """Rendered in a terminal; elsewhere the text itself, also when the call breaks off."""
        if sys.stdout.isatty():
            from langchain_qwen_space.cli.rendering import show

            await show(self._model, self._messages, self._reply, console())
            return
        self._model.on_event = _tell
        try:
            if self._streams:
                await self._reply.read(self._model, self._messages, print_text)
            else:
                await self._reply.read(self._model, self._messages)
        finally:
            self._finish_text()

    def _finish_text(self) -> None:
        text = self._reply.text
        if text:
            print_text("\n" if self._streams else f"{text}\n")
        if self._streams and text != self._reply.streamed:
            error_console().print(
                "The Space revised blank space that was already printed. `--no-stream` prints the "
                "exact text."
            )
        encoding = sys.stdout.encoding
        if text != text.encode(encoding, "replace").decode(encoding):
            error_console().print(
                f"Standard output is {encoding}, which lacks some characters of the answer; they are "
                "question marks. Set PYTHONIOENCODING=utf-8 for all of them."
            )

    async def as_json(self) -> None:
        """One JSON object, also when the call fails."""
        self._model.on_event = _tell
        try:
            await self._reply.read(self._model, self._messages)
        except QwenSpaceError as error:
            print_json(
                {
                    "text": error.partial or self._reply.text,
                    "error": {
                        "type": type(error).__name__,
                        "message": str(error),
                        "retryable": error.is_retryable,
                        "status": error.status,
                        "retry_after": error.retry_after,
                    },
                }
            )
            raise
        message = self._reply.message
        assert message is not None  # noqa: S101
        about = message.response_metadata
        print_json(
            {
                "text": self._reply.text,
                "usage": {**(message.usage_metadata or {}), "source": about.get("usage_source")},
                "tool_calls": message.tool_calls,
                "space": about.get("space"),
                "model": about.get("model_name"),
                "finish_reason": about.get("finish_reason"),
                "event_id": about.get("event_id"),
                "id": message.id,
                "seconds": {"first": self._reply.first, "whole": self._reply.whole},
            }
        )


def _is_file(stream: TextIO) -> bool:
    """Whether a stream goes to a file, which nobody reads while it is written."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # it is none of the system's
        return False


def _tell(event: "SpaceEvent") -> None:
    """Warnings and notices of a call go to standard error, where a script's user finds them."""
    from langchain_qwen_space.events import NoticeEvent, WarningEvent

    if isinstance(event, NoticeEvent | WarningEvent):
        error_console().print(printable(event.message))
