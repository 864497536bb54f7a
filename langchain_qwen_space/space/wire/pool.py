"""The connections of one event loop. They close with the loop."""

import asyncio
import logging
import platform
from collections.abc import AsyncGenerator, Callable, Coroutine
from importlib.metadata import version
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from langchain_qwen_space.errors import ProtocolError, SpaceConnectionError
from langchain_qwen_space.space.wire.access import Access

logger = logging.getLogger(__name__)

USER_AGENT = (
    f"langchain-qwen-space/{version('langchain-qwen-space')} "
    f"(Python {platform.python_version()}; aiohttp {aiohttp.__version__})"
)
Work = Callable[[], Coroutine[Any, Any, None]]
_IDLE = 4.0  # seconds that a connection is kept; Gradio's server (uvicorn) closes it after 5
_FAREWELLS = 32  # concurrent cancel requests to one Space
_FAREWELL = 2.0  # seconds that a closing loop waits for its cancel requests


class Pool:
    """What the calls of one event loop share: connections, cookies, and cancel requests."""

    def __init__(self) -> None:
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE)
        self._cookies: dict[Access, aiohttp.CookieJar] = {}
        self._sessions: dict[tuple[Access, bool], aiohttp.ClientSession] = {}
        self._locks: dict[Access, asyncio.Lock] = {}
        self._turns: dict[Access, asyncio.Semaphore] = {}
        self.logged_in: set[Access] = set()
        self._tasks: dict[asyncio.Task[None], Work | None] = {}
        self._calls: set[Callable[[], None]] = set()
        self._owner: AsyncGenerator[None, None] | None = None

    async def own(self) -> None:
        """Tie the pool to the running loop, whose shutdown then closes it."""
        self._owner = self._owned()
        await anext(self._owner)

    async def _owned(self) -> AsyncGenerator[None, None]:
        # A loop that shuts down closes the asynchronous generators that are still open.
        try:
            yield
        finally:
            await self._close()

    def lock(self, access: Access) -> asyncio.Lock:
        """One lock a Space, so that many calls read its `/config` once."""
        return self._locks.setdefault(access, asyncio.Lock())

    def turn(self, access: Access) -> asyncio.Semaphore:
        """What a cancel request holds while it connects, which limits how many are sent at once."""
        return self._turns.setdefault(access, asyncio.Semaphore(_FAREWELLS))

    def enter(self, leave: Callable[[], None]) -> None:
        """Note a call that is under way, by what ends it."""
        self._calls.add(leave)

    def exit(self, leave: Callable[[], None]) -> None:
        """Forget a call that has ended."""
        self._calls.discard(leave)

    def spawn(self, work: Work, *, again: bool = True) -> None:
        """Run `work` in a task that nobody awaits; once more if the end of the loop cancels it.

        A loop that ends cancels every task first, and lets the pool close then.
        """
        task = asyncio.get_running_loop().create_task(work())
        self._tasks[task] = work if again else None
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        work = self._tasks.pop(task)
        if task.cancelled():
            if work is not None:
                self.spawn(work, again=False)
        elif (error := task.exception()) is not None:
            logger.debug("A cancel request failed: %s", error)

    def _session(self, access: Access, *, once: bool) -> aiohttp.ClientSession:
        session = self._sessions.get((access, once))
        if session is None:
            # `unsafe` is aiohttp's word for cookies from hosts named by a bare address.
            cookies = self._cookies.setdefault(access, aiohttp.CookieJar(unsafe=True))
            session = self._sessions[access, once] = aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                cookie_jar=cookies,
                # A few compressed bytes may be gigabytes: none are asked for, none unpacked.
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
            session._retry_connection = not once  # noqa: SLF001  aiohttp has no other word for it
        return session

    async def request(
        self, method: str, url: URL, access: Access, *, once: bool = False, **options: Any
    ) -> aiohttp.ClientResponse:
        """Send one request and return its response, the body unread.

        Redirects are not followed.

        Args:
            method: The HTTP method.
            url: Where to.
            access: Whose token, cookies and proxy go with it.
            once: Not to send a GET again whose connection broke before its answer began.
            options: More for aiohttp.

        Raises:
            SpaceConnectionError: The host cannot be reached, or the connection broke.
            ProtocolError: The answer is compressed.
        """
        session = self._session(access, once=once)
        headers = {**options.pop("headers", {}), **access.token_headers(url)}
        try:
            response = await session.request(
                method,
                url,
                headers=headers,
                proxy=access.proxy_for(url),
                allow_redirects=False,
                **options,
            )
        except aiohttp.ClientHttpProxyError as error:
            refused = connection_error(error, url)
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, url) from error
        else:
            return _as_it_is(response)
        raise refused  # without its cause, which holds the password that was shown to the proxy

    async def _close(self) -> None:
        for leave in list(self._calls):
            leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FAREWELL)
        for task in self._tasks:
            self._tasks[task] = None
            task.cancel()
        for session in self._sessions.values():
            await session.close()
        await self._connector.close()


def _as_it_is(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    """The response, if its body is not compressed."""
    packed = response.headers.get("Content-Encoding", "identity")
    if response.status == 200 and packed != "identity":
        response.close()
        what = f"{response.url.host} answered {response.url.path} compressed ({packed:.20})"
        msg = f"{what}, which was not asked for and is not unpacked."
        raise ProtocolError(msg, is_retryable=False)
    return response


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
    elif isinstance(error, aiohttp.ClientConnectorError):
        what = f"{url.origin()} cannot be reached ({_reason(error)}). Is the Space running?"
    else:
        what = f"The connection to {host} broke ({_reason(error)})."
    return SpaceConnectionError(what)


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or type(cause).__name__)


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()


async def current_pool() -> Pool:
    """The pool of the running event loop."""
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = Pool()
        await pool.own()
    return pool
