"""Chat apps in several steps, or with their conversation elsewhere than in the chatbot's value.

Each function builds one page. Behind each stands the same model: it answers with a JSON object of the
messages and the settings that reached it, a few characters at a time.
"""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import gradio as gr

from .chatbots import make_chatbot, messages_of, with_turn
from .forms import Form

OWN_PROMPT = "You keep the zoo."


def model(messages: list[dict[str, Any]], **settings: Any) -> Iterator[str]:
    """Yields the text so far."""
    text = json.dumps({"messages": messages, **settings})
    for end in range(7, len(text) + 7, 7):
        yield text[:end]


def _question(form: Form, history: Any, question: str) -> list[Any]:
    """The history with a question that has no answer yet."""
    if form.chatbot == "messages":
        return [*messages_of(history), {"role": "user", "content": question}]
    return (
        [*with_turn(form, history, question, [])]
        if form.chatbot == "tuples"
        else [
            *with_turn(form, history, "", [""])[:-1],
            [question, None],
        ]
    )


def _answered(form: Form, history: Any, answer: str) -> list[Any]:
    """The history whose last question has this answer."""
    earlier, question = history[:-1], messages_of(history)[-1]["content"]
    return with_turn(form, earlier, question, [answer])


def two_steps(form: Form) -> Any:
    """The chat of Gradio's guide: the first function shows the question, the next answers it."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Animals")
        box = gr.Textbox(label="Message")
        prompt = gr.Textbox(label="System prompt", value=OWN_PROMPT)
        heat = gr.Slider(0, 2, value=0.7, step=0.1, label="Temperature")

        def answer(history: Any, system: str, temperature: float) -> Iterator[Any]:
            messages = [{"role": "system", "content": system}, *messages_of(history)]
            for text in model(messages, temperature=temperature):
                yield _answered(form, history, text)

        shown = box.submit(lambda q, h: ("", _question(form, h, q)), [box, chatbot], [box, chatbot])
        shown.then(answer, [chatbot, prompt, heat], [chatbot]).then(lambda: "", None, [box])
    return blocks


def stashed(form: Form) -> Any:
    """The question waits in a State while another function checks it."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Animals")
        box, stash = gr.Textbox(label="Message"), gr.State("")

        def check(question: str) -> None:
            if "forbidden" in question:
                raise gr.Error("The keepers do not answer that.")

        def answer(question: str, history: Any) -> Iterator[Any]:
            asked = [*messages_of(history), {"role": "user", "content": question}]
            for text in model(asked):
                yield with_turn(form, history, question, [text])

        event = box.submit(lambda q: ("", q), [box], [box, stash])
        event.then(check, [stash], None).success(answer, [stash, chatbot], [chatbot])
    return blocks


def kept_in_a_state(form: Form) -> Any:
    """A State beside the chatbot holds the conversation; the chatbot's value reaches nobody."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Animals")
        box, kept = gr.Textbox(label="Message"), gr.State([])

        def answer(question: str, history: Any, past: Any) -> Iterator[Any]:
            asked = [*past, {"role": "user", "content": question}]
            text = ""
            for text in model(asked):
                yield with_turn(form, history, question, [text]), past
            done = [*asked, {"role": "assistant", "content": text}]
            yield with_turn(form, history, question, [text]), done

        box.submit(answer, [box, chatbot, kept], [chatbot, kept])
        gr.Button("Clear").click(lambda: ([], []), None, [chatbot, kept])
    return blocks


def only_shown(form: Form) -> Any:
    """The chatbot is an output only, and shows a placeholder first."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Animals")
        box = gr.Textbox(label="Message")

        def answer(question: str) -> Iterator[Any]:
            yield with_turn(form, [], question, ["Analysing…"])
            for text in model([{"role": "user", "content": question}]):
                yield with_turn(form, [], question, [text])

        box.submit(answer, [box], [chatbot])
    return blocks


def loaded(form: Form) -> Any:
    """`load` makes the State that the answering function takes, and nothing else."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Animals")
        box, talk = gr.Textbox(label="Message"), gr.State(None)

        def ask(state: Any, question: str) -> Any:
            state["asked"].append({"role": "user", "content": question})
            return state, with_turn(form, [], question, [""]), ""

        def answer(state: Any) -> Iterator[Any]:
            for text in model(state["asked"], opened=state["opened"]):
                yield state, with_turn(form, [], state["asked"][-1]["content"], [text])

        event = box.submit(ask, [talk, box], [talk, chatbot, box])
        event.then(answer, [talk], [talk, chatbot])
        blocks.load(lambda: {"asked": [], "opened": True}, None, [talk])
    return blocks


def rendered(form: Form) -> Any:
    """`gr.render` makes the chat when the page is opened."""
    with gr.Blocks() as blocks:
        names = gr.State(["Panda"])

        @gr.render(inputs=names)
        def draw(shown: list[str]) -> None:
            for name in shown:
                chatbot = make_chatbot(form, label=name)
                box = gr.Textbox(label="Message")

                def answer(question: str, history: Any) -> Iterator[Any]:
                    asked = [*messages_of(history), {"role": "user", "content": question}]
                    for text in model(asked):
                        yield "", with_turn(form, history, question, [text])

                box.submit(answer, [box, chatbot], [box, chatbot])

    return blocks


def unanswered(form: Form) -> Any:
    """The chain ends without an answer."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Animals")
        box = gr.Textbox(label="Message")
        box.submit(lambda q, h: ("", _question(form, h, q)), [box, chatbot], [box, chatbot])
    return blocks


def text_to_text(form: Form) -> Any:
    """`gr.Interface` from text to text, with no chatbot at all."""

    def ask(question: str) -> Iterator[str]:
        yield from model([{"role": "user", "content": question}])

    return gr.Interface(ask, gr.Textbox(label="Question"), gr.Textbox(label="Answer"))


class _Provider:
    """What `gr.load` asks for an answer, in place of a client of Hugging Face's inference."""

    def __init__(self, **_: Any) -> None:
        pass

    def chat_completion(self, messages: list[Any], stream: bool) -> Iterator[Any]:
        said = ""
        for text in model(messages_of(messages)):
            delta = SimpleNamespace(content=text[len(said) :])
            yield SimpleNamespace(choices=[SimpleNamespace(delta=delta)])
            said = text


def loaded_by_name(form: Form) -> Any:
    """The chat that Gradio makes of a model's name; its look-up on huggingface.co is answered here."""
    known = patch(
        "gradio.external_utils.get_model_info",
        lambda *_, **__: ("text-generation", ["conversational"]),
    )
    with known, patch("huggingface_hub.InferenceClient", _Provider):
        return gr.load("models/Qwen/Qwen3-8B")


SHAPES: dict[str, Callable[[Form], Any]] = {
    shape.__name__: shape
    for shape in (
        two_steps,
        stashed,
        kept_in_a_state,
        only_shown,
        loaded,
        rendered,
        unanswered,
        text_to_text,
        loaded_by_name,
    )
}
