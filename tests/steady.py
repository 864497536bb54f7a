"""The time of the event loops that tests run in."""

import asyncio
import time
from typing import Any

_LONGEST_STEP = 0.01  # seconds


def steady_loop() -> asyncio.AbstractEventLoop:
    """An event loop in whose time waiting counts, and next to nothing else.

    On a busy machine a process may stop for longer than a timeout in a test. By this loop's
    clock a step takes 10 ms at most, and a wait no longer than it was meant to, so the timers of a
    test, and of the servers in its loop, fire in their order.
    """
    loop = asyncio.new_event_loop()
    _Clock(loop)
    return loop


class _Clock:
    def __init__(self, loop: Any) -> None:
        self._now = self._seen = time.monotonic()
        self._select = loop._selector.select
        loop._selector.select = self.select
        loop.time = self.time

    def time(self) -> float:
        return self._now + min(time.monotonic() - self._seen, _LONGEST_STEP)

    def select(self, timeout: float | None = None) -> Any:
        self._now = self.time()
        began = time.monotonic()
        events = self._select(timeout)
        self._seen = time.monotonic()
        waited = self._seen - began
        self._now += waited if timeout is None else min(waited, timeout)
        return events
