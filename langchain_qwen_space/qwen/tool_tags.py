"""Where in an answer a call begins, and where such words are only text."""

import re
from enum import Enum

from langchain_qwen_space.qwen.tool_parameters import ToolSchemas

OPEN, CLOSE, FUNCTION = "<tool_call>", "</tool_call>", "<function="

_TAGS = (OPEN, CLOSE, FUNCTION)
_LOOKAHEAD = 64  # characters of blank space in which a body is waited for
_BODY = re.compile(r"""\s{0,64}(?:\{\s{0,64}["'}]|\[\s{0,64}\{|`{3}|<function=|<tool_call>)""")
_BODY_BEGUN = re.compile(r"\s{0,64}(?:\{\s{0,64}|\[\s{0,64}|`{0,2}|</?[a-z_]*)\Z")
_PARAMETERS = re.compile(r"\s{0,64}(?:<parameter=|</function>)")
_PARAMETERS_BEGUN = re.compile(r"\s{0,64}(?:</?[a-z]*)?\Z")
_NAME = re.compile(r"<function=[^<>\s][^<>\n]{0,255}>")
_NAME_BEGUN = re.compile(r"<function=(?:[^<>\s][^<>\n]{0,255})?\Z")
_MARKS = re.compile(r"`++|\n")


class Tag(Enum):
    """What stands at a `<` in the text of an answer."""

    NONE = 0
    UNDECIDED = 1
    """More text has to decide."""
    OPEN = 2
    CLOSE = 3
    FUNCTION = 4


def tag_in_text(text: str, at: int, *, begins_line: bool, closes: bool) -> Tag:
    """Returns what stands at a `<`.

    `<tool_call>` and `<function=NAME>` open a call where its body follows after blank space: for
    `<tool_call>` an object or list of JSON, a fence, `<function=` or `<tool_call>` again; for
    `<function=NAME>` a `<parameter=` or `</function>`. Where such a tag begins a line, and no blank
    or backtick follows at once, it opens a call whatever follows. `</tool_call>` is one where it
    begins a line, or `closes` a call before it. In all other places they are words of the text.
    """
    if text.startswith(CLOSE, at):
        return Tag.CLOSE if begins_line or closes else Tag.NONE
    if text.startswith(OPEN, at):
        return _opens(text, at + len(OPEN), _BODY, _BODY_BEGUN, Tag.OPEN, begins_line)
    if name := _NAME.match(text, at):
        return _opens(text, name.end(), _PARAMETERS, _PARAMETERS_BEGUN, Tag.FUNCTION, begins_line)
    begun = is_begun(text, at) or _NAME_BEGUN.match(text, at)
    return Tag.UNDECIDED if begun else Tag.NONE


class InlineCode:
    """Follows a text, and knows where inline code of Markdown is open, in which tags are only shown.

    One or two backticks open it, as many close it, and so does the end of the line.
    """

    def __init__(self) -> None:
        self._opened = 0  # by how many backticks
        self._run = 0  # of backticks that may still continue

    def take(self, text: str) -> None:
        """Takes text in."""
        if text and text[0] != "`":
            self._end_run()
        for match in _MARKS.finditer(text):
            if match[0] == "\n":
                self._opened = 0
            else:
                self._run += len(match[0])
                if match.end() < len(text):
                    self._end_run()

    @property
    def is_open(self) -> bool:
        """Whether it is open before what comes next, which is not a backtick."""
        self._end_run()
        return self._opened > 0

    def _end_run(self) -> None:
        if 0 < self._run < 3 and self._opened in (0, self._run):  # three make a fence
            self._opened = self._run - self._opened
        self._run = 0


def is_begun(text: str, at: int) -> bool:
    """Whether more text might make a tag of what stands at the end of the text."""
    rest = text[at : at + len(CLOSE)]
    return any(len(rest) < len(tag) and tag.startswith(rest) for tag in _TAGS)


def is_cut_off_call(text: str, *, begins_line: bool) -> bool:
    """Whether an answer that ends in this text, which was undecided, ends in a call that was begun.

    An answer that ends in `<tool` may mean just that; with one character more it was a call.
    """
    if begins_line:
        return text.startswith(("<tool_", FUNCTION))
    return text.startswith(OPEN) and text[len(OPEN) :].lstrip().startswith(("{", "[", "<"))


def _opens(
    text: str,
    after: int,
    body: re.Pattern[str],
    begun: re.Pattern[str],
    tag: Tag,
    begins_line: bool,
) -> Tag:
    if begins_line:
        if after == len(text):
            return Tag.UNDECIDED
        if text[after] not in " \t`":
            return tag
    if body.match(text, after):
        return tag
    return Tag.UNDECIDED if begun.match(text, after) else Tag.NONE


# Calls without a tag

_LEAD = re.compile(
    r"""\s*+(?:<tools>\s*+)?(?:`{3,}\w*+\s*+)?(?:\[\s*+)?\{\s*+(["'])(?P<key>\w+)\1\s*+:\s*+"""
    r"""(?:(["'])(?P<value>[^"'\\]*+)(?P<end>\3)?)?"""
)
_LEAD_BEGUN = re.compile(
    r"""\s*+(?:<t?o?o?l?s?\Z|(?:<tools>\s*+)?(?:`{0,2}\Z|(?:`{3,}\w*+\s*+)?"""
    r"""(?:\[\s*+)?(?:\{\s*+(?:["']\w*+["']?\s*+)?)?\Z))"""
)
_LEAD_LIMIT = 256
_OTHER_KEYS = frozenset({"arguments", "parameters", "args", "type", "id", "function"})


def may_be_untagged_call(text: str, tools: ToolSchemas) -> bool | None:
    """Whether an answer that begins so may be a call in JSON without its tags; None: undecided."""
    lead = _LEAD.match(text)
    if lead is None:
        return None if len(text) <= _LEAD_LIMIT and _LEAD_BEGUN.match(text) else False
    if lead["key"] != "name":
        return lead["key"] in _OTHER_KEYS
    value = lead["value"]
    if value is None:
        return None if lead.end() == len(text) else False
    if lead["end"]:
        return value in tools
    return None if any(name.startswith(value) for name in tools) else False
