"""How many calls may be on one Space at a time, over all threads and event loops."""

import asyncio
import threading
from collections import deque
from weakref import WeakValueDictionary


class Slots:
    """A semaphore whose waiters may be in different event loops; first come, first served."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiters: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lock = threading.Lock()

    async def acquire(self) -> None:
        """Wait for a free slot and take it."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            turn = loop.create_future()
            self._waiters.append((loop, turn))
        try:
            await turn
        except BaseException:
            with self._lock:
                waiting = (loop, turn) in self._waiters
                if waiting:
                    self._waiters.remove((loop, turn))
            if not waiting and turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give the slot back; the call that has waited longest takes it."""
        while True:
            with self._lock:
                if not self._waiters:
                    self._free += 1
                    return
                loop, turn = self._waiters.popleft()
            try:
                loop.call_soon_threadsafe(self._give, turn)
            except RuntimeError:  # that loop is closed, and its waiters are gone with it
                continue
            return

    def _give(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            self.release()
        else:
            turn.set_result(None)


_slots: WeakValueDictionary[tuple[str, int], Slots] = WeakValueDictionary()
_lock = threading.Lock()


def slots_for(space: str, count: int) -> Slots:
    """The slots that all calls with the same limit on the same Space share."""
    with _lock:
        slots = _slots.get((space, count))
        if slots is None:
            slots = _slots[space, count] = Slots(count)
        return slots
