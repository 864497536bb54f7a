"""The errors that this package raises.

Each is both a `QwenSpaceError` and the class of `langchain_core.exceptions` that other providers
raise for the same condition, so that handlers written for either catch it.
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
        is_retryable: Whether the same call may succeed later; None means the class's default.
        retry_after: Seconds after which the Space asked to be called again.
        status: The HTTP status of the response from the Space, or from the service behind it.
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
    """The Space does not offer this model; the message lists those that it offers."""


class UnsupportedSpaceError(QwenSpaceError, ModelInvalidRequestError):
    """The page is not a Gradio app, its Gradio is too old, or no chat was detected in it."""


class SpaceNotFoundError(QwenSpaceError, ModelNotFoundError):
    """The Space does not exist, or it is private and the token has no access to it."""


class SpaceAuthenticationError(QwenSpaceError, ModelAuthenticationError):
    """The Space requires a login or a token, or rejects the one that was given."""


class SpacePermissionError(QwenSpaceError, ModelPermissionDeniedError):
    """The token or login is valid, but has no access to this Space."""


class SpaceUnavailableError(QwenSpaceError, ModelAPIError):
    """The Space is asleep, being built, paused or broken, or a proxy before it reports an error."""

    is_retryable = True


class SpaceRateLimitError(QwenSpaceError, ModelRateLimitError):
    """The Space, or the service behind it, limits how often it may be called."""

    is_retryable = True


class QueueFullError(SpaceRateLimitError):
    """The Space's queue is full."""


class SpaceConnectionError(QwenSpaceError, ModelConnectionError):
    """The Space cannot be reached, or the connection broke before the answer began."""

    is_retryable = True


class StreamInterruptedError(QwenSpaceError, ModelConnectionError):
    """The stream ended before the answer was complete; `partial` holds the text so far."""

    is_retryable = True


class SpaceTimeoutError(QwenSpaceError, ModelTimeoutError, TimeoutError):
    """A time limit was exceeded; the message names it."""

    is_retryable = True


class ProtocolError(QwenSpaceError, ModelAPIError):
    """The Space sent what no known release of Gradio sends, or more than `max_reply_bytes`."""

    is_retryable = True


class GenerationError(QwenSpaceError, ModelAPIError):
    """The app on the Space raised an error; the message quotes it if the Space shows it."""

    is_retryable = True


class ContextTooLongError(GenerationError, ContextOverflowError):
    """The conversation is longer than the model's context."""

    is_retryable = False
