"""What tests do to the environment that they run in."""

import os
from collections.abc import Iterator

import pytest

_PREFIXES = ("QWEN_SPACE", "HF_", "HUGGING_FACE_", "LANGCHAIN_", "LANGSMITH_", "GRADIO_")
_NAMES = (
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"),
    *("TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user() -> Iterator[None]:
    """Takes out of the environment what the person who runs the tests has set for themselves:
    a Space, tokens, proxies, the kind and width of the terminal and its colours; nothing is added
    to their log of conversations."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.upper().startswith(_PREFIXES) or name.upper() in _NAMES:
                patch.delenv(name)
        patch.setenv("QWEN_SPACE_LOG", "off")
        yield
