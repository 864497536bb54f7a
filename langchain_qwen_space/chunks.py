"""Text of an answer, as it arrives -> LangChain's chunks.

Text passes the limit on tokens, then thoughts are separated, and what is left passes the stop
strings and the parser of tool calls. So no call and no stop string is found in a thought, whether
thoughts are shown or not. Each step hands on at once what nothing that follows can change.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_qwen_space.json_schema import mistakes
from langchain_qwen_space.json_text import JSONText
from langchain_qwen_space.qwen.reasoning import Reasoning, ThoughtsEnd, ThoughtSplitter
from langchain_qwen_space.qwen.tokens import TokenCounter
from langchain_qwen_space.qwen.tool_calls import BrokenCall, ToolCallParser, ToolCallPiece
from langchain_qwen_space.qwen.tool_repair import give_up, object_of
from langchain_qwen_space.qwen.tools import BROKEN_CALLS
from langchain_qwen_space.qwen.truncation import StopStrings, TokenLimit

_THOUGHT = "The call stood in the thoughts before the answer, so it was not made."


@dataclass(frozen=True, slots=True)
class Shape:
    """What an answer is to be made into.

    Attributes:
        stop: Strings before the first of which the text is cut.
        max_tokens: The most tokens that the text may have.
        reasoning: True gives thoughts apart, False leaves them out, None leaves them and their tags
            in the text. It decides only what is shown.
        tools: The tools whose calls are read, in OpenAI's form; none of them reads no calls.
        forced: Whether prose before the first call is kept back.
        single: Whether the first call is the last.
        schema: The JSON schema that the text has to fit; None for plain text.
    """

    stop: Sequence[str] = ()
    max_tokens: int | None = None
    reasoning: bool | None = None
    tools: Sequence[dict[str, Any]] = ()
    forced: bool = False
    single: bool = False
    schema: dict[str, Any] | None = None


class Usage(NamedTuple):
    """Tokens that were read and written; thoughts are among the latter."""

    read: int = 0
    written: int = 0
    thought: int = 0

    def __add__(self, other: tuple[Any, ...]) -> "Usage":
        return Usage(*(one + more for one, more in zip(self, other, strict=True)))


ReadCall: TypeAlias = Callable[[str], tuple[str, dict[str, Any]] | None]
"""Returns the name and the arguments of the call that an answer without tags stands for."""

Piece = str | Reasoning | ToolCallPiece


class AnswerChunks:
    """One answer on its way to the caller.

    Args:
        shape: What to make of it.
        counter: What counts tokens.
        whole: Keep everything back until the end, and then give the exact text.
        first_call_index: Index of the first tool call among the chunks.

    Attributes:
        done: Nothing more is wanted of the Space, although it may have more to say.
        thinks_untagged: Whether the model may begin inside its thoughts, so that a `</think>` can
            still make all text before it a thought. Then no call and no stop string ends the answer
            before its end.
    """

    def __init__(
        self, shape: Shape, counter: TokenCounter, *, whole: bool = False, first_call_index: int = 0
    ) -> None:
        self.done = False
        self.thinks_untagged = True
        self._shape = shape
        self._counter = counter
        self._kept: list[Piece] | None = [] if whole else None
        self._used: list[str] = []  # the text that was not cut off
        self._apart: list[str] = []  # thoughts that are not part of the text
        self._thoughts: list[str] = []
        self._first_call_index = first_call_index
        self._stop = StopStrings(shape.stop) if shape.stop else None
        self._unstopped: list[
            str
        ] = []  # the text with what stop strings cut off, which may be thought
        self._limit = TokenLimit(shape.max_tokens, counter) if shape.max_tokens else None
        # Where nothing looks into the text and thoughts are left in it, it passes as it comes.
        looked_into = shape.reasoning is not None or shape.tools or shape.stop or shape.schema
        self._think = ThoughtSplitter() if looked_into else None
        self._untagged = False  # text turned out to be thought after it was handed out
        self._calls = self._parser() if shape.tools else None
        self._arguments: dict[int, str] = {}  # handed out, by the index of the call
        self._ids: dict[int, str] = {}
        self._broken: dict[str, BrokenCall] = {}
        self._json = None if shape.schema is None else JSONText(partial(_fits, shape.schema))
        self._written: list[str] = []  # JSON
        self._accepted: ToolCallPiece | None = None
        self._read_call: ReadCall | None = None
        steps = (self._kept, self._stop, self._limit, self._think, self._calls, self._json)
        self._plain = all(step is None for step in steps)  # text passes as it comes

    @property
    def withheld(self) -> str | None:
        """The prose of an ended answer that had to call a tool and did not, else None."""
        calls = self._calls
        if calls is None or not self._shape.forced or calls.calls or self._accepted:
            return None
        return calls.withheld

    @property
    def unreadable(self) -> list[BrokenCall]:
        """The calls of an ended answer, if none of them could be read; not those that were cut off."""
        calls = self._calls
        if calls is None or len(calls.broken) < calls.calls or self._finish_reason() == "length":
            return []
        return list(calls.broken.values())

    @property
    def written(self) -> str:
        """The text that was not cut off, with the thoughts and calls in it, as the model wrote it."""
        return "".join(self._used)

    def again(self) -> "AnswerChunks":
        """What takes the next answer, in the place of this ended one.

        Calls that were given out of this one stay, invalid; the history leaves them out.
        """
        other = AnswerChunks(
            self._shape,
            self._counter,
            whole=self._kept is not None,
            first_call_index=self._first_call_index,
        )
        if self._kept is None and self._calls is not None:
            other._first_call_index += self._calls.calls
            broken = self._broken | self._calls.broken
            other._broken = {key: replace(call, written="") for key, call in broken.items()}
        return other

    def accept(self, read: ReadCall) -> None:
        """Take what an ended answer wrote without tags for the call that it had to make.

        Not of an answer that was cut off, whose rest might have taken it back.

        Args:
            read: Returns the call in such an answer. Where the Space revised the answer, the call is
                read from what it said in the end.
        """
        self._read_call = read
        if self.withheld is None or self._finish_reason() == "length":
            return
        if call := read(self.withheld):
            name, args = call
            call_id = f"call_{secrets.token_hex(12)}"
            self._accepted = ToolCallPiece(0, call_id, name, json.dumps(args, ensure_ascii=False))

    def take(self, fragment: str) -> list[ChatGenerationChunk]:
        """The chunks for the next piece of text."""
        if self._plain:
            self._used.append(fragment)
            return [text_chunk(fragment)]
        if self._limit is not None:
            fragment = self._limit.feed(fragment)
            self.done = self._limit.reached
        return self._give(self._read(fragment))

    def think(self, fragment: str) -> list[ChatGenerationChunk]:
        """The chunks for a thought that the Space itself tells from the answer."""
        self._apart.append(fragment)
        return self._give([Reasoning(fragment)])

    def end(self) -> list[ChatGenerationChunk]:
        """The chunks for what was held back: no more text comes."""
        pieces = self._read("" if self._limit is None else self._limit.finish())
        if self._think is not None:
            self._sort(self._think.finish(), pieces)
        if self._stop is not None:
            self._take_text(self._stop.finish(), pieces)
        if self._calls is not None:
            pieces += self._calls.finish()
        if self._json is None:
            return self._give(pieces)
        return self._give(pieces, last=True)

    def count(self, counter: TokenCounter) -> tuple[int, int]:
        """How many tokens an ended answer was, and how many of them were thoughts.

        Tags count, what was cut off does not.
        """
        written = counter.count(self.written) + counter.count("".join(self._apart))
        return written, counter.count("".join(self._thoughts))

    def last(
        self,
        metadata: dict[str, Any],
        spent: Usage,
        exact: tuple[str, str] | None,
        files: Sequence[Mapping[str, str]] = (),
    ) -> list[ChatGenerationChunk]:
        """The chunks that complete an ended answer, of which the last holds its metadata.

        Args:
            metadata: What is known of the call.
            spent: How many tokens were read and written for it.
            exact: The Space's text and thoughts, if it took back any that was handed out.
            files: The files in the answer.
        """
        answer, broken = self, self._broken_calls()
        if self._untagged and self._kept is None and exact is None:
            exact = "".join(self._used), "".join(self._apart)
        if exact is not None:
            answer = AnswerChunks(
                self._shape, self._counter, whole=True, first_call_index=self._first_call_index
            )
            text, thoughts = exact
            answer.think(thoughts)
            answer.take(text)
            answer.end()
            if self._read_call is not None:
                answer.accept(self._read_call)
            if self._calls is not None and not self._calls.calls:
                self._accepted = answer._accepted
            right = answer._kept_back()
            if self._kept is not None:
                broken = answer._broken_calls()
            metadata["revised"] = True
            metadata["final_text"] = "".join(chunk.text for chunk in right)
        chunks = self._kept_back() if self._kept is None else answer._kept_back()
        metadata["finish_reason"] = answer._finish_reason()
        message = AIMessageChunk(
            content="",
            additional_kwargs={
                **answer._parsed(),
                **broken,
                **({"files": [*files]} if files else {}),
            },
            response_metadata=metadata,
            usage_metadata=_usage_metadata(spent),
            chunk_position="last",
        )
        return [*chunks, ChatGenerationChunk(message=message)]

    def _parser(self) -> ToolCallParser:
        functions = [tool["function"] for tool in self._shape.tools]
        return ToolCallParser(
            {function["name"]: function.get("parameters") or {} for function in functions},
            withhold_prose=self._shape.forced,
            single=self._shape.single,
        )

    def _broken_calls(self) -> dict[str, Any]:
        """What the history and the caller need of calls that could not be read."""
        found = self._broken | (self._calls.broken if self._calls else {})
        return {BROKEN_CALLS: {key: asdict(call) for key, call in found.items()}} if found else {}

    def _read(self, text: str) -> list[Piece]:
        """Separate thoughts, text and tool calls."""
        out: list[Piece] = []
        self._sort([text] if self._think is None else self._think.feed(text), out)
        return out

    def _sort(self, pieces: Sequence[str | Reasoning | ThoughtsEnd], out: list[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, Reasoning):
                self._used.append(piece.written)
                out.append(piece)
            elif isinstance(piece, ThoughtsEnd):
                self._take_back(piece, out)
            else:
                if self._stop is not None:
                    self._unstopped.append(piece)
                    piece = self._stop.feed(piece)
                self._take_text(piece, out)

    def _take_text(self, text: str, out: list[Piece]) -> None:
        """Look for calls in text that no stop string cuts off."""
        self._used.append(text)
        if self._calls is None:
            out += [text] if text else []
        else:
            out += self._calls.feed(text)
        settled = not self.thinks_untagged or self._think is None or self._think.settled
        if settled:
            stopped = self._stop is not None and self._stop.found is not None
            called = self._calls is not None and self._calls.done
            self.done = self.done or stopped or called

    def _take_back(self, end: ThoughtsEnd, out: list[Piece]) -> None:
        """All text so far was thought, and so was every call in it, which must not run."""
        thought = "".join(self._used if self._stop is None else self._unstopped)
        self._stop = StopStrings(self._shape.stop) if self._shape.stop else None
        self._used = [thought, end.written]
        self._untagged = True
        self.done = self._limit is not None and self._limit.reached  # not by what was thought
        calls, self._calls = self._calls, self._parser() if self._shape.tools else None
        if self._json is not None and self._shape.schema is not None:
            self._json = JSONText(partial(_fits, self._shape.schema))
            self._written.clear()
            out[:] = [piece for piece in out if not isinstance(piece, str)]
        if self._kept is not None:
            self._kept.clear()
            out[:] = [Reasoning(thought, thought + end.written)]
            return
        self._thoughts.append(thought)
        if calls is not None and self._calls is not None:
            self._calls.calls = calls.calls
            for piece in out:
                self._note_arguments(piece)
            for index, args in self._arguments.items():
                out.append(ToolCallPiece(index, None, None, give_up(args)))
                self._broken[self._ids[index]] = BrokenCall("", _THOUGHT)
            self._arguments.clear()
        if self._shape.reasoning is None:
            out.append(Reasoning("", end.written))

    def _note_arguments(self, piece: Piece) -> None:
        if isinstance(piece, ToolCallPiece):
            self._ids[piece.index] = piece.id or self._ids[piece.index]
            self._arguments[piece.index] = self._arguments.get(piece.index, "") + piece.args

    def _give(self, pieces: list[Piece], *, last: bool = False) -> list[ChatGenerationChunk]:
        pieces = [piece for piece in map(self._shown, pieces) if piece is not None]
        if self._json is not None:
            read = [self._json.feed(piece) if isinstance(piece, str) else piece for piece in pieces]
            if last:
                read.append(self._json.finish())
            pieces = [piece for piece in read if piece != ""]
            self._written += [piece for piece in pieces if isinstance(piece, str)]
        if self._kept is not None:
            self._kept += pieces
            return []
        if self._think is not None and not self._think.settled:
            for piece in pieces:
                self._note_arguments(piece)
        return [self._chunk(piece) for piece in pieces]

    def _shown(self, piece: Piece) -> Piece | None:
        """A piece as the caller gets it: thoughts apart, left in the text, or left out."""
        if isinstance(piece, Reasoning):
            self._thoughts.append(piece.text)
            if self._shape.reasoning:
                return piece if piece.text else None
            # Prose that is held back, or JSON, has no place for thoughts.
            left_in = self._shape.reasoning is None and not self._shape.forced and not self._json
            return piece.written or None if left_in else None
        return piece if piece != "" else None

    def _kept_back(self) -> list[ChatGenerationChunk]:
        """What is given only at the end: a whole answer; prose where no call came."""
        kept = self._kept or []
        pieces: list[Piece] = [
            Reasoning("".join(piece.text for piece in kept if isinstance(piece, Reasoning))),
            "".join(piece for piece in kept if isinstance(piece, str)) + (self.withheld or ""),
            *(piece for piece in kept if isinstance(piece, ToolCallPiece)),
        ]
        if self._accepted is not None:
            pieces.append(self._accepted)
        return [self._chunk(piece) for piece in pieces if piece != "" and not _is_empty(piece)]

    def _parsed(self) -> dict[str, Any]:
        """What OpenAI's client adds to an answer in JSON: the object, if it fits the schema."""
        if self._shape.schema is not None:
            with suppress(ValueError):
                value = json.loads("".join(self._written), object_pairs_hook=object_of)
                if _fits(self._shape.schema, value):
                    return {"parsed": value}
        return {}

    def _chunk(self, piece: Piece) -> ChatGenerationChunk:
        if isinstance(piece, str):
            return text_chunk(piece)
        if isinstance(piece, Reasoning):
            thought = {"reasoning_content": piece.text}
            message = AIMessageChunk(content="", additional_kwargs=thought)
        else:
            call = tool_call_chunk(
                name=piece.name,
                args=piece.args,
                id=piece.id,
                index=self._first_call_index + piece.index,
            )
            message = AIMessageChunk(content="", tool_call_chunks=[call])
        return ChatGenerationChunk(message=message)

    def _finish_reason(self) -> str:
        """Why the answer ended, in OpenAI's words."""
        if self._limit is not None and self._limit.reached:
            return "length"
        called = self._accepted or (self._calls is not None and self._calls.calls)
        return "tool_calls" if called else "stop"


def _is_empty(piece: Piece) -> bool:
    return isinstance(piece, Reasoning) and not piece.text


def _fits(schema: dict[str, Any], value: Any) -> bool:
    return not any(mistakes(value, schema))


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
