"""Apps whose chat is a chain of functions: what the caller gave reaches the model, or is refused."""

import json
from typing import Any

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import GenerationError, UnsupportedSpaceError

from .forms import FORMS, Form
from .servers import Server

pytestmark = pytest.mark.timeout(60, func_only=True)

CONVERSATION = [("human", "What is a panda?"), ("ai", "A bear."), ("human", "What does it eat?")]
TURNS = ("two_steps", "stashed", "rendered")
TEXT = ("kept_in_a_state", "only_shown", "loaded")

each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def model_of(server: Server, shape: str, **settings: Any) -> ChatQwenSpace:
    return ChatQwenSpace(space=server.base_url(f"shape-{shape}"), max_retries=0, **settings)


async def reached(model: ChatQwenSpace, messages: Any) -> dict[str, Any]:
    """What the model behind the app got, by its own words."""
    answer = json.loads((await model.ainvoke(messages)).text)
    assert isinstance(answer, dict)
    return answer


@each_form
@pytest.mark.parametrize("shape", TURNS)
async def test_earlier_turns_reach_the_model_as_turns(
    server: Server, form: Form, shape: str
) -> None:
    got = await reached(model_of(server, shape), CONVERSATION)
    said = [(message["role"], message["content"]) for message in got["messages"]]
    assert said[-3:] == [
        ("user", "What is a panda?"),
        ("assistant", "A bear."),
        ("user", "What does it eat?"),
    ]


@each_form
@pytest.mark.parametrize("shape", TEXT)
async def test_where_the_app_keeps_the_turns_they_go_into_the_question(
    server: Server, form: Form, shape: str
) -> None:
    with pytest.warns(UserWarning, match="written into the question"):
        got = await reached(model_of(server, shape), CONVERSATION)
    (question,) = (message["content"] for message in got["messages"])
    assert question.index("What is a panda?") < question.index("A bear.")
    assert question.index("A bear.") < question.index("What does it eat?")
    assert got.get("opened", True)


@each_form
@pytest.mark.parametrize("shape", [*TURNS, *TEXT])
async def test_a_stream_adds_up_to_the_answer(server: Server, form: Form, shape: str) -> None:
    whole = None
    async for chunk in model_of(server, shape).astream("What does a panda eat?"):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    text = whole.response_metadata.get("final_text", whole.text)
    assert json.loads(text)["messages"][-1]["content"] == "What does a panda eat?"


@each_form
async def test_a_placeholder_is_streamed_once_at_most(server: Server, form: Form) -> None:
    model = model_of(server, "only_shown")
    (first, _), (second, revised) = [await streamed(model) for _ in range(2)]
    assert first.startswith("Analysing…{")
    assert json.loads(second)["messages"][-1]["content"] == "Hello"
    assert not revised
    assert (await reached(model, "Hello"))["messages"]


async def streamed(model: ChatQwenSpace) -> tuple[str, bool]:
    """All that a stream hands out, and whether a part of it was taken back."""
    text, revised = "", False
    async for chunk in model.astream("Hello"):
        text += chunk.text
        revised |= "final_text" in chunk.response_metadata
    return text, revised


@each_form
async def test_the_apps_own_settings_stay_unless_the_caller_gives_others(
    server: Server, form: Form
) -> None:
    model = model_of(server, "two_steps")
    own = await reached(model, "Hello")
    assert own["messages"][0] == {"role": "system", "content": "You keep the zoo."}
    assert own["temperature"] == 0.7
    warm = model_of(server, "two_steps", temperature=1.2)
    given = await reached(warm, [("system", "Be brief."), ("human", "Hello")])
    assert given["messages"][0] == {"role": "system", "content": "Be brief."}
    assert given["temperature"] == 1.2


@each_form
async def test_what_a_function_in_between_refuses_is_raised(server: Server, form: Form) -> None:
    with pytest.raises(GenerationError, match="The keepers do not answer that"):
        await model_of(server, "stashed").ainvoke("Tell me the forbidden thing")


@each_form
async def test_a_chain_without_an_answer_is_an_error(server: Server, form: Form) -> None:
    with pytest.raises(GenerationError, match="contains no answer"):
        await model_of(server, "unanswered").ainvoke("Hello")


@each_form
async def test_a_text_is_an_answer_where_the_user_names_the_function(
    server: Server, form: Form
) -> None:
    name = "predict" if form.version < (6,) else "ask"
    model = model_of(server, "text_to_text", api_name=name, inputs={"query": "Question"})
    got = await reached(model, "Hello")
    assert got["messages"] == [{"role": "user", "content": "Hello"}]


@each_form
async def test_the_advice_for_a_space_without_a_chatbot_is_right(
    server: Server, form: Form
) -> None:
    with pytest.raises(UnsupportedSpaceError, match="It has: ") as refused:
        await model_of(server, "text_to_text").ainvoke("Hello")
    _, _, advice = str(refused.value).partition("It has: ")
    first = advice.rstrip(".").split("; ")[0]
    got = await reached(eval(f"model_of(server, 'text_to_text', {first})"), "Hello")
    assert got["messages"] == [{"role": "user", "content": "Hello"}]
