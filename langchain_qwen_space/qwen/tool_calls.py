"""A stream of answer text becomes text and tool calls, piece by piece as it arrives.

A call as Qwen writes it streams: its name and the first of its arguments once the arguments have
begun, the rest as it comes, the last bracket once the call is known to be whole. A call that needs
repair (`tool_repair`) is held until it is whole and goes out as one piece. A call that is broken
or cut off ends in such a way that LangChain, however it adds the pieces up, finds it invalid.

Nothing is looked at twice but the end of a piece that may still become a tag or an escape, the
first characters of a call, and a call's body once it has ended.
"""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from langchain_qwen_space.qwen.tool_body import CallBody, skip
from langchain_qwen_space.qwen.tool_repair import give_up, read_broken, read_calls

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"

# An answer that ends in `<tool` may mean just that; with one character more, a tag was cut off.
_CUT_OPEN, _CUT_CLOSE = "<tool_", "</tool_"

_FENCE = re.compile(r"`{3,}\w*")
_BEFORE_BODY = re.compile(r"[^{\[<]*+")
_AFTER_BODY = re.compile(r"[\s`}\],]*+")


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


_Out: TypeAlias = list[str | ToolCallPiece]


class ToolCallParser:
    """Turns a stream of answer text into text and tool-call pieces, incrementally.

    The tags are never part of the text. Neither is one newline right before `<tool_call>`, which
    Qwen's template puts there, nor blank space after a call, unless more text follows it and some
    came before. So text and calls, rendered by `tools.render_tool_calls`, are what the model wrote.
    A `</tool_call>` that closes nothing is dropped.

    Inside a tag stands a call, or a JSON list of calls, or calls one after the other; a fence
    around them is skipped. A call ends with its last bracket, whether `</tool_call>` follows or
    not, and that bracket alone may be missing before `</tool_call>`. Everything else is broken:
    swallowed up to the next tag outside of its strings, or the end of the answer.

    How the text is split changes the pieces, but neither the text nor the calls that they add up
    to.

    Args:
        withhold_prose: Text before the first call is kept in `withheld`. It is given out right
            before that call; if none comes, it stays there.
        single: The first call, valid or not, is the last.
    """

    def __init__(self, *, withhold_prose: bool = False, single: bool = False) -> None:
        self.started = False
        """A call has begun."""
        self.calls = 0
        """How many calls were given out, wholly or in part."""
        self.done = False
        """With `single`: a call was given out to its end, and nothing more is wanted."""
        self._withhold_prose = withhold_prose
        self._single = single
        self._withheld: list[str] = []
        self._wrote = False  # some text was given out
        self._gap: list[str] | None = (
            None  # blank space since the last call; None where text follows
        )
        self._held = ""  # the end of the last piece, still undecided
        self._step: Callable[[str, int, _Out], int] = self._in_text
        self._body = CallBody(may_stream=True)
        self._debris: list[str] = []  # what stands between a call and the closing tag

    @property
    def withheld(self) -> str:
        """The text kept back so far."""
        return "".join(self._withheld)

    def feed(self, text: str) -> list[str | ToolCallPiece]:
        """Returns what can be given out now that this text has arrived."""
        out: _Out = []
        if self.done:
            return out
        text, position = self._held + text, 0
        while position < len(text) and not self.done:
            step, start = self._step, position
            position = step(text, start, out)
            if position == start and self._step == step:
                break
        self._held = text[position:]
        return out

    def finish(self) -> list[str | ToolCallPiece]:
        """Returns what is left at the end of the answer; a call that was cut off is invalid."""
        out: _Out = []
        held, self._held = self._held, ""
        tag = held.lstrip("\n")
        if self.done:
            return out
        if self._step not in (self._in_text, self._after_body):
            self._body.take(held)
            self._end_call(out)
            return out
        if self._step == self._after_body:
            debris = "".join(self._debris)
            if "," in debris:
                self._body.take(debris)
            self._end_call(out)
        elif not tag.startswith((_CUT_OPEN, _CUT_CLOSE)):
            self._write(held, out)
        if tag.startswith(_CUT_OPEN) and not self.done:
            self._open_tag(out)
            self._end_call(out)
        return out

    # Steps: each reads from a position on and returns how far it came. One that comes nowhere and
    # stays the step to take needs more text.

    def _in_text(self, text: str, start: int, out: _Out) -> int:
        at = text.find("<", start)
        while at >= 0:
            tag = _tag_at(text, at)
            if tag == "":
                at = text.find("<", at + 1)
                continue
            end = at - 1 if tag != _CLOSE and text.endswith("\n", start, at) else at
            self._write(text[start:end], out)
            if tag is None:
                return end
            if tag == _OPEN:
                self._open_tag(out)
            return at + len(tag)
        end = len(text) - text.endswith("\n", start)
        self._write(text[start:end], out)
        return end

    def _before_body(self, text: str, start: int, out: _Out) -> int:
        end = skip(_BEFORE_BODY, text, start)
        self._body.take(text[start:end])
        if end == len(text):
            return end
        if text[end] == "<":
            return self._at_less_than(text, end, out)
        lead = self._body.text.strip()
        if lead and not _FENCE.fullmatch(lead):
            self._step = self._in_broken
        else:
            self._open_body(may_stream=not lead and text[end] == "{")
        return end

    def _in_body(self, text: str, start: int, out: _Out) -> int:
        end = self._body.scan(text, start)
        first = self._body.name is None
        if args := self._body.new_arguments():
            self._give(out, args, self._body.name, first=first)
        if self._body.broken:
            self._step = self._in_broken
        elif self._body.whole:
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
        if ("," in debris and not another) or not (tag or read_calls(self._body.text)):
            self._body.take(debris)
            self._step = self._in_broken
            return end
        if tag:
            return self._at_less_than(text, end, out)
        self._end_call(out)
        if another:
            self._open_body(may_stream=False)
        else:
            self._close_tag()
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
        if tag == _CLOSE:
            self._body.close()
        self._end_call(out)
        if tag == _OPEN:
            self._open_tag(out)
        else:
            self._close_tag()
        return at + len(tag)

    def _open_tag(self, out: _Out) -> None:
        self.started = True
        if self._withheld:
            out.append(self.withheld)
            self._withheld.clear()
            self._wrote = True
        self._body = CallBody(may_stream=False)
        self._step = self._before_body

    def _open_body(self, *, may_stream: bool) -> None:
        self._body = CallBody(may_stream=may_stream)
        self._debris.clear()
        self._step = self._in_body

    def _close_tag(self) -> None:
        self._gap = []
        self._step = self._in_text

    def _write(self, text: str, out: _Out) -> None:
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

    def _end_call(self, out: _Out) -> None:
        """Gives out what is left of the call, or calls, in the body."""
        body = self._body
        calls = read_calls(body.text) if body.whole else []
        if body.name is not None:
            self._give(out, body.rest(sound=bool(calls)), None, first=False)
        elif calls:
            for name, args in calls[:1] if self._single else calls:
                self._give(out, json.dumps(args, ensure_ascii=False), name, first=True)
        else:
            known_name, raw = read_broken(body.text)
            self._give(out, raw + give_up(raw), known_name, first=True)
        self.done = self._single

    def _give(self, out: _Out, args: str, name: str | None, *, first: bool) -> None:
        call_id = f"call_{secrets.token_hex(12)}" if first else None
        self.calls += first
        out.append(ToolCallPiece(self.calls - 1, call_id, name if first else None, args))


def _tag_at(text: str, at: int) -> str | None:
    """Returns the tag that stands here, "" if none does, None if more text might make it one."""
    for tag in (_OPEN, _CLOSE):
        if text.startswith(tag, at):
            return tag
    rest = text[at : at + len(_CLOSE)]
    return None if _OPEN.startswith(rest) or _CLOSE.startswith(rest) else ""
