"""The steps of `qwen-space doctor`, each of them timed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from yarl import URL

from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.cli.timed_reply import TimedReply
from langchain_qwen_space.errors import ProtocolError, QwenSpaceError
from langchain_qwen_space.events import QueueEvent, SpaceEvent, WarningEvent
from langchain_qwen_space.qwen import tokens
from langchain_qwen_space.space.chat.description import SpaceDescription
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.routing.target import SpaceTarget
from langchain_qwen_space.space.wire.client import SpaceClient
from langchain_qwen_space.space.wire.pool import current_pool


@dataclass(frozen=True, slots=True)
class Step:
    """One step, done or failed.

    Attributes:
        name: What was done.
        ok: Whether it went well.
        seconds: How long it took.
        detail: What came of it, in words.
    """

    name: str
    ok: bool
    seconds: float
    detail: str = ""


class Examination:
    """Uses a Space step by step, and keeps what each step took.

    Args:
        model: What is examined; its `on_event` is taken.
        space: Its one Space.
        question: What the call asks.
        report: Called with each step when it is over.

    Attributes:
        space: The Space.
        steps: The steps so far.
        detected: What was read off the Space; None before that.
        endpoint: The same, as calls use it.
        answer: The text of the answer so far.
    """

    def __init__(
        self, model: ChatQwenSpace, space: str, question: str, report: Callable[[Step], None]
    ) -> None:
        self._model, self._question, self._report = model, question, report
        self.space = space
        self._doing = "find the Space"
        self._since = 0.0
        self._remarks: list[str] = []
        self.steps: list[Step] = []
        self.detected: SpaceDescription | None = None
        self.endpoint: Endpoint | None = None
        self.answer = ""

    async def run(self) -> None:
        """Take all steps.

        Raises:
            QwenSpaceError: A step failed; it is the last of `steps`.
        """
        await asyncio.to_thread(tokens.load)  # a vocabulary's loading is no part of any step
        self._since = time.perf_counter()
        try:
            await self._understand()
            await self._call()
        except QwenSpaceError as error:
            self._over(str(error), ok=False)
            raise

    async def _understand(self) -> None:
        target = self._model._target()  # noqa: SLF001
        observed = _ObservedTarget(target, self._found)
        endpoint, _ = await observed.visit(await current_pool())
        self.endpoint = endpoint
        self.detected = await self._model.adescribe()
        self._over(str(self.detected))

    def _found(self, url: URL) -> None:
        self._over(f"  {url}")
        self._doing = "read and understand its configuration"

    async def _call(self) -> None:
        self._doing = "join the queue"
        reply = TimedReply()
        try:
            await reply.read(self._model, [("human", self._question)], self._listen, self._hear)
        finally:
            self.answer = reply.text
        if not self.answer:
            raise ProtocolError("The answer is empty.")
        self._over(f"  {len(self.answer)} characters")

    def _hear(self, event: SpaceEvent) -> None:
        if isinstance(event, WarningEvent):
            self._remarks.append(event.message)
        elif self._doing == "join the queue":
            place = f"  {event.rank} before this call" if isinstance(event, QueueEvent) else ""
            self._over("\n".join([place, *self._remarks]).strip("\n"))
            self._doing = "wait for the first chunk"

    def _listen(self, _: str) -> None:
        if self._doing != "read the whole answer":
            self._over("")
            self._doing = "read the whole answer"

    def _over(self, detail: str, *, ok: bool = True) -> None:
        now = time.perf_counter()
        step = Step(self._doing, ok, now - self._since, detail)
        self._since = now
        self.steps.append(step)
        self._report(step)


class _ObservedTarget(SpaceTarget):
    """A target that reports where the Space runs, once the app there has answered a request."""

    def __init__(self, target: SpaceTarget, found: Callable[[URL], None]) -> None:
        super().__init__(target.access, target.options)
        self._found = found

    async def _config(self, client: SpaceClient, base: URL) -> object:
        try:
            config = await super()._config(client, base)
        except QwenSpaceError as error:
            if error.status is not None:
                self._found(base)
            raise
        self._found(base)
        return config
