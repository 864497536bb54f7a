"""The Qwen chat Spaces on Hugging Face as a LangChain chat model."""

from langchain_qwen_space.callbacks import QueueProgressCallbackHandler
from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.space.events import SpaceEvent

__all__ = ["ChatQwenSpace", "QueueProgressCallbackHandler", "QwenSpaceError", "SpaceEvent"]
