"""One clock for all requests that are made to get one answer, so that `total_timeout` bounds them all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_began: ContextVar[float | None] = ContextVar("_began", default=None)


@contextmanager
def one_clock() -> Iterator[None]:
    """Calls of a model inside share a clock, which starts now, or where it has started before."""
    token = _began.set(began())
    try:
        yield
    finally:
        _began.reset(token)


def began() -> float:
    """When the call that the caller made began, in the time of `time.monotonic`."""
    earlier = _began.get()
    return time.monotonic() if earlier is None else earlier
