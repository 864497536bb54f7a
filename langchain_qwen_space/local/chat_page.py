"""The page of a Space that you serve: today's `gr.ChatInterface`, with the system prompt in a drawer."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from .answers import Answerer, file_types, paced, pairs, paths, takes_files

DEMO = "A demo"
EXAMPLES = ["Show me what Markdown can do", "Write some code", "Count to 100"]


def build(
    answer: Answerer, *, model: str | None, concurrency: int = 5, pace: float = 0.0
) -> gr.Blocks:
    """Lay out the page and connect `answer` to it.

    Args:
        answer: What answers, see `LocalSpace`. The files that it takes can be attached.
        model: The name of the model that answers; None if none does, and then the page says so.
        concurrency: How many answers may be written at a time.
        pace: Seconds to wait between two chunks.

    Returns:
        The page, not yet served.
    """
    # For clients, which read the model's name here. People read it above the conversation.
    chosen = [gr.Dropdown([model], value=model, label="Model", visible=False)] if model else []

    with_files = takes_files(answer)

    def example(text: str) -> Any:
        return {"text": text} if with_files else text

    def chat(
        asked: Any, history: list[dict[str, Any]], system: str | None, *_model: str
    ) -> Iterator[dict[str, Any]]:
        query, attached = (asked["text"], asked["files"]) if with_files else (asked, [])
        more: dict[str, Any] = (
            {"files": [*map(paths, history[::2]), attached]} if with_files else {}
        )
        texts = answer(system or "", pairs(history), query or "", model or "model", **more)
        with closing(paced(texts, pace)) as shown_texts:
            for text in shown_texts:
                # A typed part, since Gradio re-indents a plain string.
                yield {"role": "assistant", "content": [{"type": "text", "text": text}]}

    shown: dict[str, Any] = {
        "label": "Question",
        "placeholder": "Ask something",
        "show_label": False,
        "container": False,
        "max_lines": 8,
        "autofocus": True,
        "submit_btn": "Send",
        "stop_btn": "Stop",
    }
    page = gr.ChatInterface(
        chat,
        title=model or DEMO,
        description=None if model else "A script answers here, not a language model.",
        chatbot=gr.Chatbot(label="Conversation", scale=1),
        multimodal=with_files,
        textbox=(
            gr.MultimodalTextbox(file_count="multiple", file_types=file_types(answer), **shown)
            if with_files
            else gr.Textbox(**shown)
        ),
        additional_inputs=[gr.Textbox(label="System prompt", lines=3), *chosen],
        additional_inputs_accordion=gr.Accordion("System prompt", open=False),
        examples=None if model else [[example(text)] for text in EXAMPLES],
        concurrency_limit=concurrency,
        analytics_enabled=False,
    )
    # Gradio runs no more than this at a time, whatever its limits say: the answers, and some room
    # for the page's other functions.
    page.max_threads = max(page.max_threads, 2 * concurrency)
    return page
