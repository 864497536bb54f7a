"""Replies of random shape arrive as each server delivers them.

A short form runs by default. The long one:

    DIFFERENTIAL_TEXTS=10000 make compat ARGS=tests/compat/test_differential.py

`DIFFERENTIAL_SEED` takes other texts.
"""

import asyncio
import os
from random import Random
from typing import Any

import pytest

from . import wire
from .conftest import Chat
from .forms import FORMS, Form
from .marks import for_each
from .replies import reply
from .test_servers import history_of

TEXTS = int(os.environ.get("DIFFERENTIAL_TEXTS", "200"))
"""In all; each form gets its share."""
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
AT_A_TIME = 5  # calls, which is what the Space takes

pytestmark = pytest.mark.timeout(120 + TEXTS, func_only=True)


async def delivered(space: wire.Space, form: Form, query: str) -> str:
    """The answer as it stands in the event that ends the call, read without the package."""
    radio = space.components(space.dependency("model_chat")["inputs"])[3]
    data = [query, history_of(form, "before", "after"), "", radio["props"]["value"]]
    value: list[Any] = wire.outputs(await space.call("model_chat", data))[1]
    if form.chatbot != "messages":
        side = value[-1][1]
        return str(side["text"] if isinstance(side, dict) else side)
    content = value[-1]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def solid(text: str) -> str:
    """The text without its blank space."""
    return "".join(text.split())


@for_each(["qwen25"])
async def test_replies_of_any_shape_are_what_the_server_delivered(
    space: wire.Space, chat: Chat, form: Form, layout: str
) -> None:
    random = Random(f"{SEED} {form.name}")
    texts = iter([reply(random) for _ in range(TEXTS // len(FORMS))])
    model, apart = chat(), chat(join_fragments=False)
    revised = compared = 0

    async def compare() -> None:
        nonlocal revised, compared
        for text in texts:
            query = f"echo:{text}"
            exact = await delivered(space, form, query)
            assert solid(exact) == solid(text), (text, exact)  # or the comparison says nothing

            answer = (await model.ainvoke(query)).content
            chunks = [chunk async for chunk in apart.astream(query)]

            assert answer == exact, (text, answer, exact)
            streamed = "".join(chunk.text for chunk in chunks)
            told = chunks[-1].response_metadata
            if streamed != exact:
                assert told.get("revised") is True, (text, streamed, exact)
            if told.get("revised"):
                assert solid(streamed) == solid(exact), (text, streamed, exact)
                assert told["final_text"] == exact, (text, told)
                revised += 1
            compared += 1

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_A_TIME):
            workers.create_task(compare())
    assert compared == TEXTS // len(FORMS)
    # Gradio 5 leaves the text of pairs alone; everywhere else some are re-indented as they grow.
    assert (revised > 0) == (form.name != "5.50.0-tuples")
