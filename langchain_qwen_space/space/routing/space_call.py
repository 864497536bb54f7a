"""A call to a Space, or to one of several: waiting for a slot, trying, retrying."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from langchain_qwen_space.errors import (
    ContextTooLongError,
    GenerationError,
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceAuthenticationError,
    SpaceNotFoundError,
    SpaceTimeoutError,
    SpaceUnavailableError,
    UnknownModelError,
)
from langchain_qwen_space.events import (
    RetryEvent,
    SpaceEvent,
    WakeEvent,
)
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.routing.answer import Item
from langchain_qwen_space.space.routing.attempt import Attempt
from langchain_qwen_space.space.routing.hub import SpaceAsleepError
from langchain_qwen_space.space.routing.options import Prepare
from langchain_qwen_space.space.routing.slots import Slot, current_slots
from langchain_qwen_space.space.routing.target import SpaceTarget
from langchain_qwen_space.space.wire.pool import Pool, current_pool

_WAKE_POLL = 2.0  # seconds between two looks at a Space that is starting
_FIRST_PAUSE = 0.5  # seconds before the first retry; each further one doubles it
_LONGEST_PAUSE = 20.0
_JITTER = 0.5
_LONGEST_ASKED = 60.0  # seconds; a Space that asks for more is not called again by itself
_CHANGED = (404, 422, 500)  # what a Space answers to a function that it no longer has
# Wrong on every Space of a list.
_OF_THE_CALL = (InvalidInputError, UnknownModelError, ContextTooLongError)


class SpaceCall:
    """One call to a Space, or to one of several, with its retries. Iterate over `run()`.

    A call that fails before its first text moves on to another Space at once, while one is left; each
    further try is one of `max_retries`, with its delay.

    Args:
        targets: The Spaces that may answer, with the same options.
        prepare: Makes what is asked, once a Space and its endpoint are known.
        end: The loop's time at which `total_timeout` is up; None is without limit.

    Attributes:
        attempt: The try that was made last, which is the one that answered.
    """

    attempt: Attempt

    def __init__(
        self, targets: Sequence[SpaceTarget], prepare: Prepare, end: float | None = None
    ) -> None:
        self._targets = {target.access.space: target for target in targets}
        self._options = targets[0].options
        self._prepare = prepare
        self._end = end
        self._slot_queue = current_slots()
        self._loop: asyncio.AbstractEventLoop
        self._tries = 0
        self._retries = 0  # of those that pause
        self._tried: set[str] = set()  # Spaces that failed
        self._notes: list[str] = []  # what they failed with
        self._warned: set[str] = set()
        self._stale: dict[str, Endpoint] = {}  # that did not work and were read again
        self._logged_in_anew: set[str] = set()
        self._asleep_since: float | None = None

    async def run(self) -> AsyncGenerator[list[Item]]:
        """Make the call and yield what arrives, in batches of what has arrived together.

        The last item is `Finished`. Leaving the iteration cancels the call on the Space.

        Raises:
            QwenSpaceError: The last try's error; `partial` holds the text until then, its notes say
                what happened on other Spaces before.
        """
        self._loop = asyncio.get_running_loop()
        pool = await current_pool()
        while True:
            self._tries += 1
            slot = None
            if len(self._targets) > 1:  # which Space it is depends on where there is room
                slot = await self._wait_for_slot(list(self._targets))
            name = slot.space.name if slot else next(iter(self._targets))
            self.attempt = attempt = Attempt(
                pool,
                self._targets[name],
                self._slot_queue,
                partial(self._wait_for_slot, [name]),
                slot,
                self._prepare,
                self._end,
                self._stale.get(name),
                name in self._warned,
            )
            try:
                with attempt:
                    while (batch := await attempt.next()) is not None:
                        if batch:
                            yield batch
                return
            except QwenSpaceError as error:
                event, pause = await self._next_try(pool, attempt, error)
            if attempt.opened:
                self._warned.add(name)
            yield [event]
            await asyncio.sleep(pause)

    async def _wait_for_slot(self, names: Sequence[str]) -> Slot:
        """Wait for a slot on one of these Spaces."""
        options = self._options
        limits = {"queue_timeout": options.queue_timeout, "total_timeout": options.total_timeout}
        end = self._end
        if options.queue_timeout is not None:
            latest = self._loop.time() + options.queue_timeout
            end = latest if end is None else min(end, latest)
        try:
            async with asyncio.timeout_at(end):
                return await self._slot_queue.slot(names, options.max_concurrency, self._tried)
        except TimeoutError:
            given = " or ".join(f"{name}={value}" for name, value in limits.items() if value)
            which = (
                f"Space {names[0]} had no"
                if len(names) == 1
                else f"None of the Spaces {', '.join(names)} had"
            )
            msg = (
                f"{which} room for the call in time ({given}): {options.max_concurrency} calls "
                "(max_concurrency) are in progress there. Raise these limits, or make fewer calls."
            )
            raise SpaceTimeoutError(msg) from None

    async def _next_try(
        self, pool: Pool, attempt: Attempt, error: QwenSpaceError
    ) -> tuple[SpaceEvent, float]:
        """What the caller learns of a try that failed and is followed by another, and its pause.

        Raises:
            QwenSpaceError: None follows.
        """
        target, name = attempt.target, attempt.target.access.space
        final = attempt.out_of_time or attempt.spoke or _is_of_the_call(error)
        if not final:
            if await self._start_afresh(pool, attempt, error):
                return self._retry(target.access.redacted(error), 0.0)
            if attempt.found is not None:  # else it was asked for when the page could not be read
                error = await self._explained(pool, target, error)
        if attempt.slot is not None and not attempt.out_of_time and not _is_of_the_call(error):
            self._slot_queue.failed(attempt.slot, error)
        error.partial = error.partial or attempt.text
        target.access.redacted(error)
        for note in self._notes:
            error.add_note(note)
        if final:
            raise error
        self._tried.add(name)
        self._notes.append(f"An earlier try, on {target.where}: {error}")
        if len(self._tried) < len(self._targets) and self._slot_queue.others(
            list(self._targets), name
        ):
            return self._retry(error, 0.0)
        if isinstance(error, SpaceAsleepError):
            return self._wake(error)
        pause = self._pause(error)
        return self._retry(error, pause)

    def _wake(self, error: SpaceAsleepError) -> tuple[SpaceEvent, float]:
        now = self._loop.time()
        if self._asleep_since is None:
            self._asleep_since = now
        if now + _WAKE_POLL > self._asleep_since + self._options.wake_timeout:
            raise error
        self._check_time(error, _WAKE_POLL)
        return WakeEvent(error.stage), _WAKE_POLL

    def _retry(self, error: QwenSpaceError, pause: float) -> tuple[SpaceEvent, float]:
        return RetryEvent(str(error), pause, self._tries + 1), pause

    def _pause(self, error: QwenSpaceError) -> float:
        """Seconds to wait before the next retry: exponential with jitter, `Retry-After` obeyed."""
        asked = error.retry_after or 0.0
        if not error.is_retryable or self._retries == self._options.max_retries:
            raise error
        if asked > _LONGEST_ASKED:
            raise error
        backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self._retries)
        pause = max(asked, backoff + random.uniform(0, _JITTER))  # noqa: S311
        self._check_time(error, pause)
        self._retries += 1
        return pause

    def _check_time(self, error: QwenSpaceError, pause: float) -> None:
        if self._end is not None and self._loop.time() + pause > self._end:
            raise error

    async def _start_afresh(self, pool: Pool, attempt: Attempt, error: QwenSpaceError) -> bool:
        """Forget the login, or read the page again; return whether that may help after `error`."""
        target, known, name = attempt.target, attempt.found, attempt.target.access.space
        if known is None:
            return False
        if isinstance(error, SpaceAuthenticationError) and target.access.auth is not None:
            # The Space may have forgotten the login; it is asked for once more.
            attempt.client.logged_in = False
            first = name not in self._logged_in_anew
            self._logged_in_anew.add(name)
            return first
        suspicious = isinstance(error, GenerationError | ProtocolError) or (
            isinstance(error, SpaceNotFoundError | InvalidInputError | SpaceUnavailableError)
            and error.status in _CHANGED
        )
        if name in self._stale or not suspicious:
            return False
        self._stale[name] = known
        try:
            async with asyncio.timeout_at(self._end):
                fresh, _ = await target.visit(pool, known)
            return fresh.config != known.config
        except (QwenSpaceError, TimeoutError, RecursionError):  # nested too deeply to be compared
            return False

    async def _explained(
        self, pool: Pool, target: SpaceTarget, error: QwenSpaceError
    ) -> QwenSpaceError:
        """What the Hub API says of the Space, where that explains the error."""
        try:
            async with asyncio.timeout_at(self._end):
                explained = await target.explained(pool, error)
        except TimeoutError:
            return error
        if explained is not error:
            explained.__cause__ = error
        return explained


def _is_of_the_call(error: QwenSpaceError) -> bool:
    """Whether what is wrong is the call itself, so that no other Space would do better."""
    if isinstance(error, _OF_THE_CALL):
        return True
    status = error.status or 0
    refused = 400 <= status < 500 and status not in (408, 429)
    return isinstance(error, GenerationError) and refused
