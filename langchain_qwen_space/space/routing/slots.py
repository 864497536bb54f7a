"""How many calls may be on one Space at a time, over all threads and event loops."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Waiter(Generic[T]):
    """A call that waits. Once something is `given`, it is its own, to use or to give back."""

    loop: asyncio.AbstractEventLoop
    turn: "asyncio.Future[None]"
    take: Callable[[], T | None]
    given: T | None = None


class Line(Generic[T]):
    """Those who wait for their turn, in different event loops; first come, first served."""

    def __init__(self) -> None:
        self._waiters: deque[_Waiter[T]] = deque()
        # Reentrant, because a garbage collection may end a waiter anywhere in here.
        self._lock = threading.RLock()

    async def _wait(self, take: Callable[[], T | None]) -> T:
        """Wait until this is first in the line and `take` gives something; it is given back.

        `take` is called under the lock, in any thread.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future(), take)
        with self._lock:
            if not self._waiters and (given := take()) is not None:
                return given
            self._waiters.append(waiter)
        try:
            await waiter.turn
        except BaseException:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                    self._advance()  # those behind may ask for something else
            if waiter.given is not None:
                self._give_back(waiter.given)
            raise
        assert waiter.given is not None  # noqa: S101
        return waiter.given

    def _advance(self) -> None:
        """Call those who have waited longest, as long as there is something for them."""
        with self._lock:
            while self._waiters:
                waiter = self._waiters[0]
                if not waiter.loop.is_closed():
                    waiter.given = waiter.take()
                    if waiter.given is None:
                        return
                self._waiters.popleft()
                try:
                    waiter.loop.call_soon_threadsafe(_call, waiter.turn)
                except RuntimeError:  # that loop is closed, and its waiters are gone with it
                    given, waiter.given = waiter.given, None
                    if given is not None:
                        self._give_back(given)

    def _give_back(self, given: T) -> None:
        """Take back what was given to a call, and advance."""
        raise NotImplementedError


class Slots(Line[bool]):
    """A semaphore whose waiters may be in different event loops; first come, first served."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._free = count

    async def acquire(self) -> None:
        """Wait for a free slot and take it."""
        await self._wait(self._take)

    def release(self) -> None:
        """Give the slot back; the call that has waited longest takes it."""
        with self._lock:
            self._free += 1
            self._advance()

    def _take(self) -> bool | None:
        if not self._free:
            return None
        self._free -= 1
        return True

    def _give_back(self, given: bool) -> None:
        self.release()


def _call(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)


_slots: WeakValueDictionary[tuple[str, int], Slots] = WeakValueDictionary()
_lock = threading.Lock()


def _after_fork() -> None:
    """A forked child makes none of the calls that its parent's slots are held by."""
    global _slots, _lock
    _slots = WeakValueDictionary()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def slots_for(space: str, count: int) -> Slots:
    """The slots that all calls with the same limit on the same Space share."""
    with _lock:
        slots = _slots.get((space, count))
        if slots is None:
            slots = _slots[space, count] = Slots(count)
        return slots
