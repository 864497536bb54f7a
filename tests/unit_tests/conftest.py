import pytest

from langchain_qwen_space.space.routing import target
from tests.environment import _no_settings_of_the_user  # noqa: F401
from tests.steady import steady_loop


def pytest_asyncio_loop_factories():
    return {"steady": steady_loop}


@pytest.fixture(autouse=True)
def _no_known_endpoints():
    """Each test meets its Space for the first time: ports are used again by other servers."""
    target._pages.clear()
