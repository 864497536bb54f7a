from collections.abc import AsyncIterator

import pytest

from tests.unit_tests.faults.server import FaultServer, fault_server


@pytest.fixture
async def space() -> AsyncIterator[FaultServer]:
    async with fault_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_token(monkeypatch, tmp_path):
    """The token of the developer stays out of the tests."""
    for name in ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "QWEN_SPACE_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    """Pauses between tries are counted in milliseconds here."""
    from langchain_qwen_space.space.routing import space_call

    monkeypatch.setattr(space_call, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(space_call, "_JITTER", 0.0)
    monkeypatch.setattr(space_call, "_WAKE_POLL", 0.02)
