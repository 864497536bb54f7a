"""A stream of answer text becomes text and tool calls, piece by piece as it arrives.

Calls are read in every form that Qwen models write, whatever form they were asked for: JSON in
`<tool_call>` tags (`tool_body`), XML with and without those tags (`tool_xml`), and JSON without
tags where it is the whole answer (`tool_untagged`).

A call as Qwen writes it streams: its name and the first of its arguments once the arguments have
begun, the rest as it comes, the last bracket once the call is known to be whole. A call in JSON
that needs repair (`tool_repair`) is held until it is whole and goes out as one piece. A call that
is broken or cut off ends in such a way that LangChain, however it adds the pieces up, finds it
invalid.

Nothing is looked at twice but the end of a piece that may still become a tag or an escape, the
first characters of a call, and a call's body once it has ended.
"""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_qwen_space.qwen.strict_json import BrokenCallError
from langchain_qwen_space.qwen.tool_body import JSONCall, skip
from langchain_qwen_space.qwen.tool_parameters import ToolSchemas
from langchain_qwen_space.qwen.tool_repair import give_up, read_broken, read_calls
from langchain_qwen_space.qwen.tool_tags import (
    CLOSE,
    FUNCTION,
    OPEN,
    InlineCode,
    Tag,
    is_begun,
    is_cut_off_call,
    may_be_untagged_call,
    tag_in_text,
)
from langchain_qwen_space.qwen.tool_untagged import UntaggedCalls
from langchain_qwen_space.qwen.tool_xml import CUT_OFF, XMLCall

_FENCE = re.compile(r"`{3,}\w*")
_BLANK = re.compile(r"\s*+")
_BEFORE_BODY = re.compile(r"[^{\[<]*+")
_AFTER_BODY = re.compile(r"[\s`}\],]*+")
_TWO_WAYS = ("</parameter>", "</function>")


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A part of a call, with the fields of LangChain's `tool_call_chunk`."""

    index: int
    id: str | None
    """On the first piece of a call only, as is `name`."""
    name: str | None
    """The whole name; None also on a broken call of which no name can be read."""
    args: str
    """JSON text that goes after that of the pieces before."""


@dataclass(frozen=True, slots=True)
class BrokenCall:
    """A call that could not be read."""

    written: str
    """What the model wrote, tags included."""
    error: str
    """What is wrong with it, in words for the model."""


_Out: TypeAlias = list[str | ToolCallPiece]


class ToolCallParser:
    """Turns a stream of answer text into text and tool-call pieces, incrementally.

    Where a tag is a tag, and where it is a word of the text, is said by `tool_tags`.
    A tag is never part of the text. Neither is one newline right before it, which Qwen's template
    puts there, nor blank space after a call, unless more text follows it and some came before. So
    text and calls, rendered by a dialect, are what the model wrote.

    Inside `<tool_call>` stands a call, or a JSON list of calls, or calls one after the other; a
    fence around them is skipped. A call in JSON ends with its last bracket, one in XML with
    `</function>` or `</tool_call>`, whether `</tool_call>` follows or not; that bracket alone may
    be missing before `</tool_call>`. Everything else is broken: swallowed up to the next tag
    outside of its strings, or the end of the answer.

    How the text is split changes the pieces, but neither the text nor the calls that they add up
    to.

    Args:
        tools: The schemas of the tools on offer, by name. JSON without tags is a call only if it
            names one of them, and the types of values are taken from them.
        withhold_prose: Text before the first call is kept in `withheld`. It is given out right
            before that call; if none comes, it stays there.
        single: The first call, valid or not, is the last.
    """

    def __init__(
        self,
        tools: ToolSchemas | None = None,
        *,
        withhold_prose: bool = False,
        single: bool = False,
    ) -> None:
        self.started = False
        """A call has begun."""
        self.calls = 0
        """How many calls were given out, wholly or in part."""
        self.done = False
        """With `single`: a call was given out to its end, and nothing more is wanted."""
        self.broken: dict[str, BrokenCall] = {}
        """The calls that could not be read, by id."""
        self._tools = tools or {}
        self._withhold_prose = withhold_prose
        self._single = single
        self._withheld: list[str] = []
        self._wrote = False  # some text was given out
        self._at_line = True  # what comes next begins a line
        self._code = InlineCode()
        self._gap: list[str] | None = (
            None  # blank space since the last call; None where text follows
        )
        self._held = ""  # the end of the last piece, still undecided
        self._unread: list[str] = []
        self._step: Callable[[str, int, _Out], int] = self._at_start if tools else self._in_text
        self._untagged: UntaggedCalls | None = None  # while the answer may be one
        self._body: JSONCall | XMLCall = JSONCall(self._tools, may_stream=True)
        self._debris: list[str] = []  # what stands between a call and the closing tag
        self._closed = False  # the closing tag of a call in XML was read
        self._unclosed = False  # the last call's closing tag may still follow, in the text
        self._over = False  # no more text comes
        self._id = ""  # of the last call
        self._begun = False  # some of the call was given out
        self._written: list[str] = []  # since the call's opening tag
        self._ended = False  # a call has just ended
        self._error: str | None = None  # of that call

    @property
    def withheld(self) -> str:
        """The text kept back so far."""
        return "".join(self._withheld)

    @property
    def unread(self) -> str:
        """With `single`: the text after the call."""
        return "".join(self._unread)

    def feed(self, text: str) -> list[str | ToolCallPiece]:
        """Returns what can be given out now that this text has arrived."""
        out: _Out = []
        if self.done:
            self._unread.append(text)
            return out
        text, position = self._held + text, 0
        while position < len(text) and not self.done:
            if self._untagged is not None:
                position = self._untagged.scan(text, position)
                if not self._untagged.refuted:
                    break
                text, position = self._untagged.text + text[position:], 0
                self._untagged = None
            step, start = self._step, position
            position = step(text, start, out)
            if step != self._in_text:
                self._note(text[start:position])
            if position == start and self._step == step:
                break
        self._held = text[position:]
        if self.done:
            self._unread.append(self._held)
        return out

    def finish(self) -> list[str | ToolCallPiece]:
        """Returns what is left at the end of the answer; a call that was cut off is invalid."""
        out: _Out = []
        held, self._held = self._held, ""
        self._over = True
        if self.done:
            return out
        if self._untagged is not None:
            self._end_untagged(self._untagged, held, out)
        elif self._step in (self._at_start, self._in_text):
            self._end_text(held, out)
        else:
            if self._step == self._in_xml and isinstance(self._body, XMLCall):
                self._body.finish(held)
            elif self._step == self._after_body:
                debris = "".join(self._debris)
                if "," in debris:
                    self._body.take(debris)
            elif self._step == self._after_xml:
                if held[2:] and any(tag.startswith(held) for tag in _TWO_WAYS):
                    self._read_in_two_ways()
                elif self._closed:  # so what follows is text
                    self._end_call(out)
                    self._close_tag(closed=True)
                    if not self.done:
                        self._end_text("".join(self._debris) + held, out)
                    return out
            else:
                self._body.take(held)
            self._end_call(out)
            # A closing tag that was cut off is no new call.
            again = self._step == self._after_body and held.startswith("<tool_")
            self._note(held)
            if again and not self.done:
                self._open_tag(held, out)
                self._end_call(out)
                self._note("")
        return out

    # Steps: each reads from a position on and returns how far it came. One that comes nowhere and
    # stays the step to take needs more text.

    def _at_start(self, text: str, start: int, out: _Out) -> int:
        verdict = may_be_untagged_call(text, self._tools)
        if verdict:
            self._untagged = UntaggedCalls(self._tools)
        if verdict is not None:
            self._step = self._in_text
        return start

    def _in_text(self, text: str, start: int, out: _Out) -> int:
        at, seen = text.find("<", start), start
        while at >= 0:
            self._code.take(text[seen:at])
            seen = at
            stop = at - text.endswith("\n", start, at)
            in_gap = self._gap is not None and (at == start or text[start:at].isspace())
            begins_line = stop < at or in_gap or (at == start and self._at_line)
            shown = not begins_line and self._code.is_open
            tag = Tag.NONE
            if not shown:
                tag = tag_in_text(text, at, begins_line=begins_line, closes=self._unclosed)
            if tag is Tag.NONE:
                at = text.find("<", at + 1)
                continue
            end = at if tag is Tag.CLOSE else stop
            self._write(text[start:end], out)
            if tag is Tag.UNDECIDED:
                return end
            if tag is Tag.CLOSE:
                self._at_line = True
                self._unclosed = False
                if self._gap is not None:
                    self._gap = []
                return at + len(CLOSE)
            if tag is Tag.OPEN:
                self._open_tag(OPEN, out)
                return at + len(OPEN)
            self._open_tag("", out)
            self._open_xml()
            return at
        end = len(text) - text.endswith("\n", start)
        self._code.take(text[seen:end])
        self._write(text[start:end], out)
        return end

    def _before_body(self, text: str, start: int, out: _Out) -> int:
        end = skip(_BEFORE_BODY, text, start)
        self._body.take(text[start:end])
        if end == len(text):
            return end
        lead = self._text_of_body().strip()
        if text[end] == "<" and not lead:
            if text.startswith(FUNCTION, end):
                self._open_xml()
                return end
            if text.startswith(OPEN, end):  # the tag stands twice
                self._body = JSONCall(self._tools, may_stream=False)
                return end + len(OPEN)
            if is_begun(text, end):
                return end
        if text[end] == "<" or (lead and not _FENCE.fullmatch(lead)):
            self._step = self._in_broken
        else:
            self._open_body(may_stream=not lead and text[end] == "{")
        return end

    def _in_body(self, text: str, start: int, out: _Out) -> int:
        body = self._body
        assert isinstance(body, JSONCall)  # noqa: S101
        end = body.scan(text, start)
        if args := body.new_arguments():
            self._give(out, args, body.name)
        if body.broken:
            self._step = self._in_broken
        elif body.whole:
            self._step = self._after_body
        elif text.startswith("<", end):
            return self._at_less_than(text, end, out)
        return end

    def _after_body(self, text: str, start: int, out: _Out) -> int:
        end = skip(_AFTER_BODY, text, start)
        self._debris.append(text[start:end])
        if end == len(text):
            return end
        tag = _tag_at(text, end) if text[end] == "<" else ""
        if tag is None:
            return end
        # A comma says that the JSON continues: the bracket that closed the call was one too many.
        another, debris = text[end] == "{", "".join(self._debris)
        if ("," in debris and not another) or not (tag or self._reads()):
            self._body.take(debris)
            self._step = self._in_broken
            return end
        if tag:
            return self._at_less_than(text, end, out)
        self._end_call(out)
        if another:
            self._open_body(may_stream=False)
        else:
            self._close_tag(closed=False)
            if not self.done:
                self._write(debris, out)
        return end

    def _in_xml(self, text: str, start: int, out: _Out) -> int:
        body = self._body
        assert isinstance(body, XMLCall)  # noqa: S101
        end = body.scan(text, start)
        if args := body.new_arguments():
            self._give(out, args, body.name)
        if body.whole:
            self._step = self._after_xml
            self._closed = False
            self._debris.clear()
        elif body.error is not None:
            self._step = self._in_broken
        return end

    def _after_xml(self, text: str, start: int, out: _Out) -> int:
        end = skip(_BLANK, text, start)
        self._debris.append(text[start:end])
        if end == len(text):
            return end
        if not self._closed and text.startswith(CLOSE, end):
            self._closed = True
            self._debris.clear()
            return end + len(CLOSE)
        if text.startswith(_TWO_WAYS, end):
            self._read_in_two_ways()
            self._step = self._in_broken
            return end
        rest = text[end : end + len(CLOSE)]
        if any(tag.startswith(rest) for tag in (*_TWO_WAYS, CLOSE)):
            return end
        debris = "".join(self._debris)
        self._end_call(out)
        self._close_tag(closed=self._closed)
        if not self.done:
            self._write(debris, out)
        return end

    def _in_broken(self, text: str, start: int, out: _Out) -> int:
        end = text.find("<", start)
        if end < 0:
            end = len(text)
        self._body.take(text[start:end])
        return self._at_less_than(text, end, out) if end < len(text) else end

    # What the steps share.

    def _at_less_than(self, text: str, at: int, out: _Out) -> int:
        """Ends the call if a tag stands here."""
        tag = _tag_at(text, at)
        if tag is None:
            return at
        if tag == "":
            self._body.take("<")
            return at + 1
        if tag == CLOSE:
            self._body.close()
        self._end_call(out)
        self._close_tag(closed=tag == CLOSE)
        return at + len(CLOSE) if tag == CLOSE else at

    def _open_tag(self, tag: str, out: _Out) -> None:
        self.started = True
        if self._withheld:
            out.append(self.withheld)
            self._withheld.clear()
            self._wrote = True
        self._written = [tag]
        self._begun = False
        self._body = JSONCall(self._tools, may_stream=False)
        self._step = self._before_body

    def _open_body(self, *, may_stream: bool) -> None:
        self._begun = False
        self._body = JSONCall(self._tools, may_stream=may_stream)
        self._debris.clear()
        self._step = self._in_body

    def _open_xml(self) -> None:
        self._begun = False
        self._body = XMLCall(self._tools)
        self._step = self._in_xml

    def _close_tag(self, *, closed: bool) -> None:
        self._unclosed = not closed
        self._gap = []
        self._at_line = True
        self._code = InlineCode()
        self._step = self._in_text

    def _write(self, text: str, out: _Out) -> None:
        if text:
            self._at_line = text.endswith("\n")
        if self._gap is not None:
            if not text or text.isspace():
                self._gap.append(text)
                return
            text = "".join([*self._gap, text]) if self._wrote else text.lstrip()
            self._gap = None
        if not text:
            return
        if self._withhold_prose and not self.started:
            self._withheld.append(text)
        else:
            self._wrote = True
            out.append(text)

    def _end_text(self, held: str, out: _Out) -> None:
        """The answer ends in text, or in what might have become a tag."""
        if self._step == self._at_start:
            self._step = self._in_text
            out += self.feed(held)
            out += self.finish()
            return
        tag = held.removeprefix("\n")
        begins_line = tag != held or self._at_line or self._gap is not None
        if is_cut_off_call(tag, begins_line=begins_line):
            self._open_tag(OPEN if tag.startswith(OPEN) else tag, out)
            if tag.startswith(FUNCTION):
                self._written.clear()
                body = XMLCall(self._tools)
                body.finish(tag)
                self._body = body
            self._body.take(tag[len(OPEN) :] if tag.startswith(OPEN) else "")
            self._end_call(out)
            self._note(tag if tag.startswith(FUNCTION) else tag[len(OPEN) :])
        elif not ((begins_line or self._unclosed) and tag.startswith("</tool_")):
            self._write(held, out)

    def _end_untagged(self, answer: UntaggedCalls, held: str, out: _Out) -> None:
        calls: list[tuple[str, dict[str, Any]]] = []
        error = None
        try:
            calls = answer.end(held)
        except BrokenCallError as broken:
            error = str(broken)
        if not calls and error is None:
            self._untagged = None
            out += self.feed(answer.text)
            out += self.finish()
            return
        self.started = True
        self._give_whole(calls, out)
        if error is not None:
            name, raw = read_broken(answer.first)
            self._give(out, raw + give_up(raw), name)
            self.broken[self._id] = BrokenCall(answer.text, error)

    def _reads(self) -> bool:
        try:
            return bool(self._calls())
        except BrokenCallError:
            return False

    def _calls(self) -> list[tuple[str, dict[str, Any]]]:
        body = self._body
        assert isinstance(body, JSONCall)  # noqa: S101
        if not body.text.strip():
            empty = "The tag is empty: write the call inside."
            raise BrokenCallError(CUT_OFF if self._over else empty)
        calls = read_calls(body.text, self._tools)
        if not body.whole:
            raise BrokenCallError(CUT_OFF)
        return calls

    def _text_of_body(self) -> str:
        return self._body.text if isinstance(self._body, JSONCall) else ""

    def _read_in_two_ways(self) -> None:
        if isinstance(self._body, XMLCall):
            self._body.error = (
                "It cannot be said where the call ends: the tags of a call stand inside a value."
            )

    def _end_call(self, out: _Out) -> None:
        """Gives out what is left of the call, or calls, in the body."""
        body = self._body
        self._ended, self._error = True, None
        if isinstance(body, XMLCall):
            self._error = body.error
            self._give(out, body.rest(), body.name)
        else:
            calls: list[tuple[str, dict[str, Any]]] = []
            try:
                calls = self._calls()
            except BrokenCallError as error:
                self._error = str(error)
            if body.name is not None:
                self._give(out, body.rest(sound=bool(calls)), body.name)
            elif calls:
                self._give_whole(calls, out)
            else:
                name, raw = read_broken(body.text)
                self._give(out, raw + give_up(raw), name)
        self.done = self._single

    def _note(self, text: str) -> None:
        """Keeps what was read of a call, until it is known whether it is broken."""
        self._written.append(text)
        if self._ended:
            if self._error is not None:
                self.broken[self._id] = BrokenCall("".join(self._written), self._error)
            self._written.clear()
            self._ended = False

    def _give_whole(self, calls: list[tuple[str, dict[str, Any]]], out: _Out) -> None:
        for name, args in calls[:1] if self._single else calls:
            self._begun = False
            self._give(out, json.dumps(args, ensure_ascii=False), name)

    def _give(self, out: _Out, args: str, name: str | None) -> None:
        if self._begun:
            if args:
                out.append(ToolCallPiece(self.calls - 1, None, None, args))
            return
        self._begun = True
        self.calls += 1
        self._id = f"call_{secrets.token_hex(12)}"
        out.append(ToolCallPiece(self.calls - 1, self._id, name, args))


def _tag_at(text: str, at: int) -> str | None:
    """Returns the tag that stands here inside a call, "" if none, None if more text might make it one."""
    for tag in (OPEN, CLOSE):
        if text.startswith(tag, at):
            return tag
    rest = text[at : at + len(CLOSE)]
    return None if OPEN.startswith(rest) or CLOSE.startswith(rest) else ""
