"""The conversation of `qwen-space chat`: the commands that are typed, and what they do."""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.cli.common import INTERRUPTED, console, printable, reason, wrapped
from langchain_qwen_space.cli.conversation import (
    Conversation,
    Turn,
    attached,
    load,
    names,
    save,
    with_names,
)
from langchain_qwen_space.cli.conversation_log import LogError, LoggedTalk
from langchain_qwen_space.cli.keyboard import (
    block,
    confirmed,
    edited,
    prompt_session,
    unread_keys_wait,
)
from langchain_qwen_space.cli.rendering import show
from langchain_qwen_space.cli.timed_reply import TimedReply
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.options import CallOptions
from langchain_qwen_space.qwen.models import match_model

_LEAVE = {"/bye", "/quit", "/exit", "exit", "quit"}
_SETTINGS = ("temperature", "top_p", "max_tokens", "stop", "timeout")
_DEFAULT = "default"  # sets the system prompt or the model back to the Space's own
# The terminal was closed, or a process manager stops this: what has arrived of an answer is kept.
_ENDS = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
_OLD_QUESTIONS = 1000  # that the arrow keys bring back
HELP = '''\
/retry             ask the last question again
/undo              remove the last question and its answer
/edit [TEXT]       write a message in your editor
/image [FILE]      attach a picture or another file to the next question; no FILE: attach none
/system [TEXT]     show or set the system prompt; "default" is the Space's own
/model [NAME]      list the models, or choose one; "default" is the Space's own
/set NAME [VALUE]  temperature, top_p, max_tokens, stop or timeout; verbose on or off
/show              show the Space, the settings and the log
/save FILE         save the conversation
/load FILE         continue a saved one
/new, /clear       begin a new one
/help, /?          show this text
/bye               leave; so do Ctrl-D, /quit, /exit, exit and quit

Enter sends, Alt-Enter begins a new line; lines between """ and """ are one message.
The arrow keys bring back what you sent. Ctrl-C stops an answer.
To send a message that begins with a slash, type two slashes.'''


async def converse(
    model: ChatQwenSpace,
    conversation: Conversation,
    talk: LoggedTalk | None,
    files: Sequence[dict[str, Any]] = (),
    *,
    verbose: bool,
) -> None:
    """Converse until the person leaves.

    Args:
        model: What answers; `conversation` decides which of the Space's models.
        conversation: How it begins.
        talk: The conversation in the log; None keeps none.
        files: What is attached to the first question.
        verbose: Whether each answer's times are shown.
    """
    chat = _Chat(model, conversation, talk, files, verbose=verbose)
    running = asyncio.ensure_future(chat.run())
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.call_soon_threadsafe(running.cancel)

    with ExitStack() as stack:
        stack.enter_context(unread_keys_wait())
        # Prompts and answers have their own Ctrl-C. Between them it must not end the conversation.
        stack.enter_context(_on_signal(signal.SIGINT, lambda: None))
        for number in _ENDS:
            stack.enter_context(_on_signal(number, end))
        try:
            await running
        except asyncio.CancelledError:
            raise typer.Exit(INTERRUPTED) from None


class _Chat:
    """A conversation with a person at a terminal."""

    def __init__(
        self,
        model: ChatQwenSpace,
        conversation: Conversation,
        talk: LoggedTalk | None,
        files: Sequence[dict[str, Any]],
        *,
        verbose: bool,
    ) -> None:
        self._model = model
        self._files = tuple(files)  # what goes with the next question
        self._now = self._saved = conversation
        self._talk = talk
        self._verbose = verbose
        self._settings: dict[str, Any] = {}
        self._draft = ""  # what the next prompt begins with
        # The last question, if it has no answer.
        self._failed = "" if talk is None else talk.unanswered
        self._console = console()
        self._commands = {
            "/retry": self._retry,
            "/undo": self._undo,
            "/edit": self._edit,
            "/image": self._attach,
            "/system": self._system,
            "/model": self._choose,
            "/set": self._set,
            "/show": self._show,
            "/save": self._save,
            "/load": self._load,
            "/new": self._new,
            "/clear": self._new,
            "/help": self._help,
            "/?": self._help,
        }

    @property
    def _space(self) -> str:
        spaces = self._model.space
        return spaces if isinstance(spaces, str) else ",".join(spaces)

    async def run(self) -> None:
        self._say(f"{self._space}. /help lists the commands; Ctrl-D leaves.")
        if self._now.turns:
            self._say(f"Continuing after {_count(self._now)}. You asked last:")
            self._say(f"> {self._now.turns[-1].user}")
        if self._failed:
            self._say("Your last question has no answer yet; /retry asks it again:")
            self._say(f"> {self._failed}")
        keyboard = prompt_session([*self._commands, "/bye"], self._old_questions())
        while True:
            draft, self._draft = self._draft, ""
            try:
                text = (await keyboard.prompt_async(default=draft)).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                text = "/bye"
            if text in _LEAVE:
                if await self._may_leave():
                    return
            elif (quoted := block(text)) is not None:
                await self._ask(quoted)
            elif text.startswith("//"):
                await self._ask(text[1:])
            elif text.startswith("/"):
                await self._obey(text)
            elif text:
                await self._ask(text)

    def _old_questions(self) -> list[str]:
        if self._talk is None:
            return []
        try:
            return self._talk.log.questions(_OLD_QUESTIONS)
        except LogError as error:
            self._lose_log(error)
            return []

    async def _obey(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._say(f"There is no {name}; /help lists the commands.")
        elif command in (self._retry, self._edit):  # which ask, and so stop by themselves
            await command(rest.strip())
        else:
            await self._stoppable(command(rest.strip()))

    async def _ask(self, question: str) -> None:
        if not question.strip():
            return
        before, reply, files = self._now, TimedReply(), self._files
        settings = {**self._settings, "model": before.model}

        async def answer() -> None:
            messages = before.messages(question, files)
            await show(self._model, messages, reply, self._console, settings)

        asked = with_names(question, files)
        self._log(lambda talk: talk.begin(before, asked))
        error: str | None = "Stopped."
        try:
            error = await self._stoppable(answer())
        finally:  # also if the process has to end, or the terminal is gone
            self._failed = question
            if reply.text or error is None:
                turns = (*before.turns, Turn(question, reply.text, files))
                self._now = replace(before, turns=turns)
                self._failed, self._files = "", ()
            if self._log(lambda talk: talk.add(before, reply.exchange(asked, error))):
                self._saved = self._now
        if self._verbose and error is None:
            self._say(reply.timings())
        self._console.print()

    async def _stoppable(self, work: Coroutine[Any, Any, None]) -> str | None:
        """Do `work`, unless Ctrl-C stops it or it fails, and say so; returns why it is not done."""
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def cancel() -> None:  # once: a second Ctrl-C must not disturb the clean-up
            if not task.cancelling():
                task.cancel()

        with _on_signal(signal.SIGINT, lambda: loop.call_soon_threadsafe(cancel)):
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:  # the process has to end
                cancel()
                await asyncio.wait([task])
                raise
        if task.cancelled():
            self._say("Stopped.")
            return "Stopped."
        error = task.exception()
        if error is None:
            return None
        if isinstance(error, QwenSpaceError):
            self._console.print(printable(str(error)), style="red")
            self._say(advice(error))
        elif isinstance(error, OSError):
            name = f"{error.filename}: " if error.filename else ""
            self._console.print(printable(f"{name}{reason(error)}."), style="red")
        elif isinstance(error, Exception):  # whatever it is, the conversation is worth more
            self._console.print(
                printable(f"That failed: {type(error).__name__}: {error}"), style="red"
            )
        else:
            raise error
        return str(error) or type(error).__name__

    def _log(self, write: Callable[[LoggedTalk], None]) -> bool:
        """Write to the log; returns whether that was done."""
        if self._talk is None:
            return False
        try:
            write(self._talk)
        except LogError as error:
            self._lose_log(error)
            return False
        return True

    def _lose_log(self, error: LogError) -> None:
        self._talk = None
        self._console.print(printable(f"{error} This conversation is not kept."), style="red")
        self._say("/save keeps it in a file.")

    # The commands; each gets what follows its name.

    async def _retry(self, _: str) -> None:
        question = self._failed
        if not question:
            if not self._now.turns:
                self._say("There is no question to ask again.")
                return
            question = self._now.turns[-1].user
            self._take_back()
        await self._ask(question)

    async def _undo(self, _: str) -> None:
        if not self._now.turns:
            self._say("There is nothing to undo.")
            return
        self._draft = self._now.turns[-1].user
        self._take_back()
        self._say(f"Undone; {_count(self._now)} left. Your question is on the input line.")

    def _take_back(self) -> None:
        self._failed, self._files = "", self._now.turns[-1].files
        self._now = replace(self._now, turns=self._now.turns[:-1])
        if self._log(LoggedTalk.undo):
            self._saved = self._now

    async def _edit(self, text: str) -> None:
        async def edit() -> None:
            nonlocal text
            text = edited(text or self._failed)

        if await self._stoppable(edit()) is None:
            if text:
                self._say(f"> {text}")
                await self._ask(text)
            else:
                self._say("It is empty; nothing was sent.")

    async def _attach(self, name: str) -> None:
        if name:
            self._files += (attached(_path(name)),)
        else:
            self._files = ()
        self._say(f"Attached to your next question: {names(self._files) or 'nothing'}")

    async def _system(self, text: str) -> None:
        if text:
            quoted = block(text)
            system = None if text == _DEFAULT else text if quoted is None else quoted
            self._now = replace(self._now, system=system)
        self._say(f"System prompt: {_default(self._now.system)}")

    async def _choose(self, name: str) -> None:
        offered = await self._model.alist_models()
        choice = match_model(name, offered) if name else None
        if choice is not None or name == _DEFAULT or (name and not offered):
            self._now = replace(self._now, model=choice or (None if name == _DEFAULT else name))
            self._say(f"Model: {_default(self._now.model)}")
            return
        if name:
            self._say(f"The Space offers no model {name!r}.")
        self._say(f"Models: {', '.join(offered) or 'the Space offers no choice'}")
        self._say(f"Now: {_default(self._now.model)}")

    async def _set(self, text: str) -> None:
        name, _, value = text.removeprefix("parameter ").strip().partition(" ")
        value = value.strip()
        if name in ("verbose", "quiet"):
            self._verbose = (name == "verbose") == (value != "off")
        elif name == "system":
            await self._system(value)
            return
        elif name in _SETTINGS:
            self._set_parameter(name, value)
        else:
            self._say(f"Settings: {', '.join(_SETTINGS)}, verbose")
            return
        self._say(self._settings_now())

    def _set_parameter(self, name: str, value: str) -> None:
        if not value:
            self._settings.pop(name, None)
            return
        try:
            read = value if name == "stop" else json.loads(value)
        except ValueError:
            raise InvalidInputError(f"{name}: {value} is not a number.") from None
        CallOptions.of({}, None, {name: read})  # which checks it
        self._settings[name] = read

    def _settings_now(self) -> str:
        given = {name: getattr(self._model, name) for name in _SETTINGS} | self._settings
        parts = [f"{name} {value}" for name, value in given.items() if value is not None]
        parts.append(f"verbose {'on' if self._verbose else 'off'}")
        return f"Settings: {', '.join(parts)}"

    async def _show(self, _: str) -> None:
        self._say(f"Space: {self._space}")
        self._say(f"Model: {_default(self._now.model)}")
        self._say(f"System prompt: {_default(self._now.system)}")
        self._say(self._settings_now())
        self._say(f"This conversation: {_count(self._now)}")
        if self._talk is None:
            self._say("Log: this conversation is not kept")
        else:
            number = "" if self._talk.number is None else f", conversation {self._talk.number}"
            self._say(f"Log: {self._talk.log.path}{number}")

    async def _save(self, name: str) -> None:
        if not name:
            self._say("Say where: /save FILE")
            return
        path = _path(name)
        try:
            save(self._now, path)
        except FileExistsError:
            if not await confirmed(f"{path} exists. Overwrite it? [y/N] "):
                self._say("Not saved.")
                return
            save(self._now, path, overwrite=True)
        self._saved = self._now
        self._say(f"Saved to {path}.")

    async def _load(self, name: str) -> None:
        if not name:
            self._say("Say from where: /load FILE")
            return
        loaded = load(_path(name))
        if await self._may_forget():
            self._begin(loaded)
            self._say(f"Loaded {_count(loaded)}.")

    async def _new(self, _: str) -> None:
        if await self._may_forget():
            self._begin(replace(self._now, turns=()))
            self._say("A new conversation.")

    def _begin(self, conversation: Conversation) -> None:
        self._now = self._saved = conversation
        self._failed, self._files = "", ()
        if self._talk is not None:
            self._talk = LoggedTalk(self._talk.log, self._talk.space)

    async def _help(self, _: str) -> None:
        self._say(HELP)

    async def _may_forget(self) -> bool:
        return self._is_kept or await confirmed(
            "This conversation is not saved. Discard it? [y/N] "
        )

    async def _may_leave(self) -> bool:
        return self._is_kept or await confirmed(
            "This conversation is not saved. Leave? [y/N] ",
            ctrl_d=True,  # a terminal that is gone repeats this forever
        )

    @property
    def _is_kept(self) -> bool:
        return self._now.turns == self._saved.turns or not self._now.turns

    def _say(self, text: str) -> None:
        if text:
            self._console.print(wrapped(printable(text), self._console.width), style="dim")


def _default(value: str | None) -> str:
    return "the Space's own" if value is None else value


def _count(conversation: Conversation) -> str:
    turns = len(conversation.turns)
    return f"{turns} turn{'' if turns == 1 else 's'}"


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise InvalidInputError(f"{name}: there is no such user.") from None


@contextmanager
def _on_signal(number: int, act: Callable[[], object]) -> Iterator[None]:
    before = signal.signal(number, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(number, before)
