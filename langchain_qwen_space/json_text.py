"""An answer that has to be JSON: the object in it, without a fence, prose or thoughts around it."""

import json
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from langchain_qwen_space.qwen import json_objects
from langchain_qwen_space.qwen.tool_parameters import ToolSchemas
from langchain_qwen_space.qwen.tool_tags import may_be_untagged_call

_BEGUN = re.compile(r'\s*+(?:`{3,}+\w*+\s*+)?(?=\{\s*+["}])')
_KEY = re.compile(r'\{\s*+"(?P<name>\w*+)(?P<end>"?)')
_KEYS_OF_CALLS = ("name", "arguments", "parameters", "type", "function")
_LONGEST_BEGINNING = 4096  # characters after which an answer is held back to its end
_OUTSIDE_STRINGS = re.compile(r'["{}\[\]]')
_IN_A_STRING = re.compile(r'["\\]')


class JSONText:
    """Takes the text of an answer; gives the text of the object in it.

    An answer that begins with the object, bare or in a Markdown fence, is handed on as it comes, up
    to the object's end. Any other is held back to its end, when the first object that is valid can
    be known, as is one that may be a call with the object for its arguments. An answer without an
    object is given as it is.

    Args:
        is_valid: Whether an object is one that was asked for.
        name: The name of its schema, by which a model may call it.
        fields: The names of its properties, where the schema has any.
    """

    def __init__(
        self, is_valid: Callable[[Any], bool], name: str = "", fields: Collection[str] = ()
    ) -> None:
        self._is_valid = is_valid
        self._name = name
        self._fields = fields
        self._held: list[str] = []
        self._size = 0  # of what is held
        self._depth = 0  # of brackets; 0 before the object
        self._in_string = False
        self._escaped = False
        self._complete = False

    def feed(self, text: str) -> str:
        """Returns what can be handed on now."""
        if self._complete:
            return ""
        if self._depth == 0:
            looked_at, self._size = self._size, self._size + len(text)
            self._held.append(text)
            if looked_at > _LONGEST_BEGINNING:
                return ""
            held = "".join(self._held)
            begun = _BEGUN.match(held)
            if begun is None or self._may_be_call(held[begun.end() :]):
                return ""
            text = held[begun.end() :]
            self._held.clear()
        return text[: self._follow(text)]

    def finish(self, called: str = "") -> str:
        """Returns what was held back, or the arguments of a call that gave the object instead."""
        text = "".join(self._held)
        self._held.clear()
        if called:
            return "" if self._depth or self._complete else called
        with suppress(json_objects.BrokenJSONError):
            for value in json_objects.find(text):
                for meant in json_objects.readings(value, self._fields):
                    if self._is_valid(meant):
                        return json.dumps(meant, ensure_ascii=False)
        return text

    def _may_be_call(self, text: str) -> bool:
        """Whether an object that begins so may be a call, or may become one."""
        key = _KEY.match(text)
        if key is None or not self._fields:
            return False
        if not key["end"]:
            return any(name.startswith(key["name"]) for name in _KEYS_OF_CALLS)
        if key["name"] in self._fields:
            known: ToolSchemas = {self._name: {}}
            return key["name"] == "name" and may_be_untagged_call(text, known) is not False
        return key["name"] in _KEYS_OF_CALLS

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
