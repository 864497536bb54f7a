"""The Qwen chat Spaces on Hugging Face as a LangChain chat model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.content_blocks import file_block
    from langchain_qwen_space.errors import QwenSpaceError
    from langchain_qwen_space.events import SpaceEvent
    from langchain_qwen_space.progress import QueueProgressCallbackHandler
    from langchain_qwen_space.space.chat.description import SpaceDescription
    from langchain_qwen_space.space.wire.pool import aclose

__all__ = [
    "ChatQwenSpace",
    "QueueProgressCallbackHandler",
    "QwenSpaceError",
    "SpaceDescription",
    "SpaceEvent",
    "aclose",
    "file_block",
]

_HOME = {
    "ChatQwenSpace": "chat_models",
    "QueueProgressCallbackHandler": "progress",
    "QwenSpaceError": "errors",
    "SpaceDescription": "space.chat.description",
    "SpaceEvent": "events",
    "aclose": "space.wire.pool",
    "file_block": "content_blocks",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: parts of the package need none of LangChain."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
