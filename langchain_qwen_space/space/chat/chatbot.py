"""The forms in which chatbots take a history and hold an answer.

The table "Forms of the chatbot" of `docs/developers/protocol.md` says which component has which form.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from html import escape
from typing import Any, NamedTuple

_DEEPEST = 16  # keys from a chatbot's value to a text; no form has more than five

_ECHO_WITHIN = 2_000  # characters of a transcript before the question that was asked last
_SHORTEST_ECHO = 12  # characters of a question that no answer begins with by chance
_LONGEST_ASKER = 500  # characters from there to the question
_ASKER = re.compile(  # "**You:** ", or "### You" above the question
    r"(?:^|\n)[^\w\n]*(?:\w[^\n:：]{0,20}[:：][*_]*[ \t]*\n?[ \t]*"
    r"|(?:you|user|human|question|me)[*_ \t]*\n\s*)\Z",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"[ \t]*+(?:[\r\n]|\Z)")
_QUOTED = re.compile(r"[^\w!-~]*+>?[^\w!-~]*+")  # blank space, an emoji, or the mark of a quotation
_NAMES = r"(?:assistant|answer|a|bot|chat ?bot|ai|model|qwen[\w.-]*|助手|回答)"
_ANSWERER = re.compile(
    rf"[^\w\n<>]*+{_NAMES}[*_]*([ \t]*[:：][*_]*|[ \t]*\n)\s*",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"\s*+(?:(?:</\w+|<br)\s*+/?>\s*+)+")  # the tags behind the question
_PERSON = re.compile(r"\W*(?:you|user|human|question|me)\b", re.IGNORECASE)
_BLOCK = re.compile(r"</?(?:p|div|br|hr|li|ul|ol|tr|td|section|article)\b[^<>]*>|\n", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_FILLED = re.compile(r"<(?!h\d)\w[^<>]*>\s*\Z", re.IGNORECASE)  # a heading may be the answer's own
_TAGGED_ANSWERER = re.compile(
    rf"(?P<open>(?:<\w[^<>]*>\s*+)*?)(?:<(?P<tag>\w{{1,10}})\b[^<>]*>[^\w<>]*+{_NAMES}[^\w<>]*+"
    rf"</(?P=tag)>[:：\s]*+|[^\w<>]*+{_NAMES}[:：]\s*+)",
    re.IGNORECASE,
)
_NO_CONTENT = ("avatar", "metadata", "options", "props", "constructor_args")

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


class Shown(NamedTuple):
    """What a chatbot shows when a question is asked, without blank space.

    Attributes:
        greeting: The texts before the first question.
        topmost: The question at the top; None where there is none.
        lowest: The question at the bottom, likewise.
        value: The chatbot's value itself; None where the same value would be new.
    """

    greeting: tuple[str, ...] = ()
    topmost: str | None = None
    lowest: str | None = None
    value: object = None


_NOTHING_SHOWN = Shown()


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
    TEXT = "text"
    """The same in a text box, where a transcript may hold the question before the answer."""

    def write(
        self, history: History, files: Sequence[Sequence[object]] = (), *, studio: bool = False
    ) -> list[Any]:
        """The value that a chatbot of this form takes for `history`.

        Args:
            history: The earlier turns.
            files: The files of each side of each turn, in order, as a component's value has them;
                none where it is empty.
            studio: Whether the chatbot is one of modelscope_studio, which holds files in its own way.
        """
        said = [text for turn in history for text in turn]
        sides = list(zip(said, files or [()] * len(said), strict=True))
        if self is Form.PAIRS:
            write = _studio_pair if studio else _pairs
            return [
                pair
                for user, assistant in zip(sides[::2], sides[1::2], strict=True)
                for pair in write(user, assistant)
            ]
        contents = _studio_contents if studio else self._contents
        return [
            {"role": role, "content": content}
            for role, (text, attached) in zip(
                ("user", "assistant") * len(history), sides, strict=True
            )
            for content in contents(text, attached)
        ]

    def _contents(self, text: str, files: Sequence[object]) -> Iterator[Any]:
        """The contents of the messages that say a text and show files."""
        if self is Form.PARTS:  # one message, as gr.ChatInterface has it
            parts: list[Any] = [{"type": "file", "file": file} for file in files]
            yield [*parts, *([{"type": "text", "text": text}] if text or not files else [])]
            return
        for file in files:
            yield {"file": file}
        if text or not files:
            yield text

    def shown(self, value: object) -> Shown:
        """What a chatbot of this form shows that has this value."""
        first: list[str] = []
        asked: list[str] = []
        for role, node, path in self._sides(value) if isinstance(value, list) else ():
            if role == "user" or (role != "system" and not asked):
                said = solid("".join(text for _, text, _ in _texts(node, path)))
                (asked if role == "user" else first).append(said)
        return Shown(tuple(first), asked[0], asked[-1], value) if asked else Shown(tuple(first))

    def is_newest_first(self, value: object, turns: int, query: str, shown: Shown) -> bool:
        """Whether a conversation is shown with the question on top of the turns as they were sent.

        Args:
            value: The output as it stands now.
            turns: How many turns of history were sent.
            query: The question.
            shown: What the chatbot showed before.
        """
        if self in (Form.REPLY, Form.TEXT) or not isinstance(value, list) or shown.lowest is None:
            return False
        now = self.shown(value)
        questions = sum(role == "user" for role, _, _ in self._sides(value))
        return now.topmost == solid(query) != now.lowest == shown.lowest and questions > turns

    def _said(self, value: object) -> list[tuple[str, str]]:
        """Who said what in a chatbot of this form, without blank space."""
        sides = self._sides(value) if isinstance(value, list) else ()
        said = [(who, "".join(text for _, text, _ in _texts(node, at))) for who, node, at in sides]
        return [(who, solid(text)) for who, text in said]

    def _sides(self, value: list[Any]) -> Iterator[tuple[str, object, Path]]:
        return _sides(value) if self is Form.PAIRS else _messages(value)

    def read(
        self,
        value: object,
        turns: int,
        query: str,
        shown: Shown = _NOTHING_SHOWN,
        *,
        growing: bool = False,
    ) -> list[Segment] | None:
        """The answer's pieces in a chatbot's `value`, in order.

        Args:
            value: The output as it stands now.
            turns: How many turns of history were sent.
            query: The question, which tells a trimmed history from one without an answer yet.
            shown: What the chatbot showed before.
            growing: Whether more is to come, so that the question alone is no answer yet.

        Returns:
            The pieces, which may be none; None where the value does not hold the question yet, so
            that its last answer is an older one.

        Raises:
            ValueError: The value has not this form.
        """
        sides = self._answer(value, turns, query, shown)
        if sides is None:
            return None
        segments = [
            Segment(at, text, number, _is_thought(node) or part_is_thought)
            for number, node, path in sides
            for at, text, part_is_thought in _texts(node, path)
        ]
        if self is Form.TEXT and isinstance(value, str):
            said = without_question(value, query)
            if not said and growing:
                return []
            return [replace(item, text=said or value) for item in segments]
        return segments

    def files(
        self, value: object, turns: int, query: str, shown: Shown = _NOTHING_SHOWN
    ) -> list[Mapping[str, Any]]:
        """The files in the answer, each as Gradio names one (`path`, `url`, `orig_name`, …).

        Raises:
            ValueError: The value has not this form.
        """
        sides = self._answer(value, turns, query, shown) or ()
        return [file for _, node, _ in sides for file in files_in(node)]

    def _answer(
        self, value: object, turns: int, query: str, shown: Shown
    ) -> list[tuple[int, object, Path]] | None:
        """The messages of the answer, each with its number and place; None as `read`."""
        if self in (Form.REPLY, Form.TEXT):
            return list(_reply(value, query))
        if not isinstance(value, list):
            raise ValueError("no list")
        sides = list(self._sides(value))
        if value and not sides:
            raise ValueError("no turns")
        asked_for = solid(query)
        questions, answered = 0, True
        asked, answer = [""], list[tuple[int, object, Path]]()
        newest: list[tuple[int, object, Path]] | None = None  # where the newest turn is on top
        for number, (role, node, path) in enumerate(sides):
            if role == "user":
                if node == "" and asked_for:
                    continue  # the app shows no question
                if answered:  # else it is one question in several messages
                    if questions == 1 and solid("".join(asked)) == asked_for:
                        newest = answer
                    questions += 1
                    asked, answer, answered = [], [], False
                asked.append("".join(text for _, text, _ in _texts(node, path)))
            elif role != "system":
                answered = True
                answer.append((number, node, path))
        said = solid("".join(asked))
        if asked_for in (said, solid(asked[-1])):
            # A question that was asked before stands there already.
            known = shown.lowest == asked_for and self._said(shown.value) == self._said(value)
            return None if known else answer
        if newest is not None and (
            said == shown.topmost or (said == shown.lowest and questions > turns)
        ):
            return newest
        if not questions and not turns:
            return _after(shown.greeting, answer) or None
        return answer if questions > turns else None


def _after(
    greeting: Sequence[str], sides: list[tuple[int, object, Path]]
) -> list[tuple[int, object, Path]]:
    """The sides behind a greeting, where they begin with it."""
    said = [solid("".join(text for _, text, _ in _texts(node, path))) for _, node, path in sides]
    return sides[len(greeting) :] if said[: len(greeting)] == list(greeting) else sides


def greeting(value: object) -> list[Any]:
    """What stands in a chatbot's value before anybody has asked anything, in the chatbot's own form."""
    first = []
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            asks = item.get("role") == "user"
        else:
            asks = not isinstance(item, list) or not item or item[0] is not None
        if asks:
            break
        first.append(item)
    return first


def form_of(kind: str, props_type: object, version: tuple[int, ...]) -> Form:
    """The form of a chatbot component by its type, its `props.type` and Gradio's version."""
    if kind in ("modelscopechatbot", "modelscopelegacychatbot") or props_type == "tuples":
        return Form.PAIRS
    if kind == "modelscopeprochatbot":
        return Form.MESSAGES
    if version >= (6,):
        return Form.PARTS
    return Form.MESSAGES if props_type == "messages" else Form.PAIRS


_Side = tuple[str, Sequence[object]]


def _pairs(user: _Side, assistant: _Side) -> list[list[Any]]:
    """A turn as Gradio's pairs: each file has one of its own."""
    pairs: list[list[Any]] = [[{"file": file}, None] for file in user[1]]
    if user[0] or not pairs:
        pairs.append([user[0], None])
    pairs[-1][1] = assistant[0]
    return [*pairs, *([None, {"file": file}] for file in assistant[1])]


def _studio_pair(*sides: _Side) -> list[list[Any]]:
    """A turn as modelscope_studio's pair, whose sides hold files."""
    return [
        [
            {"text": text, "files": [{"file": file, "alt_text": None} for file in files]}
            if files
            else text
            for text, files in sides
        ]
    ]


def _studio_contents(text: str, files: Sequence[object]) -> Iterator[Any]:
    """The content of the one message of modelscope_studio's that says a text and shows files."""
    if not files:
        yield text
        return
    said = [{"type": "text", "content": text}] if text else []
    yield [{"type": "file", "content": [*files]}, *said]


def join(segments: Sequence[Segment]) -> str:
    """The text of `segments`: parts of a message as they are, messages a blank line apart."""
    text = ""
    last = None
    for segment in segments:
        if segment.text:
            if text and segment.message != last:
                text += "\n\n"
            text += segment.text
            last = segment.message
    return text


def solid(text: str) -> str:
    """The text without blank space."""
    return "".join(text.split())


def without_question(text: str, query: str) -> str:
    """What a text says after the question, where it holds that as a transcript does.

    There the question fills a line behind the name of who asks, or it begins the text; or it fills
    an element of HTML.
    """
    asked = query.strip()
    for written in dict.fromkeys((asked, escape(asked, quote=False), escape(asked))):
        end = len(written) + _ECHO_WITHIN
        at = text.find(written, 0, end) if asked else -1
        while at >= 0:
            said = _after_line(text, at, written)
            if said is None:
                said = _after_element(text, at, written)
            if said is not None:
                return said
            at = text.find(written, at + 1, end)
    return text


def _after_line(text: str, at: int, asked: str) -> str | None:
    """What stands behind the question where it fills a line of a transcript, or begins the text."""
    end = at + len(asked)
    fills = _LINE_END.match(text, end)
    if fills and _ASKER.search(text, max(0, at - _LONGEST_ASKER), at):
        rest = text[end:].lstrip()
        answerer = _ANSWERER.match(rest)
        return rest[answerer.end() :] if answerer else rest
    if len(asked) >= _SHORTEST_ECHO and not text[end : end + 1].isalnum():
        before = text[:at]
        if not before.strip() or (fills and _QUOTED.fullmatch(before)):
            return text[end:].lstrip()
    return None


def _after_element(text: str, at: int, asked: str) -> str | None:
    """What stands behind the question where it fills an element of HTML, or what is left of one."""
    closed = _CLOSED.match(text, at + len(asked))
    if closed is None:
        return None
    before = text[max(0, at - _LONGEST_ASKER) : at]
    name = _TAG.sub("", _BLOCK.split(before)[-1]).strip()
    begins = (
        at == len(before) and _TAG.sub("", before).strip() == name
    )  # else it may be in the answer
    fills = begins and not name and len(asked) >= _SHORTEST_ECHO and _FILLED.search(before)
    asks = (begins or _PERSON.match(name)) and _ASKER.search(f"{name}\n")
    if not fills and not asks:
        return None
    rest = text[closed.end() :]
    answerer = _TAGGED_ANSWERER.match(rest)
    return answerer["open"] + rest[answerer.end() :] if answerer else rest


def _sides(value: list[Any]) -> Iterator[tuple[str, object, Path]]:
    for index, pair in enumerate(value):
        if isinstance(pair, list):
            for side, (role, node) in enumerate(zip(("user", "assistant"), pair, strict=False)):
                if isinstance(node, list):  # modelscope's chatbot takes several messages a side
                    for place, message in enumerate(node):
                        yield role, message, [index, side, place]
                elif node is not None:
                    yield role, node, [index, side]


def _messages(value: list[Any]) -> Iterator[tuple[str, object, Path]]:
    for index, message in enumerate(value):
        if isinstance(message, dict) and isinstance(role := message.get("role"), str):
            yield role, message, [index]


def _reply(value: object, query: str) -> Iterator[tuple[int, object, Path]]:
    """A `gr.ChatInterface` answers with text, with a message, or with a list of messages.

    Among the latter may be the question, which Gradio 6 gives back as a message of the assistant.
    """
    several = isinstance(value, list)
    nodes = value if isinstance(value, list) else [value]
    for index, node in enumerate(nodes):
        path: Path = [index] if several else []
        said = "".join(text for _, text, _ in _texts(node, path))
        given_back = index == 0 and len(nodes) > 1 and solid(said) == solid(query)
        if not given_back and not (isinstance(node, dict) and node.get("role") == "user"):
            yield index, node, path


def files_in(node: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The files under a message or a value; a picture of who speaks is none of them.

    Raises:
        ValueError: It is nested too deeply.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(node, list):
        for item in node:
            yield from files_in(item, depth + 1)
    elif isinstance(node, dict):
        meta = node.get("meta")
        if isinstance(meta, dict) and meta.get("_type") == "gradio.FileData":
            yield node
            return
        for key, item in node.items():
            if key not in _NO_CONTENT:
                yield from files_in(item, depth + 1)


def _is_thought(node: object) -> bool:
    metadata = node.get("metadata") if isinstance(node, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("title"))


def _texts(node: object, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """The texts under a side, a message or a part; files and components hold none.

    Each with its place, and whether it is a thought: a part of type `tool` in modelscope_studio's
    `pro.Chatbot`.
    """
    if len(path) > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(node, str):
        yield path, node, False
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, [*path, index])
    elif isinstance(node, dict):
        if node.get("type") in ("file", "suggestion"):
            return
        if "content" in node:
            is_tool = node.get("type") == "tool"
            for at, inner, thought in _texts(node["content"], [*path, "content"]):
                yield at, inner, thought or is_tool
        elif isinstance(text := node.get("text"), str) and node.get("type", "text") == "text":
            yield [*path, "text"], text, False
