"""One Space, as the rest of the package talks to it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from yarl import URL

from langchain_qwen_space.errors import (
    ProtocolError,
    SpaceAuthenticationError,
    SpaceTimeoutError,
    UnsupportedSpaceError,
)
from langchain_qwen_space.space.access import Access
from langchain_qwen_space.space.chatbot import History
from langchain_qwen_space.space.config import read_config
from langchain_qwen_space.space.endpoint import Endpoint, find_endpoint
from langchain_qwen_space.space.faults import from_status
from langchain_qwen_space.space.hub import host_by_rule
from langchain_qwen_space.space.pool import Pool, connection_error

_ERROR_BYTES = 64 * 1024  # how much of an error's body is read


@dataclass(frozen=True, slots=True)
class Options:
    """How a call is made. Times are in seconds, None is without limit.

    Attributes:
        timeout: The longest silence of the Space.
        max_retries: How often a call is made again that failed before its first fragment.
        max_concurrency: How many calls are on the Space at a time.
        join_fragments: Whether fragments that have arrived together are handed out as one.
        max_reply_bytes: The most that one event, or one answer, may hold.
        max_config_bytes: The most that the Space's `/config` may hold.
        api_name: The function to call, by its name on the Space's API page.
        inputs: (role, label or index) pairs that settle which input is what.
    """

    timeout: float | None = 60.0
    max_retries: int = 2
    max_concurrency: int | None = None
    join_fragments: bool = True
    max_reply_bytes: int = 16 * 2**20
    max_config_bytes: int = 16 * 2**20
    api_name: str | None = None
    inputs: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: the question, earlier turns, values by role, values by label."""

    query: str
    history: History = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


Prepare = Callable[[Endpoint], Ask]

_endpoints: dict[tuple[Access, str | None, tuple[tuple[str, str | int], ...]], Endpoint] = {}
_endpoints_lock = threading.Lock()


class SpaceClient:
    """Finds a Space's endpoint and makes calls to it. Holds settings only; cheap to make."""

    def __init__(self, access: Access, options: Options) -> None:
        self.access = access
        self.options = options
        self.where = f"Space {access.space}"
        self.base = URL(access.space) if access.is_url else host_by_rule(access.space)

    def api(self, endpoint: Endpoint, path: str) -> URL:
        """The URL of a route of the app's queue.

        `root` may name one replica of the Space by its path; a root on another host is ignored.
        """
        root = URL(endpoint.config.root)
        base = self.base.with_path(root.path) if root.host == self.base.host else self.base
        prefix = endpoint.config.api_prefix.strip("/")
        return base / prefix / path if prefix else base / path

    async def endpoint(self, pool: Pool, stale: Endpoint | None = None) -> Endpoint:
        """The function of the Space that chats, read off its `/config` once.

        Args:
            pool: The running loop's connections.
            stale: An endpoint that did not work; it is read again unless another call has.

        Raises:
            QwenSpaceError: The Space cannot be reached, or has no chat; see `errors`.
        """
        key = (self.access, self.options.api_name, self.options.inputs)
        async with pool.lock(self.access):
            known = _endpoints.get(key)
            if known is None or known is stale:
                config = read_config(await self._config(pool), self.where)
                known = find_endpoint(
                    config, self.where, self.options.api_name, dict(self.options.inputs)
                )
                with _endpoints_lock:
                    _endpoints[key] = known
        return known

    async def _config(self, pool: Pool) -> object:
        if self.access.auth is not None:
            await self.login(pool)
        status, headers, body = await self.fetch(
            pool, "GET", self.base / "config", self.options.max_config_bytes
        )
        if status != 200:
            raise from_status(
                status, headers, body.decode(errors="replace"), self.where, "GET /config"
            )
        try:
            return orjson.loads(body)
        except ValueError:
            msg = (
                f"{self.where} answered GET /config with something that is no JSON, so no Gradio "
                "app runs there. Give the id of a Gradio Space or the URL of its app."
            )
            raise UnsupportedSpaceError(msg) from None

    async def login(self, pool: Pool) -> None:
        """Log in to a Space with a login; the session's cookies keep it.

        Raises:
            SpaceAuthenticationError: It refuses the user or the password.
        """
        user, password = self.access.auth or ("", "")
        status, headers, body = await self.fetch(
            pool,
            "POST",
            self.base / "login",
            _ERROR_BYTES,
            data={"username": user, "password": password},
        )
        if status in (400, 401):
            msg = f"{self.where} refuses the login of {user!r}. Check auth=(user, password)."
            raise SpaceAuthenticationError(msg, status=status)
        if status != 200:
            raise from_status(
                status, headers, body.decode(errors="replace"), self.where, "POST /login"
            )

    async def fetch(
        self, pool: Pool, method: str, url: URL, limit: int, **options: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request whose answer is read whole: status, headers, body.

        Raises:
            SpaceConnectionError: No connection, or it broke.
            SpaceTimeoutError: No answer within `timeout` seconds.
            ProtocolError: The body is longer than `limit` bytes.
        """
        try:
            async with asyncio.timeout(self.options.timeout):
                async with await pool.request(method, url, self.access, **options) as response:
                    body = await read_body(response, limit)
                return response.status, response.headers, body
        except TimeoutError:
            msg = (
                f"{self.where} did not answer {method} {url.path} within "
                f"{self.options.timeout} seconds. It may be overloaded; raise timeout=… or try later."
            )
            raise SpaceTimeoutError(msg) from None


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
                msg = f"{response.url.host} answered {response.url.path} with more than {limit:,} bytes."
                raise ProtocolError(msg, is_retryable=False)
            parts.append(part)
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, response.url) from error
    return b"".join(parts)
