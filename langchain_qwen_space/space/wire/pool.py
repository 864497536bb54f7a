"""The connections of one event loop. They close with the loop."""

import asyncio
import copy
import logging
import platform
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable, Mapping
from importlib.metadata import version
from typing import Any, TypeVar

import aiohttp

from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.space.wire.access import Access
from langchain_qwen_space.space.wire.client import SpaceClient, Work
from langchain_qwen_space.space.wire.custom_transport import CustomSession

logger = logging.getLogger(__name__)

T = TypeVar("T")

USER_AGENT = (
    f"langchain-qwen-space/{version('langchain-qwen-space')} "
    f"(Python {platform.python_version()}; aiohttp {aiohttp.__version__})"
)
_IDLE = 4.0  # seconds that a connection is kept; Gradio's server (uvicorn) closes it after 5
_CANCELLING = 2.0  # seconds that a closing loop waits until Spaces know which calls are cancelled
_MOST_CLIENTS = 256  # whose cookies are kept
_BUFFER = 2**20  # bytes of an answer that are received before anybody reads them


class Pool:
    """What the calls of one event loop share: connections, cookies, requests under way."""

    def __init__(self) -> None:
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE)
        self._sessions = {once: self._session(once=once) for once in (False, True)}
        self._clients: OrderedDict[str, SpaceClient] = OrderedDict()
        self._shared: dict[Hashable, _Shared] = {}
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

    async def aclose(self) -> None:
        """Cancel the calls that are under way and close the connections."""
        if self._owner is not None:
            await self._owner.aclose()

    def abandon(self) -> None:
        """Let go of everything after the loop was closed; sockets close when they are collected."""
        for session in self._sessions.values():
            session.detach()

    def client(self, access: Access) -> SpaceClient:
        """Who visits a Space with this access: the same cookies and login each time."""
        key = access.key
        client = self._clients.get(key)
        if client is None:
            sessions: Mapping[bool, aiohttp.ClientSession | CustomSession] = self._sessions
            if access.transport is not None:
                custom = CustomSession(access.transport, {"User-Agent": USER_AGENT})
                sessions = dict.fromkeys((False, True), custom)
            client = self._clients[key] = SpaceClient(access, sessions, self.spawn)
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(key)
        return client

    async def shared(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, run once for all that ask for `key` meanwhile; its error too.

        It is cancelled when nobody waits for it any more.
        """
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(asyncio.get_running_loop().create_task(work()))
        shared.waiters += 1
        try:
            result: T = await asyncio.shield(shared.task)
        except QwenSpaceError as error:
            raise copy.copy(error) from error.__cause__  # each caller adds notes to its own
        finally:
            shared.waiters -= 1
            if shared.task.done() or not shared.waiters:
                shared.task.cancel()
                if self._shared.get(key) is shared:
                    del self._shared[key]
        return result

    def enter(self, leave: Callable[[], None]) -> None:
        """Note a call that is under way, by what cancels it."""
        self._calls.add(leave)

    def exit(self, leave: Callable[[], None]) -> None:
        """Forget a call that is over."""
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
            logger.debug("A cancel request failed: %s", type(error))

    def _session(self, *, once: bool) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),  # each client has its own
            # A few compressed bytes may be gigabytes: none are asked for, none unpacked.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            read_bufsize=_BUFFER if once else 2**16,
        )
        session._retry_connection = not once  # noqa: SLF001  aiohttp has no other word for it
        return session

    async def _close(self) -> None:
        _pools.pop(asyncio.get_running_loop(), None)
        for leave in list(self._calls):
            leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCELLING)
        for task in self._tasks:
            self._tasks[task] = None
            task.cancel()
        for shared in self._shared.values():
            shared.task.cancel()
        for session in self._sessions.values():
            await session.close()
        await self._connector.close()


class _Shared:
    """Work whose result several calls wait for."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.task = task
        self.waiters = 0


_pools: dict[asyncio.AbstractEventLoop, Pool] = {}


async def current_pool() -> Pool:
    """The pool of the running event loop."""
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        for other in [other for other in list(_pools) if other.is_closed()]:
            if (left := _pools.pop(other, None)) is not None:  # its loop was not shut down
                left.abandon()
        pool = _pools[loop] = Pool()
        await pool.own()
    return pool


async def aclose() -> None:
    """Cancel the calls of the running event loop and close its connections.

    The end of the loop does so by itself (`asyncio.run` and what is like it). The next call opens
    new connections.
    """
    pool = _pools.get(asyncio.get_running_loop())
    if pool is not None:
        await pool.aclose()
