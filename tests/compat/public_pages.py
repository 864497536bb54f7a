"""More chat apps that people have published, written again in their shape: pages that hold more.

Two chatbots beside each other, a step that only scores, settings that another event fills, a State of
the app's own things, labels in other languages, tabs. See `public_apps`.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from .chatbots import make_chatbot, messages_of, with_turn
from .forms import Form
from .shapes import _answered, _question, model


def compared(form: Form) -> Any:
    """Two models side by side, each with a memory of its own in one State."""
    with gr.Blocks() as blocks:
        memories = gr.State(lambda: ([], []))
        with gr.Row():
            with gr.Column():
                left = make_chatbot(form, label="Claude Sonnet")
            with gr.Column():
                right = make_chatbot(form, label="Qwen2.5-7B-Instruct")
        with gr.Row():
            box = gr.Textbox(placeholder="Type your message here...", label="Your message", lines=2)
            send, reset = gr.Button("Send ➤", variant="primary"), gr.Button("New Chat 🔄")
        stats = gr.Markdown("Stats will appear here after your first message.")

        def chat(question: str, shown_left: Any, shown_right: Any, kept: Any) -> Any:
            shown = []
            for side, history, memory in zip(
                ("left", "right"), (shown_left, shown_right), kept, strict=True
            ):
                memory.append({"role": "user", "content": question})
                *_, text = model(memory, side=side)
                memory.append({"role": "assistant", "content": text})
                shown.append(with_turn(form, history, question, [text]))
            return *shown, "### Turn Stats", ""

        def forget(kept: Any) -> Any:
            for memory in kept:
                memory.clear()
            return [], [], "Session reset.", kept

        for event in (send.click, box.submit):
            event(chat, [box, left, right, memories], [left, right, stats, box])
        reset.click(forget, [memories], [left, right, stats, memories])
    return blocks


def battle(form: Form) -> Any:
    """A battle of two models in Japanese: two functions follow the first, one for each."""
    names = ["gemma-2-2b-jpn", "qwen2.5-3b", "llama-3-elyza-8b"]
    with gr.Blocks() as blocks:
        weight = gr.Radio(["U-5GB", "U-10GB"], label="階級", value="U-5GB")
        offered = gr.State(names)
        with gr.Row():
            one = gr.Dropdown(names, label="モデルAを選択", value=names[0])
            two = gr.Dropdown(names, label="モデルBを選択", value=names[1])
        weight.change(lambda _: (names[0], names[1], names), weight, [one, two, offered])
        with gr.Row():
            left, right = (
                make_chatbot(form, label="Chatbot A"),
                make_chatbot(form, label="Chatbot B"),
            )
        with gr.Row():
            votes = [gr.Button(f"{side} is better", interactive=False) for side in "AB"]
        box = gr.Textbox(placeholder="日本語でメッセージを入力...", show_label=False)
        said = gr.Textbox(show_label=False, interactive=False, visible=False)

        def ask(question: str, a: Any, b: Any, weight: str) -> Any:
            shown = [_question(form, history or [], question) for history in (a, b)]
            return "", *shown, gr.update(interactive=False)

        def respond(history: Any, name: str) -> Iterator[Any]:
            for text in model(messages_of(history), model=name):
                free = gr.update(interactive=True)
                yield _answered(form, history, text), free, free

        asked = box.submit(ask, [box, left, right, weight], [box, left, right, weight], queue=False)
        asked.then(respond, [left, one], [left, *votes])
        asked.then(respond, [right, two], [right, *votes])
        for vote in votes:
            vote.click(lambda weight, a, b: f"{a} {b}", [weight, one, two], [said])
    return blocks


def personas(form: Form) -> Any:
    """A chat with a personality: the State that holds the conversation is changed in place."""
    with gr.Blocks() as blocks:
        persona = gr.Radio(["Friendly", "Professional"], value="Friendly", label="Personality")
        chatbot = make_chatbot(form, label="Chatbot")
        box = gr.Textbox(placeholder="Type your message here...")
        kept = gr.State([])
        send, clear = gr.Button("Send"), gr.Button("Clear")
        fact = gr.Button("Fun Fact")

        def respond(question: str, kept: Any, persona: str) -> Any:
            *_, text = model([*kept, {"role": "user", "content": question}], persona=persona)
            kept += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": text},
            ]
            return with_turn(form, [], question, [text]), ""

        send.click(respond, [box, kept, persona], [chatbot, box])
        clear.click(lambda: ([], ""), None, [chatbot, box])
        fact.click(lambda kept: respond("A fun fact.", kept, "Friendly")[0], kept, chatbot)
    return blocks


def first_demo(form: Form) -> Any:
    """The demo of the first Qwen models: a State changed in place, beside a chatbot that all read."""
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Qwen-Chat")
        query, kept = gr.Textbox(lines=2, label="Input"), gr.State([])
        empty, submit = gr.Button("🧹 Clear History (清除历史)"), gr.Button("🚀 Submit (发送)")
        regenerate = gr.Button("🤔️ Regenerate (重试)")

        def predict(question: str, history: Any, kept: Any) -> Iterator[Any]:
            kept.append({"role": "user", "content": question})
            text = ""
            for text in model(kept):
                yield with_turn(form, history, question, [text])
            kept.append({"role": "assistant", "content": text})

        def again(history: Any, kept: Any) -> Iterator[Any]:
            *kept, question, _ = kept
            yield from predict(question["content"], history[:-1], kept)

        def reset(_: Any, kept: Any) -> list[Any]:
            kept.clear()
            return []

        submit.click(predict, [query, chatbot, kept], [chatbot])
        submit.click(lambda: gr.update(value=""), [], [query])
        empty.click(reset, [chatbot, kept], [chatbot])
        regenerate.click(again, [chatbot, kept], [chatbot])
    return blocks


def providers(form: Form) -> Any:
    """The answering function takes its inputs as a set; another event fills the choice of models."""
    names = ["gpt-4o-mini", "gpt-4o"]
    with gr.Blocks() as blocks:
        with gr.Tab("Text"), gr.Row():
            with gr.Column():
                provider = gr.Dropdown(["OpenAI"], value="OpenAI", label="Choose provider: ")
                choice = gr.Dropdown(names, label="Choose model: ", value=names[0])
                with gr.Accordion("More settings", open=False):
                    heat = gr.Slider(0, 1.5, value=0, step=0.1, info="Higher is more diverse")
                    system = gr.Textbox(label="System message", value="You are friendly.")
                    restart = gr.Button("Submit")
            with gr.Column():
                chatbot = make_chatbot(form, label="Chatbot")
                box = gr.Textbox(placeholder="Your message", label="")
                gr.ClearButton([box, chatbot])
                send = gr.Button("Send")
        with gr.Tab("Images"):
            gr.Textbox()

        def chat(given: Any) -> Iterator[Any]:
            history = given[chatbot]
            asked = [{"role": "system", "content": given[system]}, *messages_of(history)]
            for text in model(asked, model=given[choice], heat=given[heat]):
                yield _answered(form, history, text)

        shown = gr.on(
            [box.submit, send.click],
            lambda question, history: ("", _question(form, history, question)),
            [box, chatbot],
            [box, chatbot],
            queue=False,
        )
        shown.then(chat, {chatbot, choice, system, heat}, chatbot)
        if hasattr(chatbot, "retry"):
            again = chatbot.retry(lambda history: history[:-1], [chatbot], [chatbot])
            again.then(chat, {chatbot, choice, system, heat}, chatbot)
        provider.change(lambda _: gr.Dropdown(choices=names, value=names[0]), provider, choice)
        restart.click(list, outputs=chatbot)
    return blocks


def personality(form: Form) -> Any:
    """The first step scores the question; a hidden box carries the model that was chosen."""
    names = ["Llama-3-8B", "gpt-4"]
    with gr.Blocks() as blocks:
        with gr.Row():
            with gr.Column(scale=6):
                voice = gr.Audio(sources=["microphone"], type="filepath", label="Tell me")
                heard = gr.Textbox(
                    label="Transcription", placeholder="What you said appears here.."
                )
                chatbot = make_chatbot(form, label="Carebot")
                box = gr.Textbox(label="Type your message here:")
                run, clear = gr.Button("Run", variant="primary"), gr.ClearButton()
            with gr.Column(scale=4):
                choice = gr.Dropdown(names, label="Models", value=names[0])
                chosen = gr.Textbox(label="Selected Model", interactive=False, visible=False)
                scores = gr.Label(label="Personality Scores")
        choice.change(lambda name: name, choice, chosen)

        def show(question: str, history: Any) -> Any:
            return "", _question(form, history, question)

        def respond(history: Any, name: str) -> Any:
            *_, text = model(messages_of(history), chosen=name)
            return _answered(form, history, text)

        scored = gr.on([box.submit, run.click], lambda question: {"open": 1.0}, box, scores)
        scored.then(show, [box, chatbot], [box, chatbot], queue=False).then(
            respond, [chatbot, chosen], chatbot
        )
        clear.click(lambda: None, None, chatbot, queue=False)
        voice.change(lambda path, _: path, [voice, chatbot], [heard])
    return blocks


def housing(form: Form) -> Any:
    """Advice on housing in Korean, with a system prompt, documents, and questions to click on."""
    with gr.Blocks() as blocks:
        with gr.Row():
            with gr.Column(scale=3):
                chatbot = make_chatbot(form, label="대화")
                with gr.Row():
                    box = gr.Textbox(placeholder="주택청약에 대해 물어보세요...", label="", lines=2)
                    send = gr.Button("전송", variant="primary")
                with gr.Row():
                    clear, sources = gr.Button("대화 초기화"), gr.Button("참고 문서 보기")
                examples = [gr.Button("청약통장은 어떻게 만드나요?"), gr.Button("무주택자 기준이?")]
            with gr.Column(scale=1):
                with gr.Accordion("시스템 설정", open=False):
                    system = gr.Textbox(label="시스템 프롬프트", lines=8, value="")
                with gr.Accordion("문서 업로드", open=False):
                    paper = gr.File(label="PDF 또는 TXT 파일 업로드", file_types=[".pdf", ".txt"])
                    upload = gr.Button("업로드 처리")
                    status = gr.Textbox(label="업로드 상태", interactive=False, lines=4)
                found = gr.Markdown("질문 후 클릭하세요.")

        def stream(question: str, history: Any, system: str) -> Iterator[Any]:
            yield _question(form, history, question), ""
            asked = [{"role": "system", "content": system}] if system else []
            asked += [*messages_of(history), {"role": "user", "content": question}]
            for text in ("", *model(asked)):
                yield with_turn(form, history, question, [text]), ""

        for event in (box.submit, send.click):
            event(stream, [box, chatbot, system], [chatbot, box])
        clear.click(lambda: ([], ""), [], [chatbot, box])
        sources.click(lambda question, history: "### 참고 문서", [box, chatbot], [found])
        for example in examples:
            example.click(lambda text: text, [example], [box])
        upload.click(lambda file: "완료", [paper], [status])
    return blocks


def support(form: Form) -> Any:
    """A support desk: a State that holds the session's id and the traces, and no conversation."""
    with gr.Blocks() as blocks:
        state = gr.State(lambda: {"session_id": uuid.uuid4().hex, "trace_ids": []})
        chatbot = make_chatbot(form, label="Support")
        box = gr.Textbox(placeholder="Type your question...", show_label=False)

        def submit(question: str, history: Any, state: Any) -> Any:
            asked = [*messages_of(history), {"role": "user", "content": question}]
            *_, text = model(asked, session=len(state["session_id"]))
            traces = {**state, "trace_ids": [*state["trace_ids"], "t"]}
            return "", with_turn(form, history, question, [text]), traces

        box.submit(submit, [box, chatbot, state], [box, chatbot, state])
        chatbot.like(lambda state: None, [state], [])
    return blocks


def agents(form: Form) -> Any:
    """A client of several providers: what the model reads, its name and a stop flag in States."""
    names = ["glm-4-flash", "gemini-2.0-flash", "openAI-Agents"]
    with gr.Blocks() as blocks:
        chatbot = make_chatbot(form, label="Hi,look at here!", elem_id="Multimodal Chatbot")
        told, name, stopped = gr.State([]), gr.State("glm-4-flash"), gr.State(False)
        stop = gr.Button("停止推理", visible=False)
        with gr.Row():
            topic = gr.Checkbox(label="新话题")
            box = gr.MultimodalTextbox(file_types=["file"], show_label=False)
            choice = gr.Dropdown(names, value=names[0], show_label=False, label="models")

        def pick(event: gr.SelectData) -> Any:
            return event.value

        def add(shown: Any, told: Any, value: Any, name: str) -> Any:
            told = [*told, {"role": "user", "content": value["text"]}]
            cleared = gr.update(value=None, interactive=False)
            return _question(form, shown, value["text"]), told, cleared, gr.update(visible=True)

        def infer(shown: Any, told: Any, new: bool, name: str, stopped: bool) -> Iterator[Any]:
            told = told[-1:] if new else told
            text = ""
            for text in model(told, model=name):
                yield _answered(form, shown, text), told
            yield _answered(form, shown, text), [*told, {"role": "assistant", "content": text}]

        choice.select(pick, None, name)
        stop.click(lambda: True, None, stopped)
        added = box.submit(add, [chatbot, told, box, name], [chatbot, told, box, stop], queue=False)
        done = added.then(
            infer, [chatbot, told, topic, name, stopped], [chatbot, told], api_name="bot_response"
        )
        done.then(lambda: gr.update(value=False), None, [topic])
        done.then(lambda: gr.update(interactive=True), None, [box])
        done.then(lambda: gr.update(visible=False), None, [stop])
        done.then(lambda: False, None, stopped)
    return blocks


def deepseek(form: Form) -> Any:
    """A `gr.ChatInterface` with its settings in Chinese, in an accordion of its own, in a tab."""

    def predict(
        question: str,
        history: Any,
        prompt: str,
        heat: float,
        length: int,
        top_k: int,
        penalty: float,
        top_p: float,
    ) -> Iterator[str]:
        asked = [
            {"role": "system", "content": prompt},
            *messages_of(history),
            {"role": "user", "content": question},
        ]
        yield from model(
            asked, temperature=heat, max_tokens=length, top_k=top_k, penalty=penalty, top_p=top_p
        )

    with gr.Blocks() as chat:
        with gr.Accordion(label="⚙️ 参数设置", open=False) as settings:
            inputs = [
                gr.Textbox("You are a useful assistant.", label="系统提示词"),
                gr.Slider(0, 1, 0.6, label="温度参数"),
                gr.Slider(0, 32000, 10000, step=1, label="最大 token 数"),
                gr.Slider(1, 80, 40, step=1, label="Top-K 采样"),
                gr.Slider(0, 2, 1.1, label="重复性惩罚"),
                gr.Slider(0, 1, 0.95, label="Top-P 采样"),
            ]
        kind: dict[str, Any] = {}
        if form.version < (6,):
            kind["type"] = "tuples" if form.chatbot == "modelscope" else form.chatbot
        gr.ChatInterface(
            predict, additional_inputs=inputs, additional_inputs_accordion=settings, **kind
        )
    with gr.Blocks() as about:
        gr.Textbox(label="Notes")
    return gr.TabbedInterface([chat, about], ["Chat", "About"])


def answers_text(form: Form) -> Any:
    """Questions about documents by `gr.Interface`, text and files to text, beside a tab of figures."""

    def ask(question: str, picture: Any, table: Any) -> str:
        *_, text = model([{"role": "user", "content": question}], files=[picture, table])
        return text

    chat = gr.Interface(
        ask,
        [
            gr.Textbox(label="Ask a question"),
            gr.File(label="Upload an Image (Optional)", type="binary"),
            gr.File(label="Upload a Table (CSV, Optional)", type="binary"),
        ],
        gr.Textbox(label="RAG Response"),
    )
    figures = gr.Interface(lambda: json.dumps({"queries": 1}), [], [gr.Textbox(label="Summary")])
    return gr.TabbedInterface([chat, figures], ["Chat", "Analytics"])


PUBLIC_PAGES: dict[str, Callable[[Form], Any]] = {
    page.__name__: page
    for page in (
        compared,
        battle,
        personas,
        first_demo,
        providers,
        personality,
        housing,
        support,
        agents,
        deepseek,
        answers_text,
    )
}
