"""What became of the calls that said `hold:KEY`, as the server counts them."""

import asyncio

import aiohttp

from .servers import Server

_LOOK = 0.05
_STILL = 0.5  # seconds without a step; one takes a tenth of that


async def runs_of(http: aiohttp.ClientSession, server: Server, key: str) -> dict[str, int]:
    """How many calls under this key have `started` and `ended`, and their `steps` in all."""
    async with http.get(f"{server.url}/runs", params={"key": key}) as answer:
        return dict(await answer.json())


async def started(http: aiohttp.ClientSession, server: Server, key: str) -> None:
    """Comes back when a run has begun."""
    while not (await runs_of(http, server, key))["started"]:
        await asyncio.sleep(_LOOK)


async def still(http: aiohttp.ClientSession, server: Server, key: str) -> dict[str, int]:
    """The counts, once no run under this key steps any more."""
    seen = await runs_of(http, server, key)
    while True:
        await asyncio.sleep(_STILL)
        now = await runs_of(http, server, key)
        if now == seen:
            return now
        seen = now
