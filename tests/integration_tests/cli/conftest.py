from collections.abc import Iterator

import pytest

from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.space.routing import target
from tests.integration_tests.local.local_answers import scripted


@pytest.fixture(scope="session")
def narrow_space() -> Iterator[LocalSpace]:
    """A Space that writes one answer while one call may wait; the first word of a question says what it does."""
    with LocalSpace(scripted, concurrency=1, max_queue=1, show_error=True) as space:
        yield space


@pytest.fixture(autouse=True)
def _no_known_endpoints():
    """A command is a process of its own, which meets its Space for the first time."""
    target._pages.clear()
