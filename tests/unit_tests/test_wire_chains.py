"""Recorded chats of several functions: the same requests as the page's, and the exact answer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import GenerationError

WIRE = Path(__file__).parents[1] / "wire_chains"
STUDIO, FIVE, SIX = (
    "gradio-5.50.0-studio-settings",
    "gradio-5.50.0-two-steps",
    "gradio-6.31.0-two-steps",
)
SETTINGS = {
    STUDIO: {"model": "qwen3-small", "model_kwargs": {"Thinking Budget": 12}},
    FIVE: {"model": "tiger-70b", "temperature": 0.4, "max_tokens": 336},
}
BEFORE = [("human", "My name is Ada."), ("ai", "Hello Ada."), ("human", "What is my name?")]


class Recording:
    """A server that answers a recorded chat, and keeps what it was asked."""

    def __init__(self, folder: str, name: str) -> None:
        cases = WIRE / folder / "cases"
        self.config = (WIRE / folder / "config.json").read_bytes()
        record = json.loads((cases / f"{name}.json").read_bytes())
        self.reply: str | None = record["reply"]
        self.calls = record["calls"]
        self.bodies = [(cases / call["sse"]).read_bytes() for call in self.calls]
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Recording"]:
        """The server, on a port of its own."""
        app = web.Application()
        app.router.add_get("/config", self._config)
        app.router.add_post("/gradio_api/queue/join", self._join)
        app.router.add_get("/gradio_api/queue/data", self._data)
        app.router.add_post("/gradio_api/cancel", self._config)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @property
    def wanted(self) -> list[dict[str, Any]]:
        """What the page asked, but for the number of its session."""
        return [_without_session(call["request"]) for call in self.calls]

    async def _config(self, _: web.Request) -> web.Response:
        return web.Response(body=self.config, content_type="application/json")

    async def _join(self, request: web.Request) -> web.Response:
        self.asked.append(_without_session(await request.json()))
        join = self.calls[len(self.asked) - 1]["join"]
        return web.Response(text=join["body"], content_type="application/json")

    async def _data(self, _: web.Request) -> web.Response:
        body = self.bodies[len(self.asked) - 1]
        return web.Response(body=body, content_type="text/event-stream")


def _without_session(request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != "session_hash"}


async def answer(space: Recording, question: Any, **settings: Any) -> tuple[str, str]:
    """The answer of `invoke`, and what a stream adds up to."""
    model = ChatQwenSpace(space=space.url, max_retries=0, timeout=5, **settings)
    whole = (await model.ainvoke(question)).text
    asked, space.asked = space.asked, []
    chunks = [chunk.text async for chunk in model.astream(question)]
    assert space.asked == asked
    return whole, "".join(chunks)


@pytest.mark.parametrize("name", ["plain", "long"])
@pytest.mark.parametrize("folder", [STUDIO, FIVE, SIX])
async def test_a_question(folder: str, name: str) -> None:
    async with Recording(folder, name).running() as space:
        question = {"plain": "Tell me about the zoo", "long": "long:60"}[name]
        whole, streamed = await answer(space, question)
        assert whole == streamed == space.reply
        assert space.asked == space.wanted


@pytest.mark.parametrize("folder", SETTINGS)
async def test_settings(folder: str) -> None:
    async with Recording(folder, "settings").running() as space:
        question = [("system", "Be brief."), ("human", "say:as you like")]
        whole, streamed = await answer(space, question, **SETTINGS[folder])
        assert whole == streamed == space.reply
        assert space.asked == space.wanted


@pytest.mark.parametrize("folder", [FIVE, SIX])
async def test_earlier_turns_in_the_chatbot(folder: str) -> None:
    async with Recording(folder, "history").running() as space:
        whole, streamed = await answer(space, BEFORE)
        assert whole == streamed == space.reply
        assert space.asked == space.wanted


async def test_a_conversation_that_the_browser_kept() -> None:
    async with Recording(STUDIO, "restored").running() as space:
        whole, streamed = await answer(space, BEFORE)
        assert whole == streamed == space.reply
        (kept, *_), (wanted, *_) = space.asked[0]["data"], space.wanted[0]["data"]
        ((key, context),) = kept["conversation_contexts"].items()
        assert [context] == list(wanted["conversation_contexts"].values())
        assert [item["key"] for item in kept["conversations"]] == [key]
        assert space.asked[1] == {**space.wanted[1], "event_data": {"payload": [key]}}
        assert space.asked[2] == space.wanted[2]


@pytest.mark.parametrize("folder", [STUDIO, FIVE, SIX])
async def test_an_app_that_fails_in_its_last_function(folder: str) -> None:
    async with Recording(folder, "error").running() as space:
        model = ChatQwenSpace(space=space.url, max_retries=0, timeout=5)
        with pytest.raises(GenerationError):
            await model.ainvoke("boom:")
        assert space.asked == space.wanted
