"""Every error that a caller of this package can meet.

Each is a `QwenSpaceError` and, at once, the class of `langchain_core.exceptions` that stands for
the same condition with other providers, so that handlers written for either catch it.
"""

from langchain_core.exceptions import (
    ContextOverflowError,
    LangChainException,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)


class QwenSpaceError(LangChainException):
    """Base of all errors of this package.

    Args:
        message: What happened, on which Space, and what to do about it.
        partial: The text of the answer that had arrived before the error.
        is_retryable: Whether the same call may succeed later; None takes the class's own answer.
        retry_after: Seconds after which the Space asked to be called again.
        status: The HTTP status that the Space, or the service behind it, answered with.
    """

    is_retryable: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        partial: str = "",
        is_retryable: bool | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.retry_after = retry_after
        self.status = status
        if is_retryable is not None:
            self.is_retryable = is_retryable


class InvalidInputError(QwenSpaceError, ModelInvalidRequestError, ValueError):
    """The messages or settings of the call cannot be sent to this Space."""


class UnknownModelError(QwenSpaceError, ModelNotFoundError, ValueError):
    """The Space offers no model of that name; the message lists those it offers."""


class UnsupportedSpaceError(QwenSpaceError, ModelInvalidRequestError):
    """The host is no Gradio Space, is too old, or holds no chat that can be recognised."""


class SpaceNotFoundError(QwenSpaceError, ModelNotFoundError):
    """There is no such Space, or it is private and the token does not open it."""


class SpaceAuthenticationError(QwenSpaceError, ModelAuthenticationError):
    """The Space asks for a login or a token, or refuses the one that was given."""


class SpacePermissionError(QwenSpaceError, ModelPermissionDeniedError):
    """The token or login is known, but may not use this Space."""


class SpaceUnavailableError(QwenSpaceError, ModelAPIError):
    """The Space is asleep, being built, paused or failed, or the proxy before it says so."""

    is_retryable = True


class SpaceRateLimitError(QwenSpaceError, ModelRateLimitError):
    """The Space, or the service behind it, limits how often it may be called."""

    is_retryable = True


class QueueFullError(SpaceRateLimitError):
    """The Space's queue takes no more calls at present."""


class SpaceConnectionError(QwenSpaceError, ModelConnectionError):
    """The Space cannot be reached, or the connection broke before the answer began."""

    is_retryable = True


class StreamInterruptedError(QwenSpaceError, ModelConnectionError):
    """The answer broke off; `partial` is the text until then."""

    is_retryable = True


class SpaceTimeoutError(QwenSpaceError, ModelTimeoutError, TimeoutError):
    """The Space was silent, or the call took longer, than the caller allows."""

    is_retryable = True


class ProtocolError(QwenSpaceError, ModelAPIError):
    """The Space answered with something that no known Gradio release sends."""

    is_retryable = True


class GenerationError(QwenSpaceError, ModelAPIError):
    """The app on the Space raised an error; the message holds its own words."""

    is_retryable = True


class ContextTooLongError(GenerationError, ContextOverflowError):
    """The conversation is longer than the model's context."""

    is_retryable = False
