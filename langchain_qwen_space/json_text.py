"""An answer that has to be JSON: the object in it, without a fence, prose or thoughts around it."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from langchain_qwen_space.qwen import json_objects

_BEGUN = re.compile(r'\s*+(?:`{3,}+\w*+\s*+)?(?=\{\s*+["}])')
_OUTSIDE_STRINGS = re.compile(r'["{}\[\]]')
_IN_A_STRING = re.compile(r'["\\]')


class JSONText:
    """Takes the text of an answer; gives the text of the object in it.

    An answer that begins with the object, bare or in a Markdown fence, is handed on as it comes, up
    to the object's end. Any other is held back to its end, when the first object that is valid can
    be known. An answer without an object is given as it is.

    Args:
        is_valid: Whether an object is one that was asked for.
    """

    def __init__(self, is_valid: Callable[[Any], bool]) -> None:
        self._is_valid = is_valid
        self._held = ""
        self._depth = 0  # of brackets; 0 before the object
        self._in_string = False
        self._escaped = False
        self._complete = False

    def feed(self, text: str) -> str:
        """Returns what can be handed on now."""
        if self._complete:
            return ""
        if self._depth == 0:
            self._held += text
            begun = _BEGUN.match(self._held)
            if begun is None:
                return ""
            text, self._held = self._held[begun.end() :], ""
        return text[: self._follow(text)]

    def finish(self) -> str:
        """Returns what was held back."""
        text, self._held = self._held, ""
        with suppress(json_objects.BrokenJSONError):
            for value in json_objects.find(text):
                if self._is_valid(value):
                    return json.dumps(value, ensure_ascii=False)
        return text

    def _follow(self, text: str) -> int:
        """How much of the text belongs to the object."""
        at = int(self._escaped)
        self._escaped = False
        while mark := (_IN_A_STRING if self._in_string else _OUTSIDE_STRINGS).search(text, at):
            at = mark.end()
            if mark[0] == "\\":
                self._escaped = at == len(text)
                at += 1
            elif mark[0] == '"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark[0] in "{[" else -1
                if self._depth == 0:
                    self._complete = True
                    return at
        return len(text)
