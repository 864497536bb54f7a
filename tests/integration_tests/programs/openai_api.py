"""A server on loopback that speaks OpenAI's chat completions, with the answers of `answers.py`."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.integration_tests.answers import reply

_CALL = re.compile(r"\n?<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    """The message that answers, and why it ended."""
    turns: list[str] = []
    system, history, spoken = "", [], ""
    for message in body["messages"]:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "".join(block.get("text", "") for block in content)
        if message["role"] in ("system", "developer"):
            system = content
        elif message["role"] == "assistant":
            history.append((turns[-1] if turns else "", content))
        elif message["role"] == "tool":
            turns.append(f"<tool_response>\n{content}\n</tool_response>")
        else:
            turns.append(content)
    spoken = turns[-1] if body["messages"][-1]["role"] in ("user", "tool") else ""
    text = reply(system, history, spoken, body["model"])
    reason = "stop"
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit and len(words := re.findall(r"\s*\S+", text)) > limit:
        text, reason = "".join(words[:limit]), "length"
    calls = [json.loads(call) for call in _CALL.findall(text)] if body.get("tools") else []
    message = {"role": "assistant", "content": _CALL.sub("", text) if calls else text}
    if calls:
        reason = "tool_calls"
        message["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
            }
            for number, call in enumerate(calls)
        ]
    return {"index": 0, "message": message, "finish_reason": reason}


async def _complete(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    try:
        choice = _answer(body)
    except RuntimeError as error:
        return web.json_response({"error": {"message": str(error)}}, status=500)
    head = {"id": "chatcmpl-1", "created": 0, "model": body["model"]}
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    if not body.get("stream"):
        whole = {"object": "chat.completion", "choices": [choice], "usage": usage}
        return web.json_response(head | whole)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def send(delta: dict[str, Any], reason: str | None = None) -> None:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        await write({"choices": choices})

    async def write(part: dict[str, Any]) -> None:
        data = json.dumps(head | {"object": "chat.completion.chunk"} | part)
        await response.write(f"data: {data}\n\n".encode())

    message = choice["message"]
    await send({"role": "assistant", "content": ""})
    for word in re.findall(r"\s*\S+", message["content"]):
        await send({"content": word})
    for number, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        begun = {**call, "index": number, "function": {**function, "arguments": ""}}
        await send({"tool_calls": [begun]})
        rest = {"index": number, "function": {"arguments": function["arguments"]}}
        await send({"tool_calls": [rest]})
    await send({}, choice["finish_reason"])
    if (body.get("stream_options") or {}).get("include_usage"):
        await write({"choices": [], "usage": usage})
    await response.write(b"data: [DONE]\n\n")
    return response


@contextlib.contextmanager
def openai_api() -> Iterator[str]:
    """Serve in a thread; gives the base URL."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()
    url = []

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", _complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        url.append(f"http://{host}:{port}/v1")
        ready.set()
        await end.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield url[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
