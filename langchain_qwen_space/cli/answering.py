"""One answer: asked for, heard while it arrives, whole at the end."""

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langchain_core.messages import AIMessageChunk

    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.events import SpaceEvent


class Reply:
    """What has arrived of an answer. It stays readable when `read` fails or is cancelled.

    Attributes:
        chunks: The chunks of the message.
        first: Seconds from the question to the first chunk; None before it.
        whole: Seconds from the question to the end; None before it.
    """

    def __init__(self) -> None:
        self.chunks: list[AIMessageChunk] = []
        self.first: float | None = None
        self.whole: float | None = None

    async def read(
        self,
        model: "ChatQwenSpace",
        messages: Sequence[tuple[str, str]],
        heard: "Callable[[str], object]" = lambda _: None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Ask, and pass each chunk to `heard`. Cancelling the task cancels the call on the Space.

        Raises:
            QwenSpaceError: See `errors`.
        """
        began = time.perf_counter()
        source = cast(
            "AsyncGenerator[AIMessageChunk]", model.astream(list(messages), **(settings or {}))
        )
        async with aclosing(source) as chunks:
            async for chunk in chunks:
                self.chunks.append(chunk)
                if chunk.text:
                    if self.first is None:
                        self.first = time.perf_counter() - began
                    heard(chunk.text)
        self.whole = time.perf_counter() - began

    @property
    def message(self) -> "AIMessageChunk | None":
        """The chunks added up; None before the first."""
        return (
            self.chunks[0] + self.chunks[1:]
            if len(self.chunks) > 1
            else next(iter(self.chunks), None)
        )

    @property
    def text(self) -> str:
        """The text so far; at the end the exact one, even if the Space revised it."""
        exact = self.chunks[-1].response_metadata.get("final_text") if self.chunks else None
        return self.streamed if exact is None else exact

    @property
    def streamed(self) -> str:
        """The text that was handed on so far."""
        return "".join(chunk.text for chunk in self.chunks)


def in_words(event: "SpaceEvent") -> str | None:
    """What a person wants to know of an event while waiting; None if nothing."""
    from langchain_qwen_space import events

    match event:
        case events.QueueEvent(rank=rank, eta=eta):
            place = "next" if rank <= 0 else f"{rank} before you"
            return f"In the Space's queue: {place}" + (f", about {eta:.0f} s" if eta else "")
        case events.StartEvent():
            return "The Space is writing"
        case events.UploadEvent(file=file, sent=sent, size=size):
            return f"Sending {file}: {sent / max(size, 1):.0%}"
        case events.WakeEvent(stage=stage):
            return f"The Space is waking up ({stage.lower()})"
        case events.RetryEvent(delay=delay):
            return f"Trying again in {delay:.0f} s"
        case events.ProgressEvent(description=str(description)):
            return description
    return None
