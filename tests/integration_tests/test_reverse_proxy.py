"""A Space behind a web server that serves it under a path of its own."""

import socket
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from langchain_qwen_space import ChatQwenSpace

PATH = "/app"


@asynccontextmanager
async def proxied(space_url):
    """The address of a server that passes what it gets below `PATH` on, without `PATH`."""

    async def pass_on(request):
        target = space_url + request.raw_path[len(PATH) :]
        asked.append(request.path)
        async with session.request(
            request.method,
            target,
            headers={
                name: value
                for name, value in request.headers.items()
                if name.startswith(("X-Forwarded", "Content-Type", "Cookie")) or name == "Host"
            },
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            return response

    asked = []
    app = web.Application()
    app.router.add_route("*", PATH + "/{rest:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await web.SockSite(runner, listening).start()
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}", asked
        await runner.cleanup()


async def test_a_path_that_the_web_server_strips_stays_in_front(space_url):
    # The app does not know of the path, so its `root` is the address without it.
    async with proxied(space_url) as (url, asked):
        model = ChatQwenSpace(space=url)
        answer = "".join([chunk.text async for chunk in model.astream("echo: a path")])
    assert answer == "a path"
    assert asked
    assert all(path.startswith(PATH + "/") for path in asked)
