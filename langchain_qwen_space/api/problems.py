"""Errors in the form of OpenAI's API: a status, headers, and `{"error": {…}}`.

The form: https://platform.openai.com/docs/guides/error-codes/api-errors
"""

import logging
import math
import re
from dataclasses import dataclass, field

from starlette.responses import Response

from langchain_qwen_space.api.answers import as_json
from langchain_qwen_space.errors import (
    ContextTooLongError,
    GenerationError,
    InvalidInputError,
    ProtocolError,
    QwenSpaceError,
    SpaceConnectionError,
    SpaceRateLimitError,
    SpaceTimeoutError,
    SpaceUnavailableError,
    StreamInterruptedError,
    UnknownModelError,
)

logger = logging.getLogger(__name__)

# Seconds. OpenAI's clients wait for as long as `Retry-After` says up to here; where it says more,
# they try again after a few seconds all the same.
_HEEDED = 60
_LONGEST = 365 * 24 * 3600

_FIELD = re.compile(  # at the head of a message about a value: the field of the request
    r"(messages|tools)\[\d+\]|temperature|top_p|max_tokens|max_completion_tokens|stop|tools"
    r"|tool_choice|parallel_tool_calls|response_format"
)
_STATUSES: tuple[tuple[type[QwenSpaceError], int, str, str | None], ...] = (
    # The first class that fits counts.
    (ContextTooLongError, 400, "invalid_request_error", "context_length_exceeded"),
    (InvalidInputError, 400, "invalid_request_error", None),
    (UnknownModelError, 404, "invalid_request_error", "model_not_found"),
    (SpaceRateLimitError, 429, "rate_limit_error", "rate_limit_exceeded"),
    (SpaceUnavailableError, 503, "server_error", "space_unavailable"),
    (SpaceConnectionError, 503, "server_error", "space_unreachable"),
    (StreamInterruptedError, 503, "server_error", "stream_interrupted"),
    (SpaceTimeoutError, 504, "server_error", "timeout"),
    (ProtocolError, 502, "server_error", "bad_gateway"),
    (GenerationError, 500, "server_error", "generation_failed"),
    # The Space that this server was started for is wrong: nothing that its caller can change.
    (QwenSpaceError, 500, "server_error", "space_error"),
)


@dataclass(eq=False)  # not frozen: Python sets the traceback of an exception
class Problem(Exception):  # noqa: N818  it is sent, and named as the RFCs name what is sent
    """What is wrong with a request, as it is sent.

    Attributes:
        status: The HTTP status.
        message: What is wrong and what to do.
        type: OpenAI's kind of error.
        code: OpenAI's code, such as "model_not_found".
        param: The field of the request that is wrong.
        headers: Headers of the response.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The JSON object."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return as_json({"error": error})

    @property
    def response(self) -> Response:
        """The response that reports it."""
        return Response(self.body, self.status, self.headers, "application/json")


def problem_of(error: Exception) -> Problem:
    """Returns an error of a call as it is reported to the client.

    An error of this package has its own message, which holds no secret. Of any other only the class
    is logged: its message may quote the prompt.
    """
    if isinstance(error, Problem):
        return error
    for kind, status, name, code in _STATUSES:
        if isinstance(error, kind):
            after = min(max(0.0, error.retry_after or 0.0), _LONGEST)  # it may say infinity
            headers = {}
            if error.retry_after is not None:
                headers["retry-after"] = str(math.ceil(after))
            if (status >= 500 and not error.is_retryable) or after > _HEEDED:
                headers["x-should-retry"] = "false"  # OpenAI's clients heed it
            field = _FIELD.match(str(error)) if kind is InvalidInputError else None
            param = field[0] if field is not None else None
            return Problem(status, str(error), name, code, param, headers)
    logger.error("A request failed with %s.", type(error).__qualname__)
    return Problem(500, "The server failed to process the request.", "server_error")
