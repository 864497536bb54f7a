"""What a Gradio server does between an app and the wire: chatbot values, and edits between them."""

from dataclasses import dataclass, field
from typing import Any

from langchain_qwen_space.space.chat.chatbot import Form

Edit = list[Any]


def edits(old: Any, new: Any, *, shifted: bool) -> list[Edit]:
    """The edits that make `old` into `new`, in Gradio's order.

    Args:
        old: A JSON value.
        new: Another.
        shifted: Whether the indices of deletes are written as since Gradio 5.29.1, where every list
            around a delete shifts it once more, rather than as they were in the old value.
    """
    found = _edits(old, new, [], shifted)
    return [[action, list(path), value] for action, path, value in found]


def _edits(old: Any, new: Any, path: list[Any], shifted: bool) -> list[Edit]:
    if old == new and type(old) is type(new):
        return []
    match old, new:
        case str(), str() if new.startswith(old):
            return [["append", path, new[len(old) :]]]
        case list(), list():
            both = min(len(old), len(new))
            found = [
                edit
                for index in range(both)
                for edit in _edits(old[index], new[index], [*path, index], shifted)
            ]
            found += [["delete", [*path, index], None] for index in range(both, len(old))]
            found += [["add", [*path, index], new[index]] for index in range(both, len(new))]
            return _shift(found) if shifted else found
        case dict(), dict():
            found = []
            for key in old:
                if key in new:
                    found += _edits(old[key], new[key], [*path, key], shifted)
                else:
                    found.append(["delete", [*path, key], None])
            return found + [["add", [*path, key], new[key]] for key in new if key not in old]
    return [["replace", path, new]]


def _shift(found: list[Edit]) -> list[Edit]:
    seen = 0
    for edit in found:
        if edit[0] == "delete" and isinstance(edit[1][-1], int):
            edit[1][-1] -= seen
            seen += 1
    return found


@dataclass
class Said:
    """One assistant message: a text, a thought (a text with a title), or a file."""

    text: str = ""
    kind: str = "text"
    status: str | None = None


@dataclass
class Chat:
    """A conversation, as an app holds it."""

    form: Form
    history: list[tuple[str, str]]
    query: str
    answer: list[Said] = field(default_factory=list)

    def value(self, *, rich: bool = False) -> Any:
        """What the chatbot's value is on the wire; `rich` is as modelscope's chatbot has it."""
        if self.form in (Form.REPLY, Form.TEXT):
            messages = [self._message(said) for said in self.answer]
            return messages if rich else "".join(said.text for said in self.answer)
        if self.form is Form.PAIRS:
            return self._pairs(rich=rich)
        value = [
            {"role": role, "metadata": None, "content": self._content(text), "options": None}
            for turn in [*self.history, (self.query, None)]
            for role, text in zip(("user", "assistant"), turn, strict=True)
            if text is not None
        ]
        return value + [self._message(said) for said in self.answer]

    def _message(self, said: Said) -> dict[str, Any]:
        metadata = {"title": "Thinking", "status": said.status} if said.kind == "thought" else None
        content = {"file": {"path": "a.csv"}} if said.kind == "file" else self._content(said.text)
        return {"role": "assistant", "metadata": metadata, "content": content, "options": None}

    def _content(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self.form is Form.PARTS else text

    def _pairs(self, *, rich: bool) -> list[Any]:
        def side(text: str) -> Any:
            return {"id": None, "text": text, "files": None} if rich else text

        def answer(said: Said) -> Any:
            if said.kind == "file":
                file = {"file": {"path": "a.csv"}, "alt_text": None}
                return {"id": None, "text": "", "files": [file]} if rich else file
            return side(said.text)

        pairs = [[side(user), side(assistant)] for user, assistant in self.history]
        answers = [answer(said) for said in self.answer]
        if rich:
            one = answers[0] if len(answers) == 1 else answers or None
            return [*pairs, [side(self.query), one]]
        first, *others = answers or [None]
        return [*pairs, [side(self.query), first], *([None, other] for other in others)]


def text_of(answer: list[Said], kind: str = "text") -> str:
    """The text that stands in an answer: its messages, a blank line apart."""
    return "\n\n".join(said.text for said in answer if said.kind == kind and said.text)
