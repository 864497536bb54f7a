"""Recognises events that only append to the answer, without decoding the rest of them.

Nearly every event of an answer is the event before it with another piece of text and other timings. So
once one was decoded and understood, those that differ from it in nothing else need not be.
"""

import re
from functools import lru_cache

import orjson

from langchain_qwen_space.space.chat.chatbot import Path

_STRING = rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")'
_FLOAT = rb"-?(?:0|[1-9]\d{0,15})\.\d+(?:e[+-]?\d\d?)?"  # of JSON, and too small to overflow
_FLOATS = re.compile(rb"(?<=:)" + _FLOAT)
_LONGEST = 2_000  # bytes of an event that is remembered
_MOST = 16  # times that one call may change what its events look like


class Appends:
    """What an appending event of one call looks like."""

    def __init__(self) -> None:
        self._tail: Path | None = None
        self._head = b""
        self._rest: re.Pattern[bytes] | None = None
        self._learned = 0

    def fragment(self, data: bytes, tail: Path | None) -> str | None:
        """What the event appends at `tail`, if that is known to be all it does; else None."""
        if self._rest is None or tail != self._tail or not data.startswith(self._head):
            return None
        match = self._rest.fullmatch(data, len(self._head))
        if match is None:
            return None
        try:
            text: str = orjson.loads(match[1])
        except ValueError:
            return None
        return text

    def learn(self, data: bytes, edits: object, tail: Path | None) -> None:
        """Remember an event that was decoded, if all that it does is to append at `tail`."""
        match edits:
            case [["append", path, str(fragment)]] if path == tail:
                edit = orjson.dumps(["append", path, fragment])
            case _:
                return
        if self._learned == _MOST or len(data) > _LONGEST:
            return
        head, *rest = data.split(edit)
        if len(rest) == 1:  # else it is not written as Gradio writes JSON, or stands there twice
            self._learned += 1
            self._tail = tail
            self._head = head + edit[: -len(orjson.dumps(fragment)) - 1]
            self._rest = _pattern(rest[0])


@lru_cache(maxsize=64)
def _pattern(rest: bytes) -> re.Pattern[bytes]:
    """Matches any text and then `rest` with any timings."""
    return re.compile(_STRING + rb"\]" + _FLOAT.join(map(re.escape, _FLOATS.split(rest))))
