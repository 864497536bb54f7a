"""What a person at a terminal can do about an error."""

from langchain_qwen_space import errors
from langchain_qwen_space.errors import QwenSpaceError

# The first class that fits decides, so the special ones stand before the general ones.
_ADVICE: tuple[tuple[type[QwenSpaceError], str], ...] = (
    (errors.UnknownModelError, "`qwen-space models` lists the models that the Space offers."),
    (errors.InvalidInputError, ""),
    (
        errors.SpaceNotFoundError,
        (
            "Check the id on https://huggingface.co/spaces. If the Space is private, set HF_TOKEN to a "
            "token that may see it."
        ),
    ),
    (
        errors.SpaceAuthenticationError,
        (
            "If the Space has a login, set QWEN_SPACE_AUTH to user:password. If it is private, set "
            "HF_TOKEN to a token that may see it; an old token may have expired."
        ),
    ),
    (errors.SpacePermissionError, "Ask the Space's owner to let you in, or choose another Space."),
    (
        errors.UnsupportedSpaceError,
        (
            "Check that the id or URL is that of a Gradio Space with a chat. If it is, name its function "
            "and inputs: ChatQwenSpace(start=…, inputs=…) in Python, --start and --input of doctor."
        ),
    ),
    (
        errors.QueueFullError,
        "Too many people use it now. Try again later, or duplicate the Space and use your own.",
    ),
    (
        errors.SpaceRateLimitError,
        "Wait before you try again, or duplicate the Space and use your own.",
    ),
    (
        errors.SpaceConnectionError,
        (
            "Check the network and the address. Behind a proxy, set HTTPS_PROXY, or QWEN_SPACE_PROXY "
            "for this program alone."
        ),
    ),
    (errors.StreamInterruptedError, "Ask again."),
    (
        errors.SpaceTimeoutError,
        "The Space may be overloaded. Try again later, or allow more time (--timeout, --total-timeout).",
    ),
    (errors.ContextTooLongError, "Begin a new conversation, or ask something shorter."),
    (
        errors.GenerationError,
        "Try again. If it persists, the Space's owner has to fix it.",
    ),
    (errors.ProtocolError, "Try again. If it persists, report it with the Space's id."),
)
_ASLEEP = (
    "Your visit wakes it up, which takes a minute or more. Run this again then; `qwen-space chat` "
    "waits for it by itself."
)
_UNAVAILABLE = (
    "Its page on https://huggingface.co/spaces tells more. Choose another Space, or run one of your "
    "own: qwen-space serve."
)


def advice(error: QwenSpaceError) -> str:
    """One or two sentences in the words of the command line; empty if the error says as much."""
    if isinstance(error, errors.SpaceUnavailableError):
        return _ASLEEP if error.is_retryable else _UNAVAILABLE
    text = next((text for kind, text in _ADVICE if isinstance(error, kind)), "")
    first = text.partition(".")[0]
    return "" if first in str(error) else text  # the Space's own error may say so already
