"""One question and its answer, printed for a person or for a script."""

import asyncio
import os
import stat
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from langchain_qwen_space.cli.common import (
    console,
    error_console,
    print_json,
    print_text,
    printable,
)
from langchain_qwen_space.cli.conversation import Conversation, with_names
from langchain_qwen_space.cli.conversation_log import LogError, LoggedTalk
from langchain_qwen_space.cli.timed_reply import TimedReply
from langchain_qwen_space.errors import QwenSpaceError

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.events import SpaceEvent


class OneAnswer:
    """Asks, prints, and adds what came of it to the log.

    Args:
        model: What is asked.
        conversation: What was said before.
        question: What is asked now.
        files: The files that go with it, as content blocks.
        talk: The conversation in the log; None keeps none.
        streams: Whether a pipe gets each chunk at once.
        verbose: Whether the times go to standard error.
    """

    def __init__(
        self,
        model: "ChatQwenSpace",
        conversation: Conversation,
        question: str,
        files: Sequence[dict[str, Any]],
        talk: LoggedTalk | None,
        *,
        streams: bool,
        verbose: bool,
    ) -> None:
        self._model, self._conversation, self._question = model, conversation, question
        self._files = files
        self._talk = talk
        self._streams = streams and not _is_file(sys.stdout)
        self._verbose = verbose
        self._reply = TimedReply()

    async def print_text(self) -> None:
        """Rendered in a terminal; elsewhere the text itself, also when the call breaks off."""
        if sys.stdout.isatty():
            await self._logged(self._show)
        else:
            try:
                await self._logged(self._read)
            finally:
                self._finish_text()
        if self._verbose:
            if sys.stdout.isatty():
                error_console().print()
            error_console().print(self._reply.timings(), style="dim")

    async def print_json(self) -> None:
        """One JSON object, also when the call fails."""
        self._streams = False
        try:
            await self._logged(self._read)
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
                "files": self._reply.files,
                "space": about.get("space"),
                "model": about.get("model_name"),
                "finish_reason": about.get("finish_reason"),
                "event_id": about.get("event_id"),
                "id": message.id,
                "conversation": None if self._talk is None else self._talk.number,
                "seconds": {
                    "queue": self._reply.queued,
                    "first": self._reply.first,
                    "whole": self._reply.whole,
                },
            }
        )

    async def _show(self) -> None:
        from langchain_qwen_space.cli.rendering import show

        messages = self._conversation.messages(self._question, self._files)
        await show(self._model, messages, self._reply, console())

    async def _read(self) -> None:
        messages = self._conversation.messages(self._question, self._files)
        on_text = print_text if self._streams else lambda _: None
        await self._reply.read(self._model, messages, on_text, _print_remark)

    async def _logged(self, ask: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await ask()
        except BaseException as error:
            stopped = isinstance(error, asyncio.CancelledError)
            self._log("Stopped." if stopped else str(error) or type(error).__name__)
            raise
        self._log(None)

    def _log(self, error: str | None) -> None:
        if self._talk is None:
            return
        try:
            question = with_names(self._question, self._files)
            self._talk.add(self._conversation, self._reply.exchange(question, error))
        except LogError as problem:
            error_console().print(printable(str(problem)))

    def _finish_text(self) -> None:
        text = self._reply.text
        if text:
            print_text("\n" if self._streams else f"{text}\n")
        for file in self._reply.files:
            error_console().print(printable(f"{file['name']}: {file['url']}"))
        if self._streams and text != self._reply.streamed:
            error_console().print(
                "The Space revised text that was already printed. `--no-stream` prints the "
                "exact text."
            )
        encoding = sys.stdout.encoding
        if text != text.encode(encoding, "replace").decode(encoding):
            error_console().print(
                f"Standard output is {encoding}, which lacks some characters of the answer; they are "
                "question marks. Set PYTHONIOENCODING=utf-8 for all of them."
            )


def _is_file(stream: TextIO) -> bool:
    """Whether a stream goes to a file, which nobody reads while it is written."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # it is none of the system's
        return False


def _print_remark(event: "SpaceEvent") -> None:
    """Warnings and notices of a call go to standard error, where a script's user finds them."""
    from langchain_qwen_space.events import NoticeEvent, WarningEvent

    if isinstance(event, NoticeEvent | WarningEvent):
        error_console().print(printable(event.message))
