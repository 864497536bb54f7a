"""LangChain's own suite for chat models, against a real Space on this machine."""

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_qwen_space import ChatQwenSpace
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


class TestChatQwenSpace(WhatItCan, ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _space(self, space_url, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", space_url)

    @property
    def chat_model_class(self):
        return ChatQwenSpace

    @property
    def chat_model_params(self):
        return {"model": "72B"}

    @property
    def enable_vcr_tests(self):
        return True
