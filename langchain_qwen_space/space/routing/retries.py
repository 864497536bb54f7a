"""When a failed call is retried: exponential with jitter, `Retry-After` is respected."""

from collections.abc import Iterator

import tenacity

from langchain_qwen_space.errors import QwenSpaceError

_LONGEST_PAUSE = 60.0  # seconds; a Space that asks for more is not called again by itself

_backoff = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 0.5)


class Retries:
    """Counts the tries of one call.

    Args:
        count: How many tries may follow the first.
    """

    def __init__(self, count: int) -> None:
        self._pause = 0.0
        self._tries: Iterator[tenacity.AttemptManager] = iter(
            tenacity.Retrying(
                stop=tenacity.stop_after_attempt(count + 1),
                retry=tenacity.retry_if_exception(_may_try_again),
                wait=_wait,
                sleep=self._note,
                reraise=True,
            )
        )
        self._try = next(self._tries)

    @property
    def attempt(self) -> int:
        """The number of the try that is under way, from 1."""
        return self._try.retry_state.attempt_number

    def after(self, error: QwenSpaceError) -> float:
        """Seconds to wait before the next try; raises `error` if there is none."""
        with self._try:
            raise error
        self._try = next(self._tries)
        return self._pause

    def _note(self, seconds: float) -> None:
        self._pause = seconds


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), getattr(error, "retry_after", None) or 0.0)


def _may_try_again(error: BaseException) -> bool:
    return (
        isinstance(error, QwenSpaceError)
        and bool(error.is_retryable)
        and (error.retry_after or 0.0) <= _LONGEST_PAUSE
    )
