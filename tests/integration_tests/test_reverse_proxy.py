"""A Space behind a web server that serves it under a path of its own."""

from langchain_qwen_space import ChatQwenSpace
from tests.reverse_proxy import stripping_proxy


async def test_a_path_that_the_web_server_strips_stays_in_front(space_url):
    # The app does not know of the path, so its `root` is the address without it.
    async with stripping_proxy(space_url) as (origin, asked):
        model = ChatQwenSpace(space=f"{origin}/app")
        answer = "".join([chunk.text async for chunk in model.astream("echo: a path")])
    assert answer == "a path"
    assert asked
    assert all(path.startswith("/app/") for path in asked)
