"""How many calls may be on one Space at a time, over all threads and event loops."""

import asyncio
import os
import threading
from collections import deque
from dataclasses import dataclass
from weakref import WeakValueDictionary


@dataclass(eq=False, slots=True)
class _Waiter:
    """A call that waits. Once it is `called`, a slot is its own, to take or to give back."""

    loop: asyncio.AbstractEventLoop
    turn: "asyncio.Future[None]"
    called: bool = False


class Slots:
    """A semaphore whose waiters may be in different event loops; first come, first served."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiters: deque[_Waiter] = deque()
        # Reentrant, because a garbage collection may end a waiter anywhere in here.
        self._lock = threading.RLock()

    async def acquire(self) -> None:
        """Wait for a free slot and take it."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            self._waiters.append(waiter)
        try:
            await waiter.turn
        except BaseException:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
            if waiter.called:
                self.release()
            raise

    def release(self) -> None:
        """Give the slot back; the call that has waited longest takes it."""
        with self._lock:
            while self._waiters:
                waiter = self._waiters.popleft()
                try:
                    waiter.loop.call_soon_threadsafe(_call, waiter.turn)
                except RuntimeError:  # that loop is closed, and its waiters are gone with it
                    continue
                waiter.called = True
                return
            self._free += 1


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
