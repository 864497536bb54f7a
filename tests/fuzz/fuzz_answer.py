"""The way of an answer to its message: no call comes out of a thought, whatever the answer is.

Half of the inputs are any text. Thoughts are found a second time, by their definition: the calls and
the text of the message, or the object where one is asked for, are those of the rest alone, however the
answer is split, in a stream or as a whole, and nothing of it is lost. The other half are turns that a
dialect writes, with thoughts, text and calls: they are read as what they were written from.
"""

from itertools import pairwise
from typing import Any

import atheris

with atheris.instrument_imports(include=["langchain_qwen_space"]):
    from langchain_qwen_space.chunks import AnswerChunks, Usage
    from langchain_qwen_space.json_text import JSONText
    from langchain_qwen_space.pieces import Shape
    from langchain_qwen_space.qwen.dialects import NAMED, QWEN2_5, QWEN3, QWQ

import json

from langchain_core.outputs import ChatGenerationChunk

from langchain_qwen_space.qwen.tokens import Estimate
from tests.fuzz.fuzz_tool_calls import SCRAPS, parse, passes_in_langchain
from tests.fuzz.runner import fuzz

TAGS = ("<think>", "</think>", "<think>\n", "\n</think>\n\n")
ASCII, SCRAPS_END = 128, 224  # bytes from SCRAPS_END on are tags of thoughts
COUNTER = Estimate()

STOP = "界"
TYPES = ("string", "integer", "number", "boolean", "array", "object")
PROPERTIES = {kind: {"type": kind} for kind in TYPES}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {"properties": PROPERTIES}}}
    for name in ("f", "look_up")
]
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
DIALECTS = (QWEN2_5, QWEN3, QWQ, NAMED["qwen3-coder"], NAMED["qwen3.5"])
WORDS = ("a", "Hm.", " ", "\n", "界", "🙂", "{", '"', "\\", "1", "true", "\t", "<b>", "`", "'", "]")
VALUES: dict[str, tuple[Any, ...]] = {
    "string": (
        "",
        "a\nb",
        " x ",
        "1",
        "null",
        "</tool_call>",
        '{"a": 1}',
        "<think>",
        "界🙂",
        "\\n",
    ),
    "integer": (0, -1, 10**20),
    "number": (0.5, -1e-9, 1e22),
    "boolean": (True, False),
    "array": ([], [1, "</tool_call>"], [[None]]),
    "object": ({}, {"a": "</parameter>"}, {"b": {"c": "é"}}),
}

Message = tuple[str, str, list[tuple[str, str]]]
"""The text, the thoughts, and the valid calls by name and arguments."""


def text_of(data: bytes) -> str:
    out = []
    for byte in data:
        if byte >= SCRAPS_END:
            out.append(TAGS[byte % len(TAGS)])
        else:
            out.append(chr(byte) if byte < ASCII else SCRAPS[byte % len(SCRAPS)])
    return "".join(out)


def read(fragments: list[str], shape: Shape, *, whole: bool) -> tuple[Message, str]:
    """The message that the chunks of an answer add up to, and what the answer was taken to be."""
    answer = AnswerChunks(shape, COUNTER, whole=whole)
    chunks: list[ChatGenerationChunk] = []
    for fragment in fragments:
        if not answer.done:
            chunks += answer.take(fragment)
    chunks += answer.end()
    answer.settle(None)
    chunks += answer.last({}, Usage())
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for part in chunk.message.tool_call_chunks:
            call = calls.setdefault(part["index"], [part["name"] or "", ""])
            call[1] += part["args"] or ""
    thoughts = [chunk.message.additional_kwargs.get("reasoning_content", "") for chunk in chunks]
    made = [(name, args) for name, args in calls.values() if passes_in_langchain(args)]
    return ("".join(chunk.text for chunk in chunks), "".join(thoughts), made), answer.written


def parted(answer: str) -> tuple[str, str, bool]:
    """The thoughts, the rest, and whether nothing said before their end that they were thoughts."""
    before, close, after = answer.partition("</think>")
    untagged = bool(close) and "<think>" not in before
    thoughts, rest = [before] if untagged else [], after if untagged else answer
    while rest.lstrip().startswith("<think>"):
        thought, _, rest = rest.lstrip().removeprefix("<think>").partition("</think>")
        thoughts.append(thought.lstrip())
    return "".join(thoughts), rest.lstrip() if thoughts else rest, untagged


def split(text: str, one: int, other: int) -> list[str]:
    size = len(text) + 1
    places = [0, *sorted((one % size, other % size)), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def any_text(data: bytes) -> None:
    reasoning, whole = (None, True, False)[data[1] % 3], bool(data[1] & 0x40)
    answer = text_of(data[4:])
    fragments = list(answer) if data[1] & 0x80 else split(answer, data[2], data[3])
    thoughts, rest, untagged = parted(answer)
    shape = Shape(
        tools=() if data[0] & 2 else TOOLS,
        schema={"type": "object"} if data[0] & 2 else None,
        stop=(STOP,) if data[0] & 4 else (),
        single=data[0] & 10 == 8,
        reasoning=reasoning,
    )
    if shape.stop:
        rest = rest.partition(STOP)[0]
    expected = []
    if shape.schema:
        reader = JSONText(lambda value: isinstance(value, dict))
        said = reader.feed(rest) + reader.finish()
    else:
        said, _, calls = parse([rest], tools=SCHEMAS, withhold=False, single=shape.single)
        expected = [
            (name or "", args) for name, args in calls.values() if passes_in_langchain(args)
        ]
    (text, thought, made), written = read(fragments, shape, whole=whole)
    context = (fragments, whole, shape)
    assert made == expected, context
    assert written == answer or shape.stop or shape.single, context
    if untagged and not whole:  # they were given out as text before it was known
        assert text.endswith(said), context
    elif reasoning is None:
        assert text.endswith(said), context
        assert thought == "", context
    else:
        assert text == said, context
        assert thought == (thoughts if reasoning else ""), context


def written_by_a_dialect(data: bytes) -> None:
    dialect = DIALECTS[data[1] % len(DIALECTS)]
    bits = iter(data[4:])
    thoughts, said = (
        "".join(WORDS[byte % len(WORDS)] for _, byte in zip(range(size), bits, strict=False))
        for size in (data[1] >> 5, data[1] >> 3 & 3)
    )
    # A fence or JSON at the beginning may be a call of another form.
    said = said.lstrip(" \n\t`{]")
    calls: list[dict[str, Any]] = []
    for byte in bits:
        if byte & 0x80 or not calls:
            calls.append({"name": ("f", "look_up")[byte & 1], "args": {}})
        else:
            kind = TYPES[byte % len(TYPES)]
            values = VALUES[kind]
            calls[-1]["args"][kind] = values[(byte >> 3) % len(values)]
    turn = dialect.assistant(said, None, calls, after_query=True)
    if dialect is not NAMED["qwen3.5"]:
        turn = f"<think>\n{thoughts}\n</think>\n\n{turn}"
    else:
        turn = turn.replace("<think>\n", f"<think>\n{thoughts}", 1)
    shape = Shape(tools=TOOLS, reasoning=True)
    found = read(split(turn, data[2], data[3]), shape, whole=bool(data[0] & 2))
    (text, thought, made), _ = found
    assert text.strip() == said.strip(), (turn, found)
    assert thought.strip() == thoughts.strip(), (turn, found)
    assert [(name, json.loads(args)) for name, args in made] == [
        (call["name"], call["args"]) for call in calls
    ], (turn, found)


def check(data: bytes) -> None:
    if len(data) > 4:
        (written_by_a_dialect if data[0] & 1 else any_text)(data)


if __name__ == "__main__":
    fuzz(check)
