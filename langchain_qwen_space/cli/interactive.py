"""The conversation of `qwen-space chat`: what is typed, and what becomes of it."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import NestedCompleter, PathCompleter
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.cli.answering import Reply
from langchain_qwen_space.cli.common import console, printable
from langchain_qwen_space.cli.conversation import Conversation, Turn, load, save
from langchain_qwen_space.cli.rendering import show
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.qwen.models import match_model

_LEAVE = {"/bye", "/quit", "/exit", "exit", "quit"}
HELP = """\
/system [TEXT]  show or set the system prompt
/model [NAME]   list the models, or choose one
/save FILE      save the conversation
/load FILE      continue a saved one
/new            start a new one
/help           this text
/bye            leave; so do Ctrl-D, /quit, /exit, exit and quit

Enter sends, Alt-Enter begins a new line, the arrow keys bring back what you sent.
Ctrl-C stops an answer. A message that begins with a slash is sent if you type two."""


async def converse(model: ChatQwenSpace, conversation: Conversation) -> None:
    """Converse until the person leaves.

    Args:
        model: What answers; `conversation` has the say on which of the Space's models.
        conversation: How it begins.
    """
    with _unread_keys_wait():
        await _Chat(model, conversation).run()


class _Chat:
    """A conversation with a person at a terminal."""

    def __init__(self, model: ChatQwenSpace, conversation: Conversation) -> None:
        self._model = model
        self._now = self._saved = conversation
        self._console = console()
        self._commands = {
            "/system": self._system,
            "/model": self._choose,
            "/save": self._save,
            "/load": self._load,
            "/new": self._new,
            "/help": self._help,
        }
        self._input: PromptSession[str] = PromptSession(
            "> ",
            multiline=True,
            key_bindings=_keys(),
            completer=NestedCompleter.from_nested_dict(
                {
                    **dict.fromkeys([*self._commands, "/bye"]),
                    "/save": PathCompleter(expanduser=True),
                    "/load": PathCompleter(expanduser=True),
                }
            ),
            complete_while_typing=False,
        )

    async def run(self) -> None:
        spaces = self._model.space
        where = spaces if isinstance(spaces, str) else ", ".join(spaces)
        self._say(f"{where}. /help tells what you can do; Ctrl-D leaves.")
        while True:
            try:
                text = (await self._input.prompt_async()).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                text = "/quit"
            if text in _LEAVE:
                if await self._may_leave():
                    return
            elif text.startswith("//"):
                await self._ask(text[1:])
            elif text.startswith("/"):
                name, _, rest = text.partition(" ")
                command = self._commands.get(name)
                if command is None:
                    self._say(f"There is no {name}; /help lists the commands.")
                else:
                    await self._stoppable(command(rest.strip()))
            elif text:
                await self._ask(text)

    async def _ask(self, question: str) -> None:
        reply = Reply()
        settings = {} if self._now.model is None else {"model": self._now.model}
        whole = await self._stoppable(
            show(self._model, self._now.messages(question), reply, self._console, settings)
        )
        if reply.text or whole:
            turn = Turn(question, reply.text)
            self._now = replace(self._now, turns=(*self._now.turns, turn))
        self._console.print()

    async def _stoppable(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do `work`, unless Ctrl-C stops it or it fails, and say so; returns whether it was done."""
        task = asyncio.ensure_future(work)
        with _ctrl_c_cancels(task):
            await asyncio.wait([task])
        if task.cancelled():
            self._say("Stopped.")
            return False
        error = task.exception()
        if isinstance(error, QwenSpaceError):
            self._console.print(printable(str(error)), style="red")
            self._say(advice(error))
        elif isinstance(error, OSError):
            self._console.print(str(error), style="red")
        elif isinstance(error, Exception):  # whatever it is, the conversation is worth more
            self._console.print(
                printable(f"That failed: {type(error).__name__}: {error}"), style="red"
            )
        elif error is not None:
            raise error
        return error is None

    # The commands; each gets what follows its name.

    async def _system(self, text: str) -> None:
        if text:
            self._now = replace(self._now, system=text)
        self._say(f"System prompt: {self._now.system or 'the default'}")

    async def _choose(self, name: str) -> None:
        offered = await self._model.alist_models()
        choice = match_model(name, offered) if name else None
        if choice is not None or (name and not offered):
            self._now = replace(self._now, model=choice or name)
            self._say(f"Model: {self._now.model}")
            return
        if name:
            self._say(f"The Space offers no model {name!r}.")
        self._say(f"Models: {', '.join(offered) or 'the Space offers no choice'}")
        self._say(f"Now: {self._now.model or 'its default'}")

    async def _save(self, name: str) -> None:
        if not name:
            self._say("Say where: /save FILE")
            return
        path = _path(name)
        try:
            save(self._now, path)
        except FileExistsError:
            if not await _yes(f"{path} exists. Overwrite it? [y/N] "):
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
            self._now = self._saved = loaded
            turns = len(loaded.turns)
            self._say(f"Loaded {turns} turn{'' if turns == 1 else 's'}.")

    async def _new(self, _: str) -> None:
        if await self._may_forget():
            self._now = self._saved = replace(self._now, turns=())
            self._say("A new conversation.")

    async def _help(self, _: str) -> None:
        self._say(HELP)

    async def _may_forget(self) -> bool:
        return (
            self._now == self._saved
            or not self._now.turns
            or await _yes("This conversation is not saved. Forget it? [y/N] ")
        )

    async def _may_leave(self) -> bool:
        return (
            self._now == self._saved
            or not self._now.turns
            or await _yes(
                "This conversation is not saved. Leave? [y/N] ",
                ctrl_d=True,  # a terminal that is gone repeats this forever
            )
        )

    def _say(self, text: str) -> None:
        if text:
            self._console.print(printable(text), style="dim")


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise InvalidInputError(f"{name}: there is no such user.") from None


def _keys() -> KeyBindings:
    """Enter sends, Alt-Enter begins a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    @keys.add("c-j")  # so arrives an Enter that was typed before the prompt was there
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


async def _yes(question: str, *, ctrl_d: bool = False) -> bool:
    """Whether the person types y; anything else, Ctrl-C too, is a no. `ctrl_d` is what Ctrl-D is."""
    try:
        answer: str = await PromptSession[str]().prompt_async(question)
    except KeyboardInterrupt:
        return False
    except EOFError:
        return ctrl_d
    return answer.strip().lower() in ("y", "yes")


@contextmanager
def _ctrl_c_cancels(task: "asyncio.Task[Any]") -> Iterator[None]:
    """Ctrl-C cancels `task`, once: a second one must not disturb its clean-up."""
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(cancel))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _unread_keys_wait() -> Iterator[None]:
    """What is typed during an answer does not show in it: it waits, as it is, for the next prompt."""
    try:
        import termios
    except ImportError:  # Windows, which does so by itself
        yield
        return
    before = termios.tcgetattr(0)
    quiet = [*before]
    quiet[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON)
    termios.tcsetattr(0, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)
