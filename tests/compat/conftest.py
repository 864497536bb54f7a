"""Servers for the tests: one process a form, started when first needed, kept to the end."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from . import wire
from .forms import Form
from .servers import Server, running


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Form], Server]]:
    """Gives the server of a form."""
    with ExitStack() as stack:
        started: dict[Form, Server] = {}

        def server_of(form: Form) -> Server:
            if form not in started:
                directory = tmp_path_factory.mktemp(form.name)
                started[form] = stack.enter_context(running(form, directory))
            return started[form]

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
