"""The chatbots of the forms: how one is made, what its history says, how an answer is written."""

from typing import Any

import gradio as gr

from .forms import Form
from .script import File, Part, Thought

Message = dict[str, Any]


def make_chatbot(form: Form, label: str, **props: Any) -> Any:
    """A chatbot of the form's kind, inside the Blocks that are being built."""
    if form.chatbot == "modelscope":
        # Only the environment of 4.44.1 has it.
        import modelscope_studio  # type: ignore[import-not-found, unused-ignore]

        return modelscope_studio.Chatbot(label=label, **props)
    kind: dict[str, Any] = {} if form.version >= (6,) else {"type": form.chatbot}
    return gr.Chatbot(label=label, **kind, **props)


def make_box(form: Form, **props: Any) -> Any:
    """A box for text and files, of the same library as the form's chatbot."""
    if form.chatbot == "modelscope":
        import modelscope_studio

        del props["file_types"]  # which it does not have
        return modelscope_studio.MultimodalInput(**props)
    return gr.MultimodalTextbox(**props)


def messages_of(history: Any) -> list[Message]:
    """The history of any form as messages of a role and plain text, empty sides left out."""
    messages: list[Message] = []
    for item in history or []:
        if isinstance(item, dict):
            messages.append({"role": item["role"], "content": text_of(item["content"])})
        else:
            for role, side in zip(("user", "assistant"), item, strict=True):
                if side is not None:
                    messages.append({"role": role, "content": text_of(side)})
    return messages


def text_of(value: Any) -> str:
    """The text of one side or content, however the form holds it."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return "".join(text_of(part) for part in value)
    return str(value.get("text", "")) if isinstance(value, dict) else str(value.text)


def with_turn(form: Form, history: Any, query: str, parts: list[Part]) -> list[Any]:
    """The history with one more turn, as the app returns it to the chatbot.

    Earlier turns go out as plain strings, as the apps of Qwen rebuild them from their messages.
    """
    if form.chatbot == "messages":
        answer = [{"role": "assistant", **_content(part)} for part in parts]
        return [*messages_of(history), {"role": "user", "content": query}, *answer]
    pairs = [[None if side is None else text_of(side) for side in pair] for pair in history or []]
    if form.chatbot == "modelscope":
        sides = [_modelscope_side(part) for part in parts]
        return [*pairs, [query, sides[0] if len(sides) == 1 else sides]]
    first, *others = [_tuples_side(part) for part in parts] or [None]
    return [*pairs, [query, first], *([None, side] for side in others)]


def _content(part: Part) -> Message:
    if isinstance(part, Thought):
        status = {"status": "done" if part.done else "pending"}
        return {"content": part.text, "metadata": {"title": part.title, **status}}
    return {"content": {"path": part.path} if isinstance(part, File) else part}


def _tuples_side(part: Part) -> Any:
    if isinstance(part, Thought):
        raise gr.Error("This form has no thoughts.")
    return (part.path,) if isinstance(part, File) else part


def _modelscope_side(part: Part) -> Any:
    if isinstance(part, Thought):
        raise gr.Error("This form has no thoughts.")
    return {"text": "", "files": [part.path]} if isinstance(part, File) else part


def chat_interface_answer(form: Form, parts: list[Part]) -> Any:
    """An answer as the function of a `gr.ChatInterface` returns it."""
    if all(isinstance(part, str) for part in parts) and len(parts) == 1:
        return parts[0]
    if form.chatbot != "messages" or form.version < (5,):
        raise gr.Error("This form's chat interface takes one text.")
    return [{"role": "assistant", **_content(part)} for part in parts]
