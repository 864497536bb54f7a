"""The way to a Space on Hugging Face itself, whose hosts are played by aioresponses."""

import functools
import re
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import SpaceNotFoundError, SpaceUnavailableError
from tests.replay import config, load

FOLDER = "gradio-4.44.1-modelscope-chatbot"
HUB = "https://huggingface.co/api/spaces/Qwen/Qwen2.5"
SPACE = "https://qwen-qwen2-5.hf.space"
CASE = load(FOLDER, "plain")

# aiohttp 3.14 asks for a stream_writer, which aioresponses 0.7.9 does not know.
Response = functools.partial(aiohttp.ClientResponse, stream_writer=Mock())


class Web:
    """Answers, and the requests that asked for them."""

    def __init__(self, mocked: aioresponses) -> None:
        self.mocked = mocked
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def on(self, method: str, url: str | re.Pattern[str], **answer: object) -> None:
        def note(asked: object, **options: object) -> CallbackResult:
            self.asked.append((method, str(asked).partition("?")[0], dict(options["headers"])))
            return CallbackResult(response_class=Response, **answer)

        self.mocked.add(url, method, callback=note, repeat=True, response_class=Response)

    def on_a_running_space(self) -> None:
        self.on("GET", f"{SPACE}/config", payload=config(FOLDER) | {"root": SPACE})
        self.on("POST", f"{SPACE}/queue/join", body=CASE.record["join"]["body"])
        self.on(
            "GET",
            re.compile(rf"^{SPACE}/queue/data\?session_hash="),
            body=CASE.body,
            content_type="text/event-stream",
        )


@pytest.fixture
def web():
    with aioresponses() as mocked:
        yield Web(mocked)


@pytest.fixture(autouse=True)
def _no_token_of_the_machine(monkeypatch, tmp_path):
    for name in ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HF_ENDPOINT", "QWEN_SPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))


async def test_the_hub_api_names_the_host_and_the_space_answers(web):
    web.on("GET", f"{HUB}/host", payload={"host": SPACE})
    web.on_a_running_space()
    message = await ChatQwenSpace().ainvoke("hi")
    assert message.content == CASE.reply
    assert [url for _, url, _ in web.asked] == [
        f"{HUB}/host",
        f"{SPACE}/config",
        f"{SPACE}/queue/join",
        f"{SPACE}/queue/data",
    ]
    assert not any("uthorization" in name for _, _, headers in web.asked for name in headers)


@pytest.mark.parametrize("given", [True, False], ids=["given", "environment"])
async def test_a_token_goes_to_the_hub_api_and_to_the_space(web, monkeypatch, given):
    web.on("GET", f"{HUB}/host", payload={"host": SPACE})
    web.on_a_running_space()
    if given:
        model = ChatQwenSpace(hf_token="hf_secret")
    else:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        model = ChatQwenSpace()
    await model.ainvoke("hi")
    assert all(headers["Authorization"] == "Bearer hf_secret" for _, _, headers in web.asked)
    to_space = [headers for _, url, headers in web.asked if url.startswith(SPACE)]
    assert all(headers["x-hf-authorization"] == "Bearer hf_secret" for headers in to_space)


async def test_without_the_hub_api_the_host_is_found_by_rule(web):
    web.mocked.get(f"{HUB}/host", exception=aiohttp.ClientConnectionError("no route"))
    web.on_a_running_space()
    assert (await ChatQwenSpace().ainvoke("hi")).content == CASE.reply


async def test_a_space_that_the_hub_api_does_not_know_is_not_found(web):
    web.on("GET", f"{HUB}/host", status=401, payload={"error": "Repository not found"})
    with pytest.raises(SpaceNotFoundError, match=r"Qwen/Qwen2\.5.*hf_token"):
        await ChatQwenSpace().ainvoke("hi")


async def test_a_paused_space_says_so_and_is_not_tried_again(web):
    web.on("GET", f"{HUB}/host", payload={"host": SPACE})
    web.on("GET", f"{SPACE}/config", status=503, body="<html><title>Paused</title></html>")
    web.on("GET", f"{HUB}/runtime", payload={"stage": "PAUSED"})
    with pytest.raises(SpaceUnavailableError, match="is paused") as caught:
        await ChatQwenSpace().ainvoke("hi")
    assert not caught.value.is_retryable
    assert sum(url.endswith("/config") for _, url, _ in web.asked) == 1
