from collections.abc import Iterator

import pytest

from tests.integration_tests.gradio_app import gradio_app


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    """The address below which the pages are."""
    with gradio_app("tests.integration_tests.pages.app") as (address,):
        yield address
