"""How many calls a minute may begin."""

import asyncio
import threading
import time
from typing import Protocol

from langchain_core.rate_limiters import BaseRateLimiter


class Turns:
    """Gives out moments at which a call may begin, evenly spread.

    Even spreading keeps the limit over restarts too: whoever begins anew can be early by one call.

    Args:
        per_minute: How many calls may begin in a minute.
    """

    def __init__(self, per_minute: float) -> None:
        self._every = 60 / per_minute
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take the next turn. Returns how many seconds it is away."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._every
            return turn - now


class TakesTurns(Protocol):
    """`Turns`, or what stands for them in another process."""

    def take(self) -> float:
        """Take the next turn. Returns how many seconds it is away."""
        ...


class Pace(BaseRateLimiter):
    """LangChain's rate limiter by turns: every call of a model that has it waits for its own.

    Args:
        turns: What gives them out.
    """

    def __init__(self, turns: TakesTurns) -> None:
        self._turns = turns

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait for the next turn. Nobody waits with `blocking=False`, which gets no turn."""
        if blocking:
            time.sleep(self._turns.take())
        return blocking

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """As `acquire`."""
        if blocking:
            await asyncio.sleep(self._turns.take())
        return blocking
