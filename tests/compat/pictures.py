"""Chat apps whose question may come with files.

Behind each stands the same model: it answers with a JSON object of the messages that reached it, each
with its text and with the name, size and SHA-256 of its files, as they stood on the app's own disk.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from .chatbots import make_chatbot, text_of
from .forms import Form


def model(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Yields the text so far."""
    text = json.dumps({"messages": messages})
    for end in range(99, len(text) + 99, 99):
        yield text[:end]


def message(role: str, text: str, paths: list[str]) -> dict[str, Any]:
    """What the model is shown of a message."""
    return {"role": role, "text": text, "files": [looked_at(Path(path)) for path in paths]}


def looked_at(path: Path) -> dict[str, Any]:
    """What tells one file from another."""
    data = path.read_bytes()
    return {"name": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def told(history: Any) -> list[dict[str, Any]]:
    """A chatbot's history as the model is shown it."""
    messages = []
    for item in history or []:
        if isinstance(item, dict):
            sides = [(item["role"], item["content"])]
        else:
            sides = list(zip(("user", "assistant"), item, strict=True))
        for role, side in sides:
            if side is not None:
                messages.append(message(role, shown_text(side), paths_in(side)))
    return messages


def shown_text(value: Any) -> str:
    """The text of one side or content; files say nothing."""
    if isinstance(value, list):
        return "".join(map(shown_text, value))
    return "" if paths_in(value) and not hasattr(value, "text") else text_of(value)


def paths_in(value: Any) -> list[str]:
    """Where the files of one side or content are, however the form holds them."""
    if isinstance(value, str) or value is None:
        return []
    if isinstance(value, tuple):  # Gradio's pairs
        return [value[0]]
    if isinstance(value, list):
        return [path for part in value for path in paths_in(part)]
    if not isinstance(value, dict):  # a message or a file as an object
        value = value if isinstance(value, dict) else vars(value)
    if "files" in value:
        return [path_of(file) for file in value["files"] or []]
    return [path_of(value.get("file") or value)] if "file" in value or "path" in value else []


def path_of(file: Any) -> str:
    """Where a file is."""
    while not isinstance(file, str):
        file = (
            file.get("path", file.get("file"))
            if isinstance(file, dict)
            else (getattr(file, "path", None) or file.file)
        )
    return file


def with_answer(form: Form, history: Any, text: str, paths: list[str], answer: str | None) -> Any:
    """The history with a question and its files, and an answer where there is one."""
    if form.chatbot == "messages":
        said: list[Any] = [{"role": "user", "content": {"path": path}} for path in paths]
        said.append({"role": "user", "content": text})
        if answer is not None:
            said.append({"role": "assistant", "content": answer})
        return [*(history or []), *said]
    if form.chatbot == "modelscope":
        earlier = [[_plain(side) for side in pair] for pair in history or []]
        return [*earlier, [{"text": text, "files": paths}, answer]]
    return [*(history or []), *([(path,), None] for path in paths), [text, answer]]


def _plain(side: Any) -> Any:
    """A side as modelscope's chatbot takes it, which is not how it gives it."""
    return side and {"text": shown_text(side), "files": paths_in(side)}


def box(form: Form, **options: Any) -> Any:
    """A multimodal box, answered in one step."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        query = gr.MultimodalTextbox(label="Message", **{"file_count": "multiple", **options})

        def respond(asked: Any, history: Any) -> Iterator[Any]:
            text, paths = asked["text"], [path_of(file) for file in asked["files"]]
            for answer in model([*told(history), message("user", text, paths)]):
                yield None, with_answer(form, history, text, paths, answer)

        query.submit(respond, [query, chatbot], [query, chatbot])
    return blocks


def narrow(form: Form) -> Any:
    """A multimodal box for one picture or PDF."""
    return box(form, file_count="single", file_types=["image", ".pdf"])


def asked_only(form: Form) -> Any:
    """A multimodal box, and a chatbot that is only an output."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        query = gr.MultimodalTextbox(label="Message", file_count="multiple")

        def respond(asked: Any) -> Iterator[Any]:
            text, paths = asked["text"], [path_of(file) for file in asked["files"]]
            for answer in model([message("user", text, paths)]):
                yield with_answer(form, [], text, paths, answer)

        query.submit(respond, [query], [chatbot])
    return blocks


def draws(form: Form) -> Any:
    """An app that draws on request: it returns the pictures that it receives, with a word or without."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        query = gr.MultimodalTextbox(label="Message", file_count="multiple")

        def respond(asked: Any, history: Any) -> Iterator[Any]:
            paths = [path_of(file) for file in asked["files"]]
            if asked["text"] not in ("Draw.", "Draw only."):
                for answer in model([*told(history), message("user", asked["text"], paths)]):
                    yield None, with_answer(form, history, asked["text"], paths, answer)
                return
            earlier = with_answer(form, history, asked["text"], [], None)
            word = "Here." if asked["text"] == "Draw." else None
            if form.chatbot == "messages":
                drawn = [{"role": "assistant", "content": {"path": path}} for path in paths]
                words = [{"role": "assistant", "content": word}] if word else []
                yield None, [*earlier, *words]
                yield None, [*earlier, *words, *drawn]
            elif form.chatbot == "modelscope":
                yield None, [*earlier[:-1], [asked["text"], {"text": word or "", "files": paths}]]
            else:
                drawn = [[None, (path,)] for path in paths]
                yield None, [*earlier[:-1], [asked["text"], word], *drawn]

        query.submit(respond, [query, chatbot], [query, chatbot])
    return blocks


def models(form: Form) -> Any:
    """A multimodal box, and a choice of models of which one reads text only."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        names = ["Qwen2.5-72B-Instruct", "Qwen2.5-VL-72B-Instruct"]
        choice = gr.Dropdown(names, value=names[1], label="Model")
        query = gr.MultimodalTextbox(label="Message", file_count="multiple")

        def respond(asked: Any, history: Any, _: str) -> Iterator[Any]:
            text, paths = asked["text"], [path_of(file) for file in asked["files"]]
            for answer in model([*told(history), message("user", text, paths)]):
                yield None, with_answer(form, history, text, paths, answer)

        query.submit(respond, [query, chatbot, choice], [query, chatbot])
    return blocks


def two_steps(form: Form) -> Any:
    """A multimodal box whose files and text become messages in a step of their own."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        query = gr.MultimodalTextbox(label="Message", file_count="multiple")

        def show(asked: Any, history: Any) -> Any:
            paths = [path_of(file) for file in asked["files"]]
            return None, with_answer(form, history, asked["text"], paths, None)

        def respond(history: Any) -> Iterator[Any]:
            for answer in model(told(history)):
                if form.chatbot == "messages":
                    yield [*history, {"role": "assistant", "content": answer}]
                else:
                    *earlier, (asked, _) = history
                    if form.chatbot == "modelscope":
                        earlier = [[_plain(side) for side in pair] for pair in earlier]
                        asked = _plain(asked)
                    yield [*earlier, [asked, answer]]

        shown = query.submit(show, [query, chatbot], [query, chatbot])
        shown.then(respond, [chatbot], [chatbot])
    return blocks


def interface(form: Form) -> Any:
    """`gr.ChatInterface` whose message may hold files."""

    def respond(asked: Any, history: Any) -> Iterator[str]:
        paths = [path_of(file) for file in asked["files"]]
        yield from model([*told(history), message("user", asked["text"], paths)])

    options: dict[str, Any] = {"multimodal": True}
    if form.version < (6,):
        options["type"] = "tuples" if form.chatbot == "modelscope" else form.chatbot
    return gr.ChatInterface(respond, textbox=gr.MultimodalTextbox(file_count="multiple"), **options)


def beside(form: Form) -> Any:
    """Inputs for a picture, a recording, a film and documents beside a text box."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        inputs = [
            gr.Image(type="filepath", label="Picture", image_mode=None),
            gr.Audio(type="filepath", label="Recording"),
            gr.Video(label="Film"),
            gr.File(label="Documents", file_count="multiple", file_types=[".pdf", "text"]),
        ]
        query = gr.Textbox(label="Question")

        def respond(text: str, history: Any, *files: Any) -> Iterator[Any]:
            paths = [
                path_of(path)
                for file in files
                if file is not None
                for path in (file if isinstance(file, list) else [file])
            ]
            for answer in model([*told(history), message("user", text, paths)]):
                yield "", with_answer(form, history, text, [], answer)

        query.submit(respond, [query, chatbot, *inputs], [query, chatbot])
    return blocks


PICTURES: dict[str, Callable[[Form], Any]] = {
    build.__name__: build
    for build in (box, narrow, asked_only, draws, models, two_steps, interface, beside)
}
