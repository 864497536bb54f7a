"""One try of a call on one Space, from its slot to the last piece of text."""

import asyncio
import logging
import reprlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from langchain_qwen_space.errors import (
    GenerationError,
    ProtocolError,
    QwenSpaceError,
    SpaceTimeoutError,
    StreamInterruptedError,
)
from langchain_qwen_space.events import (
    QueueEvent,
    SpaceEvent,
    StartEvent,
    SystemInQuestionEvent,
    WarningEvent,
    parse,
    space_events,
)
from langchain_qwen_space.space.chat.appends import Appends
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.files import file_data, filled, listed, within
from langchain_qwen_space.space.chat.reply import Fragment, Reply
from langchain_qwen_space.space.page.config import Dependency
from langchain_qwen_space.space.page.values import new_values
from langchain_qwen_space.space.routing.client import SpaceClient
from langchain_qwen_space.space.routing.deadlines import Deadlines
from langchain_qwen_space.space.routing.loading import load_page, session_for
from langchain_qwen_space.space.routing.options import Ask, Prepare
from langchain_qwen_space.space.routing.slots import Line, Slot
from langchain_qwen_space.space.wire.faults import from_output
from langchain_qwen_space.space.wire.pool import Pool
from langchain_qwen_space.space.wire.session import Session
from langchain_qwen_space.space.wire.sse import SSEDecoder
from langchain_qwen_space.space.wire.upload import Upload
from langchain_qwen_space.space.wire.visitor import AnyResponse, Visitor, connection_error

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_REPEATED = 2  # times max_reply_bytes that may be handed out of an answer that is revised


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""


Item = Fragment | SpaceEvent | Finished


class Attempt:
    """One try. A context manager: whatever way it is left, it lets go of all that it holds.

    It holds a slot, a session on the Space and the stream of its events, and is known to the pool,
    which cancels it when the event loop ends. Once the Space has completed the answer, the slot is
    released, whether or not anybody has read that yet.

    Args:
        pool: The running loop's connections.
        client: The Space.
        line: Where calls wait for slots.
        turn: Waits for a slot on the Space.
        slot: This one's slot, if it was waited for already.
        prepare: Makes what is asked, once the endpoint is known.
        end: The loop's time at which the whole call is given up.
        stale: An endpoint of the Space that did not work.
        quiet: Whether the caller knows already what cannot be set on the page.

    Attributes:
        client: The Space.
        slot: The slot on it; None before it was waited for.
        found: The chat on its page, once that is known.
        event_id: The Space's id of the call, likewise.
        model: The model that is asked for, in the Space's own word.
        visitor: Who visits the Space, likewise.
        opened: The stream is open, and what cannot be set on the page was returned.
        spoke: Text was returned.
        over: The time that the caller gives the call is up.
    """

    def __init__(
        self,
        pool: Pool,
        client: SpaceClient,
        line: Line,
        turn: Callable[[], Awaitable[Slot]],
        slot: Slot | None,
        prepare: Prepare,
        end: float | None,
        stale: Endpoint | None,
        quiet: bool,
    ) -> None:
        self.client = client
        self.slot = slot
        self.found: Endpoint | None = None
        self.event_id: str | None = None
        self.model: str | None = None
        self.visitor: Visitor
        self.opened = False
        self.spoke = False
        self.over = False
        self._pool, self._line, self._turn = pool, line, turn
        self._options = client.options
        self._prepare = prepare
        self._deadlines = Deadlines(client.options, end, self._expire)
        self._stale = stale
        self._quiet = quiet
        self._endpoint: Endpoint
        self._session: Session | None = None
        self._hash = secrets.token_hex(8)
        self._steps: list[Dependency] = []  # those that are still to be run
        self._step: Dependency
        self._values: dict[int, Any] = {}  # of the page's components, by id
        self._changed: dict[int, Any] = {}  # what is set on the page, by index of the input
        self._before: tuple[int, list[Any]] | None = None  # a function to call first
        self._events: list[SpaceEvent] = []  # what could not be set on the page as it was given
        self._upload: Upload | None = None
        self._has_files = False  # among what is asked
        self._decoder: SSEDecoder
        self._reply: Reply | None = None
        self._appends: Appends
        self._failure: QwenSpaceError | None = None
        self._handed_out = 0  # characters
        self._loop = asyncio.get_running_loop()
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
        session, self._session = self._session, None
        if session is not None:
            session.end()
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
        files = self._reply.files if self._reply else []
        return [self._redacted(listed(file, self._endpoint.config)) for file in files]

    async def next(self) -> list[Item] | None:
        """Continue until something has arrived; None at the end. The last item is `Finished`.

        Raises:
            QwenSpaceError: See `errors`.
        """
        session = self._session
        if self._failure is not None:
            raise self._failure
        if session is None:
            return await self._in_time(self._open())
        if session.complete:
            await session.drain()
            if not self._steps:
                return None
            await self._in_time(self._start_step())
            return []
        assert session.stream is not None  # noqa: S101
        chunk = await self._read(session.stream)
        items: list[Item] = []
        try:
            self._take_all(session, chunk, items)
        except QwenSpaceError as error:
            if not items:
                raise
            self._failure = error  # what came before it is handed out first
        if self._options.join_fragments and len(items) > 1:
            return _joined(items)
        return items

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, within the time that the whole call may take."""
        try:
            async with asyncio.timeout_at(self._deadlines.end):
                return await work
        except QwenSpaceError:
            raise
        except TimeoutError:
            self.over = True
            raise self._too_late(self._deadlines.too_long) from None

    async def _open(self) -> list[Item]:
        """Read the page, set the values on it, and begin with the chain of its functions.

        Files are sent first, and how far that is comes back; then there is more to be opened.
        """
        if self._upload is None:
            await self._prepare_page()
            self._upload = self._uploading()
        event = await self._upload.progress()
        if event is not None:
            return [event]
        self._place_files(self._upload)
        await self._start_step()
        self._deadlines.joined()
        self.opened = True
        return [] if self._quiet else [*self._events]

    async def _prepare_page(self) -> None:
        """Find the chat, lay the question out on its page, and open the page."""
        self.found, self.visitor = await self.client.endpoint(self._pool, self._stale)
        endpoint = self._endpoint = self.found
        ask = self._prepare(self.client.access.space, endpoint)
        better = endpoint.for_turns(ask.history, ask.files[:-1])
        if better is not endpoint:
            self._endpoint = endpoint = better
            ask = self._prepare(self.client.access.space, endpoint)
        self._lay_out(endpoint, ask)
        await self._take_slot()
        if openings := endpoint.openings(self._values, ask.history, ask.given):
            page = await load_page(self.visitor, self._options, endpoint, self._hash, openings)
            if endpoint.rendered:
                self._endpoint = endpoint = page.endpoint
                ask = self._prepare(self.client.access.space, endpoint)
                self._lay_out(endpoint, ask)
            self._values = page.values_with(self._values, endpoint, self._changed)
        self._reply = Reply(
            endpoint.form,
            len(ask.history),
            ask.query,
            whole=endpoint.config.protocol == "sse_v1",
            max_chars=self._options.max_reply_bytes,
            placeholders=endpoint.placeholders,
        )
        if endpoint.history_fn is not None and ask.history:
            earlier = endpoint.history_form.write(ask.history, ask.files[:-1])
            self._before = (endpoint.history_fn, [earlier])
        self._steps = list(endpoint.steps)
        self._has_files = bool(ask.files)

    def _uploading(self) -> Upload:
        """What sends the files that stand in the page's values and are not on the Space yet."""
        files = dict.fromkeys(within([self._values, self._before]) if self._has_files else ())
        held = [file for file in files if file.data is not None]
        url = self._endpoint.config.api("upload")
        return Upload(self.visitor, url, held, self._options.timeout)

    def _place_files(self, upload: Upload) -> None:
        """Put the files that the Space now has, or is to fetch, into the page's values."""
        if not self._has_files:  # a long history need not be searched
            return
        sent = {
            file: file_data(file, upload.paths.get(file), self._endpoint.config)
            for file in within([self._values, self._before])
        }
        self._values = filled(self._values, sent)
        self._before = self._before and (self._before[0], filled(self._before[1], sent))

    def _lay_out(self, endpoint: Endpoint, ask: Ask) -> None:
        """Set the values of the page as a person would who asks this."""
        self._changed, notes = endpoint.lay_out(
            query=ask.query,
            history=ask.history,
            given=ask.given,
            extra=ask.extra,
            files=ask.files,
        )
        self._values = endpoint.values(self._changed)
        if "model" in endpoint.roles:
            self.model = ask.given.get("model", endpoint.default_model)
        where = self.client.where
        self._events = [WarningEvent(f"{where} {note}.") for note in (*ask.notes, *notes)]
        if ask.system_in_question:
            self._events.append(SystemInQuestionEvent())

    async def _start_step(self) -> None:
        """Join the queue with the chain's next function, and open the stream of its events."""
        self._step = self._steps.pop(0)
        self._decoder = SSEDecoder(self._options.max_reply_bytes)
        self._appends = Appends()
        if self._reply is not None:
            self._reply.next_step()
        await self._take_slot()
        session = self._session = session_for(
            self.visitor, self._options, self._endpoint.config, self._step, self._hash
        )
        before, self._before = self._before, None
        await session.open([self._values[n] for n in self._step.inputs], before)
        self.event_id = session.event_id
        assert session.stream is not None  # noqa: S101
        session.stream.content.on_eof(self._said_all)

    async def _take_slot(self) -> None:
        """Wait for a slot, also where it was released because nobody read the step before."""
        if self.slot is None or self.slot.released is not None:
            began = self._loop.time()
            try:
                self.slot = await self._turn()
            except SpaceTimeoutError:
                self.over = True
                raise
            self._deadlines.waited = self._loop.time() - began

    def _said_all(self) -> None:
        """The Space has closed the stream: it works on the call no longer, read or not."""
        if not self._reading or not self._steps:
            self._release()

    def _release(self) -> None:
        if self.slot is not None:
            self._line.release(self.slot)

    async def _read(self, stream: AnyResponse) -> bytes:
        self._deadlines.begin_read()
        self._reading = True
        try:
            chunk = await stream.content.readany()
        except QwenSpaceError:  # of `_expire`
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise self._interrupted(str(connection_error(error, stream.url))) from error
        finally:
            self._reading = False
            self._deadlines.end_read()
        if not chunk:
            raise self._interrupted("The Space closed the stream before the answer was complete.")
        return chunk

    def _expire(self) -> None:
        """Give the present read up; its reader gets the error at once."""
        what, silence = self._deadlines.reason()
        self.over = not silence
        if self._session is not None and self._session.stream is not None:
            self._session.stream.content.set_exception(self._too_late(what))

    def _too_late(self, what: str) -> SpaceTimeoutError:
        return SpaceTimeoutError(f"{self.client.where} {what}", partial=self.text)

    def _take_all(self, session: Session, chunk: bytes, items: list[Item]) -> None:
        """Read the events of some bytes and add what they bring to `items`."""
        reply = self._reply
        assert reply is not None  # noqa: S101
        grown: list[str] = []  # text that has arrived together, nothing between it
        try:
            for data in self._decoder.feed(chunk):
                if session.complete:
                    break
                fragment = self._appends.fragment(data, reply.tail)
                if fragment is None:
                    self._grow(reply, grown, items)
                    self._take(session, data, items)
                else:
                    grown.append(fragment)
                    if not self._options.join_fragments:
                        self._grow(reply, grown, items)
        finally:
            self._grow(reply, grown, items)

    def _grow(self, reply: Reply, grown: list[str], items: list[Item]) -> None:
        if grown:
            fragment = "".join(grown)
            grown.clear()
            self._hand_out(reply.grow(fragment), items)

    def _take(self, session: Session, data: bytes, items: list[Item]) -> None:
        """Read one event and add what it brings to `items`."""
        reply = self._reply
        assert reply is not None  # noqa: S101
        try:
            message = parse(data)
        except ValueError:
            shown = self._redacted(data[:1000].decode(errors="replace"))
            logger.warning(
                "%s sent an event that cannot be decoded: %.200r", self.client.where, shown
            )
            return
        if message.msg == "unexpected_error":
            session.complete = True
            if session.lost is not None and self.event_id is None:
                raise session.lost  # the Space does not know the call: the join never came there
            said = message.body.get("message")
            why = f" ({said:.300})" if isinstance(said, str) else ""
            raise self._interrupted(f"The Space gave the call up{why}.")
        if message.msg == "close_stream":
            raise self._interrupted("The Space closed the stream before the answer was complete.")
        if self.event_id is None:
            self.event_id = session.event_id = message.event_id  # the answer to the join was lost
        if message.event_id != self.event_id:
            return
        if message.msg == "process_generating" and message.body.get("success", True):
            output = self._output(message.body)
            if output is not _NOTHING:
                self._hand_out(reply.generating(output), items)
                self._appends.learn(data, output, reply.tail)
        elif message.msg in ("process_completed", "process_generating"):
            self._complete(session, message.body, items)
        else:
            assert self.slot is not None  # noqa: S101
            for event in space_events(message):
                if isinstance(event, StartEvent):
                    self._deadlines.moved()
                    self._line.started(self.slot)
                elif isinstance(event, QueueEvent):
                    self._line.queued(self.slot, event)
                items.append(self._redacted(event))

    def _complete(self, session: Session, body: Any, items: list[Item]) -> None:
        assert self._reply is not None  # noqa: S101
        session.complete = True
        output = body.get("output")
        if not body.get("success", True) or (isinstance(output, dict) and output.get("error")):
            quoted = self._endpoint.config.release < (5, 2)
            raise from_output(
                output, body.get("title"), self.client.where, self.text, quoted=quoted
            )
        if not isinstance(output, dict) or "data" not in output:
            raise self._interrupted("The call was cancelled on the Space by somebody else.")
        value = self._output(body)
        if value is not _NOTHING:
            self._hand_out(self._reply.completed(value, last=not self._steps), items)
        if self._steps:
            self._values.update(new_values(self._endpoint.config, self._step, output["data"]))
            return
        if not self._reply.answered:
            msg = (
                f"{self.client.where} completed the call, but {_where_looked(self._endpoint)} "
                f"holds no answer: {reprlib.repr(value)}. If another part of the page holds it, "
                "name the function that answers by start=…; describe() shows what was called."
            )
            raise GenerationError(msg, partial=self.text)
        items.append(Finished())

    def _output(self, body: Any) -> object:
        """The answer's part of an event's output, or `_NOTHING`."""
        index = self._endpoint.output_of(self._step)
        with suppress(LookupError, TypeError):
            if index is not None:
                return body["output"]["data"][index]
        return _NOTHING

    def _hand_out(self, fragments: list[Fragment], items: list[Item]) -> None:
        if fragments:
            if not self.spoke and self.slot is not None:
                self.spoke = True
                self._line.spoke(self.slot)
            self._deadlines.moved()
            items += fragments
            for item in fragments:
                self._handed_out += len(item if isinstance(item, str) else item.text)
            if self._handed_out > _MOST_REPEATED * self._options.max_reply_bytes:
                msg = (
                    f"{self.client.where} revised its answer from the start, over and over. Ask "
                    "again; if answers of this length are wanted, raise max_reply_bytes."
                )
                raise ProtocolError(msg, partial=self.text, is_retryable=False)

    def _redacted(self, value: T) -> T:
        return self.client.access.redacted(value)

    def _interrupted(self, what: str) -> StreamInterruptedError:
        text = self.text
        had = f"{len(text)} characters of it had arrived" if text else "nothing of it had arrived"
        msg = f"The answer of {self.client.where} broke off: {what} ({had}.)"
        return StreamInterruptedError(msg, partial=text)


_NOTHING = object()


def _where_looked(endpoint: Endpoint) -> str:
    component = endpoint.config.component(endpoint.answer)
    return (
        f"its {component.type} {component.label!r}" if component.label else f"its {component.type}"
    )


def _joined(items: list[Item]) -> list[Item]:
    """The same items, with neighbouring text of the same kind joined."""
    joined: list[Item] = []
    texts: list[str] = []
    for item in items:
        if isinstance(item, str):
            texts.append(item)
            continue
        if texts:
            joined.append("".join(texts))
            texts = []
        joined.append(item)
    if texts:
        joined.append("".join(texts))
    return joined
