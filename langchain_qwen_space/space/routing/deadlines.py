"""How long a call waits for what: when a read of the Space's stream is given up, and why."""

import asyncio
from collections.abc import Callable

from langchain_qwen_space.space.routing.options import SpaceOptions

_PATIENCE = 3600.0  # seconds that a Space may keep a call alive without moving it on


class Deadlines:
    """The limits of one call on one Space. Only time that is spent waiting for the Space counts.

    Heartbeats count as data, and a Space may send them forever. So where `timeout` is set but no
    time for the whole call, it also has to move on within an hour: to begin, or to bring more of
    the answer.

    One timer watches all reads. It is set again only when it fires, so that a read costs none.

    Args:
        options: The limits in seconds; None is no limit.
        end: The loop's time at which the whole call is given up.
        expire: Called when the present read has to be given up.

    Attributes:
        waited: Seconds that the call has waited for slots and in the Space's queue until now.
    """

    def __init__(
        self, options: SpaceOptions, end: float | None, expire: Callable[[], None]
    ) -> None:
        self._options = options
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self.waited = 0.0
        self._queued: float | None = None  # since when the call stands in the Space's queue
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False
        self._began = 0.0  # when the present read began
        self._idle = 0.0  # seconds in which the call has not moved on
        self.end = end

    def joined(self) -> None:
        """A function of the call stands in the queue."""
        self._queued = self._loop.time() - self.waited
        self.stop()  # a timer that knew of no queue may be late

    def moved(self) -> None:
        """The Space works on the call, or brings more of the answer: it waits in no queue."""
        if self._queued is not None:
            self.waited = self._loop.time() - self._queued
            self._queued = None
        self._idle = 0.0

    def begin_read(self) -> None:
        """A read begins now."""
        self._began = self._loop.time()
        self._reading = True
        if self._timer is None:
            self._set_timer()

    def end_read(self) -> None:
        """The read has ended."""
        self._reading = False
        self._idle += self._loop.time() - self._began

    def stop(self) -> None:
        """Watch no longer, until the next read."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        when = self._until()
        if when is not None:  # where that is past, what has arrived already can be read first
            self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._reading:
            when = self._until()
            if when is not None and when <= self._loop.time():
                self._expire()
            else:
                self._set_timer()

    def _until(self) -> float | None:
        """When the present read is given up, in the loop's time."""
        options, now = self._options, self._began
        when = self.end
        if options.timeout is not None:
            latest = now + options.timeout
            if when is None:
                latest = min(latest, now + max(0.0, self._patience - self._idle))
            when = latest if when is None else min(when, latest)
        if self._queued is not None and options.queue_timeout is not None:
            latest = self._queued + options.queue_timeout
            when = latest if when is None else min(when, latest)
        return when

    def reason(self) -> tuple[str, bool]:
        """Why the present read was given up, and whether another try may fare better."""
        options, now = self._options, self._loop.time()
        if self.end is not None and now >= self.end:
            return self.too_long, False
        queued = 0.0 if self._queued is None else now - self._queued
        if options.queue_timeout is not None and queued >= options.queue_timeout:
            what = f"kept the call in its queue for more than {options.queue_timeout} seconds."
            return f"{what} Raise queue_timeout=… or try later.", False
        if self.end is None and self._idle + now - self._began >= self._patience:
            what = f"sent signs of life for {self._patience:g} seconds, but nothing of the answer."
            return f"{what} If answers take that long, give total_timeout=…", False
        what = f"sent nothing, not even a sign of life, within {options.timeout} seconds."
        return f"{what} Raise timeout=… or try later.", True

    @property
    def too_long(self) -> str:
        """What the caller reads when the whole call takes too long."""
        return (
            f"did not complete the answer within {self._options.total_timeout} seconds in all. "
            "Raise total_timeout=… or ask for less."
        )

    @property
    def _patience(self) -> float:
        return max(_PATIENCE, (self._queued and self._options.queue_timeout) or 0.0)
