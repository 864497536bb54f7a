"""The Qwen chat Spaces on Hugging Face as a LangChain chat model."""

from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.errors import QwenSpaceError

__all__ = ["ChatQwenSpace", "QwenSpaceError"]
