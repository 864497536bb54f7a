"""Pictures on every release: the bytes that reach the app are those that were sent, in their turn."""

from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from langchain_core.messages import HumanMessage

from langchain_qwen_space import ChatQwenSpace
from tests.pictures import BLUE, RED, TWO_TURNS, image, reached, seen

from .forms import FORMS, Form
from .servers import Server, kept

pytestmark = pytest.mark.timeout(120, func_only=True)

PDF = b"%PDF-1.7\r\n" + bytes(range(256))

each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Form], Server]]:
    """Servers that have nothing but the apps that take files."""
    with kept(tmp_path_factory, "pictures") as server_of:
        yield server_of


def model_of(server: Server, layout: str, **settings: Any) -> ChatQwenSpace:
    return ChatQwenSpace(space=server.base_url(f"pictures-{layout}"), max_retries=0, **settings)


@each_form
@pytest.mark.parametrize("layout", ["box", "narrow", "two_steps"])
async def test_a_picture_reaches_the_app(server: Server, form: Form, layout: str) -> None:
    got = await reached(model_of(server, layout), TWO_TURNS[0])
    assert got == [("user", "What is it?", [seen(RED)])]


@each_form
async def test_a_name_of_signs_alone_keeps_its_type(server: Server, form: Form) -> None:
    message = HumanMessage([image(extras={"filename": "\N{CAMERA}.png"})])
    assert await reached(model_of(server, "narrow"), message) == [("user", "", [seen(RED)])]


@each_form
@pytest.mark.parametrize("layout", ["box", "two_steps", "beside", "interface"])
async def test_pictures_of_two_turns_arrive_each_in_its_own(
    server: Server, form: Form, layout: str
) -> None:
    *earlier, (role, text, (picture,)) = await reached(model_of(server, layout), *TWO_TURNS)
    assert earlier == [("user", "What is it?", [seen(RED)]), ("assistant", "Red.", [])]
    assert (role, text) == ("user", "And this?")
    rewritten = layout == "beside" and form.version < (5,)  # by the image component, for the app
    assert picture == seen(BLUE) or rewritten


@each_form
async def test_inputs_beside_the_box_take_a_picture_and_a_document(
    server: Server, form: Form
) -> None:
    message = HumanMessage([image(PDF, "application/pdf", type="file"), image()])
    ((_, _, (picture, document)),) = await reached(model_of(server, "beside"), message)
    assert document == seen(PDF)
    assert picture == seen(RED) or form.version < (5,)  # which writes pictures again for the app


@each_form
async def test_a_chat_interface_takes_pictures(server: Server, form: Form) -> None:
    got = await reached(model_of(server, "interface"), TWO_TURNS[0])
    assert got == [("user", "What is it?", [seen(RED)])]


@each_form
async def test_pictures_of_earlier_turns_go_with_the_question(server: Server, form: Form) -> None:
    model = model_of(server, "asked_only", history="text")
    ((role, text, files),) = await reached(model, *TWO_TURNS)
    assert (role, files) == ("user", [seen(RED), seen(BLUE)])
    assert "User (with the file file.png):\n> What is it?" in text


@each_form
@pytest.mark.parametrize(("order", "text"), [("Draw.", "Here."), ("Draw only.", "")])
async def test_files_of_an_answer_are_listed_with_where_they_are(
    server: Server, form: Form, http: aiohttp.ClientSession, order: str, text: str
) -> None:
    message = HumanMessage([{"type": "text", "text": order}, image(), image(BLUE)])
    answer = await model_of(server, "draws").ainvoke([message])
    assert answer.text == text
    files = answer.additional_kwargs["files"]
    assert [file["mime_type"] for file in files] == ["image/png"] * 2
    for file, data in zip(files, (RED, BLUE), strict=True):
        assert file["name"].endswith(".png")
        async with http.get(file["url"]) as response:
            assert await response.read() == data
