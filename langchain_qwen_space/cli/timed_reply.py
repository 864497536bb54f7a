"""One answer: asked for, handed on while it arrives, complete at the end."""

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langchain_core.messages import AIMessageChunk

    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.cli.conversation_log import Exchange
    from langchain_qwen_space.events import SpaceEvent

_MEASURABLE = 0.01  # seconds; an answer that came at once has no speed


class TimedReply:
    """What has arrived of an answer. It stays readable when `read` fails or is cancelled.

    Attributes:
        chunks: The chunks of the message.
        queued: Seconds in the Space's queue; None before the Space began.
        first: Seconds from the question to the first text; None before it.
        whole: Seconds from the question to the end; None before it.
    """

    def __init__(self) -> None:
        self.chunks: list[AIMessageChunk] = []
        self.queued: float | None = None
        self.first: float | None = None
        self.whole: float | None = None

    async def read(
        self,
        model: "ChatQwenSpace",
        messages: Sequence[tuple[str, Any]],
        on_text: "Callable[[str], object]" = lambda _: None,
        on_event: "Callable[[SpaceEvent], object]" = lambda _: None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Ask, and hand on what arrives. Being cancelled cancels the call on the Space.

        Args:
            model: What is asked; its `on_event` is replaced.
            messages: The conversation, the question last.
            on_text: Takes the text, piece by piece.
            on_event: Takes the call's events.
            settings: Settings of this call.

        Raises:
            QwenSpaceError: See `errors`.
        """
        from langchain_qwen_space.events import QueueEvent, StartEvent

        began = joined = time.perf_counter()

        def hear(event: "SpaceEvent") -> None:
            nonlocal joined
            if isinstance(event, QueueEvent) and joined == began:
                joined = time.perf_counter()
            elif isinstance(event, StartEvent):
                self.queued = time.perf_counter() - joined
            on_event(event)

        model.on_event = hear
        source = cast(
            "AsyncGenerator[AIMessageChunk]", model.astream(list(messages), **(settings or {}))
        )
        async with aclosing(source) as chunks:
            async for chunk in chunks:
                self.chunks.append(chunk)
                if chunk.text:
                    if self.first is None:
                        self.first = time.perf_counter() - began
                    on_text(chunk.text)
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

    @property
    def files(self) -> list[dict[str, str]]:
        """The files in the answer, each with its `name` and `url`; they are not downloaded."""
        return self.chunks[-1].additional_kwargs.get("files", []) if self.chunks else []

    def exchange(self, question: str, error: str | None) -> "Exchange":
        """What goes into the log; `error` is why the answer is missing or incomplete."""
        from langchain_qwen_space.cli.conversation_log import Exchange

        message = self.message
        usage: Mapping[str, Any] = (message and message.usage_metadata) or {}
        return Exchange(
            question,
            self.text or (None if error else ""),
            error,
            message.response_metadata.get("model_name") if message is not None else None,
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            self.whole,
        )

    def timings(self) -> str:
        """How long a complete answer took, in one line for people."""
        message = self.message
        usage = message.usage_metadata if message is not None else None
        parts = [
            f"{name} {seconds:.2f} s"
            for name, seconds in (
                ("queue", self.queued),
                ("first chunk", self.first),
                ("total", self.whole),
            )
            if seconds is not None
        ]
        if message is not None and usage is not None:
            estimated = message.response_metadata.get("usage_source") == "estimate"
            about = "about " if estimated else ""
            parts.append(f"prompt {about}{usage['input_tokens']} tokens")
            parts.append(f"answer {about}{usage['output_tokens']} tokens")
            seconds = (self.whole or 0.0) - (self.first or 0.0)
            if seconds > _MEASURABLE:
                parts.append(f"{usage['output_tokens'] / seconds:.1f} tokens/s")
        return ", ".join(parts)


def describe_event(event: "SpaceEvent") -> str | None:
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
