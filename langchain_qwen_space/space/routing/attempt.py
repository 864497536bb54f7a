"""One try of a call on one Space, from its slot to the last piece of text."""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from langchain_qwen_space.errors import QwenSpaceError, SpaceTimeoutError
from langchain_qwen_space.events import QueueEvent, StartEvent
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.files import listed
from langchain_qwen_space.space.chat.reply import Reply, Thought
from langchain_qwen_space.space.routing.answer import AnswerReader, Item, joined
from langchain_qwen_space.space.routing.deadlines import Deadlines
from langchain_qwen_space.space.routing.filled_page import FilledPage
from langchain_qwen_space.space.routing.opening import run_of
from langchain_qwen_space.space.routing.options import Prepare
from langchain_qwen_space.space.routing.slots import Slot, SlotQueue
from langchain_qwen_space.space.routing.target import SpaceTarget
from langchain_qwen_space.space.wire.client import AnyResponse, SpaceClient, connection_error
from langchain_qwen_space.space.wire.function_run import FunctionRun
from langchain_qwen_space.space.wire.pool import Pool
from langchain_qwen_space.space.wire.upload import Upload

T = TypeVar("T")


class Attempt:
    """One try. A context manager: whatever way it is left, it lets go of all that it holds.

    It holds a slot, the run of a function on the Space and the stream of its events, and is known
    to the pool, which cancels it when the event loop ends. Once the Space has completed the answer,
    the slot is released, whether or not anybody has read that yet.

    Args:
        pool: The running loop's connections.
        target: The Space.
        slot_queue: Where calls wait for slots.
        wait_for_slot: Waits for a slot on the Space.
        slot: This one's slot, if it was waited for already.
        prepare: Makes what is asked, once the endpoint is known.
        end: The loop's time at which the whole call is given up.
        stale: An endpoint of the Space that did not work.
        quiet: Whether the caller knows already what cannot be set on the page.

    Attributes:
        target: The Space.
        slot: The slot on it; None before it was waited for.
        found: The chat on its page, once that is known.
        client: What makes requests to the Space, likewise.
        opened: The stream is open, and what cannot be set on the page was returned.
        spoke: Text was returned.
        out_of_time: A limit was reached after which nothing is retried.
    """

    def __init__(
        self,
        pool: Pool,
        target: SpaceTarget,
        slot_queue: SlotQueue,
        wait_for_slot: Callable[[], Awaitable[Slot]],
        slot: Slot | None,
        prepare: Prepare,
        end: float | None,
        stale: Endpoint | None,
        quiet: bool,
    ) -> None:
        self.target = target
        self.slot = slot
        self.found: Endpoint | None = None
        self.client: SpaceClient
        self.opened = False
        self.spoke = False
        self.out_of_time = False
        self._pool, self._slot_queue, self._wait_for_slot = pool, slot_queue, wait_for_slot
        self._options = target.options
        self._prepare = prepare
        self._deadlines = Deadlines(target.options, end, self._expire)
        self._deadlines.waited = slot.waited if slot else 0.0
        self._stale = stale
        self._quiet = quiet
        self._hash = secrets.token_hex(8)
        self._page: FilledPage
        self._upload: Upload | None = None
        self._reply: Reply | None = None
        self._reader: AnswerReader
        self._run: FunctionRun | None = None
        self._failure: QwenSpaceError | None = None
        self._late: tuple[str, bool] | None = None  # why a read was given up
        self._reading = True  # somebody waits for the Space

    def __enter__(self) -> Self:
        self._pool.enter(self.leave)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Let go of everything: cancel the call, queued or running, unless it is complete.

        To be called in the call's loop; again it does nothing.
        """
        self._release()
        self._deadlines.stop()
        if self._upload is not None:
            self._upload.end()
        run, self._run = self._run, None
        if run is not None:
            run.end()
        self._pool.exit(self.leave)

    @property
    def text(self) -> str:
        """The answer as it stands on the Space."""
        return self._reply.answer.text if self._reply else ""

    @property
    def exact(self) -> tuple[str, str] | None:
        """The text and the thoughts, if the Space took back any text that was handed out."""
        if self._reply is None or not self._reply.revised:
            return None
        return self._reply.answer.text, self._reply.thoughts.text

    @property
    def files(self) -> list[dict[str, str]]:
        """The files in the completed answer: `name`, `url`, and `mime_type` where it is known."""
        if self._reply is None:
            return []
        config, redacted = self._page.endpoint.config, self.target.access.redacted
        files = [redacted(listed(file, config)) for file in self._reply.files]
        beside = itertools.chain(*self._reader.beside.values())
        others = [redacted(listed(file, config)) for file in beside]
        return [*files, *(file for file in others if file not in files)]

    @property
    def event_id(self) -> str | None:
        """The Space's id of the call, once it is known."""
        return self._reader.event_id if self._reply else None

    @property
    def model(self) -> str | None:
        """The model that is asked for, in the Space's own word."""
        return self._page.model

    async def next(self) -> list[Item] | None:
        """Continue until something has arrived; None at the end. The last item is `Finished`.

        Raises:
            QwenSpaceError: See `errors`.
        """
        run = self._run
        if self._failure is not None:
            raise self._failure
        if run is None:
            return await self._in_time(self._open())
        if run.done:
            await run.drain()
            if not self._page.steps:
                return None
            await self._in_time(self._start_step())
            return []
        assert run.stream is not None  # noqa: S101
        chunk = await self._read(run.stream)
        items: list[Item] = []
        try:
            self._reader.read(chunk, items)
        except QwenSpaceError as error:
            if not items:
                raise
            self._failure = error  # what came before it is handed out first
        if self._options.join_fragments and len(items) > 1:
            items = joined(items)
        self._notice(items)
        return items

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, within the time that the whole call may take."""
        try:
            async with asyncio.timeout_at(self._deadlines.end):
                return await work
        except QwenSpaceError:
            raise
        except TimeoutError:
            self.out_of_time = True
            raise self._too_late(self._deadlines.too_long) from None

    async def _open(self) -> list[Item]:
        """Read the page, set the values on it, and begin with the chain of its functions.

        While files are uploaded, it returns their progress and has to be called again.
        """
        if self._upload is None:
            self.found, self.client = await self.target.visit(self._pool, self._stale)
            self._page = FilledPage(self.target, self.client, self.found, self._prepare, self._hash)
            await self._page.check()
            await self._take_slot()
            self._reply = await self._page.open_page()
            self._reader = AnswerReader(self.target, self._page, self._reply)
            self._upload = self._page.upload()
        event = await self._upload.progress()
        if event is not None:
            return [event]
        self._page.place_files(self._upload)
        await self._start_step()
        self.opened = True
        return [] if self._quiet else [*self._page.events]

    async def _start_step(self) -> None:
        """Join the queue with the chain's next function, and open the stream of its events."""
        step, arguments, before = self._page.next_step()
        await self._take_slot()
        run = self._run = run_of(
            self.client, self._options, self._page.endpoint.config, step, self._hash
        )
        await run.open(arguments, before)
        self._reader.begin(step, run)
        assert run.stream is not None  # noqa: S101
        run.stream.content.on_eof(self._said_all)
        self._deadlines.joined()

    async def _take_slot(self) -> None:
        """Wait for a slot, also where it was released because nobody read the step before."""
        if self.slot is None or self.slot.released is not None:
            try:
                self.slot = await self._wait_for_slot()
            except SpaceTimeoutError:
                self.out_of_time = True
                raise
            self._deadlines.waited += self.slot.waited

    def _said_all(self) -> None:
        """The Space has closed the stream: it works on the call no longer, read or not."""
        if not self._reading or not self._page.steps:
            self._release()

    def _release(self) -> None:
        if self.slot is not None:
            self._slot_queue.release(self.slot)

    async def _read(self, stream: AnyResponse) -> bytes:
        self._deadlines.begin_read()
        self._reading = True
        try:
            chunk = await stream.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if self._late is not None:
                what, silence = self._late
                self.out_of_time = not silence
                raise self._too_late(what) from None
            raise self._reader.interrupted(str(connection_error(error, stream.url))) from error
        finally:
            self._reading = False
            self._deadlines.end_read()
        if not chunk:
            msg = "The Space closed the stream before the answer was complete."
            raise self._reader.interrupted(msg)
        return chunk

    def _expire(self) -> None:
        """Give the present read up: its reader finds the connection closed."""
        self._late = self._deadlines.reason()
        if self._run is not None and self._run.stream is not None:
            self._run.stream.close()

    def _too_late(self, what: str) -> SpaceTimeoutError:
        return SpaceTimeoutError(f"{self.target.where} {what}", partial=self.text)

    def _notice(self, items: list[Item]) -> None:
        """Let the queue of calls and the clock know what has arrived."""
        assert self.slot is not None  # noqa: S101
        for item in items:
            if isinstance(item, QueueEvent):
                self._slot_queue.queued(self.slot, item)
            elif isinstance(item, StartEvent):
                self._deadlines.moved()
                self._slot_queue.started(self.slot)
            elif isinstance(item, str | Thought):
                self._deadlines.moved()
                if not self.spoke:
                    self.spoke = True
                    self._slot_queue.spoke(self.slot)
