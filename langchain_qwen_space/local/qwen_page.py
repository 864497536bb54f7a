"""The page of `Qwen/Qwen2.5` in today's Gradio: its layout, its functions, their order.

Clients read the endpoint off the page's `/config`, so labels, the order of inputs and the order
in which things are made (it numbers them) are the ones that the public Space has.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from .answers import Answerer, file_types, paced, pairs, paths, takes_files

DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
GENERAL = ["72B", "32B", "14B", "7B", "3B", "1.5B", "0.5B"]
MATH = ["Math-72B", "Math-7B", "Math-1.5B"]
CODER = ["Coder-7B", "Coder-1.5B"]
VISION = [f"Qwen2.5-VL-{size}-Instruct" for size in ("72B", "32B", "7B", "3B")]

# What Gradio's chatbot hands to a function and takes from it: role, content and a few more keys.
Message = dict[str, Any]


def build(
    answer: Answerer,
    *,
    concurrency: int = 5,
    revises: bool = True,
    pace: float = 0.0,
) -> gr.Blocks:
    """Lay out the page and connect `answer` to it.

    Args:
        answer: What answers, see `LocalSpace`. If it takes `files`, they can be attached to the
            question, and the models on the page are those of Qwen2.5-VL.
        concurrency: How many answers may be written at a time.
        revises: Hand texts to Gradio as plain strings, which it re-indents at every event, as the
            public Space does. False hands them over as typed parts, which Gradio leaves alone.
        pace: Seconds to wait between two chunks.

    Returns:
        The page, not yet served.
    """
    with_files = takes_files(answer)
    models = VISION if with_files else []
    general_names, math_names, coder_names = (models, [], []) if models else (GENERAL, MATH, CODER)
    first = general_names[0]
    empty = None if with_files else ""  # the box, once the question is sent

    def full_name(choice: str) -> str:
        return choice if models else f"Qwen2.5-{choice}-instruct"

    def model_name(choice: str) -> str:
        return choice if models else full_name(choice).lower()

    def message(role: str, text: str, attached: Sequence[str] = ()) -> Message:
        said: Any = text if revises else {"type": "text", "text": text}
        if not attached:
            return {"role": role, "content": text if revises else [said]}
        return {"role": role, "content": [*({"path": path} for path in attached), said]}

    def model_chat(
        asked: Any, history: list[Message], system: str, choice: str
    ) -> Iterator[tuple[Any, list[Message], str]]:
        query, attached = (asked["text"], asked["files"]) if with_files else (asked, [])
        query = query or ""
        turns = pairs(history)
        files = [*(paths(turn) for turn in history[::2]), attached]
        shown = [
            message(role, text, given if role == "user" else ())
            for pair, given in zip(turns, files, strict=False)
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        more: dict[str, Any] = {"files": files} if with_files else {}
        texts = answer(system, turns, query, model_name(choice), **more)
        with closing(paced(texts, pace)) as growing:
            for text in growing:
                now = [message("user", query, attached), message("assistant", text)]
                yield empty, [*shown, *now], system

    def keep_one(chosen: str | None, *_others: str | None) -> tuple[Any, Any, Any]:
        if chosen is None:  # emptied by the choice in another radio
            return gr.skip(), gr.skip(), gr.skip()
        return chosen, None, None

    def clear_session() -> tuple[Any, list[Message]]:
        return empty, []

    def modify_system_session(system: str) -> tuple[str, str, list[Message]]:
        system = system or DEFAULT_SYSTEM
        return system, system, []

    def choose_radio(choice: str, system: str) -> tuple[str, str, str, Any]:
        return f"## {full_name(choice)}", system, system, empty

    page = gr.Blocks(title="Local Space")
    # Gradio runs no more than this at a time, whatever its limits say: the answers, and some room
    # for the page's other functions.
    page.max_threads = max(page.max_threads, 2 * concurrency)
    with page:
        gr.Markdown("# A local Space with the layout of Qwen/Qwen2.5")
        with gr.Row():
            with gr.Row():
                general = gr.Radio(
                    general_names, value=first, label="Model" if models else "Qwen2.5："
                )
            with gr.Row():
                math = gr.Radio(math_names, label="Qwen2.5-Math：", visible=not models)
            with gr.Row():
                coder = gr.Radio(coder_names, label="Qwen2.5-Coder：", visible=not models)
        # The endpoint's input. Gradio refuses a value that is not a choice, so it has all of them. A
        # label tells clients what it is, where the names of the models do not.
        model = gr.Radio(
            [*general_names, *math_names, *coder_names],
            value=first,
            label="Model" if models else None,
            visible=False,
        )
        with gr.Row(), gr.Accordion():
            mark = gr.Markdown(f"## {full_name(first)}")
            with gr.Row():
                with gr.Column(scale=3):
                    system_box = gr.Textbox(value=DEFAULT_SYSTEM, lines=1, label="System")
                with gr.Column(scale=1):
                    modify = gr.Button("Set system prompt and clear history", scale=2)
                system_state = gr.Textbox(value=DEFAULT_SYSTEM, visible=False)
            chatbot = gr.Chatbot(label=first.lower())
            if with_files:
                query_box: Any = gr.MultimodalTextbox(
                    lines=1,
                    label="Input",
                    file_count="multiple",
                    file_types=file_types(answer),
                    submit_btn=False,
                )
            else:
                query_box = gr.Textbox(lines=1, label="Input")
            with gr.Row():
                clear = gr.Button("Clear history")
                send = gr.Button("Send")

        radios = [general, math, coder]
        for radio in radios:
            others = [other for other in radios if other is not radio]
            radio.change(keep_one, [radio, *others], [model, *others])
        for trigger in (query_box.submit, send.click):
            # One function, hence one concurrency group: the limit holds for both together.
            trigger(
                model_chat,
                [query_box, chatbot, system_state, model],
                [query_box, chatbot, system_box],
                concurrency_limit=concurrency,
            )
        clear.click(clear_session, None, [query_box, chatbot])
        modify.click(modify_system_session, system_box, [system_state, system_box, chatbot])
        model.change(choose_radio, [model, system_box], [mark, system_state, system_box, query_box])
    return page
