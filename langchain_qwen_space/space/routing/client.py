"""One Space, as the rest of the package talks to it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import orjson
from yarl import URL

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import (
    ProtocolError,
    QwenSpaceError,
    SpaceAuthenticationError,
    SpaceConnectionError,
    SpaceNotFoundError,
    SpaceTimeoutError,
)
from langchain_qwen_space.space.chat.chatbot import History
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.finding import Wanted
from langchain_qwen_space.space.page.config import read_config
from langchain_qwen_space.space.routing.hub import host_by_rule, host_from, hub_url, stage_error
from langchain_qwen_space.space.wire.access import Access
from langchain_qwen_space.space.wire.faults import from_status
from langchain_qwen_space.space.wire.pool import Pool, connection_error

ERROR_BYTES = 64 * 1024  # how much of an error's body is read
_HUB_PATIENCE = 10.0  # seconds; without the Hub API the host is derived from the id
_MOST_REDIRECTS = 4


@dataclass(frozen=True, slots=True)
class Options:
    """How a call is made. Times are in seconds, None is without limit.

    Attributes:
        timeout: The longest silence of the Space.
        queue_timeout: The longest wait in the Space's queue.
        total_timeout: The longest that the whole call may take.
        wake_timeout: How long a Space that is asleep or starting is waited for.
        max_retries: How often a call that failed before its first text is retried.
        max_concurrency: How many calls are on the Space at the same time.
        join_fragments: Whether text that arrives together is joined.
        max_reply_bytes: The largest size of one event or one answer.
        max_config_bytes: The most that the Space's `/config` may hold.
        start: The function that the page's event calls, by name or number.
        api_name: The function that answers, by its name on the Space's API page.
        inputs: (role, label or index) pairs that settle which input is what.
        history: How earlier turns travel: "turns", "text" (in the question), or None: as turns where
            the page is known to take them from a client.
    """

    timeout: float | None = 60.0
    queue_timeout: float | None = None
    total_timeout: float | None = None
    wake_timeout: float = 120.0
    max_retries: int = 2
    max_concurrency: int | None = None
    join_fragments: bool = True
    max_reply_bytes: int = 16 * 2**20
    max_config_bytes: int = 16 * 2**20
    start: str | int | None = None
    api_name: str | None = None
    inputs: tuple[tuple[str, str | int], ...] = ()
    history: Literal["turns", "text"] | None = None

    @property
    def wanted(self) -> Wanted:
        """What the caller settled of the chat."""
        return Wanted(self.start, self.api_name, dict(self.inputs))


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: the question, earlier turns, values by role, values by label.

    `files` are those of each turn, the question's last, or empty where there are none at all.
    `notes` say what could not be laid out as it was given, each to follow the Space's name.
    """

    query: str
    history: History = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    files: Sequence[Sequence[Attachment]] = ()


Prepare = Callable[[Endpoint], Ask]

_Known = tuple[Access, str | int | None, str | None, tuple[tuple[str, str | int], ...]]
_endpoints: dict[_Known, Endpoint] = {}


class SpaceClient:
    """Finds a Space's endpoint and makes requests to it. Holds settings only; cheap to make."""

    def __init__(self, access: Access, options: Options) -> None:
        self.access = access
        self.options = options
        self.where = f"Space {access.space}"

    async def endpoint(self, pool: Pool, stale: Endpoint | None = None) -> Endpoint:
        """The function of the Space that chats, read off its `/config` once.

        Args:
            pool: The running loop's connections.
            stale: An endpoint that did not work; it is read again unless another call has.

        Raises:
            SpaceAsleepError: The Space will run in a while.
            QwenSpaceError: The Space cannot be reached, or has no chat; see `errors`.
        """
        options = self.options
        key = (self.access, options.start, options.api_name, options.inputs)
        async with pool.lock(self.access):
            known = _endpoints.get(key)
            if known is None or known is stale:
                base = await self._host(pool)
                await self.login(pool, base)
                try:
                    config = read_config(await self._config(pool, base), base, self.where)
                except QwenSpaceError as error:
                    explained = await self._explained(pool, error)
                    if explained is error:
                        raise
                    raise explained from error
                from langchain_qwen_space.space.routing.loading import find_chat

                known = await find_chat(self, pool, config)
                _endpoints[key] = known
            else:
                await self.login(pool, known.config.base)
        return known.with_history(self.options.history)

    def quoted(self, body: bytes) -> str:
        """The body as text for a message, without our secrets, should the Space repeat them."""
        text = body.decode(errors="replace")
        for secret in (self.access.token, *(self.access.auth or ())[1:]):
            if secret:
                text = text.replace(secret, "…")
        return text

    async def _host(self, pool: Pool) -> URL:
        """Where the app runs: the URL given, else what the Hub API says, else its rule."""
        space = self.access.space
        if self.access.is_url:
            return URL(space)
        try:
            async with asyncio.timeout(_HUB_PATIENCE):
                status, _, body = await self.fetch(pool, "GET", hub_url(space, "host"), ERROR_BYTES)
        except (SpaceConnectionError, SpaceTimeoutError, TimeoutError):
            return host_by_rule(space)
        if status in (401, 403, 404):
            msg = (
                f"There is no {self.where}, or it is private and no token that may see it was "
                "given. Check the id, and hf_token=…"
            )
            raise SpaceNotFoundError(msg, status=status)
        return host_from(_json(body), space) if status == 200 else host_by_rule(space)

    async def _config(self, pool: Pool, base: URL) -> object:
        status, headers, body = await self.fetch(
            pool, "GET", base / "config", self.options.max_config_bytes
        )
        if status != 200:
            text = self.quoted(body)
            raise from_status(status, headers, text, self.where, "GET /config")
        return _json(body)

    async def _explained(self, pool: Pool, error: QwenSpaceError) -> QwenSpaceError:
        """What the Hub API says of a Space that did not answer as it should, else `error`."""
        if self.access.is_url or isinstance(error, SpaceAuthenticationError):
            return error
        try:
            async with asyncio.timeout(_HUB_PATIENCE):
                url = hub_url(self.access.space, "runtime")
                status, _, body = await self.fetch(pool, "GET", url, ERROR_BYTES)
        except (QwenSpaceError, TimeoutError):
            return error
        return (stage_error(_json(body), self.where) if status == 200 else None) or error

    async def login(self, pool: Pool, base: URL) -> None:
        """Log in to a Space with a login, once an event loop; the session's cookies keep it.

        Raises:
            SpaceAuthenticationError: It refuses the user or the password.
        """
        if self.access.auth is None or self.access in pool.logged_in:
            return
        user, password = self.access.auth
        form = {"username": user, "password": password}
        status, headers, body = await self.fetch(
            pool, "POST", base / "login", ERROR_BYTES, data=form
        )
        if status in (400, 401):
            msg = f"{self.where} refuses the login of {user!r}. Check auth=(user, password)."
            raise SpaceAuthenticationError(msg, status=status)
        if status != 200:
            text = self.quoted(body)
            raise from_status(status, headers, text, self.where, "POST /login")
        pool.logged_in.add(self.access)

    async def fetch(
        self, pool: Pool, method: str, url: URL, limit: int, **options: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request whose answer is read whole: status, headers, body.

        A redirect is followed on the same host and port only, and never from https to http.

        Raises:
            SpaceConnectionError: No connection, or it broke.
            SpaceTimeoutError: No answer within `timeout` seconds.
            ProtocolError: The body is longer than `limit` bytes.
        """
        try:
            async with asyncio.timeout(self.options.timeout):
                for _ in range(_MOST_REDIRECTS):
                    async with await pool.request(method, url, self.access, **options) as response:
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
                f"{self.where} did not answer {method} {url.path} within "
                f"{self.options.timeout} seconds. It may be overloaded; raise timeout=… or try later."
            )
            raise SpaceTimeoutError(msg) from None


def _redirect(response: aiohttp.ClientResponse, method: str) -> URL | None:
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


def _json(body: bytes) -> object:
    """The decoded body, or None if it is not JSON."""
    try:
        return orjson.loads(body)
    except ValueError:
        return None


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
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
