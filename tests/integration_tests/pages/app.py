"""Pages as people build them, each below a path of its own: prints the port, serves until stdin ends.

Behind each stands the same model: its answer is a JSON object of what reached it.
"""

import json
import socket
import sys
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

MODELS = ["Qwen3-8B", "Qwen3-32B"]


def answer(history: list[Any], question: str, **reached: Any) -> list[Any]:
    """The conversation with a question and its answer."""
    text = json.dumps({"question": question, "turns": len(history), **reached})
    return [
        *history,
        {"role": "user", "content": question},
        {"role": "assistant", "content": text},
    ]


def checkbox() -> None:
    """Thinking is a checkbox, its budget a slider."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    think = gr.Checkbox(True, label="Enable thinking")
    budget = gr.Slider(1, 38, 38, step=1, label="Thinking budget")

    def ask(question: str, history: list[Any], think: bool, budget: int) -> Any:
        return "", answer(history, question, think=think, budget=budget)

    box.submit(ask, [box, chatbot, think, budget], [box, chatbot])


def dropdown() -> None:
    """Thinking is a choice of two words."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    mode = gr.Dropdown(["With thinking", "No thinking"], value="With thinking", label="Thinking")

    def ask(question: str, history: list[Any], mode: str) -> Any:
        return "", answer(history, question, mode=mode)

    box.submit(ask, [box, chatbot, mode], [box, chatbot])


def button() -> None:
    """Thinking is a button that turns a State around."""
    chatbot, box, think = gr.Chatbot(), gr.Textbox(label="Message"), gr.State(False)
    switch = gr.Button("Thinking")
    switch.click(lambda on: not on, [think], [think])

    def ask(question: str, history: list[Any], think: bool) -> Any:
        return "", answer(history, question, think=think)

    box.submit(ask, [box, chatbot, think], [box, chatbot])


def unlabelled() -> None:
    """Only the names of the function's parameters and an `elem_id` say what the inputs are."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    one = gr.Slider(0, 2, 0.7, label="", show_label=False)
    two = gr.Slider(1, 9000, 512, step=1, label="", show_label=False, elem_id="max_new_tokens")
    three = gr.Textbox("", label="", show_label=False, max_lines=1)

    def ask(message: str, history: list[Any], temperature: float, k: int, persona: str) -> Any:
        return "", answer(history, message, temperature=temperature, k=k, persona=persona)

    box.submit(ask, [box, chatbot, one, two, three], [box, chatbot])


def models_by_load() -> None:
    """The models on offer come when the page is opened."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    model = gr.Dropdown([], label="Model", allow_custom_value=True)
    context = gr.context.Context.root_block
    assert context is not None
    context.load(lambda: gr.Dropdown(choices=MODELS, value=MODELS[0]), None, [model])

    def ask(question: str, history: list[Any], model: str) -> Any:
        return "", answer(history, question, model=model)

    box.submit(ask, [box, chatbot, model], [box, chatbot])


def two_chats() -> None:
    """Two chats, the second of which has no name in the API."""
    for label in ("First", "Second"):
        chatbot, box = gr.Chatbot(label=label), gr.Textbox(label=label)

        def ask(question: str, history: list[Any], label: str = label) -> Any:
            return "", answer(history, question, chat=label)

        box.submit(
            ask, [box, chatbot], [box, chatbot], api_name="first" if label == "First" else False
        )


def elsewhere() -> None:
    """Enter only shows the question; a button has it answered."""
    chatbot, box = gr.Chatbot(label="Talk"), gr.Textbox(label="Message")
    go = gr.Button("Consult the oracle")
    persona = gr.Textbox("", label="Persona")

    def show(question: str, history: list[Any]) -> Any:
        return question, [*history, {"role": "user", "content": question}]

    def consult(question: str, history: list[Any], persona: str) -> Any:
        return "", answer(history, question, persona=persona)

    box.submit(show, [box, chatbot], [box, chatbot], api_name="show")
    go.click(consult, [box, chatbot, persona], [box, chatbot], api_name="consult")


def cancels() -> None:
    """Enter first stops what still runs, which is a step without a function, and then asks."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")

    def ask(question: str, history: list[Any]) -> Any:
        return "", answer(history, question)

    again = gr.Button("Again").click(ask, [box, chatbot], [box, chatbot], api_name="again")
    stop = box.submit(None, None, None, cancels=[again], api_name="stop")
    stop.then(ask, [box, chatbot], [box, chatbot], api_name="ask")


PAGES = (checkbox, dropdown, button, unlabelled, models_by_load, two_chats, elsewhere, cancels)


def main() -> None:
    app = FastAPI()
    for build in PAGES:
        with gr.Blocks() as blocks:
            build()
        app = gr.mount_gradio_app(app, blocks, path=f"/{build.__name__}")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    main()
