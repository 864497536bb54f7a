"""What a dialect decides: how a family of models is spoken to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

Tools = Sequence[Mapping[str, Any]]
"""Tools as OpenAI's API takes them: `{"type": "function", "function": {…}}`."""

Calls = Sequence[Mapping[str, Any] | str]
"""LangChain's `ToolCall`s and `InvalidToolCall`s; a string is what a model wrote for one that could
not be read, tags included."""


class Dialect(ABC):
    """The texts of the turns of a conversation, as the chat template of a family renders them."""

    name: ClassVar[str]
    """As `ChatQwenSpace.dialect` has it."""
    between_results: ClassVar[str] = "\n"
    """What stands between results that share a turn."""

    @abstractmethod
    def system(self, text: str | None, tools: Tools) -> str:
        """Returns the system prompt; `text` is None where nobody wrote one."""

    def user(self, text: str) -> str:
        """Returns a user turn."""
        return text

    @abstractmethod
    def assistant(
        self, text: str, reasoning: str | None, calls: Calls, *, after_query: bool
    ) -> str:
        """Returns an assistant turn.

        Args:
            text: Its text; it may hold thoughts in tags.
            reasoning: Its thoughts, where they are apart from the text.
            calls: Its calls. The arguments of an invalid one are written as they are, so that the
                model sees its own mistake.
            after_query: Whether it stands after the last question, in a running loop of tools.
        """

    def result(self, text: str) -> str:
        """Returns the result of one call as it stands in a user turn."""
        return f"<tool_response>\n{text}\n</tool_response>"

    def is_query(self, text: str) -> bool:
        """Whether a user turn is a question, and not wholly the result of a call."""
        text = self.user(text)
        return not (text.startswith("<tool_response>") and text.endswith("</tool_response>"))


def split_thoughts(text: str, reasoning: str | None) -> tuple[str, str]:
    """Returns the thoughts and the rest of an assistant turn, as Qwen's templates separate them."""
    if reasoning is not None:
        return reasoning, text
    if "</think>" not in text:
        return "", text
    before = text.partition("</think>")[0].rstrip("\n").rpartition("<think>")[2].lstrip("\n")
    return before, text.rpartition("</think>")[2].lstrip("\n")
