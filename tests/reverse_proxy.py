"""A reverse proxy that serves an app under a path, which it takes off: `location /app/ { proxy_pass http://backend/; }`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


@asynccontextmanager
async def stripping_proxy(backend: str) -> AsyncIterator[tuple[str, list[str]]]:
    """The proxy's origin, and the paths that it was asked.

    What is outside /app/ is another site, which knows none of the app's routes.
    """
    asked: list[str] = []

    async def forward(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        target = f"{backend}/{request.match_info['rest']}"
        body = await request.read()
        headers = {"Content-Type": request.content_type, "Host": request.host}
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
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()
