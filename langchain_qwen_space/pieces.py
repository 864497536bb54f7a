"""Text of an answer, as it arrives -> its pieces: text, thoughts and tool calls.

Text passes the limit on tokens, then thoughts are separated, and what is left passes the stop
strings and the parser of tool calls. So none is found in a tagged thought, whether thoughts are
shown or not; what was found in text that a `</think>` without an opening tag makes a thought is
taken back. Each step hands on at once what nothing that follows can change.
"""

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from langchain_qwen_space.json_schema import Allowance, fits, suits
from langchain_qwen_space.json_text import JSONText
from langchain_qwen_space.qwen.reasoning import Reasoning, ThoughtsEnd, ThoughtSplitter
from langchain_qwen_space.qwen.strict_json import READ
from langchain_qwen_space.qwen.tokens import TokenCounter
from langchain_qwen_space.qwen.tool_calls import BrokenCall, ToolCallParser, ToolCallPiece
from langchain_qwen_space.qwen.tool_repair import give_up
from langchain_qwen_space.qwen.truncation import StopStrings, TokenLimit

_THOUGHT = "The call stood in the thoughts before the answer, so it was not made."
_REPLACED = "The answer was replaced after the call was streamed, so it was not made."

Piece = str | Reasoning | ToolCallPiece


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
        allowance: The time for checking objects by schemas.
    """

    stop: Sequence[str] = ()
    max_tokens: int | None = None
    reasoning: bool | None = None
    tools: Sequence[dict[str, Any]] = ()
    forced: bool = False
    single: bool = False
    schema: dict[str, Any] | None = None
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(slots=True)
class HandedOutCall:
    """What was handed out of a call."""

    id: str
    name: str | None
    args: list[str]

    @property
    def meaning(self) -> tuple[str | None, Any]:
        """The same for two calls that do the same, and for two that are invalid."""
        try:
            return self.name, json.loads("".join(self.args), strict=False)
        except (ValueError, RecursionError):
            return self.name, None


class AnswerPieces:
    """Reads one answer.

    Args:
        shape: What to make of it.
        counter: What counts tokens.
        whole: Keep everything back until the end, and then give the exact text.

    Attributes:
        done: Nothing more is wanted of the Space, although it may have more to say.
        thinks_untagged: Whether the model may begin inside its thoughts, so that a `</think>` can
            still make all text before it a thought. Then no call and no stop string ends the answer
            before its end.
        used: The text that was not cut off by a stop string or the limit.
        apart: Thoughts that are not part of the text.
        thoughts: All thoughts.
        took_back_text: Whether text turned out to be thought after it was handed out.
        plain: Whether text passes as it comes.
        limit: The limit on tokens, if there is one.
        made: What was handed out of each call, by its index.
    """

    def __init__(self, shape: Shape, counter: TokenCounter, *, whole: bool = False) -> None:
        self.done = False
        self.thinks_untagged = True
        self.used: list[str] = []
        self.apart: list[str] = []
        self.thoughts: list[str] = []
        self.took_back_text = False
        self.limit = TokenLimit(shape.max_tokens, counter) if shape.max_tokens else None
        self.made: dict[int, HandedOutCall] = {}
        self._shape = shape
        functions = [tool["function"] for tool in shape.tools]
        self._offered = {each["name"]: each.get("parameters") or {} for each in functions}
        self._kept: list[Piece] | None = [] if whole else None
        self._stop = StopStrings(shape.stop) if shape.stop else None
        # The text with what stop strings cut off, which may be thought.
        self._unstopped: list[str] = []
        # Where nothing looks into the text and thoughts are left in it, it passes as it comes.
        looked_into = shape.reasoning is not None or shape.tools or shape.stop or shape.schema
        self._think = ThoughtSplitter() if looked_into else None
        self._calls = self._parser() if shape.tools else None
        # Calls of what is not offered, by index: one may hold the object that the schema wants.
        self._unknown: dict[int, list[ToolCallPiece]] = {}
        self._objects = 0  # how many of the calls did
        self._broken: dict[str, BrokenCall] = {}  # calls that were handed out and taken back
        self._json = None if shape.schema is None else self._json_text(shape.schema)
        self._written: list[str] = []  # JSON
        self._accepted: ToolCallPiece | None = None
        steps = (self._kept, self._stop, self.limit, self._think, self._calls, self._json)
        self.plain = all(step is None for step in steps)

    @property
    def withheld(self) -> str | None:
        """The prose of an ended answer that had to call a tool and did not, else None."""
        calls = self._calls
        if calls is None or not self._shape.forced or calls.calls or self._accepted:
            return None
        return calls.withheld

    @property
    def written(self) -> str:
        """The text up to where it was cut off, with the thoughts and calls in it."""
        text = "".join(self.used)
        return text if self._calls is None else text.removesuffix(self._calls.unread)

    @property
    def unreadable(self) -> list[BrokenCall]:
        """The calls of an ended answer, if none of them could be read; not those that were cut off."""
        calls = self._calls
        if calls is None or len(calls.broken) < calls.calls or self.finish_reason == "length":
            return []
        return list(calls.broken.values())

    @property
    def broken(self) -> dict[str, BrokenCall]:
        """The calls that cannot be made, by id."""
        return (self._calls.broken if self._calls else {}) | self._broken

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, in OpenAI's words."""
        stopped = self._stop is not None and self._stop.found is not None
        ended = stopped or (self._calls is not None and self._calls.done)
        if self.limit is not None and self.limit.reached and not ended:
            return "length"
        called = self._accepted or (self._calls is not None and self._calls.calls > self._objects)
        return "tool_calls" if called else "stop"

    def accept(self, name: str, args: dict[str, Any]) -> None:
        """Make a call of what an ended answer wrote without tags, unless it was cut off."""
        if self.finish_reason != "length":
            call_id = f"call_{secrets.token_hex(12)}"
            self._accepted = ToolCallPiece(0, call_id, name, json.dumps(args, ensure_ascii=False))

    def take(self, fragment: str) -> list[Piece]:
        """The pieces for the next piece of text."""
        if self.limit is not None:
            fragment = self.limit.feed(fragment)
            self.done = self.limit.reached
        return self._give(self._read(fragment))

    def think(self, fragment: str) -> list[Piece]:
        """The pieces for a thought that the Space itself tells from the answer."""
        self.apart.append(fragment)
        return self._give([Reasoning(fragment)])

    def end(self) -> list[Piece]:
        """The pieces for what was held back: no more text comes."""
        pieces = self._read("" if self.limit is None else self.limit.finish())
        if self._think is not None:
            self._sort(self._think.finish(), pieces)
        if self._stop is not None:
            self._take_text(self._stop.finish(), pieces)
        if self._calls is not None:
            pieces += self._calls.finish()
        return self._give(pieces, last=self._json is not None)

    def kept_back(self) -> list[Piece]:
        """What is given only at the end: a whole answer; prose where no call came."""
        kept = self._kept or []
        thoughts = "".join(piece.text for piece in kept if isinstance(piece, Reasoning))
        text = "".join(piece for piece in kept if isinstance(piece, str)) + (self.withheld or "")
        pieces: list[Piece] = [Reasoning(thoughts)] if thoughts else []
        pieces += [text] if text else []
        pieces += (piece for piece in kept if isinstance(piece, ToolCallPiece))
        return pieces if self._accepted is None else [*pieces, self._accepted]

    def take_back_calls(self) -> list[Piece]:
        """The pieces that make all calls invalid that were handed out; no history has them."""
        known = self.broken
        pieces: list[Piece] = []
        for index, call in self.made.items():
            if call.id in known:
                self._broken[call.id] = BrokenCall("", known[call.id].error)
            else:
                pieces.append(ToolCallPiece(index, None, None, give_up("".join(call.args))))
                self._broken[call.id] = BrokenCall("", _REPLACED)
        return pieces

    def completed_by(self, pieces: Sequence[Piece]) -> list[Piece]:
        """What a stream still has to give, so that its calls are those of the answer in the end.

        Args:
            pieces: All that the answer is in the end.
        """
        right: dict[int, HandedOutCall] = {}
        for piece in pieces:
            _note(piece, right)
        made = [call.meaning for call in self.made.values() if call.id not in self._broken]
        if made == [call.meaning for call in right.values()]:
            return []
        first = self.next_index
        back = self.take_back_calls()
        calls = [piece for piece in pieces if isinstance(piece, ToolCallPiece)]
        return [*back, *(replace(piece, index=first + piece.index) for piece in calls)]

    @property
    def next_index(self) -> int:
        """The index of a call after those that were handed out."""
        return max(self.made, default=-1) + 1

    def parsed(self) -> dict[str, Any]:
        """What OpenAI's client adds to an answer in JSON: the object, if it fits the schema."""
        if self._shape.schema is not None:
            with suppress(ValueError, RecursionError):
                value = json.loads("".join(self._written), **READ)
                if fits(value, self._shape.schema, self._shape.allowance):
                    return {"parsed": value}
        return {}

    def _parser(self) -> ToolCallParser:
        return ToolCallParser(
            _title_as_tool(self._shape.schema) | self._offered,
            withhold_prose=self._shape.forced,
            single=self._shape.single,
        )

    def _read(self, text: str) -> list[Piece]:
        """Separate thoughts, text and tool calls."""
        out: list[Piece] = []
        self._sort([text] if self._think is None else self._think.feed(text), out)
        return out

    def _sort(self, pieces: Sequence[str | Reasoning | ThoughtsEnd], out: list[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, Reasoning):
                self.used.append(piece.written)
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
        self.used.append(text)
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
        thought = "".join(self.used if self._stop is None else self._unstopped)
        self._stop = StopStrings(self._shape.stop) if self._shape.stop else None
        self.used = [thought, end.written]
        self.took_back_text = True
        self.done = self.limit is not None and self.limit.reached  # not by what was thought
        calls, self._calls = self._calls, self._parser() if self._shape.tools else None
        if self._json is not None and self._shape.schema is not None:
            self._json = self._json_text(self._shape.schema)
            self._written.clear()
            self._unknown.clear()
            out[:] = [piece for piece in out if not isinstance(piece, str)]
        if self._kept is not None:
            self._kept.clear()
            out[:] = [Reasoning(thought, thought + end.written)]
            return
        self.thoughts.append(thought)
        if calls is not None and self._calls is not None:
            self._calls.calls = calls.calls
            made = {
                index: HandedOutCall(call.id, call.name, [*call.args])
                for index, call in self.made.items()
            }
            for piece in out:
                _note(piece, made)
            for index, call in made.items():
                out.append(ToolCallPiece(index, None, None, give_up("".join(call.args))))
                self._broken[call.id] = BrokenCall("", _THOUGHT)
        if self._shape.reasoning is None:
            out.append(Reasoning("", end.written))

    def _give(self, pieces: list[Piece], *, last: bool = False) -> list[Piece]:
        pieces = [piece for piece in map(self._shown, pieces) if piece is not None]
        if self._json is not None:
            pieces = [piece for piece in pieces if not self._is_unknown(piece)]
            read = [self._json.feed(piece) if isinstance(piece, str) else piece for piece in pieces]
            if last:
                called, others = self._object_in_calls()
                read += [*others, self._json.finish(called)]
            pieces = [piece for piece in read if piece != ""]
            self._written += [piece for piece in pieces if isinstance(piece, str)]
        if self._kept is not None:
            self._kept += pieces
            return []
        for piece in pieces:
            _note(piece, self.made)
        return pieces

    def _is_unknown(self, piece: Piece) -> bool:
        """Whether a piece is of a call of what is not offered, which is then kept."""
        if not isinstance(piece, ToolCallPiece):
            return False
        if piece.index not in self._unknown and (piece.id is None or piece.name in self._offered):
            return False
        self._unknown.setdefault(piece.index, []).append(piece)
        return True

    def _object_in_calls(self) -> tuple[str, list[ToolCallPiece]]:
        """The object that a call of its schema held, "" for none, and the pieces of the others.

        Of several calls by the same name, the first that is valid counts, as of objects in a text.
        """
        schema = self._shape.schema
        assert schema is not None  # noqa: S101
        calls = [
            (call[0], "".join(piece.args for piece in call)) for call in self._unknown.values()
        ]
        objects = [
            (call, text)
            for call, text in calls
            if call.id not in self.broken and self._is_object(call.name, text)
        ]
        if not objects:
            return "", [piece for call in self._unknown.values() for piece in call]
        valid = (
            each for each in objects if fits(json.loads(each[1]), schema, self._shape.allowance)
        )
        chosen, found = next(valid, objects[0])
        same = {call.index for call, _ in objects if call.name == chosen.name}
        self._objects += len(same)
        others = (call for index, call in self._unknown.items() if index not in same)
        return found, [piece for call in others for piece in call]

    def _is_object(self, name: str | None, args: str) -> bool:
        schema = self._shape.schema
        assert schema is not None  # noqa: S101
        # By any other name it may be a misspelt tool.
        return name in _title_as_tool(schema) or suits(
            json.loads(args), schema, self._shape.allowance
        )

    def _json_text(self, schema: dict[str, Any]) -> JSONText:
        name = next(iter(_title_as_tool(schema)), "")
        is_valid = partial(fits, schema=schema, allowance=self._shape.allowance)
        return JSONText(is_valid, name, schema.get("properties", {}))

    def _shown(self, piece: Piece) -> Piece | None:
        """A piece as the caller gets it: thoughts apart, left in the text, or left out."""
        if isinstance(piece, Reasoning):
            self.thoughts.append(piece.text)
            if self._shape.reasoning:
                return piece if piece.text else None
            # Prose that is held back, or JSON, has no place for thoughts.
            left_in = self._shape.reasoning is None and not self._shape.forced and not self._json
            return piece.written or None if left_in else None
        return piece if piece != "" else None


def _note(piece: Piece, calls: dict[int, HandedOutCall]) -> None:
    """Add what a piece gives of a call."""
    if not isinstance(piece, ToolCallPiece):
        return
    if piece.index in calls:
        calls[piece.index].args.append(piece.args)
    else:
        calls[piece.index] = HandedOutCall(piece.id or "", piece.name, [piece.args])


def _title_as_tool(schema: dict[str, Any] | None) -> dict[str, Any]:
    """A schema as the tool that a model may take it for, by its title; empty without one."""
    title = (schema or {}).get("title")
    return {title: schema} if isinstance(title, str) and title else {}
