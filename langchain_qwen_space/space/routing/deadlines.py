"""How long a call waits for what. One timer watches all of it, so that an event costs none."""

import asyncio
from collections.abc import Callable

_PATIENCE = 3600.0  # seconds that a Space may keep a call alive without moving it on


class Deadlines:
    """The limits of one call, in seconds; None is no limit.

    Heartbeats count as data, and a Space may send them forever. So where no time was set for the
    whole call, it also has to move on within an hour: to begin, or to bring more of the answer.

    Args:
        silence: The longest time without a byte from the Space while one is waited for.
        queue: The longest wait in the Space's queue.
        total: The longest that the whole call may take.
        end: When that time is up, as the loop reckons.
        expire: Called once, with a sentence's rest that says what took too long, and whether that
            was a silence, after which another try may fare better.
    """

    def __init__(
        self,
        silence: float | None,
        queue: float | None,
        total: float | None,
        end: float | None,
        expire: Callable[[str, bool], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence, self._queue, self._total = silence, queue, total
        self._expire = expire
        self._timer: asyncio.TimerHandle | None = None
        self._queued: float | None = None
        self._moved = False  # the call has moved on since the last look
        self._since = 0.0  # when it last had, as far as was looked
        self.waiting: float | None = None  # since when the Space is waited for, in loop time
        self.end = end

    def start(self) -> None:
        """The call stands in the queue, and its stream is open."""
        if any(limit is not None for limit in (self._silence, self._queue, self.end)):
            self._queued = self._since = self._loop.time()
            self._watch()

    def begun(self) -> None:
        """The Space works on the call, or brings more of the answer: it waits in no queue."""
        self._queued = None
        self._moved = True

    def stop(self) -> None:
        """Watch no longer."""
        self.waiting = self._queued = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        now = self._loop.time()
        limits: list[tuple[float, str, bool]] = []
        if self._silence is not None:
            # While nobody reads, the silence is the caller's.
            since = now if self.waiting is None else self.waiting
            what = f"sent nothing, not even a sign of life, within {self._silence} seconds."
            limits.append((since + self._silence, f"{what} Raise timeout=… or try later.", True))
        if self._queue is not None and self._queued is not None:
            what = f"kept the call in its queue for more than {self._queue} seconds."
            until = self._queued + self._queue
            limits.append((until, f"{what} Raise queue_timeout=… or try later.", False))
        if self.end is not None:
            limits.append((self.end, self.too_long, False))
        elif self._silence is not None:
            if self._moved or self.waiting is None:
                self._moved, self._since = False, now
            patience = max(_PATIENCE, (self._queued and self._queue) or 0.0)
            limits.append((self._since + patience, _stands_still(patience), False))
        if not limits:
            return
        when, what, silence = min(limits)
        if when <= now:
            self._timer = None
            self._expire(what, silence)
        else:
            self._timer = self._loop.call_at(when, self._watch)

    @property
    def too_long(self) -> str:
        """The message if the whole call takes too long."""
        return (
            f"did not complete the answer within {self._total} seconds in all. Raise "
            "total_timeout=… or ask for less."
        )


def _stands_still(patience: float) -> str:
    return (
        f"sent signs of life for {patience:g} seconds, but nothing of the answer. If answers take "
        "that long, give total_timeout=…"
    )
