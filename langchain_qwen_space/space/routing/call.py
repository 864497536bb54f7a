"""One call on a Space, from its place in the queue to the last piece of text."""

import asyncio
import logging
import reprlib
import secrets
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from langchain_qwen_space.errors import (
    GenerationError,
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceAuthenticationError,
    SpaceNotFoundError,
    SpaceTimeoutError,
    SpaceUnavailableError,
    StreamInterruptedError,
)
from langchain_qwen_space.events import (
    RetryEvent,
    SpaceEvent,
    WakeEvent,
    WarningEvent,
    parse,
    told,
)
from langchain_qwen_space.space.chat.appends import Appends
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.files import file_data, filled, within
from langchain_qwen_space.space.chat.reply import Fragment, Reply
from langchain_qwen_space.space.page.config import Dependency
from langchain_qwen_space.space.page.values import new_values
from langchain_qwen_space.space.routing.client import Ask, Prepare, SpaceClient
from langchain_qwen_space.space.routing.deadlines import Deadlines
from langchain_qwen_space.space.routing.hub import SpaceAsleepError
from langchain_qwen_space.space.routing.loading import load_page
from langchain_qwen_space.space.routing.retries import Retries
from langchain_qwen_space.space.routing.slots import Slots, slots_for
from langchain_qwen_space.space.wire.faults import from_output
from langchain_qwen_space.space.wire.pool import Pool, connection_error, current_pool
from langchain_qwen_space.space.wire.session import Session
from langchain_qwen_space.space.wire.sse import SSEDecoder
from langchain_qwen_space.space.wire.upload import Upload

logger = logging.getLogger(__name__)

T = TypeVar("T")

_WAKE_POLL = 2.0  # seconds between two looks at a Space that is starting
_MOST_REPEATED = 2  # times max_reply_bytes that may be handed out of an answer that is revised
_CHANGED = (404, 422, 500)  # what a Space answers to a function that it no longer has


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete."""


Item = Fragment | SpaceEvent | Finished


class Call:
    """One call. Iterate over `run()`; `leave()` ends it at any time, at once.

    Args:
        client: The Space.
        prepare: Makes what is asked, once the endpoint is known.
        end: The loop's time at which `total_timeout` is up; None is without limit.

    Attributes:
        client: The Space.
        over: The time that the caller gives the call is up.
    """

    def __init__(self, client: SpaceClient, prepare: Prepare, end: float | None = None) -> None:
        self.client = client
        self._end_at = end
        self._options = client.options
        self._prepare = prepare
        self._pool: Pool
        self._loop: asyncio.AbstractEventLoop
        self._slots: Slots | None = None
        self._endpoint: Endpoint | None = None
        self._stale: Endpoint | None = None
        self.event_id: str | None = None
        self.model: str | None = None
        self._session: Session | None = None
        self._hash = ""
        self._steps: list[Dependency] = []  # those that are still to be run
        self._step: Dependency
        self._values: dict[int, Any] = {}  # of the page's components, by id
        self._changed: dict[int, Any] = {}  # what is set on the page, by index of the input
        self._before: tuple[int, list[Any]] | None = None  # a function to call first
        self._upload: Upload | None = None
        self._decoder: SSEDecoder
        self._reply: Reply | None = None
        self._appends: Appends
        self._deadlines: Deadlines
        self._failure: QwenSpaceError | None = None
        self._spoke = False  # text was returned
        self._handed_out = 0  # characters
        self.over = False
        self._woken: float | None = None  # since when a Space that is asleep is waited for
        self._warned = False
        self._notes: list[str] = []  # what could not be set on the page
        self._logged_in_anew = False
        self._left = False

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

    async def run(self) -> AsyncGenerator[list[Item]]:
        """Make the call and yield what arrives, in batches of what has arrived together.

        The last item is `Finished`. Leaving the iteration cancels the call on the Space.

        Raises:
            QwenSpaceError: See `errors`; `partial` holds the text until then.
        """
        self._loop = asyncio.get_running_loop()
        self._pool = await current_pool()
        self._pool.enter(self.leave)
        options = self._options
        retries = Retries(options.max_retries)
        self._deadlines = Deadlines(
            options.timeout,
            options.queue_timeout,
            options.total_timeout,
            self._end_at,
            self._expire,
        )
        try:
            while True:
                try:
                    batch = await self._next()
                except QwenSpaceError as error:
                    error.partial = error.partial or self.text
                    if self._spoke or self.over:
                        raise
                    event: SpaceEvent
                    if await self._has_changed(error):
                        event, pause = RetryEvent(str(error), 0.0, retries.attempt + 1), 0.0
                    else:
                        event, pause = self._pause(error, retries)
                    self._end()
                    yield [event]
                    await asyncio.sleep(pause)
                    continue
                if batch is None:
                    return
                if batch:
                    yield batch
        finally:
            self.leave()

    def leave(self) -> None:
        """End the call, queued or running: close its connection and tell the Space.

        Does nothing for a call that is finished or left. To be called in the call's loop.
        """
        if not self._left:
            self._left = True
            self._end()
            self._pool.exit(self.leave)

    async def _next(self) -> list[Item] | None:
        """Continue until something has arrived; None at the end."""
        session = self._session
        if session is None or session.stream is None:
            return await self._in_time(self._open())
        if self._failure is not None:
            raise self._failure
        if session.complete:
            await session.drain()
            if not self._steps:
                return None
            await self._in_time(self._start_step())
            return []
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
            raise self._too_late(self._deadlines.too_long) from None

    async def _open(self) -> list[Item]:
        """Take a place in the Space's queue and open the stream of the call's events.

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
        self._deadlines.start()
        notes, self._notes = self._notes, []
        return [WarningEvent(f"{self.client.where} {note}.") for note in notes]

    async def _prepare_page(self) -> None:
        """Find the chat, lay the question out on its page, and wait for a turn."""
        client = self.client
        endpoint = await client.endpoint(self._pool, self._stale)
        self._endpoint = endpoint
        ask = self._prepare(endpoint)
        better = endpoint.for_turns(ask.history, ask.files[:-1])
        if better is not endpoint:
            self._endpoint = endpoint = better
            ask = self._prepare(endpoint)
        notes = self._lay_out(endpoint, ask)
        await self._take_slot()
        self._failure = None
        self._hash = secrets.token_hex(8)
        if openings := endpoint.openings(self._values, ask.history, ask.given):
            page = await load_page(client, self._pool, endpoint, self._hash, openings)
            if endpoint.rendered:
                self._endpoint = endpoint = page.endpoint
                ask = self._prepare(endpoint)
                notes = self._lay_out(endpoint, ask)
            self._values = page.values_with(self._values, endpoint, self._changed)
        self._reply = Reply(
            endpoint.form,
            len(ask.history),
            ask.query,
            whole=endpoint.config.protocol == "sse_v1",
            max_chars=self._options.max_reply_bytes,
        )
        if endpoint.history_fn is not None and ask.history:
            earlier = endpoint.history_form.write(ask.history, ask.files[:-1])
            self._before = (endpoint.history_fn, [earlier])
        self._steps = list(endpoint.steps)
        self._notes = [] if self._warned else notes
        self._warned = True

    def _uploading(self) -> Upload:
        """What sends the files that stand in the page's values and are not on the Space yet."""
        files = dict.fromkeys(within([self._values, self._before]))
        held = [file for file in files if file.data is not None]
        return Upload(self.client, self._pool, self._known.config, held)

    def _place_files(self, upload: Upload) -> None:
        """Put the files that the Space now has, or is to fetch, into the page's values."""
        sent = {
            file: file_data(file, upload.paths.get(file) or str(file.url))
            for file in within([self._values, self._before])
        }
        if sent:
            self._values = filled(self._values, sent)
            self._before = self._before and (self._before[0], filled(self._before[1], sent))

    def _lay_out(self, endpoint: Endpoint, ask: Ask) -> list[str]:
        """Set the values of the page as a person would who asks this; what could not be set."""
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
        return [*ask.notes, *notes]

    async def _start_step(self) -> None:
        """Join the queue with the chain's next function, and open the stream of its events."""
        self._step = self._steps.pop(0)
        self._decoder = SSEDecoder(self._options.max_reply_bytes)
        self._appends = Appends()
        if self._reply is not None:
            self._reply.next_step()
        config = self._known.config
        self._session = Session(self.client, self._pool, config, self._step, self._hash)
        before, self._before = self._before, None
        await self._session.open([self._values[n] for n in self._step.inputs], before)
        self.event_id = self._session.event_id

    @property
    def _known(self) -> Endpoint:
        assert self._endpoint is not None  # noqa: S101
        return self._endpoint

    async def _take_slot(self) -> None:
        count = self._options.max_concurrency
        if count is not None:
            slots = slots_for(self.client.access.space, count)
            await slots.acquire()
            self._slots = slots

    async def _read(self, stream: aiohttp.ClientResponse) -> bytes:
        try:
            self._deadlines.waiting = self._loop.time()
            chunk = await stream.content.readany()
            self._deadlines.waiting = None
        except (aiohttp.ClientError, OSError, QwenSpaceError) as error:
            if self._failure is not None:
                raise self._failure from None
            raise self._interrupted(str(connection_error(error, stream.url))) from error
        if self._failure is not None:
            raise self._failure
        if not chunk:
            raise self._interrupted("The Space closed the stream before the answer was complete.")
        return chunk

    def _expire(self, what: str, silence: bool) -> None:
        """Give the call up; its reader gets the error at once."""
        self.over = not silence
        self._failure = self._too_late(what)
        if self._session is not None and self._session.stream is not None:
            self._session.stream.content.set_exception(self._failure)
            self._session.hang_up()

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
            logger.warning(
                "An event of %s cannot be decoded and is left out: %.200r", self.client.where, data
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
            session.generating = True
            output = self._output(message.body)
            if output is not _NOTHING:
                self._hand_out(reply.generating(output), items)
                self._appends.learn(data, output, reply.tail)
        elif message.msg in ("process_completed", "process_generating"):
            self._complete(session, message.body, items)
        else:
            if message.msg == "process_starts":
                self._deadlines.begun()
            items += told(message)

    def _complete(self, session: Session, body: Any, items: list[Item]) -> None:
        assert self._reply is not None  # noqa: S101
        session.complete = True
        output = body.get("output")
        if not body.get("success", True) or (isinstance(output, dict) and output.get("error")):
            raise from_output(
                output,
                body.get("title"),
                self.client.where,
                self.text,
                quoted=self._known.config.release < (5, 2),
            )
        if not isinstance(output, dict) or "data" not in output:
            raise self._interrupted("The call was cancelled on the Space by somebody else.")
        value = self._output(body)
        if value is not _NOTHING:
            self._hand_out(self._reply.completed(value), items)
        if self._steps:
            self._values.update(new_values(self._known.config, self._step, output["data"]))
            return
        if not self._reply.answered:
            msg = (
                f"{self.client.where} completed the call, but {_where_looked(self._known)} "
                f"holds no answer: {reprlib.repr(value)}. If another part of the page holds it, "
                "name the function that answers by start=…; describe() shows what was called."
            )
            raise GenerationError(msg, partial=self.text)
        items.append(Finished())

    def _output(self, body: Any) -> object:
        """The answer's part of an event's output, or `_NOTHING`."""
        index = self._known.output_of(self._step)
        try:
            return _NOTHING if index is None else body["output"]["data"][index]
        except (LookupError, TypeError):
            return _NOTHING

    def _hand_out(self, fragments: list[Fragment], items: list[Item]) -> None:
        if fragments:
            self._spoke = True
            self._deadlines.begun()
            items += fragments
            for item in fragments:
                self._handed_out += len(item if isinstance(item, str) else item.text)
            if self._handed_out > _MOST_REPEATED * self._options.max_reply_bytes:
                msg = (
                    f"{self.client.where} revised its answer from the start, over and over. Ask "
                    "again; if answers of this length are wanted, raise max_reply_bytes."
                )
                raise ProtocolError(msg, partial=self.text, is_retryable=False)

    def _end(self) -> None:
        """End the attempt and let go of everything."""
        self._deadlines.stop()
        if self._upload is not None:
            self._upload.end()
            self._upload = None
        if self._slots is not None:
            self._slots.release()
            self._slots = None
        session, self._session = self._session, None
        if session is not None:
            session.end()

    def _pause(self, error: QwenSpaceError, retries: Retries) -> tuple[SpaceEvent, float]:
        """The event that reports a retry, and its delay; raises the error if there is none."""
        now = self._loop.time()
        event: SpaceEvent
        if isinstance(error, SpaceAsleepError):
            self._woken = now if self._woken is None else self._woken
            if now + _WAKE_POLL > self._woken + self._options.wake_timeout:
                raise error
            event, pause = WakeEvent(error.stage), _WAKE_POLL
        else:
            pause = retries.after(error)
            event = RetryEvent(str(error), pause, retries.attempt)
        if self._deadlines.end is not None and now + pause > self._deadlines.end:
            raise error
        return event, pause

    async def _has_changed(self, error: QwenSpaceError) -> bool:
        """Whether the Space was redeployed since its `/config` was read, which explains `error`."""
        known = self._endpoint
        if isinstance(error, SpaceAuthenticationError) and self.client.access.auth is not None:
            # The login may have been forgotten by the Space; it is asked for once more.
            self._pool.logged_in.discard(self.client.access)
            first, self._logged_in_anew = not self._logged_in_anew, True
            return first and known is not None
        suspicious = isinstance(error, GenerationError | ProtocolError) or (
            isinstance(error, SpaceNotFoundError | InvalidInputError | SpaceUnavailableError)
            and error.status in _CHANGED
        )
        if known is None or self._stale is not None or not suspicious:
            return False
        self._stale = known
        try:
            async with asyncio.timeout_at(self._deadlines.end):
                fresh = await self.client.endpoint(self._pool, known)
            return fresh.config != known.config
        except (QwenSpaceError, TimeoutError, RecursionError):  # nested too deeply to be compared
            return False

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
