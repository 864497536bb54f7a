"""Ten chat apps that people have published, written again in their shape, with a scripted model.

They were found by searching public source code for pages with a chatbot. Each function keeps what
matters to a client: the components, their labels and order, the events and the functions' inputs
and outputs. The model behind them is the one of `shapes`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from .chatbots import make_box, make_chatbot, messages_of, text_of, with_turn
from .forms import Form
from .shapes import _answered, _question, model


def _greeting(form: Form, text: str) -> list[Any]:
    """A chatbot's value before anybody has asked anything."""
    if form.chatbot == "messages":
        return [{"role": "assistant", "content": text}]
    return [[None, text]]


def greets_and_locks(form: Form) -> Any:
    """A lecture's assistant: the first function takes nothing and locks the button."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chatbot", value=_greeting(form, "How can I help?"))
        with gr.Row():
            message = gr.Textbox(placeholder="Type your question here...", label="Question:")
            button = gr.Button("Submit", variant="primary")
            gr.ClearButton(message)

        def answer(history: Any) -> Any:
            *_, text = model(messages_of(history))
            return _answered(form, history, text)

        def show(question: str, history: Any) -> Any:
            return "", _question(form, history, question)

        for event in (message.submit, button.click):
            locked = event(lambda: gr.update(interactive=False), outputs=button, queue=False)
            shown = locked.then(show, [message, chatbot], [message, chatbot], queue=False)
            answered = shown.then(answer, chatbot, chatbot)
            answered.then(lambda: gr.update(interactive=True), outputs=button, queue=False)
    return blocks


def audio_demo(form: Form) -> Any:
    """A demo of a model for speech: a State with the model's messages beside the chatbot."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Audio-7B-Instruct")
        box = make_box(form, file_types=["audio"])
        task_history = gr.State([])

        def add_text(shown: Any, tasks: Any, value: Any) -> Any:
            tasks = [*tasks, {"role": "user", "content": text_of(value)}]
            return _question(form, shown, text_of(value)), tasks, gr.update(value=None)

        def predict(shown: Any, tasks: Any) -> Any:
            *_, text = model(tasks)
            tasks = [*tasks, {"role": "assistant", "content": text}]
            return _answered(form, shown, text), tasks

        asked = box.submit(add_text, [chatbot, task_history, box], [chatbot, task_history, box])
        asked.then(predict, [chatbot, task_history], [chatbot, task_history])
        empty = gr.Button("🧹 Clear History (清除历史)")
        empty.click(lambda: ([], []), outputs=[chatbot, task_history])
        gr.Button("🤔️ Regenerate (重试)").click(
            predict, [chatbot, task_history], [chatbot, task_history]
        )
    return blocks


def hidden_transcript(form: Form) -> Any:
    """A client of a provider: what the model reads stands in a hidden `gr.JSON`, not the chatbot."""
    with gr.Blocks() as blocks:
        key = gr.Textbox(value="k-1", label="Open Router API key", type="password")
        length = gr.Slider(250, 4096, value=2048, step=1, label="Max new tokens")
        heat = gr.Slider(0.1, 4.0, value=0.5, step=0.1, label="Temperature")
        transcript = gr.JSON(value=[], show_label=False, visible=False)
        clear = gr.Button("Delete History", variant="secondary")
        chatbot = make_chatbot(form, label="Chatbot")
        box = gr.MultimodalTextbox(
            file_types=["image"], placeholder="Enter message or upload file...", show_label=False
        )

        def user(value: Any, told: Any, shown: Any) -> Any:
            told = [*(told or []), {"role": "user", "content": value["text"]}]
            return {"text": ""}, told, _question(form, shown, value["text"])

        def respond(shown: Any, key: str, heat: float, length: int, told: Any) -> Iterator[Any]:
            text = ""
            for text in model(told, key=key, temperature=heat, max_tokens=length):
                yield _answered(form, shown, text), told
            yield (
                _answered(form, shown, text),
                [*told, {"role": "assistant", "content": text}],
            )

        clear.click(list, [], [transcript])
        box.submit(user, [box, transcript, chatbot], [box, transcript, chatbot]).then(
            respond, [chatbot, key, heat, length, transcript], [chatbot, transcript]
        )
    return blocks


def weather(form: Form) -> Any:
    """An agent for the weather: box and State in, chatbot and State out, in one piece."""
    with gr.Blocks() as blocks:
        gr.Markdown("# ⛅ Weather Chatbot")
        chatbot = make_chatbot(form, label="Chatbot")
        box = gr.Textbox(placeholder="Ask about the weather...")
        clear = gr.Button("Clear")
        past = gr.State([])

        def answer(question: str, past: Any) -> Any:
            *_, text = model([*messages_of(past), {"role": "user", "content": question}])
            now = with_turn(form, past, question, [text])
            return now, now

        box.submit(answer, inputs=[box, past], outputs=[chatbot, past])
        clear.click(lambda: ([], []), None, [chatbot, past])
    return blocks


def party(form: Form) -> Any:
    """A planner of parties: eight boxes about the event beside the one for the question."""
    with gr.Blocks() as blocks:
        names = ("Event Title", "Date & Time", "Street Address", "City", "State", "ZIP Code")
        fields = [gr.Textbox(label=name) for name in (*names, "Country")]
        fields.append(gr.Textbox(label="Description", lines=4))
        chatbot = make_chatbot(form, label="Chatbot")
        message = gr.Textbox(label="Your Message")

        def answer(question: str, history: Any, *about: str) -> Any:
            asked = [*messages_of(history), {"role": "user", "content": question}]
            *_, text = model(asked, about="".join(about))
            return "", with_turn(form, history, question, [text])

        gr.Button("Send").click(answer, [message, chatbot, *fields], [message, chatbot])
    return blocks


def resume(form: Form) -> Any:
    """A writer of resumes: a box for a link and two files, all emptied with the question."""
    with gr.Blocks() as blocks:
        link = gr.Textbox(label="Job URL", placeholder="Paste job posting URL...")
        paper = gr.File(label="Upload your Resume (PDF)", file_types=[".pdf"])
        template = gr.File(label="Upload LaTeX Template (.tex)", file_types=[".tex"])
        chatbot = make_chatbot(form, label="Chatbot")
        message = gr.Textbox(label="Your message")

        def answer(question: str, history: Any, paper: Any, link: str, template: Any) -> Any:
            asked = [*messages_of(history), {"role": "user", "content": question}]
            *_, text = model(asked, files=[paper, template], link=link)
            return with_turn(form, history, question, [text]), "", None, "", None

        inputs = [message, chatbot, paper, link, template]
        message.submit(answer, inputs, [chatbot, message, paper, link, template])
        gr.Button("Clear History").click(lambda: None, None, chatbot, queue=False)
    return blocks


def small_model(form: Form) -> Any:
    """A small model's own page, in Japanese: a State that only carries the model."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chatbot")
        with gr.Row():
            message = gr.Textbox(label="メッセージ", scale=4)
            send = gr.Button("送信", variant="primary")
        heat = gr.Slider(0.2, 1.5, value=0.8, step=0.05, label="Temperature")
        length = gr.Slider(8, 256, value=64, step=8, label="Max new tokens")
        loaded = gr.State({"model": "tiny"})

        def answer(question: str, history: Any, heat: float, length: int, loaded: Any) -> Any:
            asked = [*messages_of(history), {"role": "user", "content": question}]
            *_, text = model(asked, temperature=heat, max_tokens=length, loaded=loaded["model"])
            return with_turn(form, history, question, [text]), ""

        for event in (send.click, message.submit):
            event(answer, [message, chatbot, heat, length, loaded], [chatbot, message])
    return blocks


def documents(form: Form) -> Any:
    """Questions about documents: two steps, and the box keeps its text."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chatbot", elem_id="chatbot")
        with gr.Row():
            text = gr.Textbox(show_label=False, placeholder="Ask Anything !")
            submit = gr.Button("Submit", variant="primary")
            clear = gr.Button("Clear", variant="stop")

        def add(history: Any, question: str) -> Any:
            return _question(form, history, question)

        def answer(history: Any) -> Any:
            *_, said = model(messages_of(history))
            return _answered(form, history, said)

        text.submit(add, [chatbot, text], chatbot).then(answer, chatbot, chatbot)
        submit.click(add, [chatbot, text], chatbot).then(answer, chatbot, chatbot)
        clear.click(lambda: None, None, chatbot, queue=False)
    return blocks


def stems(form: Form) -> Any:
    """A tool for music with an assistant beside it: other boxes, buttons and choices of models."""
    with gr.Blocks() as blocks:
        choice = gr.Dropdown(["htdemucs", "htdemucs_6s"], value="htdemucs", label="Model")
        song = gr.Textbox(label="Song", value="a song", interactive=False)
        parts = gr.CheckboxGroup(["vocals", "drums"], value=["vocals"], label="Stems to generate")
        status = gr.Markdown("")
        goal = gr.Textbox(label="Your goal", placeholder="e.g. karaoke / acapella")
        suggest = gr.Button("Suggest stems for this goal")
        chatbot = make_chatbot(form, label="Chat")
        message = gr.Textbox(
            label="Message", placeholder="Ask the assistant anything about stems..."
        )

        def answer(question: str, history: Any, choice: str, song: str) -> Any:
            asked = [*messages_of(history), {"role": "user", "content": question}]
            *_, text = model(asked, model=choice, song=song)
            return with_turn(form, history, question, [text]), ""

        choice.change(lambda _: ["vocals"], choice, parts)
        suggest.click(lambda text, _: (["drums"], text), [goal, choice], [parts, status])
        message.submit(answer, [message, chatbot, choice, song], [chatbot, message])
    return blocks


def personality_game(form: Form) -> Any:
    """A game that talks: a generator that locks the box first and answers after a while."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Game", value=_greeting(form, "Welcome!"))
        box = gr.MultimodalTextbox()
        button = gr.Button("性格评价")

        def submit(value: Any, history: Any) -> Iterator[Any]:
            shown = _question(form, history, value["text"])
            yield gr.update(interactive=False, value=None), shown
            time.sleep(0.1)
            *_, text = model(messages_of(shown))
            yield {chatbot: _answered(form, shown, text)}

        def judged(history: Any) -> Any:
            return _question(form, history, "character")

        box.submit(submit, [box, chatbot], [box, chatbot])
        button.click(judged, [chatbot], [chatbot])
    return blocks


PUBLIC_APPS: dict[str, Callable[[Form], Any]] = {
    app.__name__: app
    for app in (
        greets_and_locks,
        audio_demo,
        hidden_transcript,
        weather,
        party,
        resume,
        small_model,
        documents,
        stems,
        personality_game,
    )
}
