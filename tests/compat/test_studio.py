"""Pages of modelscope_studio 1.6 and 2.1, as the demos of Qwen3 and Qwen3-VL are built."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError
from tests.pictures import BLUE, RED, TWO_TURNS, seen

from .forms import FORMS, Form
from .servers import Server, kept

pytestmark = pytest.mark.timeout(120, func_only=True)

EARLIER = [("human", "What is a panda?"), ("ai", "A bear."), ("human", "What does it eat?")]
AS_TURNS = [
    {"role": "user", "content": "What is a panda?"},
    {"role": "assistant", "content": "A bear."},
    {"role": "user", "content": "What does it eat?"},
]
OWN = {"role": "system", "content": "You keep the zoo."}
each_form = pytest.mark.parametrize(
    "form", [form for form in FORMS if form.carries("studio-")], ids=lambda form: form.name
)
each_page = pytest.mark.parametrize("page", ["demo", "vision", "form_of_all"])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Form], Server]]:
    """Servers that have nothing but these pages."""
    with kept(tmp_path_factory, "studio") as server_of:
        yield server_of


def model_of(server: Server, page: str, **settings: Any) -> ChatQwenSpace:
    return ChatQwenSpace(space=server.base_url(f"studio-{page}"), max_retries=0, **settings)


async def reached(model: ChatQwenSpace, messages: Any = "Hello") -> dict[str, Any]:
    """What the model behind the page got, by its own words; the files without their names."""
    answer = json.loads((await model.ainvoke(messages)).text)
    assert isinstance(answer, dict)
    for message in answer["messages"]:
        for file in message.get("files", ()):
            del file["name"]
    return answer


@each_form
@each_page
async def test_earlier_turns_arrive_as_turns_and_the_pages_own_settings_stay(
    server: Server, form: Form, page: str
) -> None:
    got = await reached(model_of(server, page), EARLIER)
    own = [] if page == "vision" else [OWN]
    assert got.pop("messages") == [*own, *AS_TURNS]
    settings = {"model": "qwen3-large", "thinking_budget": 38} if own else {}
    more = {"search": False} if page == "form_of_all" else {}
    assert got == {"thinks": True, **settings, **more}


@each_form
@each_page
@pytest.mark.parametrize("wanted", [True, False])
async def test_thinking_is_switched_by_a_conversation_or_by_the_forms_field(
    server: Server, form: Form, page: str, wanted: bool
) -> None:
    got = await reached(model_of(server, page, thinking=wanted), EARLIER)
    assert got["thinks"] is wanted
    assert got["messages"][-3:] == AS_TURNS


@each_form
@each_page
async def test_a_stream_adds_up_and_thoughts_are_separated(
    server: Server, form: Form, page: str
) -> None:
    whole = None
    async for chunk in model_of(server, page, reasoning=True).astream("Hello"):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert json.loads(whole.text)["messages"][-1] == {"role": "user", "content": "Hello"}
    assert whole.additional_kwargs["reasoning_content"] == "The zoo…"


@each_form
@pytest.mark.parametrize("page", ["demo", "form_of_all"])
async def test_settings_reach_the_fields_of_the_form(server: Server, form: Form, page: str) -> None:
    model = model_of(server, page, model="qwen3-small", thinking_budget=7)
    got = await reached(model, [("system", "Be brief."), ("human", "Hello")])
    assert (got["model"], got["thinking_budget"]) == ("qwen3-small", 7)
    assert got["messages"][0] == {"role": "system", "content": "Be brief."}


@each_form
@pytest.mark.parametrize("name", ["Web search", "search", "settings.search"])
async def test_a_field_is_named_by_its_label_its_key_or_its_path(
    server: Server, form: Form, name: str
) -> None:
    got = await reached(model_of(server, "form_of_all", model_kwargs={name: True}))
    assert got["search"] is True
    assert got["messages"] == [OWN, {"role": "user", "content": "Hello"}]


@each_form
async def test_the_caller_settles_a_role_by_the_path_of_a_field(server: Server, form: Form) -> None:
    settled = {"thinking": "settings.search", "system": "settings.sys_prompt"}
    model = model_of(server, "form_of_all", inputs=settled, thinking=True)
    got = await reached(model, [("system", "Be brief."), ("human", "Hello")])
    assert (got["search"], got["thinks"]) == (True, True)
    assert got["messages"][0]["content"] == "Be brief."


@each_form
async def test_a_path_that_is_not_there_is_refused_with_those_that_are(
    server: Server, form: Form
) -> None:
    model = model_of(server, "form_of_all", inputs={"system": "settings.persona"})
    with pytest.raises(InvalidInputError, match="'System Prompt'"):
        await model.ainvoke("Hello")


@each_form
async def test_two_pictures_in_two_turns_arrive_each_in_its_own(server: Server, form: Form) -> None:
    got = await reached(model_of(server, "form_of_all"), TWO_TURNS)
    assert got["messages"] == [
        OWN,
        {"role": "user", "content": "What is it?", "files": [seen(RED)]},
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "And this?", "files": [seen(BLUE)]},
    ]


@each_form
async def test_where_the_browser_keeps_the_turns_their_pictures_go_with_the_question(
    server: Server, form: Form
) -> None:
    with pytest.warns(UserWarning, match="written into the question"):
        got = await reached(model_of(server, "vision"), TWO_TURNS)
    (message,) = got["messages"]
    assert message["files"] == [seen(RED), seen(BLUE)]
    assert "> Red." in message["content"]
    assert message["content"].endswith("And this?")
