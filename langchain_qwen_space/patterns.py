"""Patterns of JSON schemas, searched for in a time that the text's and the pattern's length bound.

Python's regular expressions may take forever. Those of pydantic, which are Rust's, take linear time.
They know neither look-around nor references to groups, and read some marks in another way, so a
pattern is given to them as Python and JavaScript read it. Look-aheads at its start, which rules for
passwords, zod's for mail addresses and pydantic's for decimals have, are patterns beside it.
"""

import re

from pydantic_core import SchemaError, SchemaValidator, core_schema

from langchain_qwen_space.errors import InvalidInputError

_MOST_STEPS = 10**7  # of one search, which take half a second at most
# A pattern's escapes, sets, counts, groups with their flags, and other characters.
_PARTS = re.compile(
    r"\\(?:[pPxu]\{[^}]*(?:\}|\Z)|.)|\[\^?\]?(?:\\.|[^\\\]])*(?:\]|\Z)"
    r"|\{(?P<least>\d{1,9})(?P<most>,\d{0,9})?\}|\((?:\?[a-z-]*)?|.",
    re.DOTALL,
)
# What Rust's expressions read in another way: edges of words, the text's end, and what is no count.
_READ_OTHERWISE = {r"\<": "<", r"\>": ">", r"\Z": r"\z", "{": r"\{", "}": r"\}"}
_IN_SETS = re.compile(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", re.DOTALL)  # of characters and ranges
_CLASSES = {f"\\{letter}" for letter in "dDsSwW"}  # no ends of a range
_ASCII = {r"\w": "[0-9A-Za-z_]", r"\W": "[^0-9A-Za-z_]", r"\d": "[0-9]", r"\D": "[^0-9]"}
_MOST_LOOK_AHEADS = 10


class Pattern:
    """A pattern to search texts for.

    Args:
        pattern: A regular expression as JSON schemas have it.

    Raises:
        InvalidInputError: It cannot be searched for in linear time, or is too large. The message
            says what to write instead.

    Attributes:
        steps: How many steps a search takes at most for each character of the text.
    """

    def __init__(self, pattern: str) -> None:
        self.steps = 0
        self._finders = []
        for wanted, part in _without_look_aheads(pattern):
            written, steps = _as_rust_reads(part)
            self.steps += steps
            try:
                finder = _finder(written)
            except SchemaError as error:
                reason = str(error).splitlines()[-1].rpartition("rror: ")[2].rstrip(".")
                raise _refusal(pattern, reason) from error
            self._finders.append((wanted, finder))

    def is_in(self, text: str) -> bool:
        """Returns whether the text, of which half characters count as "?", holds the pattern.

        Raises:
            TimeoutError: It would take too long to find out.
        """
        if self.steps * len(text) > _MOST_STEPS:
            raise TimeoutError
        whole = text.encode(errors="replace").decode()
        return all(finder.isinstance_python(whole) is wanted for wanted, finder in self._finders)


def _finder(written: str) -> SchemaValidator:
    """What searches for a pattern in Rust's form.

    All letters of Unicode, as Python has them, may be too large for a count. Then those of ASCII
    are meant, as in JavaScript.
    """
    try:
        return SchemaValidator(core_schema.str_schema(pattern=written))
    except SchemaError as error:
        if "size limit" not in str(error):
            raise
        small = re.sub(r"\\.", lambda part: _ASCII.get(part[0], part[0]), written, flags=re.DOTALL)
        return SchemaValidator(core_schema.str_schema(pattern=small))


def _without_look_aheads(pattern: str) -> list[tuple[bool, str]]:
    """Patterns without the look-aheads at the start, and whether each is to be found in a text."""
    parts: list[tuple[bool, str]] = []
    rest = pattern
    while rest.startswith(("^(?=", "^(?!")) and len(parts) < _MOST_LOOK_AHEADS:
        depth, end = 0, 0
        for part in _PARTS.finditer(rest):
            if part[0][0] == "(":
                depth += 1
            elif part[0] == ")":
                depth -= 1
                end = end or (part.end() if depth == 0 else 0)
            elif part[0] == "|" and depth == 0:
                return [(True, pattern)]  # they are in one of its alternatives only
        if not end or rest[end : end + 1] in ("*", "+", "?", "{"):
            break
        parts.append((rest[3] == "=", f"^(?:{rest[4 : end - 1]})"))
        rest = "^" + rest[end:]
    return [*parts, (True, rest)]


def _as_rust_reads(pattern: str) -> tuple[str, int]:
    """The pattern in the form that Rust's expressions have for it, and the steps for a character."""
    written = []
    sizes, last = [0], 0  # of the groups that are open, and of what a count would repeat
    for part in _PARTS.finditer(pattern):
        text = part[0]
        if part["least"]:
            count = int((part["most"] or "").lstrip(",") or part["least"])
            sizes[-1] += last * (count - 1)
            last *= count
        elif text[0] == "(":
            sizes.append(0)
            if "x" in text:  # blanks and comments would not count
                raise _refusal(pattern, "it has the flag x")
        elif text == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += 1
        if text[0] == "[" and text[-1] == "]":
            start = 2 if text[1] == "^" else 1
            text = text[:start] + _IN_SETS.sub(_literally, text[start:-1]) + "]"
        written.append(_READ_OTHERWISE.get(text, text))
    return "".join(written), sum(sizes)


def _literally(mark: re.Match[str]) -> str:
    """What stands in a set, with a backslash where it could be an operation on sets."""
    ends = [end for end in mark.groups() if end]
    dash = "-" if _CLASSES.isdisjoint(ends) else r"\-"
    return dash.join(f"\\{end}" if end in "[]&-~" else end for end in ends)


def _refusal(pattern: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"The pattern {pattern!r:.100} cannot be searched for in linear time ({reason:.100}). Write "
        "it without references to groups, large counts, and look-around other than (?=…) or (?!…) after "
        "^ at its start; for lengths, write minLength and maxLength."
    )
