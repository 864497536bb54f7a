"""LangChain's own suite for chat models, against a real Space on this machine."""

import httpx
import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_qwen_space import ChatQwenSpace
from tests.pictures import RED
from tests.standard import WhatItCan

pytestmark = [
    # The suite itself uses what LangChain calls beta.
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
    # Nothing is timed while it records.
    pytest.mark.filterwarnings("ignore::pytest_benchmark.logger.PytestBenchmarkWarning"),
]


@pytest.fixture(scope="module")
def vcr_config():
    """A call has a hash of its own and the Space's port changes, so neither tells requests apart.

    The recording is renewed with `pytest --record-mode=rewrite -k test_stream_time`.
    """
    return {"match_on": ["method", "path"], "allow_playback_repeats": True}


WITH_FILES = ("image", "pdf", "audio", "anthropic")
DOWNLOADED = {  # what the suite downloads, by the end of its name
    ".png": RED,
    ".pdf": b"%PDF-1.4\n%%EOF\n",
    ".wav": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0",
}


def serve_downloads(monkeypatch):
    """The suite's files come from this machine instead of the network."""

    def get(url, **_):
        content = next(data for end, data in DOWNLOADED.items() if url.endswith(end))
        return httpx.Response(200, content=content)

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none, since nothing is downloaded")


class TestChatQwenSpace(WhatItCan, ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _space(self, request, monkeypatch):
        takes_files = any(kind in request.node.name for kind in WITH_FILES)
        space = "picture_space_url" if takes_files else "space_url"
        monkeypatch.setenv("QWEN_SPACE", request.getfixturevalue(space))

    @pytest.fixture(autouse=True)
    def _downloads(self, monkeypatch):
        serve_downloads(monkeypatch)

    @property
    def chat_model_class(self):
        return ChatQwenSpace

    @property
    def chat_model_params(self):
        return {}

    @property
    def enable_vcr_tests(self):
        return True
