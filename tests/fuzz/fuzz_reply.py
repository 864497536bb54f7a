"""The edit machine: the text read from a chatbot's edits is the text that the app wrote.

Half of the inputs are programs for an app behind a faithful server: the text is exact after every
event, what was handed out is that text or, once it was revised, differs in blank space and in what
was taken back. The other half are events of a hostile server: they are read or refused with
`ProtocolError`, and what is kept stays within the limit.
"""

import inspect
from typing import Any

import atheris
import orjson

with atheris.instrument_imports(include=["langchain_qwen_space"]):
    from langchain_qwen_space.space.chat.chatbot import Form
    from langchain_qwen_space.space.chat.reply import Fragment, Reply, Thought

import logging

from langchain_qwen_space.errors import ProtocolError
from tests.fuzz.runner import fuzz

FORMS = tuple(Form)
QUERY = "q"
PIECES = (
    "a",
    "b",
    ".",
    " ",
    "\n",
    "\t",
    "- one",
    "\n  - two",
    "\n\n",
    "界",
    "🙂",
    "▌",
    "\u00a0",
    "1. ",
)
TAKES_BACK, PUTS_BEFORE = 0xD0, 0xE8  # bytes from which on the app does not just say more

LIMIT = 4_000

ACTIONS = ("append", "replace", "add", "delete", "append", "move", None)
KEYS = (0, 1, 2, -1, "content", "text", "value", "metadata", "role", 2**63, None, 1.5)
VALUES = (
    *(b"null", b"true", b"0", b"-1", b"1.5", b'""', b'"a"', b'"q"', b'" "', b"[]", b"{}", b"[[]]"),
    *(b'["q","a"]', b'[["q","a"]]', b'[["q",null]]', b'[["q",[{"text":"a"}]]]', b'"\\u754c"'),
    b'[{"role":"user","content":"q"}]',
    b'[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]',
    b'[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"text","text":"a"}]}]',
    b'{"role":"assistant","content":"t","metadata":{"title":"T"}}',
    b'{"__type__":"update","value":[["q","a"]]}',
    b'{"__type__":"update"}',
    b'{"text":"a"}',
    b'{"content":{"content":{"content":"a"}}}',
    b"[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]",
)


def solid(text: str) -> str:
    return "".join(text.split())


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(char in rest for char in part)


def value_with(form: Form, text: str, *, rich: bool) -> tuple[Any, list[str | int]]:
    """A chatbot's value that ends in the answer `text`, and the path where it stands."""
    if form in (Form.REPLY, Form.TEXT):
        return text, []
    if form is Form.PAIRS:
        pair, path = [QUERY, {"id": None, "text": text} if rich else text], [1, 1]
        return [["q0", "a0"], pair], [*path, "text"] if rich else path
    if form is Form.MESSAGES:
        told: list[Any] = ["q0", "a0", QUERY, text]
    else:
        told = [[{"type": "text", "text": said}] for said in ("q0", "a0", QUERY, text)]
    roles = ("user", "assistant", "user", "assistant")
    messages = [{"role": role, "content": said} for role, said in zip(roles, told, strict=True)]
    return messages, [3, "content"] if form is Form.MESSAGES else [3, "content", 0, "text"]


def faithful(data: bytes) -> None:
    form, rich, cleaned = FORMS[data[1] % 4], bool(data[1] & 4), bool(data[1] & 8)
    whole = not data[1] & 0x70
    reply = Reply(
        form, int(form not in (Form.REPLY, Form.TEXT)), QUERY, whole=whole, max_chars=1 << 20
    )
    raw, before, handed_out, revised = "", "", "", False
    value, path = value_with(form, "", rich=rich)
    handed_out += "".join(map(str, reply.generating(value)))
    for byte in data[2:]:
        if byte < TAKES_BACK:
            raw += PIECES[byte % len(PIECES)]
        elif byte < PUTS_BEFORE:
            raw = raw[: len(raw) * (byte - TAKES_BACK) // (PUTS_BEFORE - TAKES_BACK)]
        else:
            raw = PIECES[byte % len(PIECES)] + raw
        text = inspect.cleandoc(raw) if cleaned else raw
        grows = text.startswith(before)
        if whole:
            output = value_with(form, text, rich=rich)[0]
        elif text == before:
            output = []
        else:
            output = [
                ["append", [*path], text[len(before) :]] if grows else ["replace", [*path], text]
            ]
        handed_out += "".join(map(str, reply.generating(output)))
        revised |= not grows
        before = text
        assert reply.answer.text == text, data
    handed_out += "".join(map(str, reply.completed(value_with(form, before, rich=rich)[0])))
    assert reply.answer.text == before, data
    assert reply.revised is revised, data
    if revised:
        assert is_subsequence(solid(before), handed_out), data
    else:
        assert handed_out == before, data


def value_of(byte: int) -> Any:
    return orjson.loads(VALUES[byte % len(VALUES)])


def hostile(data: bytes) -> None:
    form = FORMS[data[1] % 4]
    reply = Reply(form, data[1] >> 2 & 1, QUERY, whole=bool(data[1] & 8), max_chars=LIMIT)
    fragments: list[Fragment] = []
    edit_list: list[Any] = []
    rest = iter(data[2:])
    try:
        fragments += reply.generating(value_of(next(rest, 0)))
        for byte in rest:
            if byte & 0x80:
                fragments += reply.generating(value_of(byte) if byte & 0x40 else edit_list)
                edit_list = []
                continue
            path: Any = [KEYS[next(rest, 0) % len(KEYS)] for _ in range(byte >> 3 & 3)]
            operand = value_of(next(rest, 0))
            if byte & 0x60 == 0x60 and isinstance(operand, str):
                operand *= 500
            edit_list.append([ACTIONS[byte & 7 if byte & 7 < 7 else 0], path, operand])
        fragments += reply.completed(value_of(data[-1]))
    except ProtocolError:
        pass
    assert all(isinstance(item, str | Thought) for item in fragments), data
    assert all(item if isinstance(item, str) else item.text for item in fragments), data
    # One event may go beyond the limit before it is refused, and no further.
    assert len(reply.answer.text) <= LIMIT + 500 * len(data), data


def check(data: bytes) -> None:
    if len(data) > 2:
        (hostile if data[0] & 1 else faithful)(data)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # each event that cannot be read is logged
    fuzz(check)
