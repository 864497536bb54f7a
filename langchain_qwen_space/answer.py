"""Fragments of an answer -> LangChain's chunks: stop strings, and what the last chunk says."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_qwen_space.qwen.cuts import StopStrings


class Answer:
    """One answer on its way to the caller.

    Args:
        stop: Strings before the first of which the text is cut.

    Attributes:
        done: Nothing more is wanted of the Space, although it may have more to say.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stops = stop
        self._stop = StopStrings(stop)
        self.done = False

    def take(self, fragment: str) -> list[ChatGenerationChunk]:
        """The chunks for the next fragment of text."""
        text = self._stop.feed(fragment)
        self.done = self._stop.found is not None
        return [_chunk(text)] if text else []

    def finish(
        self, metadata: dict[str, Any], *, revised: bool, text: str
    ) -> list[ChatGenerationChunk]:
        """The chunks for what was still held back, and the last one, which holds all metadata.

        Args:
            metadata: What is known of the call.
            revised: Whether the Space took back any text that was handed out.
            text: The Space's text as it stands.
        """
        rest = self._stop.finish()
        metadata["finish_reason"] = "stop"
        if revised:
            metadata["revised"] = True
            metadata["final_text"] = _cut(text, self._stops)
        last = AIMessageChunk(content="", response_metadata=metadata, chunk_position="last")
        chunks = [_chunk(rest)] if rest else []
        return [*chunks, ChatGenerationChunk(message=last)]


def _cut(text: str, stops: Sequence[str]) -> str:
    stop = StopStrings(stops)
    return stop.feed(text) + stop.finish()


def _chunk(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))
