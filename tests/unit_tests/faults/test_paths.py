"""A reverse proxy that serves the app under a path: which part of the app's `root` counts."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.unit_tests.faults.calls import ask, model_for
from tests.unit_tests.faults.server import ANSWER, CONFIG, FaultServer, reply

REPLICA = "/--replicas/abc12"


@asynccontextmanager
async def stripping_proxy(space: FaultServer) -> AsyncIterator[tuple[str, list[str]]]:
    """`location /app/ { proxy_pass http://backend/; }`: its URL and the paths that it was asked.

    What is outside /app/ is another site, which knows none of the app's routes.
    """
    asked: list[str] = []

    async def forward(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        target = f"{space.url}/{request.match_info['rest']}"
        body = await request.read()
        headers = {"Content-Type": request.content_type}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, target, params=request.query, data=body, headers=headers
            ) as answer,
        ):
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/app/{rest:.*}", forward)
    app.router.add_route("*", "/{rest:.*}", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("root", "under"),
    [
        ("", "/app"),  # the app names none
        ("{origin}", "/app"),  # by the Host header, without the path that the proxy took off
        ("{origin}/", "/app"),
        ("{origin}/other", "/app"),  # of the app's own settings, for another proxy
        ("{origin}/apples", "/app"),  # not under the path, though its name begins so
        ("{origin}/app", "/app"),  # of an app that knows its path
        ("{origin}/app" + REPLICA, "/app" + REPLICA),
        ("http://backend.internal:7860", "/app"),
    ],
)
async def test_the_path_of_the_given_url_stays(space, root, under, slash):
    async with stripping_proxy(space) as (origin, asked):
        config = {**CONFIG, "root": root.format(origin=origin)}
        space.on("config", reply(json.dumps(config)))
        outcome = await ask(model_for(f"{origin}/app{slash}"))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    api = f"{under}{CONFIG['api_prefix']}/queue"
    assert asked == ["/app/config", f"{api}/join", f"{api}/data"]
