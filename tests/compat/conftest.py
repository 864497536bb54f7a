"""Servers for the tests: one process a form, started when first needed, kept to the end."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import aiohttp
import pytest
from yarl import URL

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.space.routing import target
from langchain_qwen_space.space.wire.client import SpaceClient

from . import wire
from .forms import CREDENTIALS, Form
from .servers import Server, kept

Chat = Callable[..., ChatQwenSpace]

NEEDED: dict[str, dict[str, Any]] = {
    "login": {"auth": CREDENTIALS},
    "ambiguous_endpoints": {"api_name": "chat_right"},
    "ambiguous_inputs": {"inputs": {"query": "Second"}},
}
"""What a layout cannot be understood without."""


@pytest.fixture(autouse=True)
def _no_known_endpoints() -> None:
    """Each test meets its Space for the first time: ports are used again by other servers."""
    target._pages.clear()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Form], Server]]:
    """Gives the server of a form."""
    with kept(tmp_path_factory) as server_of:
        yield server_of


@pytest.fixture
def server(servers: Callable[[Form], Server], form: Form) -> Server:
    """The server of the form that the test is run for."""
    return servers(form)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps cookies of bare addresses, which aiohttp by itself does not.

    It takes a new connection for each request: after a 500 the server closes one unannounced.
    """
    jar = aiohttp.CookieJar(unsafe=True)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as session:
        yield session


@pytest.fixture
async def space(http: aiohttp.ClientSession, server: Server, layout: str) -> wire.Space:
    """The layout that the test is run for, on that server."""
    return await wire.space(http, server.base_url(layout))


@pytest.fixture
def chat(server: Server, layout: str) -> Chat:
    """Makes models of the layout that the test is run for; it takes settings.

    Nothing is tried again, so that nothing fails unseen.
    """
    needed = {"max_retries": 0, **NEEDED.get(layout, {})}
    return partial(ChatQwenSpace, space=server.base_url(layout), **needed)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The last two parts of the path of every request that the package makes."""
    made: list[str] = []
    request = SpaceClient.request

    async def noted(self: SpaceClient, method: str, url: URL, *args: Any, **options: Any) -> Any:
        made.append("/".join(url.parts[-2:]))
        return await request(self, method, url, *args, **options)

    monkeypatch.setattr(SpaceClient, "request", noted)
    return made
