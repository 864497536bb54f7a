"""The forms in which chatbots take a history and hold an answer.

The table "The chatbot's forms" of `docs/protocol.md` says which component has which form.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

Path = list[str | int]
History = Sequence[tuple[str, str]]
"""Earlier turns, each (user, assistant)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of an answer: `text` stands at `path` inside the chatbot's value.

    `message` tells pieces of one message from those of the next; `thought` marks reasoning.
    """

    path: Path
    text: str
    message: int
    thought: bool


class Form(Enum):
    """How one kind of chatbot writes a conversation."""

    PAIRS = "pairs"
    """`[["question", "answer"], …]`; modelscope's chatbot writes dicts where it answers."""
    MESSAGES = "messages"
    """`[{"role": …, "content": "…"}, …]`"""
    PARTS = "parts"
    """`[{"role": …, "content": [{"type": "text", "text": "…"}]}, …]`"""
    REPLY = "reply"
    """No history: the value is the answer itself, as `gr.ChatInterface` gives it."""

    def write(self, history: History) -> list[Any]:
        """The value that a chatbot of this form takes for `history`."""
        if self is Form.PAIRS:
            return [[user, assistant] for user, assistant in history]
        return [
            {"role": role, "content": self._content(text)}
            for turn in history
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]

    def _content(self, text: str) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": text}] if self is Form.PARTS else text

    def read(self, value: object, turns: int, query: str) -> list[Segment] | None:
        """The answer's pieces in a chatbot's `value`, in order.

        Args:
            value: The output as it stands now.
            turns: How many turns of history were sent.
            query: The question, which tells a trimmed history from one without an answer yet.

        Returns:
            The pieces, which may be none; None where the value does not hold the question yet, so
            that its last answer is an older one.

        Raises:
            ValueError: The value has not this form.
        """
        if self is Form.REPLY:
            return list(_reply(value))
        if not isinstance(value, list):
            raise ValueError("no list")
        questions = 0
        asked: list[Segment] = []
        answer: list[Segment] = []
        sides = list(_sides(value) if self is Form.PAIRS else _messages(value))
        if value and not sides:
            raise ValueError("no turns")
        for role, node, path in sides:
            if role == "system":
                continue
            if role != "user":
                answer += _texts(node, path, len(path) and _number(path), thought=_is_thought(node))
                continue
            segments = list(_texts(node, path, 0, thought=False))
            if not answer and questions and asked and segments:
                asked += segments  # one question in several messages
                continue
            questions += 1
            asked, answer = segments, []
        if questions <= turns:
            said = "".join(segment.text for segment in asked)
            if not questions or "".join(said.split()) != "".join(query.split()):
                return None
        return answer


def form_of(kind: str, props_type: object, version: tuple[int, ...]) -> Form:
    """The form of a chatbot component by its type, its `props.type` and Gradio's version."""
    if kind == "modelscopechatbot" or props_type == "tuples":
        return Form.PAIRS
    if version >= (6,):
        return Form.PARTS
    return Form.MESSAGES if props_type == "messages" else Form.PAIRS


def join(segments: Sequence[Segment]) -> str:
    """The text of `segments`: parts of a message as they are, messages a blank line apart."""
    text = ""
    last = None
    for segment in segments:
        if text and segment.text and segment.message != last:
            text += "\n\n"
        text += segment.text
        last = segment.message
    return text


def _sides(value: list[Any]) -> Iterator[tuple[str, object, Path]]:
    for index, pair in enumerate(value):
        if isinstance(pair, list):
            for side, (role, node) in enumerate(zip(("user", "assistant"), pair, strict=False)):
                if node is not None:
                    yield role, node, [index, side]


def _messages(value: list[Any]) -> Iterator[tuple[str, object, Path]]:
    for index, message in enumerate(value):
        if isinstance(message, dict) and isinstance(role := message.get("role"), str):
            yield role, message, [index]


def _reply(value: object) -> Iterator[Segment]:
    """A `gr.ChatInterface` answers with text, with a message, or with a list of messages."""
    for index, node in enumerate(value if isinstance(value, list) else [value]):
        path: Path = [index] if isinstance(value, list) else []
        yield from _texts(node, path, index, thought=_is_thought(node))


def _number(path: Path) -> int:
    """The message's place in the value, which tells messages apart."""
    return path[0] if isinstance(path[0], int) else 0


def _is_thought(node: object) -> bool:
    metadata = node.get("metadata") if isinstance(node, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("title"))


def _texts(node: object, path: Path, message: int, *, thought: bool) -> Iterator[Segment]:
    """The texts under a side, a message or a part; files and components hold none."""
    if isinstance(node, str):
        yield Segment(path, node, message, thought)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, [*path, index], message, thought=thought)
    elif isinstance(node, dict):
        if "content" in node:
            yield from _texts(node["content"], [*path, "content"], message, thought=thought)
        elif isinstance(text := node.get("text"), str) and node.get("type", "text") == "text":
            yield Segment([*path, "text"], text, message, thought)
