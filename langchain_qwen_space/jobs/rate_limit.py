"""How many calls may begin in a minute."""

import asyncio
import threading
import time
from typing import Protocol

from langchain_core.rate_limiters import BaseRateLimiter


class CallSchedule:
    """Gives out the moments at which calls may begin, evenly spread.

    Even spreading keeps the limit over restarts too: a new run can be early by one call only.

    Args:
        per_minute: How many calls may begin in a minute.
    """

    def __init__(self, per_minute: float) -> None:
        self._every = 60 / per_minute
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Reserve the next moment. Returns how many seconds it is away."""
        with self._lock:
            now = time.monotonic()
            moment = max(now, self._next)
            self._next = moment + self._every
            return moment - now


class Schedule(Protocol):
    """A `CallSchedule`, or what stands for one in another process."""

    def reserve(self) -> float:
        """Reserve the next moment. Returns how many seconds it is away."""
        ...


class ScheduledRateLimiter(BaseRateLimiter):
    """LangChain's rate limiter: every call of a model that has it waits for its own moment.

    Args:
        schedule: What gives the moments out.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait for the next moment. With `blocking=False` it does not wait, and returns False."""
        if blocking:
            time.sleep(self._schedule.reserve())
        return blocking

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """As `acquire`."""
        if blocking:
            await asyncio.sleep(self._schedule.reserve())
        return blocking
