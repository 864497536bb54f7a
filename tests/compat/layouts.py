"""The layouts that people give a chat Space, each as a function that builds its Blocks."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from . import script
from .chatbots import chat_interface_answer, make_chatbot, messages_of, with_turn
from .forms import CREDENTIALS, Form

SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
SIZES = ["72B", "32B", "14B", "7B", "3B", "1.5B", "0.5B"]
MATH = ["Math-72B", "Math-7B", "Math-1.5B"]
CODER = ["Coder-7B", "Coder-1.5B"]
NAMED_MODELS = ["Qwen2.5-72B-Instruct", "Qwen2.5-7B-Instruct", "Qwen2.5-0.5B-Instruct"]
SPACE_CONCURRENCY = 5
"""What the app of Qwen2.5 allows its chat."""


def _chat(
    form: Form,
    trigger: Callable[..., Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    *,
    whole: bool = False,
    **event: Any,
) -> Any:
    """Ties a scripted chat function to a trigger.

    Args:
        form: The form of the chatbot.
        trigger: A component's event, such as `textbox.submit`.
        inputs: The function's inputs by role, in their order; `query` and `history` are known here,
            all others only told by `args:`.
        outputs: Its outputs by role, in their order: `query` is emptied, `history` gets the turn,
            any other is given back as it came.
        whole: The function returns its answer in one piece.
        event: What else the event takes: `api_name`, `concurrency_limit`, …
    """

    def turns(*values: Any) -> Iterator[Any]:
        received = dict(zip(inputs, values, strict=True))
        query, history = received["query"], received["history"]
        told = {**received, "history": messages_of(history)}
        for parts in script.answers(query, told):
            given = {**received, "query": "", "history": with_turn(form, history, query, parts)}
            results = tuple(given[role] for role in outputs)
            yield results if len(results) > 1 else results[0]

    def last_turn(*values: Any) -> Any:
        *_, last = turns(*values)
        return last

    function = last_turn if whole else turns
    return trigger(function, list(inputs.values()), list(outputs.values()), **event)


def qwen25(form: Form, queue_size: int | None = None, **event: Any) -> Any:
    """`Qwen/Qwen2.5`: dependency 3 chats, its system prompt and its radio are hidden."""
    with gr.Blocks() as blocks:
        gr.Markdown("# Qwen2.5: A Party of Foundation Models!")
        with gr.Row():
            with gr.Row():
                general = gr.Radio(SIZES, label="Qwen2.5：", value=SIZES[0])
            with gr.Row():
                math = gr.Radio(MATH, label="Qwen2.5-Math：")
            with gr.Row():
                coder = gr.Radio(CODER, label="Qwen2.5-Coder：")
        # Since 5.0 a value must be one of the choices; the Space itself, on 4.44, gives none.
        choices = [] if form.version < (5,) else [*SIZES, *MATH, *CODER]
        model = gr.Radio(choices, value=SIZES[0], visible=False, label=None)
        with gr.Row(), gr.Accordion():
            heading = gr.Markdown("## Qwen2.5-72B-instruct")
            with gr.Row():
                with gr.Column(scale=3):
                    shown = gr.Textbox(value=SYSTEM, lines=1, label="System")
                with gr.Column(scale=1):
                    modify = gr.Button("Set system prompt and clear history", scale=2)
                system = gr.Textbox(value=SYSTEM, visible=False)
            chatbot = make_chatbot(form, label="72b")
            query = gr.Textbox(lines=1, label="Input")
            with gr.Row():
                clear = gr.Button("Clear history")
                send = gr.Button("Send")

        radios = [general, math, coder]
        for radio in radios:
            others = [other for other in radios if other is not radio]
            radio.change(
                lambda chosen, *_: (chosen, None, None),
                [radio, *others],
                [model, *others],
                api_name="keep_one",
            )
        inputs = {"query": query, "history": chatbot, "system": system, "model": model}
        outputs = {"query": query, "history": chatbot, "system": shown}
        options = {"concurrency_limit": SPACE_CONCURRENCY, "concurrency_id": "chat", **event}
        _chat(form, query.submit, inputs, outputs, api_name="model_chat", **options)
        _chat(form, send.click, inputs, outputs, api_name="model_chat_1", **options)
        clear.click(lambda: ("", []), None, [query, chatbot], api_name="clear_session")
        modify.click(
            lambda text: (text, text, []),
            [shown],
            [system, shown, chatbot],
            api_name="modify_system_session",
        )
        model.change(
            lambda chosen, text: (f"## Qwen2.5-{chosen}-instruct", text, text, ""),
            [model, shown],
            [heading, system, shown, query],
            api_name="choose_radio",
        )
    return blocks.queue(api_open=False, max_size=queue_size)


def busy(form: Form) -> Any:
    """One call at a time and one that waits: the next is turned away."""
    return qwen25(form, queue_size=1, concurrency_limit=1)


def validated(form: Form) -> Any:
    """An app that looks its inputs over before it queues them (Gradio 5.45 on)."""

    def check(query: str, *others: Any) -> list[Any]:
        passes = gr.validate(not query.startswith("invalid"), "This query is not allowed.")
        return [passes, *(gr.validate(True, "") for _ in others)]

    return qwen25(form, validator=check)


def coder(form: Form) -> Any:
    """The demo of Qwen2.5-Coder: sliders, and a model radio that is not an input."""
    with gr.Blocks() as blocks:
        gr.Radio(["0.5B", "1.5B", "3B", "7B", "14B", "32B"], label="Qwen2.5-Coder：", value="32B")
        shown = gr.Textbox(value=SYSTEM, lines=1, label="System")
        # The other way to hide a component, which is there since 5.46.
        hidden: Any = "hidden" if form.version >= (5, 46) else False
        system = gr.Textbox(value=SYSTEM, visible=hidden)
        with gr.Accordion("Parameters", open=False):
            temperature = gr.Slider(0, 1, value=0.7, step=0.1, label="Temperature")
            top_p = gr.Slider(0.6, 1, value=0.8, step=0.05, label="Top P")
            max_tokens = gr.Slider(512, 8192, value=4096, step=1, label="Max Length")
        chatbot = make_chatbot(form, label="Qwen2.5-Coder")
        query = gr.Textbox(lines=1, label="Input")
        inputs = {
            "query": query,
            "history": chatbot,
            "system": system,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
        }
        outputs = {"query": query, "history": chatbot, "system": shown}
        _chat(form, query.submit, inputs, outputs, api_name="model_chat")
    return blocks


def older(form: Form) -> Any:
    """The Spaces before Qwen2.5: query, history, and a system prompt that is seen."""
    with gr.Blocks() as blocks:
        system = gr.Textbox(value=SYSTEM, lines=1, label="System")
        chatbot = make_chatbot(form, label="Qwen2-72B-Instruct")
        query = gr.Textbox(lines=2, label="Input")
        inputs = {"query": query, "history": chatbot, "system": system}
        outputs = {"query": query, "history": chatbot, "system": system}
        _chat(form, query.submit, inputs, outputs, api_name="model_chat")
    return blocks


def renamed(form: Form) -> Any:
    """A duplicate: another name, a dropdown of models, everything in another order."""
    with gr.Blocks() as blocks:
        model = gr.Dropdown(NAMED_MODELS, value=NAMED_MODELS[1], label="Model")
        system = gr.Textbox(value="Be brief.", label="System prompt", lines=3)
        chatbot = make_chatbot(form, label="Conversation")
        query = gr.Textbox(label="Message", placeholder="Ask me anything")
        send = gr.Button("Send")
        inputs = {"system": system, "model": model, "history": chatbot, "query": query}
        outputs = {"history": chatbot, "query": query}
        _chat(form, send.click, inputs, outputs, api_name="respond")
    return blocks


def several(form: Form) -> Any:
    """A Space that also translates and completes; the chat is the last of its functions."""

    def grown(text: str, _: Any = None) -> Iterator[str]:
        for parts in script.answers(text, {}):
            yield str(parts[0])

    with gr.Blocks() as blocks:
        with gr.Tab("Translate"):
            source = gr.Textbox(label="Source text")
            language = gr.Dropdown(["English", "中文"], value="English", label="Target language")
            target = gr.Textbox(label="Translation")
            source.submit(grown, [source, language], [target], api_name="translate")
        with gr.Tab("Complete"):
            prompt = gr.Textbox(label="Prompt")
            prompt.submit(grown, [prompt], [prompt], api_name="complete")
        with gr.Tab("Chat"):
            system = gr.Textbox(value=SYSTEM, label="System prompt")
            chatbot = make_chatbot(form, label="Chat")
            query = gr.Textbox(label="Input")
            inputs = {"query": query, "history": chatbot, "system": system}
            outputs = {"query": query, "history": chatbot}
            _chat(form, query.submit, inputs, outputs, api_name="chat")
    return blocks


def boxes(form: Form) -> Any:
    """Settings in number boxes, a checkbox and a text that is not a system prompt."""
    with gr.Blocks() as blocks:
        system = gr.Textbox(value=SYSTEM, label="System prompt")
        language = gr.Textbox(value="English", label="Language")
        max_tokens = gr.Number(
            value=1024, minimum=1, maximum=4096, precision=0, label="Max new tokens"
        )
        temperature = gr.Number(value=0.7, minimum=0, maximum=2, label="Temperature")
        search = gr.Checkbox(value=False, label="Web search")
        style = gr.Dropdown(["plain", "florid"], value="plain", label="Style")
        chatbot = make_chatbot(form, label="Chat")
        query = gr.Textbox(label="Your message")
        inputs = {
            "query": query,
            "history": chatbot,
            "system": system,
            "language": language,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "search": search,
            "style": style,
        }
        outputs = {"query": query, "history": chatbot}
        _chat(form, query.submit, inputs, outputs, api_name="chat")
    return blocks


def no_system(form: Form) -> Any:
    """Nothing but the query and the history."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chat")
        query = gr.Textbox(label="Input")
        inputs = {"query": query, "history": chatbot}
        _chat(form, query.submit, inputs, inputs, api_name="chat")
    return blocks


def plain_function(form: Form) -> Any:
    """A function that returns its answer in one piece."""
    with gr.Blocks() as blocks:
        system = gr.Textbox(value=SYSTEM, label="System prompt")
        chatbot = make_chatbot(form, label="Chat")
        query = gr.Textbox(label="Input")
        inputs = {"query": query, "history": chatbot, "system": system}
        outputs = {"query": query, "history": chatbot}
        _chat(form, query.submit, inputs, outputs, whole=True, api_name="chat")
    return blocks


def reasoning_tags(form: Form) -> Any:
    """A chatbot that takes `<think>` apart into messages of their own (Gradio 6)."""
    with gr.Blocks() as blocks:
        system = gr.Textbox(value=SYSTEM, label="System prompt")
        chatbot = make_chatbot(form, label="Chat", reasoning_tags=[("<think>", "</think>")])
        query = gr.Textbox(label="Input")
        inputs = {"query": query, "history": chatbot, "system": system}
        outputs = {"query": query, "history": chatbot}
        _chat(form, query.submit, inputs, outputs, api_name="chat")
    return blocks


def ambiguous_endpoints(form: Form) -> Any:
    """Two chats side by side, alike in everything: only their names tell them apart."""
    with gr.Blocks() as blocks, gr.Row():
        for side in ("left", "right"):
            with gr.Column():
                chatbot = make_chatbot(form, label=f"Model on the {side}")
                name = gr.Textbox(value=side, visible=False)
                query = gr.Textbox(label="Input")
                inputs = {"query": query, "history": chatbot, "side": name}
                outputs = {"query": query, "history": chatbot}
                _chat(form, query.submit, inputs, outputs, api_name=f"chat_{side}")
    return blocks


def ambiguous_inputs(form: Form) -> Any:
    """Two textboxes either of which may be the query; it is the one called Second."""
    with gr.Blocks() as blocks:
        first = gr.Textbox(label="First")
        second = gr.Textbox(label="Second")
        chatbot = make_chatbot(form, label="Chat")
        send = gr.Button("Send")
        inputs = {"first": first, "query": second, "history": chatbot}
        outputs = {"history": chatbot}
        _chat(form, send.click, inputs, outputs, api_name="ask")
    return blocks


def not_a_chat(form: Form) -> Any:
    """An app that draws and translates."""
    del form  # it has no chatbot
    with gr.Blocks() as blocks:
        prompt = gr.Textbox(label="Prompt")
        picture = gr.Image(label="Picture")
        prompt.submit(lambda _: None, [prompt], [picture], api_name="draw")
        source = gr.Textbox(label="Source text")
        target = gr.Textbox(label="Translation")
        source.submit(lambda text: text, [source], [target], api_name="translate")
    return blocks


def _chat_interface(form: Form, *extras: str, **options: Any) -> Any:
    """A chat interface of today's or of yesterday's Gradio; its function is called respond."""

    def respond(message: Any, history: Any, *values: Any) -> Iterator[Any]:
        query = message["text"] if isinstance(message, dict) else message
        told = dict(zip(extras, values, strict=True))
        received = {"query": query, "history": messages_of(history), **told}
        for parts in script.answers(query, received):
            yield chat_interface_answer(form, parts)

    if form.version < (6,):
        options["type"] = "tuples" if form.chatbot == "modelscope" else form.chatbot
    return gr.ChatInterface(respond, **options)


def chat_interface(form: Form) -> Any:
    """`gr.ChatInterface` with a system prompt and settings as additional inputs."""
    return _chat_interface(
        form,
        *("system", "temperature", "max_tokens"),
        additional_inputs=[
            gr.Textbox(SYSTEM, label="System prompt"),
            gr.Slider(0, 2, value=0.7, step=0.1, label="Temperature"),
            gr.Slider(1, 4096, value=512, step=1, label="Max tokens"),
        ],
    )


def chat_interface_plain(form: Form) -> Any:
    """`gr.ChatInterface` with nothing added."""
    return _chat_interface(form)


def chat_interface_multimodal(form: Form) -> Any:
    """`gr.ChatInterface` whose message may hold files."""
    return _chat_interface(form, multimodal=True)


BUILDERS: dict[str, Callable[[Form], Any]] = {
    "qwen25": qwen25,
    "coder": coder,
    "older": older,
    "renamed": renamed,
    "several": several,
    "boxes": boxes,
    "no_system": no_system,
    "plain_function": plain_function,
    "reasoning_tags": reasoning_tags,
    "ambiguous_endpoints": ambiguous_endpoints,
    "ambiguous_inputs": ambiguous_inputs,
    "not_a_chat": not_a_chat,
    "chat_interface": chat_interface,
    "chat_interface_plain": chat_interface_plain,
    "chat_interface_multimodal": chat_interface_multimodal,
    "busy": busy,
    "validated": validated,
    "login": qwen25,
    "hidden_errors": qwen25,
}
SERVED: dict[str, dict[str, Any]] = {
    "login": {"auth": CREDENTIALS},
    "hidden_errors": {"show_error": False},
}
"""Other arguments of `gr.mount_gradio_app`, for the layouts that need them."""
