"""Answers of random shape, as models write them and worse: what a reply may be made of."""

import json
from collections.abc import Callable
from random import Random

LONGEST = 150
"""Characters; a server sends three an event."""

WORDS = (
    "the", "a", "Paris", "is", "capital", "of", "which", "and", "x", "42", "**bold**", "`code`", "n_1",
    "北京", "是", "中国的首都", "ответ", "שלום", "नमस्ते", "🙂", "👩‍👩‍👧", "é", "e\u0301", "<b>", "&amp;", "$x^2$", "\\(y\\)",
    "https://example.com/?a=b", "C:\\temp", "“quoted”", '"', "'", "\\n", "%s", "{x}", "[link](#a)",
)  # fmt: skip
BLANKS = (" ", "\t", "\u00a0", "\u3000", "\u2003", "\u200b", "\x0b", "\x0c", "\x1c", "\x85")
LINE_ENDS = ("\n", "\n", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\u2028", "\u2029")
INDENTS = ("  ", "    ", "\t", "   ")
LAST_PLANE = 16


def reply(random: Random) -> str:
    """One answer, of up to `LONGEST` characters; now and then an empty one."""
    blocks = [random.choice(BLOCKS)(random) for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4)))]
    if not blocks and random.random() < 0.9:
        blocks.append(characters(random))
    text = random.choice(LINE_ENDS).join(blocks)
    if random.random() < 0.2:
        text = random.choice((*BLANKS, *LINE_ENDS)) + text
    if random.random() < 0.2:
        text += random.choice((*BLANKS, *LINE_ENDS))
    if random.random() < 0.1:  # cut off, as by a limit
        text = text[: random.randint(0, len(text))]
    return text[:LONGEST]


def prose(random: Random) -> str:
    """Words with single blanks between them."""
    return " ".join(random.choices(WORDS, k=random.randint(1, 14)))


def odd_blanks(random: Random) -> str:
    """Words with blanks of every kind between, before and behind them."""
    pieces = [
        word + random.choice(BLANKS) * random.randint(0, 3) for word in random.choices(WORDS, k=6)
    ]
    return random.choice(BLANKS) * random.randint(0, 2) + "".join(pieces)


def nested_list(random: Random) -> str:
    """A list whose items come and go in depth."""
    indent, mark = random.choice(INDENTS), random.choice(("- ", "* ", "1. ", "+ "))
    depth, lines = random.randint(0, 2), []
    for _ in range(random.randint(2, 7)):
        depth = max(0, depth + random.choice((-2, -1, 0, 1)))
        lines.append(indent * depth + mark + random.choice(WORDS))
    return "\n".join(lines)


def code(random: Random) -> str:
    """A fence, itself indented at times, around code with tabs."""
    outer, inner = random.choice(("", "", *INDENTS)), random.choice(INDENTS)
    lines = [
        "```python",
        "def f(x):",
        f"{inner}if x:",
        f"{inner * 2}return\t1",
        "",
        f"{inner}return {{}}",
        "```",
    ]
    return "\n".join(outer + line for line in lines[: random.randint(2, len(lines))])


def json_text(random: Random) -> str:
    """JSON, on one line or indented."""
    value = {random.choice(WORDS): random.choice(WORDS), "n": [1, None, {"t": "\t\n"}]}
    indent = random.choice((None, 2, 4, "\t"))
    return json.dumps(value, ensure_ascii=random.random() < 0.5, indent=indent)


def tool_call(random: Random) -> str:
    """A call as Qwen writes it, or what is left of one."""
    body = json.dumps({"name": "f", "arguments": {"q": random.choice(WORDS)}}, ensure_ascii=False)
    text = f"<tool_call>\n{body}\n</tool_call>"
    return text if random.random() < 0.7 else text[: random.randint(0, len(text))]


def markdown(random: Random) -> str:
    """A heading, a table, a quotation, a thought."""
    return random.choice(
        (
            f"# {random.choice(WORDS)}\n\n{prose(random)}",
            "| a | b |\n|---|:-:|\n| 1\t| 2 |",
            f"> {prose(random)}\n> > {random.choice(WORDS)}",
            f"<think>\n{random.choice(WORDS)}\n</think>\n\n{random.choice(WORDS)}",
            "a  \nb\\\nc\n***\n",
        )
    )


def characters(random: Random) -> str:
    """Characters of every plane of Unicode, surrogates aside, which are none."""
    text = ""
    for _ in range(random.randint(1, 40)):
        point = random.randint(0, LAST_PLANE) << 16 | random.randint(0, 0xFFFF)
        text += chr(point) if not 0xD800 <= point <= 0xDFFF else " "
    return text


def controls(random: Random) -> str:
    """The first 256 characters, and what counts as an end of line somewhere."""
    return "".join(
        random.choice((chr(random.randint(0, 255)), *LINE_ENDS))
        for _ in range(random.randint(1, 30))
    )


BLOCKS: tuple[Callable[[Random], str], ...] = (
    prose, prose, odd_blanks, nested_list, nested_list, code, json_text, tool_call, markdown, characters, controls,
)  # fmt: skip
