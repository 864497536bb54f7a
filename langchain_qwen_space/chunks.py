"""Pieces of an answer, as they arrive -> LangChain's chunks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, TypeAlias

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_qwen_space.pieces import AnswerPieces, Piece, Shape
from langchain_qwen_space.qwen.reasoning import Reasoning
from langchain_qwen_space.qwen.tokens import TokenCounter
from langchain_qwen_space.qwen.tool_calls import BrokenCall, ToolCallPiece
from langchain_qwen_space.qwen.tools import BROKEN_CALLS

_BETWEEN = "\n\n"  # what a stream has shown of two answers


class Usage(NamedTuple):
    """Tokens that were read and written; thoughts are among the latter."""

    read: int = 0
    written: int = 0
    thought: int = 0

    def __add__(self, other: tuple[Any, ...]) -> "Usage":
        return Usage(*(one + more for one, more in zip(self, other, strict=True)))


FindCall: TypeAlias = Callable[[str], tuple[str, dict[str, Any]] | None]
"""Returns the name and the arguments of the call that an answer without tags stands for."""


class AnswerChunks:
    """One answer on its way to the caller.

    Args:
        shape: What to make of it.
        counter: What counts tokens.
        whole: Keep everything back until the end, and then give the exact text.
        first_tool_call_index: Index of the first tool call among the chunks.
        after: The answer that this one replaces. What a stream has shown of it stays shown.
    """

    def __init__(
        self,
        shape: Shape,
        counter: TokenCounter,
        *,
        whole: bool = False,
        first_tool_call_index: int = 0,
        after: "AnswerChunks | None" = None,
    ) -> None:
        self.shows_text = False
        """Whether a stream has shown text of it."""
        self.shows_thoughts = False
        """Whether a stream has shown thoughts of it apart from the text."""
        self._shape = shape
        self._counter = counter
        self._whole = whole
        self._after = None if whole else after
        self._first_tool_call_index = first_tool_call_index
        if self._after is not None:
            self._first_tool_call_index = self._after.next_call_index
        self._streamed = AnswerPieces(shape, counter, whole=whole)
        self._final = self._streamed  # what the answer is in the end

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted of the Space, although it may have more to say."""
        return self._streamed.done

    @property
    def thinks_untagged(self) -> bool:
        """Whether the model may begin inside its thoughts; see `AnswerPieces`."""
        return self._streamed.thinks_untagged

    @thinks_untagged.setter
    def thinks_untagged(self, possible: bool) -> None:
        self._streamed.thinks_untagged = possible

    @property
    def next_call_index(self) -> int:
        """The index of a call after those of this answer."""
        return self._first_tool_call_index + self._streamed.next_index

    @property
    def withheld(self) -> str | None:
        """As `AnswerPieces.withheld`, of a settled answer."""
        return self._final.withheld

    @property
    def unreadable(self) -> list[BrokenCall]:
        """As `AnswerPieces.unreadable`, of a settled answer."""
        return self._final.unreadable

    @property
    def written(self) -> str:
        """The text that was not cut off, with the thoughts and calls in it, as the model wrote it."""
        return self._final.written

    @property
    def broken(self) -> dict[str, BrokenCall]:
        """The calls that were handed out and cannot be made, by id."""
        return self._streamed.broken

    def take(self, fragment: str) -> list[ChatGenerationChunk]:
        """The chunks for the next piece of text."""
        if self._streamed.plain:
            self._streamed.used.append(fragment)
            self.shows_text = True
            return [text_chunk(fragment)]
        return self._chunks(self._streamed.take(fragment))

    def think(self, fragment: str) -> list[ChatGenerationChunk]:
        """The chunks for a thought that the Space itself tells from the answer."""
        return self._chunks(self._streamed.think(fragment))

    def end(self) -> list[ChatGenerationChunk]:
        """The chunks for what was held back: no more text comes."""
        return self._chunks(self._streamed.end())

    def settle(self, exact: tuple[str, str] | None) -> None:
        """Fix what an ended answer says, whatever of it was streamed.

        Args:
            exact: The Space's text and thoughts, if it took back any that was handed out.
        """
        streamed, after = self._streamed, self._after
        limit = None
        if exact is None and (
            (streamed.took_back_text and not self._whole)
            or (after is not None and after.shows_text)
        ):
            exact, limit = ("".join(streamed.used), "".join(streamed.apart)), streamed.limit
        if exact is not None:
            text, thoughts = exact
            self._final = AnswerPieces(self._shape, self._counter, whole=True)
            self._final.think(thoughts)
            self._final.take(text)
            self._final.end()
            self._final.limit = limit or self._final.limit

    def accept(self, find: FindCall) -> None:
        """Take what a settled answer wrote without tags for the call that it had to make.

        Not of an answer that was cut off, whose rest might have taken it back.

        Args:
            find: Returns the call in such an answer.
        """
        if self.withheld is not None and (call := find(self.withheld)):
            self._final.accept(*call)

    def again(self) -> "AnswerChunks":
        """What takes the next answer, in the place of this ended one."""
        return AnswerChunks(
            self._shape,
            self._counter,
            whole=self._whole,
            first_tool_call_index=self._first_tool_call_index,
            after=self,
        )

    def abandon(self) -> list[ChatGenerationChunk]:
        """The chunks after which no call of this answer can be made, since another replaces it."""
        return self._chunks(self._streamed.take_back_calls())

    def count(self, counter: TokenCounter) -> tuple[int, int]:
        """How many tokens a settled answer was, and how many of them were thoughts.

        Tags count, what was cut off does not.
        """
        written = counter.count(self.written) + counter.count("".join(self._final.apart))
        return written, counter.count("".join(self._final.thoughts))

    def last(
        self, metadata: dict[str, Any], spent: Usage, files: Sequence[Mapping[str, str]] = ()
    ) -> list[ChatGenerationChunk]:
        """The chunks that complete a settled answer, of which the last holds its metadata.

        Args:
            metadata: What is known of the call.
            spent: How many tokens were read and written for it.
            files: The files in the answer.
        """
        final = self._final
        pieces = final.kept_back()
        if final is not self._streamed:
            texts = [piece for piece in pieces if isinstance(piece, str)]
            metadata["revised"] = True
            metadata["final_text"] = "".join(texts)
            if not self._whole:
                pieces = [] if self.shows_text else [*texts]
                pieces += self._streamed.completed_by(final.kept_back())
        metadata["finish_reason"] = final.finish_reason
        given = {piece.id for piece in pieces if isinstance(piece, ToolCallPiece)}
        found = {} if self._whole else self.broken
        found |= {key: call for key, call in final.broken.items() if key in given}
        if self._after is not None:
            found = self._after.broken | found
        broken = {key: asdict(call) for key, call in found.items()}
        message = AIMessageChunk(
            content="",
            additional_kwargs={
                **final.parsed(),
                **({BROKEN_CALLS: broken} if broken else {}),
                **({"files": [*files]} if files else {}),
            },
            response_metadata=metadata,
            usage_metadata=_usage_metadata(spent),
            chunk_position="last",
        )
        return [*self._chunks(pieces), ChatGenerationChunk(message=message)]

    def _chunks(self, pieces: Sequence[Piece]) -> list[ChatGenerationChunk]:
        return [self._chunk(piece) for piece in pieces]

    def _chunk(self, piece: Piece) -> ChatGenerationChunk:
        after = self._after
        if isinstance(piece, str):
            if not self.shows_text and after is not None and after.shows_text:
                piece = _BETWEEN + piece
            self.shows_text = True
            return text_chunk(piece)
        if isinstance(piece, Reasoning):
            text = piece.text
            if not self.shows_thoughts and after is not None and after.shows_thoughts:
                text = _BETWEEN + text
            self.shows_thoughts = True
            message = AIMessageChunk(content="", additional_kwargs={"reasoning_content": text})
        else:
            call = tool_call_chunk(
                name=piece.name,
                args=piece.args,
                id=piece.id,
                index=self._first_tool_call_index + piece.index,
            )
            message = AIMessageChunk(content="", tool_call_chunks=[call])
        return ChatGenerationChunk(message=message)


_MESSAGE = AIMessageChunk(content="")
_CHUNK = ChatGenerationChunk(message=_MESSAGE)
_CONTAINERS = tuple(
    (name, type(value)) for name, value in vars(_MESSAGE).items() if isinstance(value, dict | list)
)


def text_chunk(text: str) -> ChatGenerationChunk:
    """What `ChatGenerationChunk(message=AIMessageChunk(content=text))` gives, for a third of its price.

    A copy of a chunk that was validated once, with containers of its own.
    """
    message = _MESSAGE.__copy__()
    fields = message.__dict__
    for name, container in _CONTAINERS:
        fields[name] = container()
    fields["content"] = text
    chunk = _CHUNK.__copy__()
    fields = chunk.__dict__
    fields["message"] = message
    fields["text"] = text
    return chunk


def _usage_metadata(spent: Usage) -> UsageMetadata:
    usage = UsageMetadata(
        input_tokens=spent.read,
        output_tokens=spent.written,
        total_tokens=spent.read + spent.written,
    )
    if spent.thought:
        usage["output_token_details"] = OutputTokenDetails(reasoning=spent.thought)
    return usage
