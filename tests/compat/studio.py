"""Pages of modelscope_studio 1.6 (Gradio 5) and 2.1 (Gradio 6), as the demos of Qwen3 and Qwen3-VL are.

Imported by the servers of these releases only. Behind each page stands a model that answers with a JSON
object of the messages and settings that reached it.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import modelscope_studio.components.antd as antd  # type: ignore[import-not-found, unused-ignore]
import modelscope_studio.components.antdx as antdx  # type: ignore[import-not-found, unused-ignore]
import modelscope_studio.components.base as ms  # type: ignore[import-not-found, unused-ignore]
import modelscope_studio.components.pro as pro  # type: ignore[import-not-found, unused-ignore]

from .pictures import looked_at, path_of
from .shapes import model

OWN = {"model": "qwen3-large", "sys_prompt": "You keep the zoo.", "thinking_budget": 38}
MODELS = ["qwen3-large", "qwen3-small"]


def _fields(form: Any, **more: Any) -> None:
    """The settings of the Qwen3 demo, in a form."""
    with form:
        with antd.Form.Item(form_name="model", label="Model"):
            antd.Select(options=[{"label": name.title(), "value": name} for name in MODELS])
        with antd.Form.Item(form_name="sys_prompt", label="System Prompt"):
            antd.Input.Textarea()
        with antd.Form.Item(form_name="thinking_budget", label="Thinking Budget"):
            antd.Slider(min=1, max=38)
        for key, label in more.items():
            with antd.Form.Item(form_name=key, label=label):
                antd.Switch()


def _plain(value: Any) -> Any:
    """A value of a component as plain JSON, however the release holds it."""
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _told(messages: list[Any]) -> list[dict[str, Any]]:
    """Messages of the chatbot as the model is shown them, thoughts left out."""
    told: list[dict[str, Any]] = []
    for message in _plain(messages):
        content = message["content"]
        parts = [{"type": "text", "content": content}] if isinstance(content, str) else content
        files = [
            path_of(file) for part in parts if part["type"] == "file" for file in part["content"]
        ]
        text = "".join(part["content"] for part in parts if part["type"] == "text")
        told.append({"role": message["role"], "content": text})
        if files:
            told[-1]["files"] = [looked_at(Path(path)) for path in files]
    return told


def _answers(messages: list[Any], thinks: bool, **settings: Any) -> Iterator[dict[str, Any]]:
    """The assistant's message as it grows: a thought as a part of type "tool", then the text."""
    thought = {"type": "tool", "content": "The zoo…", "options": {"title": "Thinking"}}
    parts = [thought] if thinks else []
    yield {"role": "assistant", "content": [], "loading": True, "status": "pending"}
    if thinks:
        yield {"role": "assistant", "content": parts, "status": "pending"}
    for text in model(messages, thinks=thinks, **settings):
        said = {"type": "text", "content": text}
        yield {"role": "assistant", "content": [*parts, said], "status": "pending"}


def _demo(box: Any, form: Any, files: bool) -> None:
    """The events of the demos: one function over a State that holds every conversation."""
    state = gr.State({"conversation_contexts": {}, "conversations": [], "conversation_id": ""})
    thinking = gr.State({"enable_thinking": True})
    kept = gr.BrowserState({"conversation_contexts": {}, "conversations": []})
    conversations = antdx.Conversations()
    chatbot = pro.Chatbot(height=400)
    clear, switch = antd.Button("Clear"), antd.Button("Thinking", color="primary")

    def here(state: Any) -> Any:
        return state["conversation_contexts"][state["conversation_id"]]

    def ask(value: Any, *given: Any) -> Iterator[Any]:
        *settings, thinking, state = given
        if not state["conversation_id"]:
            key = state["conversation_id"] = uuid.uuid4().hex
            state["conversation_contexts"][key] = {"history": []}
            state["conversations"].append({"label": "Chat", "key": key})
        context = here(state)
        context.update(settings=settings[0] if settings else {}, **thinking)
        said = value
        if files:
            value = _plain(value)
            said = [
                {"type": "file", "content": value["files"] or []},
                {"type": "text", "content": value["text"]},
            ]
        context["history"].append({"role": "user", "content": said})
        asked = _told(context["history"])
        if "sys_prompt" in context["settings"]:
            asked = [{"role": "system", "content": context["settings"]["sys_prompt"]}, *asked]
        others = {
            key: context["settings"][key] for key in context["settings"] if key != "sys_prompt"
        }
        yield gr.update(value=None, loading=True), gr.update(), gr.update(value=state)
        message: dict[str, Any] = {}
        for message in _answers(asked, context["enable_thinking"], **others):
            history = [*context["history"], message]
            yield gr.update(), gr.update(value=history), gr.update()
        context["history"].append({**message, "status": "done", "footer": "0.4s"})
        yield gr.update(loading=False), gr.update(value=context["history"]), gr.update(value=state)

    def select(thinking: Any, state: Any, event: gr.EventData) -> Any:
        key = event._data["payload"][0]
        state["conversation_id"] = key
        thinking["enable_thinking"] = here(state)["enable_thinking"]
        return gr.update(active_key=key), gr.update(value=here(state)["history"]), thinking, state

    def restore(kept: Any, state: Any) -> Any:
        state.update(kept)
        return gr.update(items=kept["conversations"]), state

    def forget(state: Any) -> Any:
        if state["conversation_id"]:
            here(state)["history"].clear()
        return gr.update(value=None), state

    keys = ("conversations", "conversation_contexts")
    state.change(lambda state: {key: state[key] for key in keys}, [state], [kept])
    gr.context.Context.root_block.load(restore, [kept, state], [conversations, state])
    switch.click(lambda on: {"enable_thinking": not on["enable_thinking"]}, [thinking], [thinking])
    conversations.active_change(
        select, [thinking, state], [conversations, chatbot, thinking, state]
    )
    forms = [] if form is None else [form]
    sent = box.submit(ask, [box, *forms, thinking, state], [box, chatbot, state])
    box.cancel(None, cancels=[sent], queue=False)
    clear.click(forget, [state], [chatbot, state])


def demo() -> Any:
    """The layout of the Qwen3 demo: a Sender, the settings in a form."""
    with gr.Blocks() as blocks, ms.Application(), antdx.XProvider():
        with antdx.Sender(placeholder="Ask away") as box:
            form = antd.Form(value=OWN)
            _fields(form)
        _demo(box, form, files=False)
    return blocks


def vision() -> Any:
    """The layout of the Qwen3-VL demo: a multimodal input, no settings."""
    with gr.Blocks() as blocks, ms.Application(), antdx.XProvider():
        box = pro.MultimodalInput(placeholder="有什么我能帮助您的吗？")
        _demo(box, None, files=True)
    return blocks


def form_of_all() -> Any:
    """One function of the box, the chatbot and a form whose fields include a switch for thinking."""
    with gr.Blocks() as blocks, ms.Application(), antdx.XProvider():
        chatbot = pro.Chatbot(height=400)
        box = pro.MultimodalInput(placeholder="Ask away")
        form = antd.Form(value={**OWN, "thinks": True, "search": False}, elem_id="settings")
        _fields(form, thinks="Enable thinking", search="Web search")

        def ask(value: Any, history: Any, settings: Any) -> Iterator[Any]:
            value, history = _plain(value), _plain(history or [])
            said = [
                {"type": "file", "content": value["files"] or []},
                {"type": "text", "content": value["text"]},
            ]
            shown = [*history, {"role": "user", "content": said}]
            asked = [{"role": "system", "content": settings["sys_prompt"]}, *_told(shown)]
            others = {key: settings[key] for key in ("model", "thinking_budget", "search")}
            for message in _answers(asked, settings["thinks"], **others):
                yield gr.update(value=None), gr.update(value=[*shown, message])

        box.submit(ask, [box, chatbot, form], [box, chatbot])
    return blocks


STUDIO: dict[str, Callable[[], Any]] = {page.__name__: page for page in (demo, vision, form_of_all)}
