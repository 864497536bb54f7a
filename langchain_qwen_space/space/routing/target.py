"""One Space, as the rest of the package knows it: its settings, its host, the chat on its page."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from yarl import URL

from langchain_qwen_space.errors import (
    QwenSpaceError,
    SpaceConnectionError,
    SpaceNotFoundError,
    SpaceTimeoutError,
    SpaceUnavailableError,
    UnsupportedSpaceError,
)
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.page.config import SpaceConfig, read_config
from langchain_qwen_space.space.routing.hub import host_by_rule, host_from, hub_url, stage_error
from langchain_qwen_space.space.routing.opening import find_chat
from langchain_qwen_space.space.routing.options import SpaceOptions
from langchain_qwen_space.space.wire.access import Access
from langchain_qwen_space.space.wire.client import ERROR_BYTES, SpaceClient, decoded, text_of
from langchain_qwen_space.space.wire.faults import from_status
from langchain_qwen_space.space.wire.pool import Pool

_HUB_PATIENCE = 10.0  # seconds; without the Hub API the host is found by rule
_FRESH = 300.0  # seconds after which a page is read again, should the Space have been redeployed
_MOST_PAGES = 256  # that are kept


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that was read.

    Attributes:
        endpoint: The chat on it.
        access: What it was read with.
        read_at: When, in seconds of the monotonic clock.
    """

    endpoint: Endpoint
    access: Access
    read_at: float


_pages: "OrderedDict[tuple[object, ...], _Page]" = OrderedDict()
_pages_lock = threading.Lock()


class SpaceTarget:
    """A Space to call, and how. Holds settings only; cheap to make."""

    def __init__(self, access: Access, options: SpaceOptions) -> None:
        self.access = access
        self.options = options
        self.where = access.where

    async def visit(
        self, pool: Pool, stale: Endpoint | None = None
    ) -> tuple[Endpoint, SpaceClient]:
        """Read the Space's page, logged in; return the chat on it and what makes requests.

        The page is read once for all who ask for it at a time, and again after five minutes.

        Args:
            pool: The running loop's connections.
            stale: An endpoint that did not work; it is read again unless another call has.

        Raises:
            SpaceAsleepError: The Space will run in a while.
            QwenSpaceError: The Space cannot be reached, or has no chat; see `errors`.
        """
        options = self.options
        key = (self.access.key, options.start, options.api_name, options.inputs)
        page = _pages.get(key)
        known = page.endpoint.config if page else None
        if page is None or page.read_at + _FRESH < time.monotonic() or known is _config_of(stale):
            before = page
            page = await pool.shared(key, lambda: self._read_page(pool))
            if before is not None and before.endpoint.config == page.endpoint.config:
                seen = before.endpoint.habits  # what was learned of the same app
                page = replace(page, endpoint=replace(page.endpoint, habits=seen))
            with _pages_lock:
                _pages[key] = page
                _pages.move_to_end(key)
                if len(_pages) > _MOST_PAGES:
                    _pages.popitem(last=False)
        client = pool.client(page.access)
        await client.login(page.endpoint.config.base, self.options.timeout)
        return page.endpoint.with_history(self.options.history), client

    async def explained(self, pool: Pool, error: QwenSpaceError) -> QwenSpaceError:
        """What the Hub API says of a Space that does not answer as it should, else `error`."""
        unreachable = isinstance(
            error,
            SpaceUnavailableError
            | SpaceNotFoundError
            | SpaceConnectionError
            | SpaceTimeoutError
            | UnsupportedSpaceError,
        )
        if self.access.is_url or not unreachable:
            return error
        try:
            async with asyncio.timeout(_HUB_PATIENCE):
                status, _, body = await self._ask_hub(pool, "runtime")
        except (QwenSpaceError, TimeoutError):
            return error
        return (stage_error(decoded(body), self.where) if status == 200 else None) or error

    async def _read_page(self, pool: Pool) -> _Page:
        access, base = await self._host(pool)
        client = pool.client(access)
        try:
            await client.login(base, self.options.timeout)
            config = read_config(await self._config(client, base), base, self.where)
            endpoint = await find_chat(client, self.options, config)
        except QwenSpaceError as error:
            explained = await self.explained(pool, error)
            if explained is error:
                raise
            raise explained from error
        return _Page(endpoint, access, time.monotonic())

    async def _host(self, pool: Pool) -> tuple[Access, URL]:
        """Where the app runs: the URL given, else what the Hub API says, else its rule.

        With the access that is to be used: a token that was only found is left out if it is refused,
        since the Hub API refuses an expired token for public Spaces too.
        """
        access, space = self.access, self.access.space
        if access.is_url:
            return access, URL(space)
        try:
            async with asyncio.timeout(_HUB_PATIENCE):
                status, _, body = await self._ask_hub(pool, "host")
                if status == 401 and access.token is not None and not access.token_is_explicit:
                    without = SpaceTarget(replace(access, token=None), self.options)
                    status, _, body = await without._ask_hub(pool, "host")
                    access = without.access if status == 200 else access
        except (SpaceConnectionError, SpaceTimeoutError, TimeoutError):
            return access, host_by_rule(space)
        if status in (401, 403, 404):
            msg = (
                f"There is no {self.where}, or it is private and no token with access to it was "
                "given. Check the id and hf_token=…"
            )
            raise SpaceNotFoundError(msg, status=status)
        return access, host_from(decoded(body), space) if status == 200 else host_by_rule(space)

    async def _ask_hub(self, pool: Pool, question: str) -> tuple[int, Mapping[str, str], bytes]:
        url = hub_url(self.access.space, question)
        client = pool.client(self.access)
        return await client.fetch("GET", url, ERROR_BYTES, self.options.timeout)

    async def _config(self, client: SpaceClient, base: URL) -> object:
        status, headers, body = await client.fetch(
            "GET", base / "config", self.options.max_config_bytes, self.options.timeout
        )
        if status != 200:
            raise from_status(status, headers, text_of(body), self.where, "GET /config")
        return decoded(body)


def _config_of(endpoint: Endpoint | None) -> SpaceConfig | None:
    return None if endpoint is None else endpoint.config
