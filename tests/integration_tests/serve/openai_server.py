"""A small OpenAI-compatible server on this machine, scripted by the question that it gets."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator

from aiohttp import web


class OpenAIServer:
    """What was asked of it, and what became of the answers."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.keys: list[str] = []
        self.began = threading.Event()
        self.left = threading.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`POST chat/completions`: do what the first word of the question says."""
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers["Authorization"])
        question = body["messages"][-1]["content"]
        if isinstance(question, list):  # files, and the text after them
            question = question[-1].get("text", "say I see.")
        order, _, rest = question.partition(" ")
        if order == "refuse":
            status, _, words = rest.partition(" ")
            return web.json_response({"error": {"message": words}}, status=int(status))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.connection = request.transport
        self.began.set()
        try:
            await self._stream(response, order, rest)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response

    async def _stream(self, response: web.StreamResponse, order: str, rest: str) -> None:
        unfinished = "" if "empty reason" in rest else None

        async def send(delta: dict, finish_reason: str | None = unfinished) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            await write({"choices": [choice]})

        async def write(chunk: dict) -> None:
            head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "tiny"}
            await response.write(f"data: {json.dumps(head | chunk)}\n\n".encode())

        await send({"role": "assistant", "content": ""})
        if order == "silence":
            await asyncio.sleep(600)
        if order == "think":
            for name in ("reasoning_content", "reasoning"):
                await send({name: f"{rest} "})
        for letter in rest:
            await send({"content": letter})
            await asyncio.sleep(0.01)
        if order == "cut":
            self.connection.abort()
        if order == "fail":
            await response.write(b'data: {"error": {"message": "out of memory"}}\n\n')
        if order != "break":
            await send({}, "stop")
            await write({"choices": [], "usage": {"total_tokens": 1}})
            await response.write(b"data: [DONE]\n\n")


@contextlib.contextmanager
def openai_server() -> Iterator[OpenAIServer]:
    """Serve in a thread; the URL ends with /v1, as those of real servers do."""
    server = OpenAIServer()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        server.url = f"http://{host}:{port}/v1"
        ready.set()
        await end.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
