"""Pages as people build them, each below a path of its own: prints the port, serves until stdin ends.

Behind each stands the same model: its answer is a JSON object of what reached it.
"""

import json
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from PIL import Image

MODELS = ["Qwen3-8B", "Qwen3-32B"]
MOST = 2000  # bytes of a file
ENDED: list[str] = []
PROBED: list[str] = []


def answer(history: list[Any], question: str, **reached: Any) -> list[Any]:
    """The conversation with a question and its answer."""
    text = json.dumps({"question": question, "turns": len(history), **reached})
    return [
        *history,
        {"role": "user", "content": question},
        {"role": "assistant", "content": text},
    ]


def when_opened(fill: Callable[[], Any], output: gr.components.Component) -> None:
    """The page calls a function when it is opened."""
    context = gr.context.Context.root_block
    assert context is not None
    context.load(fill, None, [output])


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
    when_opened(lambda: gr.Dropdown(choices=MODELS, value=MODELS[0]), model)

    def ask(question: str, history: list[Any], model: str) -> Any:
        return "", answer(history, question, model=model)

    box.submit(ask, [box, chatbot, model], [box, chatbot])


def chosen_elsewhere() -> None:
    """The choice of models is no input of the chat: its `change` fills a State."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    choice, name = gr.Dropdown(MODELS, value=MODELS[0], label="LLM"), gr.State(MODELS[0])
    choice.change(lambda model: (model, f"{model} is loaded"), choice, [name, gr.Markdown()])

    def ask(question: str, history: list[Any], name: str) -> Any:
        return "", answer(history, question, model=name)

    box.submit(ask, [box, chatbot, name], [box, chatbot])


def set_elsewhere() -> None:
    """The settings are no inputs of the chat: events of their own put them into a State."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    persona = gr.Textbox("Plain.", label="System prompt")
    heat = gr.Slider(0, 2, 0.5, step=0.25, label="Temperature")
    think = gr.Checkbox(True, label="Enable thinking")
    kept = gr.State({"persona": "Plain.", "temperature": 0.5})
    thinks = gr.State(True)

    def keep(persona: str, temperature: float) -> Any:
        return {"persona": persona, "temperature": temperature}

    persona.blur(keep, [persona, heat], kept)
    heat.release(keep, [persona, heat], kept)
    gr.Button("Set").click(lambda think: think, think, thinks)

    def ask(question: str, history: list[Any], kept: dict[str, Any], thinks: bool) -> Any:
        return "", answer(history, question, **kept, thinks=thinks)

    box.submit(ask, [box, chatbot, kept, thinks], [box, chatbot])


def presets() -> None:
    """The choice of a model fills the other settings."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    model = gr.Dropdown(MODELS, value=MODELS[0], label="Model")
    persona = gr.Textbox("Small.", label="System prompt")
    limit = gr.Slider(1, 512, 128, step=1, label="Max new tokens")

    def fill(_: str) -> Any:
        return [], "Large.", gr.Slider(value=2048, maximum=4096)

    model.change(fill, model, [chatbot, persona, limit])

    def ask(question: str, history: list[Any], model: str, persona: str, limit: int) -> Any:
        return "", answer(history, question, model=model, persona=persona, limit=limit)

    box.submit(ask, [box, chatbot, model, persona, limit], [box, chatbot])


def newest_first() -> None:
    """The chatbot is the app's memory, and has the newest turn on top."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")

    def ask(question: str, history: list[Any]) -> Any:
        said = [turn["content"][0]["text"] for turn in history if turn["role"] == "user"]
        turn = answer([], question, asked=[*said[::-1], question])
        return "", [*turn, *history]

    box.submit(ask, [box, chatbot], [box, chatbot])


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


def stoppable() -> None:
    """Two steps, the second of which runs for long; a button cancels them. `ended?` counts the ends."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")

    def show(question: str, history: list[Any]) -> Any:
        return "", [*history, {"role": "user", "content": question}]

    def tick(history: list[Any]) -> Any:
        question = history[-1]["content"][0]["text"]
        if question == "ended?":
            yield answer(history[:-1], question, ended=len(ENDED))
            return
        try:
            for number in range(1, 3000):
                yield [*history, {"role": "assistant", "content": "tick " * number}]
                time.sleep(0.05)
        finally:
            ENDED.append(question)

    shown = box.submit(show, [box, chatbot], [box, chatbot])
    ticking = shown.then(tick, [chatbot], [chatbot])
    gr.Button("Stop").click(None, None, None, cancels=[shown, ticking])


def transcript() -> None:
    """The conversation that the model reads stands in a component that is no chatbot."""
    chatbot, box = gr.Chatbot(label="Talk"), gr.Textbox(label="Message")
    told = gr.JSON([], label="Transcript", visible=False)

    def ask(question: str, told: list[Any]) -> Any:
        return "", answer(told, question, told=[turn["content"] for turn in told])

    box.submit(ask, [box, told], [box, chatbot])


def slow_to_open() -> None:
    """The models on offer come when the page is opened, and that takes a while."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    model = gr.Dropdown([], label="Model", allow_custom_value=True)

    def offer() -> Any:
        time.sleep(5)
        return gr.Dropdown(choices=MODELS, value=MODELS[0])

    when_opened(offer, model)

    def ask(question: str, history: list[Any], model: str) -> Any:
        return "", answer(history, question, model=model)

    box.submit(ask, [box, chatbot, model], [box, chatbot])


def fails_to_open() -> None:
    """What fills the system prompt when the page is opened fails."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    persona = gr.Textbox("Plain.", label="System prompt")

    def fill() -> str:
        raise gr.Error("Nobody is logged in.")

    when_opened(fill, persona)

    def ask(question: str, history: list[Any], persona: str) -> Any:
        return "", answer(history, question, persona=persona)

    box.submit(ask, [box, chatbot, persona], [box, chatbot])


def polled() -> None:
    """Enter only shows the question; a timer fetches the answer."""
    chatbot, box, timer = gr.Chatbot(), gr.Textbox(label="Message"), gr.Timer(1)

    def show(question: str, history: list[Any]) -> Any:
        return "", [*history, {"role": "user", "content": question}]

    def fetch(history: list[Any]) -> Any:
        return answer(history[:-1], history[-1]["content"]) if history else history

    box.submit(show, [box, chatbot], [box, chatbot])
    timer.tick(fetch, chatbot, chatbot)


def no_chatbot() -> None:
    """A text for a text."""
    box, said = gr.Textbox(label="Question"), gr.Textbox(label="Answer")
    box.submit(lambda question: json.dumps({"question": question}), box, said, api_name="reply")


def drawn() -> None:
    """Something else than a chatbot shows the conversation; the question's box is only emptied."""
    kept, box = gr.State([]), gr.Textbox(label="Message")

    def ask(question: str, kept: list[Any]) -> Any:
        return answer(kept, question), ""

    box.submit(ask, [box, kept], [kept, box], api_name="ask")


def no_text() -> None:
    """A picture for a picture."""
    gr.Button("Turn").click(lambda picture: picture, gr.Image(), gr.Image())


def album() -> None:
    """One picture a question."""
    chatbot = gr.Chatbot()
    box = gr.MultimodalTextbox(label="Message", file_types=["image"], file_count="single")

    def ask(asked: dict[str, Any], history: list[Any]) -> Any:
        return None, answer(history, asked["text"], files=len(asked["files"]))

    box.submit(ask, [box, chatbot], [box, chatbot])


def disconnected() -> None:
    """What looks like the conversation, the system prompt and the limit reaches nobody; others do.

    The model does as it is asked: it repeats, remembers, follows a rule, counts, a token a number.
    """
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    system, persona = gr.Textbox("", label="System prompt"), gr.Textbox("", label="Persona")
    limit = gr.Slider(16, 4096, 2048, step=1, label="Max tokens")
    brevity = gr.Slider(16, 4096, 2048, step=1, label="Brevity")

    def ask(question: str, history: list[Any], _: str, persona: str, __: int, brevity: int) -> Any:
        PROBED.append(question)
        text = "I do not know."
        if told := re.search(r"nothing else: (\w+)|password of the day is (\w+)", question):
            text = told[1] or told[2]
        elif told := re.search(r"Count from 1 to (\d+)", question):
            text = ", ".join(map(str, range(1, min(int(told[1]), brevity) + 1)))
        elif told := re.search(r"with the word (\w+)", persona):
            text = f"Four. {told[1]}"
        elif question == "How many?":
            text = str(len(PROBED) - 1)
        said = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        return "", [*history, *said]

    inputs = [box, chatbot, system, persona, limit, brevity]
    box.submit(ask, inputs, [box, chatbot])


def shows_beside() -> None:
    """What the answer draws stands in components beside the chatbot, one of them hidden until then."""
    chatbot, box = gr.Chatbot(), gr.Textbox(label="Message")
    picture, own = gr.Image(interactive=False), gr.Image(label="Your picture")
    gallery = gr.Gallery()
    report = gr.DownloadButton(visible=False)

    red, blue = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))

    def ask(question: str, history: list[Any], own: Any) -> Any:
        conversation = answer(history, question)
        for text in ("", conversation[-1]["content"]):
            growing = [*conversation[:-1], {"role": "assistant", "content": text}]
            written = gr.update(value=__file__, visible=True) if text else gr.skip()
            yield "", growing, red if text else None, [(red, "a"), (blue, "b")], blue, written

    outputs = [box, chatbot, picture, gallery, own, report]
    box.submit(ask, [box, chatbot, own], outputs)


PAGES = (
    checkbox,
    dropdown,
    button,
    unlabelled,
    models_by_load,
    chosen_elsewhere,
    set_elsewhere,
    presets,
    newest_first,
    two_chats,
    elsewhere,
    cancels,
    stoppable,
    transcript,
    slow_to_open,
    fails_to_open,
    polled,
    no_chatbot,
    drawn,
    no_text,
    album,
    disconnected,
    shows_beside,
)


def main() -> None:
    app = FastAPI()
    for build in PAGES:
        with gr.Blocks() as blocks:
            build()
        app = gr.mount_gradio_app(app, blocks, path=f"/{build.__name__}", max_file_size=MOST)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    main()
