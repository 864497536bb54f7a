"""Which of several Spaces the next call goes to. It does no I/O: callers report what happened."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakSet

from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.events import QueueEvent
from langchain_qwen_space.space.routing.slots import Line
from langchain_qwen_space.space.wire.access import Access

_FIRST_PAUSE = 1.0  # seconds that a Space is set aside when it fails; each further time doubles it
_LONGEST_PAUSE = 60.0  # seconds, unless the Space itself asks for more
_AHEAD = 2  # calls that are sent to a busy Space for each that it works on, so that none is idle
_TICK = 0.01  # seconds by which a timer may be early
_NEWEST = 0.3  # the weight of the newest answer's time beside those before it


@dataclass(eq=False)
class Place:
    """One call on one Space.

    Attributes:
        space: Where it is.
        since: When it was sent there, in seconds of the choice's clock.
        started: When the Space began to run it, if it reported that.
        told: The last report of the Space's queue.
        spoke: Whether a piece of its answer has arrived.
    """

    space: "Standing"
    since: float
    started: float | None = None
    told: QueueEvent | None = None
    spoke: bool = False


@dataclass(eq=False)
class Standing:
    """What is known of one Space.

    Attributes:
        index: Its number in the list.
        places: Our calls on it.
        slots: How many of our calls it works on at once; None while it let none wait.
        seconds: How long it works on an answer, of late; 0 while unknown.
        failures: How often in a row it was set aside.
        until: When it is to be tried again, if it is set aside.
    """

    index: int
    places: "WeakSet[Place]" = field(default_factory=WeakSet)
    slots: int | None = None
    seconds: float = 0.0
    failures: int = 0
    until: float = 0.0

    @property
    def running(self) -> int:
        """How many of our calls it works on."""
        return sum(place.started is not None for place in self.places)

    def has_room(self, most: int | None) -> bool:
        """Whether a further call there may gain anything.

        A Space that was set aside is tried with one call. A call that would wait in a queue behind
        our own calls only is better kept here, where it can still go to another Space.
        """
        count = len(self.places)
        if most is not None and count >= most:
            return False
        if self.failures:
            return not any(place.since >= self.until for place in self.places)
        return self.slots is None or count < _AHEAD * self.slots or self._shared()

    def _shared(self) -> bool:
        """Whether calls of others wait there too."""
        sizes = [place.told.queue_size for place in self.places if place.told is not None]
        return bool(sizes) and max(sizes) > len(self.places) - self.running

    def expected(self, usual: float) -> float:
        """Seconds until a call that is sent now is answered: by our calls there, and as told.

        Of a Space that is not known nothing is expected until it has a call, to learn from, and
        then what is `usual`.
        """
        seconds = self.seconds or (usual if self.places else 0.0)
        rounds = max(1.0, (len(self.places) + 1) / self.slots) if self.slots else 1.0
        told = (place.told.eta or 0.0 for place in self.places if place.told is not None)
        return max(seconds * rounds, max(told, default=0.0))


class Choice(Line[Place]):
    """The one place where calls wait for any of several Spaces; first come, first served.

    Args:
        count: How many Spaces there are.
        most: How many of our calls may be on each at a time; None is any number.
        clock: The time in seconds.
    """

    def __init__(
        self, count: int, most: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.spaces = tuple(Standing(index) for index in range(count))
        self._most, self._clock = most, clock

    async def place(self, tried: Collection[Standing] = ()) -> Place:
        """Wait for room on a Space and take it; it is to be given back by `leave`.

        Args:
            tried: Spaces that the call has failed on. Others with room are preferred to them, and
                others at all while such a one has not answered again.
        """
        return await self._wait(partial(self._take, tried))

    def _take(self, tried: Collection[Standing]) -> Place | None:
        now = self._clock()
        best: Standing | None
        if fit := [space for space in self.spaces if space.until <= now]:
            # Whether a Space is back is for other calls to try than those that failed on it.
            sound = [space for space in fit if not (space.failures and space in tried)]
            usual = max(space.seconds for space in fit)
            best = min(
                (space for space in sound or fit if space.has_room(self._most)),
                key=lambda space: (space in tried, space.expected(usual), len(space.places)),
                default=None,
            )
        else:
            best = min(
                (s for s in self.spaces if self._most is None or len(s.places) < self._most),
                key=lambda space: space.until,
                default=None,
            )
        if best is None:
            return None
        place = Place(best, now)
        best.places.add(place)
        return place

    def others(self, space: Standing) -> bool:
        """Whether another Space than this is not set aside."""
        now = self._clock()
        return any(other is not space and other.until <= now for other in self.spaces)

    def queued(self, place: Place, event: QueueEvent) -> None:
        """The call waits in the Space's queue."""
        with self._lock:
            if event.rank > 0 and place.told is None:  # it was sent while others waited
                place.space.slots = max(1, place.space.running)
            place.told = event
            self._advance()

    def started(self, place: Place) -> None:
        """The Space works on the call."""
        with self._lock:
            place.told, space = None, place.space
            if place.started is None:
                place.started = self._clock()
            if space.slots is not None:
                space.slots = max(space.slots, space.running)
            self._advance()

    def spoke(self, place: Place) -> None:
        """The first text has arrived: the Space works again."""
        with self._lock:
            self.started(place)
            place.spoke = True
            place.space.failures, place.space.until = 0, 0.0
            self._advance()

    def failed(self, place: Place, error: QwenSpaceError) -> None:
        """Set the Space aside for a while: for longer each time, until it answers again.

        Calls that fail while it is set aside were sent before, and tell nothing new. To be called
        in an event loop.
        """
        with self._lock:
            now, space = self._clock(), place.space
            asked = now + (error.retry_after or 0.0)
            if space.until <= now and place.since >= space.until:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**space.failures)
                space.failures += 1
                space.until = now + pause * random.uniform(0.5, 1.0)  # noqa: S311
                space.slots = None  # it may come back as another
            space.until = max(space.until, asked)
            # Who waits is called when it may be tried again, should nothing else happen until then.
            asyncio.get_running_loop().call_later(space.until - now + _TICK, self._advance)

    def leave(self, place: Place) -> None:
        """The call is over, however it ended."""
        with self._lock:
            space = place.space
            space.places.discard(place)
            if place.spoke and place.started is not None:
                took = self._clock() - place.started
                space.seconds += (took - space.seconds) * (_NEWEST if space.seconds else 1.0)
            self._advance()

    def _give_back(self, given: Place) -> None:
        self.leave(given)


_choices: dict[tuple[tuple[Access, ...], int | None], Choice] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    """A forked child makes none of the calls that its parent counts."""
    global _choices, _lock
    _choices, _lock = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def choice_for(spaces: tuple[Access, ...], most: int | None) -> Choice:
    """The choice that all calls with the same Spaces and the same limit share."""
    with _lock:
        choice = _choices.get((spaces, most))
        if choice is None:
            choice = _choices[spaces, most] = Choice(len(spaces), most)
        return choice
