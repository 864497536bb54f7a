"""Chat pages on which something else looks like the chat, its question, or one of its settings.

The model behind them is the one of `shapes`.
"""

import uuid
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import gradio as gr

from .chatbots import make_chatbot, messages_of, with_turn
from .forms import Form
from .shapes import OWN_PROMPT, _answered, _question, model


def _said(history: Any, question: str) -> list[Any]:
    return [*messages_of(history), {"role": "user", "content": question}]


def stashed_in_a_box(form: Form) -> Any:
    """The first step moves the question into a hidden box without a label."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chatbot")
        box = gr.Textbox(show_label=False, placeholder="Type here")
        stash = gr.Textbox(visible=False)

        def answer(question: str, history: Any) -> Iterator[Any]:
            for text in model(messages_of(history), stash=question):
                yield _answered(form, history, text)

        moved = box.submit(lambda question: ("", question), box, [box, stash], queue=False)
        shown = moved.then(
            lambda question, history: _question(form, history, question), [stash, chatbot], chatbot
        )
        shown.success(answer, [stash, chatbot], chatbot)
    return blocks


def apologizes(form: Form) -> Any:
    """A step that the page calls only if the one that answers fails (Gradio 5.36 on)."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")

        def answer(question: str, history: Any) -> Iterator[Any]:
            for text in model(_said(history, question)):
                yield with_turn(form, history, question, [text]), ""

        answered = box.submit(answer, [box, chatbot], [chatbot, box])
        if form.version >= (5, 36):
            answered.failure(
                lambda history: with_turn(form, history, "?", ["Sorry."]), chatbot, chatbot
            )
    return blocks


def has_other_buttons(form: Form) -> Any:
    """A button before the box streams and takes more than Enter does, but is for something else."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        system = gr.Textbox("Sum up.", label="System prompt")
        heat = gr.Slider(0, 2, 1, step=0.1, label="Temperature")

        def sum_up(question: str, history: Any, *_: Any) -> Iterator[Any]:
            for text in model([], wrong="the summary"):
                yield with_turn(form, history, question, [text]), ""

        def answer(question: str, history: Any) -> Any:
            *_, text = model(_said(history, question))
            return with_turn(form, history, question, [text]), ""

        summary = gr.Button("Sum up")
        summary.click(sum_up, [box, chatbot, system, heat], [chatbot, box])
        box.submit(answer, [box, chatbot], [chatbot, box])
    return blocks


def asks_for_a_key(form: Form) -> Any:
    """A box for a key stands before the one for the question; neither has a label."""
    with gr.Blocks() as blocks:
        key = gr.Textbox(type="password", show_label=False, placeholder="Key for your question")
        chatbot = make_chatbot(form, label="Chatbot")
        box = gr.Textbox(show_label=False, placeholder="Say something")

        def answer(key: str, question: str, history: Any) -> Any:
            *_, text = model(_said(history, question), key=key)
            return with_turn(form, history, question, [text])

        gr.Button("Go").click(answer, [key, box, chatbot], [chatbot])
    return blocks


def limits_much(form: Form) -> Any:
    """Three limits, of which one is that of the answer."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        turns = gr.Slider(1, 20, 5, step=1, label="Max history length")
        size = gr.Slider(128, 8192, 4096, step=1, label="Maximum input tokens")
        limit = gr.Slider(1, 4096, 512, step=1, label="Max output tokens")

        def answer(question: str, history: Any, turns: int, size: int, limit: int) -> Any:
            *_, text = model(_said(history, question), turns=turns, size=size, limit=limit)
            return with_turn(form, history, question, [text]), ""

        box.submit(answer, [box, chatbot, turns, size, limit], [chatbot, box])
    return blocks


def asks_again(form: Form) -> Any:
    """A button calls the function that answers once more, with the State of a setting."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        tone = gr.State("friendly")

        def answer(history: Any, tone: str) -> Any:
            *_, text = model(messages_of(history), tone=tone)
            return _answered(form, history, text)

        shown = box.submit(
            lambda question, history: ("", _question(form, history, question)),
            *([box, chatbot], [box, chatbot]),
        )
        shown.then(answer, [chatbot, tone], [chatbot])
        gr.Button("Again").click(answer, [chatbot, tone], [chatbot])
    return blocks


def knows_its_visitor(form: Form) -> Any:
    """A hidden box without a label, which the page fills with the id of a visit when it is opened."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        visit = gr.Textbox(visible=False)

        def answer(question: str, history: Any, visit: str) -> Any:
            *_, text = model(_said(history, question), known=visit.startswith("visit-"))
            return with_turn(form, history, question, [text]), ""

        blocks.load(lambda: f"visit-{uuid.uuid4()}", None, visit)
        box.submit(answer, [box, chatbot, visit], [chatbot, box])
    return blocks


def fills_its_settings(form: Form) -> Any:
    """The page's own system prompt and temperature are read when it is opened."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        system = gr.Textbox(label="System prompt")
        heat = gr.Slider(0, 2, 1, step=0.05, label="Temperature")

        def answer(question: str, history: Any, system: str, heat: float) -> Any:
            *_, text = model(_said(history, question), system=system, temperature=heat)
            return with_turn(form, history, question, [text]), ""

        blocks.load(lambda: (OWN_PROMPT, 0.25), None, [system, heat])
        box.submit(answer, [box, chatbot, system, heat], [chatbot, box])
    return blocks


def greets(form: Form) -> Any:
    """The chatbot begins with a greeting, which the app leaves out of what it gives the model."""
    return _greets(form, when_opened=False)


def greets_when_opened(form: Form) -> Any:
    """The same, where the greeting comes when the page is opened."""
    return _greets(form, when_opened=True)


def _greets(form: Form, *, when_opened: bool) -> Any:
    greeting: list[Any] = [[None, "How can I help?"]]
    if form.chatbot == "messages":
        greeting = [{"role": "assistant", "content": "How can I help?"}]
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Chatbot", value=None if when_opened else greeting)
        box = gr.Textbox(label="Ask")

        def answer(question: str, history: Any) -> Any:
            *_, text = model(_said(history[1:], question))
            return with_turn(form, history, question, [text]), ""

        if when_opened:
            blocks.load(lambda: greeting, None, chatbot)
        box.submit(answer, [box, chatbot], [chatbot, box])
    return blocks


def shows_no_question(form: Form) -> Any:
    """The chatbot shows the answer alone; the app knows no earlier turns."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")

        def answer(question: str) -> Any:
            *_, text = model([{"role": "user", "content": question}])
            if form.chatbot == "messages":
                return [{"role": "assistant", "content": text}]
            return [[None, text]]

        box.submit(answer, [box], [chatbot])
    return blocks


def checks_first(form: Form) -> Any:
    """The first step checks the question, and gives the conversation back as it was."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")

        def check(question: str, history: Any) -> Any:
            if not question:
                raise gr.Error("Ask something.")
            return question, history

        def answer(question: str, history: Any) -> Iterator[Any]:
            yield history, gr.update(interactive=False)
            for text in model(_said(history, question)):
                yield with_turn(form, history, question, [text]), gr.update(value="")

        checked = box.submit(check, [box, chatbot], [box, chatbot])
        checked.success(answer, [box, chatbot], [chatbot, box])
    return blocks


def is_too_busy(form: Form) -> Any:
    """The app says that it is too busy, and gives the conversation back as it was."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")

        def answer(question: str, history: Any) -> Any:
            gr.Warning("Too many people are here.")
            return history, question

        box.submit(answer, [box, chatbot], [chatbot, box])
    return blocks


def answers_by_change(form: Form) -> Any:
    """Enter only shows the question; the `change` of a State that it fills has it answered."""
    return _answers_by_change(form, gr.State)


def answers_by_change_of_a_box(form: Form) -> Any:
    """The same, where a hidden box is filled."""
    return _answers_by_change(form, lambda: gr.Textbox(label="Last", visible=False))


def answers_by_change_of_what_it_shows(form: Form) -> Any:
    """The same, where the question is shown in a box that a person sees."""
    return _answers_by_change(form, lambda: gr.Textbox(label="You said", interactive=False))


def acts_on_changes(form: Form) -> Any:
    """The `change` of a State, and of a choice, empties the chatbot; a question changes neither."""
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        talk, choice = gr.State("first"), gr.Dropdown(["first", "second"], value="first")

        def answer(question: str, history: Any) -> Iterator[Any]:
            for text in model(_said(history, question)):
                done = with_turn(form, history, question, [text])
                yield done, "", "first", gr.update(value="first")

        box.submit(answer, [box, chatbot], [chatbot, box, talk, choice])
        for kept in (talk, choice):
            kept.change(list, None, chatbot).then(list, None, chatbot)
    return blocks


def _answers_by_change(form: Form, make_kept: Callable[[], Any]) -> Any:
    with gr.Blocks() as blocks:
        chatbot, box = make_chatbot(form, label="Chatbot"), gr.Textbox(label="Ask")
        kept = make_kept()

        def answer(history: Any) -> Iterator[Any]:
            for text in model(messages_of(history)):
                yield _answered(form, history, text)

        box.submit(
            lambda question, history: (question, "", _question(form, history, question)),
            *([box, chatbot], [kept, box, chatbot]),
        )
        kept.change(answer, [chatbot], [chatbot])
    return blocks


def shows_its_tools(form: Form) -> Any:
    """Two chatbots, the first of which shows the calls of tools; a State holds the conversation."""
    with gr.Blocks() as blocks:
        tools, chatbot = make_chatbot(form, label="Tool log"), make_chatbot(form, label="Agent")
        box, kept = gr.Textbox(label="Ask"), gr.State([])

        def answer(question: str, past: Any) -> Any:
            *_, text = model([*past, {"role": "user", "content": question}])
            log = with_turn(form, [], question, ["search()"])
            return log, with_turn(form, [], question, [text]), past, ""

        box.submit(answer, [box, kept], [tools, chatbot, kept, box])
    return blocks


def keeps_a_transcript(form: Form) -> Any:
    """The answer stands behind the question, in a text box."""
    with gr.Blocks() as blocks:
        talk, box = gr.Textbox(label="Conversation"), gr.Textbox(label="Ask")

        def answer(question: str, talk: str) -> Iterator[Any]:
            for text in model([{"role": "user", "content": question}], talk=talk):
                yield f"{talk}\nYou: {question}\nAssistant: {text}".strip(), ""

        box.submit(answer, [box, talk], [talk, box], api_name="answer")
    return blocks


def keeps_a_transcript_in_html(form: Form) -> Any:
    """The same in HTML, which grows at its end."""
    with gr.Blocks() as blocks:
        talk, box = gr.HTML(label="Conversation"), gr.Textbox(label="Ask")

        def answer(question: str) -> Iterator[Any]:
            for text in model([{"role": "user", "content": question}]):
                yield f"<b>You:</b> {escape(question)}<br><b>Bot:</b> {text}", ""

        box.submit(answer, [box], [talk, box], api_name="answer")
    return blocks


MISLEADING_PAGES: dict[str, Callable[[Form], Any]] = {
    page.__name__: page
    for page in (
        stashed_in_a_box,
        apologizes,
        has_other_buttons,
        asks_for_a_key,
        limits_much,
        asks_again,
        knows_its_visitor,
        fills_its_settings,
        greets,
        greets_when_opened,
        shows_no_question,
        checks_first,
        is_too_busy,
        answers_by_change,
        answers_by_change_of_a_box,
        answers_by_change_of_what_it_shows,
        acts_on_changes,
        shows_its_tools,
        keeps_a_transcript,
        keeps_a_transcript_in_html,
    )
}
