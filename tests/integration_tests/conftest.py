from collections.abc import Iterator

import pytest

from langchain_qwen_space.local import LocalSpace, demo_with_files
from tests.environment import _no_settings_of_the_user  # noqa: F401
from tests.integration_tests.answers import answer
from tests.steady import steady_loop


def pytest_asyncio_loop_factories():
    return {"steady": steady_loop}


@pytest.fixture(scope="session")
def space_url() -> Iterator[str]:
    """The address of a real Gradio server with a scripted answerer, no model, behind it."""
    with LocalSpace(answer, pace=0) as space:
        yield space.url


@pytest.fixture(scope="session")
def picture_space_url() -> Iterator[str]:
    """The address of a real Gradio server that takes files and looks at them, without a model."""
    with LocalSpace(demo_with_files, pace=0) as space:
        yield space.url
