"""Who may call which Space when: the one queue of calls, for one Space or any of several.

It does no I/O: callers report what happens. All threads and event loops of the process share it.
"""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.events import QueueEvent

_FIRST_PAUSE = 1.0  # seconds that a Space is set aside when it fails; each further time doubles it
_LONGEST_PAUSE = 60.0  # seconds, unless the Space itself asks for more
_AHEAD = 2  # calls that are sent to a busy Space for each that it works on, so that none is idle
_LOOK = 1.0  # seconds between two looks of a call that waits, should nothing else wake it
_NEWEST = 0.3  # the weight of the newest answer's time beside those before it
_MOST_SPACES = 1024  # of which something is remembered


@dataclass(eq=False)
class Slot:
    """One call's place on one Space.

    Attributes:
        space: Where it is.
        limit: How many calls with the same limit may be there; None is any number.
        loop: The event loop of the call.
        since: When it was taken, in seconds of the queue's clock.
        waited: How many seconds the call waited for it.
        started: When the Space began to work on the call, as far as that is known.
        queued: What the Space's queue said of it last.
        spoke: Whether a piece of its answer was read.
        released: When it was given back.
        stopped: Since when its loop was seen not to run.
    """

    space: "SpaceState"
    limit: int | None
    loop: asyncio.AbstractEventLoop
    since: float
    waited: float
    started: float | None = None
    queued: QueueEvent | None = None
    spoke: bool = False
    released: float | None = None
    stopped: float | None = None

    def counts(self, now: float) -> bool:
        """Whether the call takes room from others.

        In a loop that has not run for a while no call continues, and it may never run again. Between
        two phases of `asyncio.run`, a loop does not run for a moment.
        """
        if self.loop.is_running():
            self.stopped = None
        elif self.stopped is None:
            self.stopped = now
        return self.stopped is None or now < self.stopped + _LOOK


@dataclass(eq=False)
class SpaceState:
    """What is known of one Space.

    Attributes:
        name: Its id or URL.
        slots: Our calls on it.
        capacity: How many of our calls it seemed to run at once; None while none had to wait.
        seconds: How long it works on an answer, of late; 0 while unknown.
        failures: How often in a row it was set aside.
        until: When it is to be tried again, if it is set aside.
    """

    name: str
    slots: "WeakSet[Slot]" = field(default_factory=WeakSet)
    capacity: int | None = None
    seconds: float = 0.0
    failures: int = 0
    until: float = 0.0

    @property
    def running(self) -> int:
        """How many of our calls it runs now."""
        return sum(slot.started is not None for slot in self.slots)

    def is_full(self, limit: int | None, now: float) -> bool:
        """Whether as many calls with that limit are on it as may be."""
        if limit is None or len(self.slots) < limit:
            return False
        return sum(slot.limit == limit and slot.counts(now) for slot in self.slots) >= limit

    def has_room(self, limit: int | None, now: float) -> bool:
        """Whether a further call there may gain anything, where there are other Spaces.

        A Space that was set aside is tried with one call. A call that would wait in a queue behind
        our own calls only is better kept here, where it can still go to another Space.
        """
        if self.is_full(limit, now):
            return False
        if self.failures:
            return not any(slot.since >= self.until for slot in self.slots)
        return self.capacity is None or len(self.slots) < _AHEAD * self.capacity or self._shared()

    def _shared(self) -> bool:
        """Whether calls of others wait there too."""
        sizes = [slot.queued.queue_size for slot in self.slots if slot.queued is not None]
        return bool(sizes) and max(sizes) > len(self.slots) - self.running

    def expected(self, usual: float) -> float:
        """Seconds until a call that is sent now is answered: by our calls there, and as it says.

        A Space that has answered nothing yet counts as 0 seconds until it has a call, so that it is
        tried, and then as `usual`.
        """
        seconds = self.seconds or (usual if self.slots else 0.0)
        rounds = max(1.0, (len(self.slots) + 1) / self.capacity) if self.capacity else 1.0
        said = (slot.queued.eta or 0.0 for slot in self.slots if slot.queued is not None)
        return max(seconds * rounds, max(said, default=0.0))


@dataclass(eq=False, slots=True)
class _Waiter:
    """A call that waits. Once a slot is `given`, it is its own, to use or to release."""

    loop: asyncio.AbstractEventLoop
    ready: "asyncio.Future[None]"
    wants: tuple[tuple[str, ...], int | None, frozenset[str]]
    since: float
    given: Slot | None = None


class SlotQueue:
    """Where calls wait for a slot; first come, first served among those that want the same.

    Args:
        clock: The time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spaces: dict[str, SpaceState] = {}
        self._waiters: dict[_Waiter, None] = {}
        # Reentrant, because a garbage collection may release a slot anywhere in here.
        self._lock = threading.RLock()
        self._looked = 0.0

    async def slot(
        self, spaces: Sequence[str], limit: int | None, tried: Collection[str] = ()
    ) -> Slot:
        """Wait for room on one of the Spaces and take it; `release` gives it back.

        Args:
            spaces: Their ids or URLs.
            limit: How many calls with this limit may be on each at a time; None is any number.
            tried: Spaces that the call has failed on. Others with room are preferred; one that has
                not answered since it failed is used only if no other is left.
        """
        loop = asyncio.get_running_loop()
        wants = (tuple(spaces), limit, frozenset(tried))
        waiter = _Waiter(loop, loop.create_future(), wants, self._clock())
        with self._lock:
            if not self._waiters and (slot := self._take(waiter)) is not None:
                return slot
            self._waiters[waiter] = None
            self._advance()
        try:
            while not waiter.ready.done():
                await asyncio.wait([waiter.ready], timeout=_LOOK)
                self._look()
        except BaseException:
            with self._lock:
                self._waiters.pop(waiter, None)
            if waiter.given is not None:
                self.release(waiter.given)
            raise
        assert waiter.given is not None  # noqa: S101
        return waiter.given

    def release(self, slot: Slot) -> None:
        """The call is over, however it ended. Does nothing for a slot that was released."""
        with self._lock:
            if slot.released is None:
                slot.released = self._clock()
                slot.space.slots.discard(slot)
                if slot.spoke:
                    self._learn(slot, slot.released)
                self._advance()

    def others(self, spaces: Sequence[str], name: str) -> bool:
        """Whether another Space than this is not set aside."""
        now = self._clock()
        with self._lock:
            return any(other != name and self._state(other).until <= now for other in spaces)

    def queued(self, slot: Slot, event: QueueEvent) -> None:
        """The call waits in the Space's queue."""
        with self._lock:
            slot.started = None  # the function before it was
            if event.rank > 0 and slot.queued is None:  # it was sent while others waited
                slot.space.capacity = max(1, slot.space.running)
            slot.queued = event
            self._advance()

    def started(self, slot: Slot) -> None:
        """The Space works on the call."""
        with self._lock:
            slot.queued, space = None, slot.space
            if slot.started is None and slot.released is None:
                slot.started = self._clock()
            if space.capacity is not None:
                space.capacity = max(space.capacity, space.running)
            self._advance()

    def spoke(self, slot: Slot) -> None:
        """A first piece was read: the Space works again."""
        with self._lock:
            self.started(slot)
            slot.spoke = True
            slot.space.failures, slot.space.until = 0, 0.0
            if slot.released is not None:  # the answer was complete before any of it was read
                self._learn(slot, slot.released)
            self._advance()

    def _learn(self, slot: Slot, end: float) -> None:
        """Note how long the Space worked on an answer."""
        space, took = slot.space, end - (slot.since if slot.started is None else slot.started)
        space.seconds += (took - space.seconds) * (_NEWEST if space.seconds else 1.0)

    def failed(self, slot: Slot, error: QwenSpaceError) -> None:
        """Set the Space aside for a while: for longer each time, until it answers again.

        Calls that fail while it is set aside were sent before, and say nothing new.
        """
        with self._lock:
            now, space = self._clock(), slot.space
            asked = now + (error.retry_after or 0.0)
            if space.until <= now and slot.since >= space.until:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**space.failures)
                space.failures += 1
                space.until = now + pause * random.uniform(0.5, 1.0)  # noqa: S311
                space.capacity = None  # it may come back as another
            space.until = max(space.until, asked)

    def _look(self) -> None:
        """Advance, at most once in a while: a loop may have stopped that holds slots."""
        now = self._clock()
        if now >= self._looked + _LOOK:
            self._looked = now
            self._advance()

    def _advance(self) -> None:
        """Give slots to those who have waited longest, as long as there is room for them."""
        with self._lock:
            waits_on = set()
            for waiter in list(self._waiters):
                if waiter.loop.is_closed():
                    self._waiters.pop(waiter, None)
                elif waiter.wants not in waits_on and waiter.loop.is_running():
                    slot = self._take(waiter)
                    if slot is None:
                        waits_on.add(waiter.wants)
                        continue
                    self._waiters.pop(waiter, None)
                    waiter.given = slot
                    try:
                        waiter.loop.call_soon_threadsafe(_wake, waiter.ready)
                    except RuntimeError:  # that loop was closed meanwhile, and its waiters with it
                        waiter.given = None
                        slot.space.slots.discard(slot)

    def _take(self, waiter: _Waiter) -> Slot | None:
        names, limit, tried = waiter.wants
        now = self._clock()
        best = self._best([self._state(name) for name in names], limit, tried, now)
        if best is None:
            return None
        slot = Slot(best, limit, waiter.loop, now, now - waiter.since)
        best.slots.add(slot)
        return slot

    def _best(
        self, spaces: list[SpaceState], limit: int | None, tried: frozenset[str], now: float
    ) -> SpaceState | None:
        if len(spaces) == 1:
            return None if spaces[0].is_full(limit, now) else spaces[0]
        fit = [space for space in spaces if space.until <= now]
        if not fit:
            free = (space for space in spaces if not space.is_full(limit, now))
            return min(free, key=lambda space: space.until, default=None)
        # Whether a Space is back is for other calls to try than those that failed on it.
        sound = [space for space in fit if not (space.failures and space.name in tried)]
        usual = max(space.seconds for space in fit)
        return min(
            (space for space in sound or fit if space.has_room(limit, now)),
            key=lambda space: (space.name in tried, space.expected(usual), len(space.slots)),
            default=None,
        )

    def _state(self, name: str) -> SpaceState:
        state = self._spaces.get(name)
        if state is None:
            if len(self._spaces) >= _MOST_SPACES:
                self._spaces = {n: space for n, space in self._spaces.items() if space.slots}
            state = self._spaces[name] = SpaceState(name)
        return state


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


_slot_queue = SlotQueue()


def _after_fork() -> None:
    """A forked child makes none of the calls that hold its parent's slots."""
    global _slot_queue
    _slot_queue = SlotQueue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def current_slots() -> SlotQueue:
    """The queue of this process."""
    return _slot_queue
