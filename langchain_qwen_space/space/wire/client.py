"""Every request to a Space, with the token, cookies, login and proxy of one who visits it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import aiohttp
import orjson
from yarl import URL

from langchain_qwen_space.errors import (
    ProtocolError,
    QwenSpaceError,
    SpaceAuthenticationError,
    SpaceConnectionError,
    SpaceTimeoutError,
)
from langchain_qwen_space.space.wire.access import Access
from langchain_qwen_space.space.wire.custom_transport import CustomResponse, CustomSession
from langchain_qwen_space.space.wire.faults import from_status

AnyResponse = aiohttp.ClientResponse | CustomResponse
Work = Callable[[], Coroutine[Any, Any, None]]
ERROR_BYTES = 64 * 1024  # how much of an error's body is read
_MOST_REDIRECTS = 3
_MOST_CANCELLING = 32  # calls on one Space that are cancelled at a time


class SpaceClient:
    """Makes requests to one Space, in one event loop.

    Args:
        access: Where the Space is and what may be shown to it.
        sessions: What sends a request; by whether a GET is sent once only.
        spawn: Runs work in a task that nobody awaits and that outlives a call.

    Attributes:
        logged_in: The Space has taken the login; the cookies keep it.
        cancelling: Held by each cancellation while it connects, so that not all do at once.
    """

    def __init__(
        self,
        access: Access,
        sessions: Mapping[bool, aiohttp.ClientSession | CustomSession],
        spawn: Callable[[Work], None],
    ) -> None:
        self.access = access
        self.spawn = spawn
        self.where = access.where
        self.logged_in = False
        self.cancelling = asyncio.Semaphore(_MOST_CANCELLING)
        self._sessions = sessions
        # `unsafe` is aiohttp's word for cookies from hosts named by a bare address.
        self._cookies = aiohttp.CookieJar(unsafe=True)

    async def request(
        self, method: str, url: URL, *, once: bool = False, **options: Any
    ) -> AnyResponse:
        """Send one request and return its response, the body unread.

        Redirects are not followed.

        Args:
            method: The HTTP method.
            url: Where to.
            once: Never to send it twice; else a GET is repeated if the connection broke before its
                answer.
            options: More for aiohttp.

        Raises:
            SpaceConnectionError: The host cannot be reached, or the connection broke.
            ProtocolError: The answer is compressed.
        """
        headers = {**options.pop("headers", {}), **self.access.token_headers(url)}
        if cookies := self._cookies.filter_cookies(url):
            headers["Cookie"] = cookies.output(attrs=[], header="", sep=";").strip()
        try:
            response = await self._sessions[once].request(
                method,
                url,
                headers=headers,
                proxy=self.access.proxy_for(url),
                allow_redirects=False,
                **options,
            )
        except aiohttp.ClientHttpProxyError as error:
            refused = connection_error(error, url)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise connection_error(error, url) from error
        else:
            if response.cookies:
                self._cookies.update_cookies(response.cookies, url)
            return _as_it_is(response)
        raise refused  # without its cause, which holds the password that was shown to the proxy

    async def fetch(
        self, method: str, url: URL, limit: int, within: float | None, **options: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request whose answer is read whole: status, headers, body.

        A redirect is followed on the same host and port only, and never from https to http.

        Raises:
            SpaceConnectionError: No connection, or it broke.
            SpaceTimeoutError: No answer within `within` seconds.
            ProtocolError: The body is longer than `limit` bytes.
        """
        try:
            async with asyncio.timeout(within):
                for _ in range(_MOST_REDIRECTS + 1):
                    async with await self.request(method, url, **options) as response:
                        body = await read_body(response, limit)
                    target = _redirect(response, method)
                    if target is None:
                        break
                    url = target
                return response.status, response.headers, body
        except QwenSpaceError:
            raise
        except TimeoutError:
            msg = (
                f"{self.where} did not answer {method} {url.path} within {within} seconds. It may "
                "be overloaded; raise timeout=… or try later."
            )
            raise SpaceTimeoutError(msg) from None

    async def login(self, base: URL, within: float | None) -> None:
        """Log in, if the Space requires it and this client has not done so yet.

        Raises:
            SpaceAuthenticationError: It refuses the user or the password.
            InvalidInputError: The password would cross the network unencrypted.
        """
        if self.access.auth is None or self.logged_in:
            return
        user, password = self.access.auth
        self.access.check_encrypted(base, "The login (auth=…)")
        status, headers, body = await self.fetch(
            "POST",
            base / "login",
            ERROR_BYTES,
            within,
            data={"username": user, "password": password},
        )
        if status in (400, 401):
            msg = f"{self.where} rejects the login of {user!r}. Check auth=(user, password)."
            raise SpaceAuthenticationError(msg, status=status)
        if status != 200:
            raise from_status(status, headers, text_of(body), self.where, "POST /login")
        self.logged_in = True


def connection_error(error: Exception, url: URL) -> SpaceConnectionError:
    """What a transport's error means to the caller."""
    host = url.host or ""
    if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        what = f"The proxy before {host} cannot be used ({_reason(error)}). Check proxy=…"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        what = f"The certificate of {host} cannot be verified ({_reason(error)})."
        return SpaceConnectionError(what, is_retryable=False)
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        what = f"There is no host {host}. Check the name of the Space and the network."
        if error.host not in (host, url.raw_host):
            what = f"There is no host {error.host}, the proxy before {host}. Check proxy=…"
    elif isinstance(error, UnicodeError):
        what = f"{host[:80]!r} cannot be the name of a host ({error}). Check space=…"
        return SpaceConnectionError(what, is_retryable=False)
    elif isinstance(error, aiohttp.ClientConnectorError):
        what = f"{url.origin()} cannot be reached ({_reason(error)}). Is the Space running?"
    else:
        what = f"The connection to {host} broke ({_reason(error)})."
    return SpaceConnectionError(what)


async def read_body(response: AnyResponse, limit: int) -> bytes:
    """The whole body, so that the connection can be used again.

    Raises:
        ProtocolError: It is longer than `limit` bytes.
        SpaceConnectionError: The connection broke.
    """
    parts = []
    size = 0
    try:
        while part := await response.content.readany():
            size += len(part)
            if size > limit:
                response.close()
                what = f"{response.url.host} answered {response.url.path}"
                msg = f"{what} with more than {limit:,} bytes, which are not read."
                raise ProtocolError(msg, is_retryable=False)
            parts.append(part)
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, response.url) from error
    return b"".join(parts)


def text_of(body: bytes) -> str:
    """A body as text for a message."""
    return body.decode(errors="replace")


def decoded(body: bytes) -> object:
    """The decoded body, or None where it is not JSON."""
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _as_it_is(response: AnyResponse) -> AnyResponse:
    """The response, if its body is not compressed."""
    packed = response.headers.get("Content-Encoding", "identity")
    if response.status == 200 and packed != "identity":
        response.close()
        what = f"{response.url.host} answered {response.url.path} compressed ({packed:.20})"
        msg = f"{what}, which was not requested and is not decompressed."
        raise ProtocolError(msg, is_retryable=False)
    return response


def _redirect(response: AnyResponse, method: str) -> URL | None:
    """Where a redirect leads that may be followed."""
    if response.status not in ((301, 302, 303, 307, 308) if method == "GET" else (307, 308)):
        return None
    source = response.url
    try:
        target = source.join(URL(response.headers.get("Location", "")))
        if target.origin() == source.origin():
            return target
        # From http to https, each on its own port, it is the same host all the same.
        upgraded = source.with_scheme("https").with_port(None) if source.is_default_port() else None
    except ValueError:
        return None
    return target if upgraded is not None and target.origin() == upgraded.origin() else None


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or type(cause).__name__)
