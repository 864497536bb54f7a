"""LangChain's own suite for chat models, with ChatOpenAI as the client of the API server."""

import gc

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.api import app
from tests.integration_tests.api.test_api import served
from tests.integration_tests.test_standard import WITH_FILES, serve_downloads
from tests.standard import WhatItCan

pytestmark = [
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore::pytest_benchmark.logger.PytestBenchmarkWarning"),
    # Each test has an event loop, and so a client, of its own, which nothing closes.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # ChatOpenAI's own, at structured output.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore:OpenAI may require a filename"),
    pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1 schema"),
]


@pytest.fixture(scope="module")
def api_url(space_url):
    with served(app(ChatQwenSpace(space=space_url))) as url:
        yield f"{url}/v1"
    gc.collect()  # what the clients left open is collected here, not in another module's test


@pytest.fixture(scope="module")
def picture_api_url(picture_space_url):
    with served(app(ChatQwenSpace(space=picture_space_url))) as url:
        yield f"{url}/v1"
    gc.collect()


class TestChatOpenAI(WhatItCan, ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _server(self, request, monkeypatch):
        takes_files = any(kind in request.node.name for kind in WITH_FILES)
        url = request.getfixturevalue("picture_api_url" if takes_files else "api_url")
        monkeypatch.setenv("OPENAI_API_BASE", url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")

    @pytest.fixture(autouse=True)
    def _downloads(self, monkeypatch):
        serve_downloads(monkeypatch)

    @property
    def chat_model_class(self):
        return ChatOpenAI

    @property
    def chat_model_params(self):
        # ChatOpenAI shares its default client among all event loops.
        client = openai.DefaultAsyncHttpxClient(limits=httpx.Limits(max_keepalive_connections=0))
        return {
            "model": "72B",
            "stream_usage": True,
            "max_retries": 0,
            "http_async_client": client,
        }
