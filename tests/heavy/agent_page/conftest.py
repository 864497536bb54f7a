"""A browser, and the service that it visits."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.examples.answers import answer
from tests.integration_tests.examples.service import serving

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="package")
def space() -> Iterator[str]:
    """A Space that answers one caller at a time, slowly enough to be watched."""
    with LocalSpace(answer, concurrency=1, pace=0.02) as space:
        yield space.url


@pytest.fixture
async def url(space: str, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(space, f"sqlite:///{tmp_path / 'agent.db'}") as url:
        yield url


@pytest.fixture
async def browser() -> AsyncIterator:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    playwright = pytest.importorskip("playwright.async_api")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--host-resolver-rules=MAP agent.example 127.0.0.1"],
        )
        yield browser
        await browser.close()
