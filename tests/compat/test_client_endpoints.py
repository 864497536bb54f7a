"""Which function of a Space chats, what it takes, and how a user can tell and settle it."""

import json
import logging

import aiohttp
import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError, UnsupportedSpaceError

from .conftest import Chat
from .forms import FORMS, LAYOUTS, REDEPLOYED, REDEPLOYMENTS, Form
from .marks import for_each
from .servers import Server

pytestmark = pytest.mark.timeout(60, func_only=True)

CHATS = tuple(name for name in LAYOUTS if name != "not_a_chat")
SIZES = ["72B", "32B", "14B", "7B", "3B", "1.5B", "0.5B"]
SPECIAL = ["Math-72B", "Math-7B", "Math-1.5B", "Coder-7B", "Coder-1.5B"]
QWEN25 = {"query", "history", "system", "model"}
ROLES = {
    "qwen25": QWEN25,
    "coder": {"query", "history", "system", "temperature", "top_p", "max_tokens"},
    "older": {"query", "history", "system"},
    "renamed": QWEN25,
    "several": {"query", "history", "system"},
    "boxes": {"query", "history", "system", "temperature", "max_tokens"},
    "no_system": {"query", "history"},
    "plain_function": {"query", "history", "system"},
    "reasoning_tags": {"query", "history", "system"},
    "ambiguous_endpoints": {"query", "history"},
    "ambiguous_inputs": {"query", "history"},
    "chat_interface": {"query", "system", "temperature", "max_tokens"},
    "chat_interface_plain": {"query"},
    "chat_interface_multimodal": {"query"},
    "busy": QWEN25,
    "validated": QWEN25,
    "login": QWEN25,
    "hidden_errors": QWEN25,
}
"""What each layout has an input for, as the package understands it."""
OFFERED = {
    **dict.fromkeys(["qwen25", "busy", "validated", "login", "hidden_errors"], SIZES + SPECIAL),
    "renamed": ["Qwen2.5-72B-Instruct", "Qwen2.5-7B-Instruct", "Qwen2.5-0.5B-Instruct"],
}


@for_each(ROLES)
async def test_the_inputs_are_distinguished(chat: Chat, form: Form, layout: str) -> None:
    description = await chat().adescribe()

    assert set(description.roles) == ROLES[layout]
    assert description.gradio == form.release
    assert description.streams == (layout != "plain_function")
    assert description.queues


@for_each(ROLES)
async def test_the_models_on_offer_are_listed(chat: Chat, form: Form, layout: str) -> None:
    assert await chat().alist_models() == OFFERED.get(layout, [])


@for_each(["qwen25"])
def test_they_can_be_asked_for_without_a_loop(chat: Chat, form: Form, layout: str) -> None:
    assert chat().list_models() == OFFERED[layout]
    assert chat().describe().default_model == "72B"


@for_each(["boxes"])
def test_a_description_is_read_at_a_glance(
    chat: Chat, server: Server, form: Form, layout: str
) -> None:
    history = {"5.50.0-messages": "messages", "6.31.0-messages": "messages of typed parts"}
    if form.version < (5,):
        history = {"4.44.1-messages": "messages"}
    written = history.get(form.name, "pairs of question and answer")

    assert (
        str(chat().describe())
        == f"""\
{server.base_url(layout)}
  Gradio        {form.release}, protocol sse_v3
  function      /chat (fn_index 0), streams, queues
  history       'Chat', as {written}
  query         'Your message'
  system        'System prompt'
  max_tokens    'Max new tokens' (1 to 4096, default 1024)
  temperature   'Temperature' (0 to 2, default 0.7)
  model         no choice
  dialect       hermes (assumed: the model is not known)
  model_kwargs  Language (text, default 'English')
                Web search (True or False, default False)
                Style (one of 'plain', 'florid', default 'plain')"""
    )


@for_each(["ambiguous_endpoints"])
async def test_one_of_two_chats_is_taken_and_the_log_says_which(
    chat: Chat, caplog: pytest.LogCaptureFixture, form: Form, layout: str
) -> None:
    with caplog.at_level(logging.INFO, "langchain_qwen_space"):
        answer = await chat(api_name=None).ainvoke("args:")

    assert json.loads(answer.text)["side"] == "left"
    assert "/chat_left" in caplog.text
    assert "/chat_right" in caplog.text
    assert "start=" in caplog.text


@for_each(["ambiguous_endpoints"])
@pytest.mark.parametrize("name", ["chat_right", "/chat_right"])
async def test_the_user_says_which_by_its_name(
    chat: Chat, caplog: pytest.LogCaptureFixture, form: Form, layout: str, name: str
) -> None:
    with caplog.at_level(logging.INFO, "langchain_qwen_space"):
        answer = await chat(api_name=name).ainvoke("args:")

    assert json.loads(answer.text)["side"] == "right"
    assert not caplog.messages


@for_each(["ambiguous_endpoints"])
async def test_a_name_that_is_not_there_is_refused_with_those_that_are(
    chat: Chat, form: Form, layout: str
) -> None:
    with pytest.raises(InvalidInputError, match="/chat_left, /chat_right"):
        await chat(api_name="chat_middle").ainvoke("hello")


@for_each(["ambiguous_inputs"])
async def test_one_of_two_boxes_is_taken_and_the_log_says_which(
    chat: Chat, caplog: pytest.LogCaptureFixture, form: Form, layout: str
) -> None:
    with caplog.at_level(logging.INFO, "langchain_qwen_space"):
        roles = (await chat(inputs={}).adescribe()).roles

    assert "First" in roles["query"]
    assert "'First'" in caplog.text
    assert "'Second'" in caplog.text
    assert "inputs=" in caplog.text


@for_each(["ambiguous_inputs"])
@pytest.mark.parametrize("place", ["Second", 1])
async def test_the_user_says_which_by_label_or_index(
    chat: Chat, caplog: pytest.LogCaptureFixture, form: Form, layout: str, place: str | int
) -> None:
    model = chat(inputs={"query": place}, model_kwargs={"First": "a note"})

    with caplog.at_level(logging.INFO, "langchain_qwen_space"):
        told = json.loads((await model.ainvoke("args:")).text)

    assert (told["query"], told["first"]) == ("args:", "a note")
    assert not caplog.messages


@for_each(["ambiguous_inputs"])
@pytest.mark.parametrize("inputs", [{"query": "Third"}, {"query": 9}, {"colour": "First"}])
async def test_an_input_that_is_not_there_is_refused(
    chat: Chat, form: Form, layout: str, inputs: dict[str, str | int]
) -> None:
    with pytest.raises(InvalidInputError, match=r"'Second'|max_tokens"):
        await chat(inputs=inputs).ainvoke("hello")


@for_each(["qwen25", "older", "several", "renamed", "chat_interface"])
async def test_where_there_is_no_choice_the_log_is_silent(
    chat: Chat, caplog: pytest.LogCaptureFixture, form: Form, layout: str
) -> None:
    with caplog.at_level(logging.INFO, "langchain_qwen_space"):
        await chat().adescribe()

    assert not caplog.messages


@for_each(["not_a_chat"])
async def test_an_app_that_does_not_chat_is_refused(chat: Chat, form: Form, layout: str) -> None:
    with pytest.raises(UnsupportedSpaceError, match="start="):
        await chat().ainvoke("hello")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize(("before", "after"), [REDEPLOYMENTS, REDEPLOYMENTS[::-1]])
async def test_a_space_may_change_under_a_living_model(
    http: aiohttp.ClientSession, server: Server, form: Form, before: str, after: str
) -> None:
    async def redeploy(layout: str) -> None:
        async with http.post(f"{server.url}/redeploy", params={"layout": layout}) as done:
            assert done.status == 200

    model = ChatQwenSpace(space=server.base_url(REDEPLOYED), max_retries=0)
    try:
        await redeploy(before)
        first = json.loads((await model.ainvoke("args:")).text)
        await redeploy(after)
        chunks = [chunk async for chunk in model.astream("args:")]
        offered = await model.alist_models()
    finally:
        await redeploy(REDEPLOYMENTS[0])

    second = json.loads("".join(chunk.text for chunk in chunks))
    defaults = {"qwen25": "72B", "renamed": "Qwen2.5-7B-Instruct"}
    assert (first["model"], second["model"]) == (defaults[before], defaults[after])
    assert offered == OFFERED[after]
