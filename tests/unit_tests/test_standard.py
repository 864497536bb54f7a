"""LangChain's own suite for chat models, the part that needs no Space."""

import sys

import pytest
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_qwen_space import ChatQwenSpace
from tests.standard import WhatItCan

# The suite itself uses what LangChain calls beta.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")


class TestChatQwenSpace(WhatItCan, ChatModelUnitTests):
    @pytest.fixture(autouse=True)
    def _bare_environment(self, tmp_path, monkeypatch):
        for name in ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "QWEN_SPACE", "QWEN_SPACE_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))

    @pytest.fixture(autouse=True)
    def _known_to_load(self, monkeypatch):
        """Put the class on LangChain's list of classes that `load` makes, which is fixed.

        The suite loads by that list only. A caller says `allowed_objects=[ChatQwenSpace]`.
        """
        path = (*ChatQwenSpace.get_lc_namespace(), "ChatQwenSpace")
        loading = sys.modules["langchain_core.load.load"]
        monkeypatch.setitem(loading.ALL_SERIALIZABLE_MAPPINGS, path, path)
        monkeypatch.setattr(loading, "_default_class_paths_cache", {})

    @property
    def chat_model_class(self):
        return ChatQwenSpace

    @property
    def chat_model_params(self):
        return {"model": "72B"}

    @property
    def init_from_env_params(self):
        environment = {
            "HF_TOKEN": "hf_secret",
            "QWEN_SPACE": "Owner/Space",
            "QWEN_SPACE_PROXY": "http://user:password@localhost:3128",
        }
        expected = {
            "hf_token": "hf_secret",
            "space": "Owner/Space",
            "proxy": "http://user:password@localhost:3128",
        }
        return environment, {}, expected
