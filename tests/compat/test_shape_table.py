"""`docs/reference/shapes.md` says what reaches the model in each kind of app, as it was found here.

`WRITE_SHAPES=1` writes the page's table instead of comparing it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.events import SpaceEvent, WarningEvent

from .forms import FORMS, Form
from .servers import Server

pytestmark = [
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # the events say the same
]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "shapes.md"
BEGIN, END = "<!-- table: written by make compat -->", "<!-- end of table -->"

APPS = {
    "qwen25": "the page of Qwen/Qwen2.5",
    "older": "an older page of it",
    "coder": "the page of Qwen2.5-Coder",
    "renamed": "the same inputs in another order, with other labels",
    "no_system": "a box and a chatbot, no system prompt",
    "plain_function": "a function that returns its answer in one piece",
    "reasoning_tags": "a chatbot that folds `<think>` away",
    "chat_interface": "`gr.ChatInterface` with a system prompt",
    "chat_interface_plain": "`gr.ChatInterface` alone",
    "chat_interface_multimodal": "`gr.ChatInterface(multimodal=True)`",
    "shape-two_steps": "two steps, as in Gradio's guide",
    "shape-stashed": "a State holds the question while a step checks it",
    "shape-kept_in_a_state": "a State holds the conversation",
    "shape-only_shown": "the chatbot is an output only",
    "shape-loaded": "the page's `load` creates the State that the answering function takes",
    "shape-rendered": "`gr.render` draws the chat",
    "shape-text_to_text": "`gr.Interface` from text to text",
    "shape-loaded_by_name": '`gr.load("models/…")`',
    "studio-demo": "the page of the Qwen3 demo (modelscope_studio 1.6 and 2.1)",
    "studio-vision": "the page of the Qwen3-VL demo",
    "studio-form_of_all": "`pro.MultimodalInput`, `pro.Chatbot` and a form in one function",
}
QUESTION, ANSWER, SYSTEM = "What is a quokka?", "A marsupial.", "Answer like a zoologist."
CONVERSATION = [("system", SYSTEM), ("human", QUESTION), ("ai", ANSWER), ("human", "args:")]
WARM = 1.25


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, dict[str, str]]]:
    """What was found, by form and app; written to the page at the end if that is wanted."""
    columns: dict[str, dict[str, str]] = {}
    yield columns
    if os.environ.get("WRITE_SHAPES") and len(columns) == len(FORMS):
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(columns)}\n\n{END}{after}", encoding="utf-8")


def table(columns: dict[str, dict[str, str]]) -> str:
    """The columns as Markdown."""
    lines = [f"| app | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for app, words in APPS.items():
        cells = [column.get(app, "–") for column in columns.values()]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def written() -> dict[str, dict[str, str]]:
    """The page's columns."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in rest.partition(END)[0].strip().splitlines()
    ]
    apps = {words: app for app, words in APPS.items()}
    assert [row[0] for row in rows[2:]] == list(apps)
    return {
        form: {apps[row[0]]: row[place] for row in rows[2:] if row[place] != "–"}
        for place, form in enumerate(rows[0])
        if place
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_what_reaches_the_model_is_what_the_table_says(
    server: Server, form: Form, found: dict[str, dict[str, str]]
) -> None:
    column = {app: await reached(server, app, form) for app in APPS if form.carries(app)}
    assert not [app for app, cell in column.items() if "lost" in cell]
    found[form.name] = column
    if not os.environ.get("WRITE_SHAPES"):
        assert column == written()[form.name]


async def reached(server: Server, app: str, form: Form) -> str:
    """A cell: how earlier turns, the system prompt and the temperature travel."""
    events: list[SpaceEvent] = []
    settings: dict[str, Any] = {}
    if app == "shape-text_to_text":  # which the user has to name, as no chatbot marks it as a chat
        start = "predict" if form.version < (6,) else "ask"
        settings = {"start": start, "inputs": {"query": "Question"}}
    model = ChatQwenSpace(
        space=server.base_url(app),
        max_retries=0,
        temperature=WARM,
        on_event=events.append,
        **settings,
    )
    got = json.loads((await model.ainvoke(CONVERSATION)).text)
    if "messages" in got:
        *history, question = got["messages"]
        system = [message["content"] for message in history if message["role"] == "system"]
        got |= {"history": history, "query": question["content"], "system": "".join(system)}
    said = {
        (turn["role"], text)
        for turn in got["history"]
        for text in (QUESTION, ANSWER, SYSTEM)
        if text in turn["content"]
    }
    if {("user", QUESTION), ("assistant", ANSWER)} <= said:
        turns = "turns"
    else:
        turns = "text" if QUESTION in got["query"] and ANSWER in got["query"] else "lost"
    if SYSTEM in str(got.get("system")):
        system_prompt = "input"
    else:
        system_prompt = "text" if ("user", SYSTEM) in said or SYSTEM in got["query"] else "lost"
    warned = any(
        "temperature" in event.message for event in events if isinstance(event, WarningEvent)
    )
    temperature = "input" if got.get("temperature") == WARM else "warning" if warned else "lost"
    return f"{turns}, {system_prompt}, {temperature}"
