"""What a transport takes and gives: the requests of a `ChatQwenSpace` and their responses.

A transport is any `async` function from a `Request` to a `Response`. With
`ChatQwenSpace(transport=…)` it answers every request to the Space and to the Hub API.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        method: GET or POST.
        url: The complete URL, including the query.
        headers: The headers, with the token where it may be sent. Names are not case-sensitive.
        body: The body.
        proxy: The URL of the model's proxy, for a transport that makes network connections.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        status: The status code.
        headers: The headers; as pairs if a name occurs several times, such as `Set-Cookie`.
        body: The body, as bytes or as an asynchronous iterator. A generator is closed when the call
            is cancelled. To simulate a broken connection, raise an `OSError`.
    """

    status: int = 200
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    body: bytes | AsyncIterable[bytes] = b""


Transport = Callable[[Request], Awaitable[Response]]
