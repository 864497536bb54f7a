"""The tool-call parser: however an answer is split, its text and calls are those of the whole.

Checked besides: what is text stays text to the last character, text is never invented or moved,
a call that LangChain takes for valid is whole JSON (nothing cut off passes), pieces are numbered and
named as LangChain wants them, and what comes out is not much larger than what went in.
"""

import json
import re
from itertools import pairwise

import atheris

with atheris.instrument_imports(include=["langchain_qwen_space"]):
    from langchain_qwen_space.qwen.tool_calls import ToolCallParser, ToolCallPiece

from langchain_core.utils.json import parse_partial_json

from langchain_qwen_space.qwen.tool_parameters import ToolSchemas
from tests.fuzz.runner import fuzz

TAGS = ("<tool_call>", "</tool_call>")
SCRAPS = (
    *TAGS,
    *TAGS,
    '{"name":"f","arguments":{',
    '{"name": "f", "arguments": {"a": 1}}',
    '{"name":"f","arguments":"{}"}',
    "{'name':'f','parameters':{'a':True}}",
    '{"arguments":{},"name":"f"}',
    '{"name":"',
    '"arguments":',
    '{"type":"function","function":',
    "<function=f>",
    "<function=f>\n<parameter=a>\n",
    "<parameter=b>",
    "\n</parameter>",
    "</function>",
    "<tools>",
    "</tools>",
    "//",
    '"[1]"',
    '"a":"x",',
    "```json\n",
    "\n```",
    "<tool",
    "</",
    "True",
    "None",
    "}}",
    '\\"',
    "\\u00",
    "界",
    "🙂",
    "\u2028",
    "\u00a0",
)
TOOLS: ToolSchemas = {"f": {"properties": {"a": {"type": "array"}, "b": {"type": "integer"}}}}
# What may be no text, or begins a call without tags.
MARKS = re.compile(r"<tool_|</tool_|<function=|\A\s*(?:<tools>\s*)?(?:`|\[|\{)")
ASCII = 128
BY_CHARACTER = 40  # what is longer is cut at two places instead, which is faster
CALLS = dict[int, tuple[str | None, str]]


def text_of(data: bytes) -> str:
    """Bytes below 128 are characters, those above stand for what calls are made of."""
    return "".join([chr(byte) if byte < ASCII else SCRAPS[byte % len(SCRAPS)] for byte in data])


def parse(
    fragments: list[str], *, withhold: bool, single: bool, tools: ToolSchemas = TOOLS
) -> tuple[str, str, CALLS]:
    """The text, the text withheld and the calls that the pieces add up to."""
    parser = ToolCallParser(tools, withhold_prose=withhold, single=single)
    text: list[str] = []
    names: list[str | None] = []
    parts: list[list[str]] = []
    out: list[str | ToolCallPiece] = []
    for fragment in fragments:
        out += parser.feed(fragment)
    out += parser.finish()
    for piece in out:
        if isinstance(piece, str):
            assert piece, fragments
            text.append(piece)
        elif piece.id is not None:
            assert piece.index == len(names), fragments
            names.append(piece.name)
            parts.append([piece.args])
        else:
            assert piece.index == len(names) - 1, fragments
            assert piece.name is None, fragments
            parts[-1].append(piece.args)
    assert parser.calls == len(names), fragments
    calls = {
        index: (name, "".join(args))
        for index, (name, args) in enumerate(zip(names, parts, strict=True))
    }
    return "".join(text), parser.withheld, calls


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(char in rest for char in part)


def is_whole(args: str) -> bool:
    try:
        return isinstance(json.loads(args, strict=False), dict)
    except ValueError:
        return False


def passes_in_langchain(args: str) -> bool:
    """Whether LangChain, which completes what is cut off, takes these arguments."""
    try:
        return not args or isinstance(parse_partial_json(args), dict)
    except ValueError:
        return False


def check(data: bytes) -> None:
    if len(data) < 4:
        return
    options = {"withhold": bool(data[0] & 1), "single": bool(data[0] & 2)}
    answer = text_of(data[3:])
    whole = parse([answer], **options)
    if data[0] & 4 and len(answer) <= BY_CHARACTER:
        fragments = list(answer)
    else:
        size = len(answer) + 1
        places = [0, *sorted((data[1] % size, data[2] % size)), len(answer)]
        fragments = [answer[start:end] for start, end in pairwise(places)]
    assert parse(fragments, **options) == whole, (fragments, options, whole)
    text, withheld, calls = whole
    handed_out = text + withheld
    if not MARKS.search(answer):
        assert handed_out == answer, (answer, options)
        assert not calls
        return
    assert is_subsequence(handed_out, answer), (answer, options)
    assert handed_out == answer or calls or "tool_" in answer, (answer, options)
    size = 0
    for name, args in calls.values():
        assert is_whole(args) or not passes_in_langchain(args), (answer, options, name, args)
        size += len(args)
    # A control character may be written as six, and a broken call gets an end of its own.
    assert size <= 6 * len(answer) + 400, (answer, options)


if __name__ == "__main__":
    fuzz(check)
