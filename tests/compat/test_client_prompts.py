"""What is asked reaches the app's function, each part in the place that the layout has for it."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError, UnknownModelError
from langchain_qwen_space.events import SpaceEvent, WarningEvent

from .conftest import Chat
from .forms import FORMS, LAYOUTS, Form
from .marks import for_each

pytestmark = pytest.mark.timeout(60, func_only=True)

CHATS = tuple(name for name in LAYOUTS if name != "not_a_chat")
WITHOUT_SYSTEM = (
    "no_system",
    "ambiguous_endpoints",
    "ambiguous_inputs",
    "chat_interface_plain",
    "chat_interface_multimodal",
)
CHAT_INTERFACES = tuple(name for name in LAYOUTS if name.startswith("chat_interface"))
SINCE_5 = tuple(form for form in FORMS if form.version >= (5,))
ONLY_4 = tuple(form for form in FORMS if form.version < (5,))

SYSTEM = "Answer in JSON."
CONVERSATION: list[BaseMessage] = [
    SystemMessage(SYSTEM),
    HumanMessage("What is  this?\n\n\tA question?"),
    AIMessage("It is one.\n  Indeed."),
    HumanMessage("And  this?"),
    AIMessage("你好 <b>&amp;"),
    HumanMessage("args:"),
]
HISTORY = [str(message.content) for message in CONVERSATION[1:-1]]


async def received(model: ChatQwenSpace, messages: object = "args:", **settings: Any) -> Any:
    """What the app's function was called with, by role."""
    answer = await model.ainvoke(messages, **settings)  # type: ignore[arg-type]
    return json.loads(answer.text)


def warnings_of(model: ChatQwenSpace) -> list[str]:
    """Receives the warnings of settings that could not be applied."""
    messages: list[str] = []

    def listen(event: SpaceEvent) -> None:
        if isinstance(event, WarningEvent):
            messages.append(event.message)

    model.on_event = listen
    return messages


@for_each([name for name in CHATS if name not in CHAT_INTERFACES])
async def test_earlier_turns_and_system_prompt_arrive_as_such(
    chat: Chat, form: Form, layout: str
) -> None:
    told = await received(chat(), CONVERSATION)

    roles = ["user", "assistant"] * 2
    turns = [{"role": role, "content": text} for role, text in zip(roles, HISTORY, strict=True)]
    if layout in WITHOUT_SYSTEM:
        assert "system" not in told
        turns[0]["content"] = f"{SYSTEM}\n\n{HISTORY[0]}"
    else:
        assert told["system"] == SYSTEM
    assert told["history"] == turns
    assert told["query"] == "args:"


@for_each(CHAT_INTERFACES)
async def test_the_history_of_a_chat_interface_is_set(chat: Chat, form: Form, layout: str) -> None:
    model = chat()

    told = await received(model, CONVERSATION)

    first = HISTORY[0] if layout == "chat_interface" else f"{SYSTEM}\n\n{HISTORY[0]}"
    turns = [turn["content"] for turn in told["history"]]
    if form.version < (5,):  # the page's chain, whose chatbot changes tabs and indentation
        assert [turn.split() for turn in turns] == [text.split() for text in (first, *HISTORY[1:])]
    else:
        assert turns == [first, *HISTORY[1:]]
    assert told["query"] == "args:"
    assert told.get("system", SYSTEM) == SYSTEM
    assert (await received(model))["history"] == []


@for_each(CHAT_INTERFACES)
async def test_where_that_is_wanted_the_history_is_written_into_the_question(
    chat: Chat, form: Form, layout: str
) -> None:
    events: list[SpaceEvent] = []
    told = await received(chat(on_event=events.append, history="text"), CONVERSATION)

    history = list(HISTORY)
    if layout != "chat_interface":
        history[0] = f"{SYSTEM}\n\n{history[0]}"
    quoted = ["> " + text.replace("\n", "\n> ") for text in history]
    turns = "".join(
        f"User:\n{user}\n\nAssistant:\n{assistant}\n\n"
        for user, assistant in zip(quoted[::2], quoted[1::2], strict=True)
    )
    conversation = f"This is our conversation so far:\n\n{turns}Now answer this:\n\nargs:"
    warned = [event.message for event in events if isinstance(event, WarningEvent)]
    assert not warned
    assert told["query"] == conversation
    assert told["history"] == []


@for_each(CHATS)
async def test_where_nothing_was_said_no_system_prompt_is_put_into_the_question(
    chat: Chat, form: Form, layout: str
) -> None:
    told = await received(chat())

    assert told["query"] == "args:"
    assert told["history"] == []
    if layout not in WITHOUT_SYSTEM:
        own = "Be brief." if layout == "renamed" else "You are Qwen"
        assert told["system"].startswith(own)  # the Space's own prompt stays


@for_each(["qwen25", "older", "chat_interface"])
async def test_an_empty_system_prompt_stays_empty(chat: Chat, form: Form, layout: str) -> None:
    told = await received(chat(), [SystemMessage(""), HumanMessage("args:")])

    assert told["system"] == ""


@for_each(["qwen25", "chat_interface"])
async def test_a_question_arrives_as_it_was_asked(chat: Chat, form: Form, layout: str) -> None:
    question = "args:\t a\u2028b\r\n  <script>&amp;</script> ``` 你好 \U0001f9d1\u200d\U0001f680 "

    assert (await received(chat(), question))["query"] == question


@for_each(["qwen25"])
async def test_a_model_goes_to_the_radio_that_is_read(chat: Chat, form: Form, layout: str) -> None:
    assert (await received(chat()))["model"] == "72B"
    assert (await received(chat(model="qwen2.5-7b-instruct")))["model"] == "7B"
    bound = chat().bind(model="Qwen/Qwen2.5-Coder-7B-Instruct")
    assert json.loads((await bound.ainvoke("args:")).text)["model"] == "Coder-7B"


@for_each(["renamed"])
async def test_a_model_goes_to_a_dropdown(chat: Chat, form: Form, layout: str) -> None:
    assert (await received(chat()))["model"] == "Qwen2.5-7B-Instruct"
    told = await received(chat(model="72B"))
    assert told["model"] == "Qwen2.5-72B-Instruct"


@for_each(["qwen25", "renamed"])
async def test_an_unknown_model_is_refused_before_the_queue_is_joined(
    chat: Chat, requests: list[str], form: Form, layout: str
) -> None:
    with pytest.raises(UnknownModelError, match="does not offer the model 'gpt-7'") as caught:
        await chat(model="gpt-7").ainvoke("hello")

    for model in await chat().alist_models():
        assert model in str(caught.value)
    assert "queue/join" not in requests


@for_each(["coder", "older", "chat_interface"])
async def test_a_space_without_a_choice_of_models_warns_once(
    chat: Chat, form: Form, layout: str
) -> None:
    model = chat(model="qwen2.5-7b-instruct")

    with pytest.warns(UserWarning, match=f"/{layout} .*qwen2.5-7b-instruct") as caught:
        await model.abatch(["hello", "hello"], {"max_concurrency": 1})

    assert len(caught) == 1


@for_each(["coder"])
async def test_settings_reach_the_sliders(chat: Chat, form: Form, layout: str) -> None:
    model = chat(temperature=0.2, max_tokens=1000)

    told = await received(model, top_p=0.9)

    assert (told["temperature"], told["top_p"], told["max_tokens"]) == (0.2, 0.9, 1000)


@for_each(["coder"])
async def test_settings_beyond_a_slider_are_moved_to_its_end_with_a_warning(
    chat: Chat, form: Form, layout: str
) -> None:
    model = chat(temperature=1.5, top_p=0.1)
    warned = warnings_of(model)

    with pytest.warns(UserWarning, match="the nearest"):
        told = await received(model)

    assert (told["temperature"], told["top_p"]) == (1, 0.6)
    assert any("temperature=1.5" in warning for warning in warned)
    assert any("top_p=0.1" in warning for warning in warned)


@for_each(["coder"])
async def test_fewer_tokens_than_the_slider_allows_are_counted_here(
    chat: Chat, form: Form, layout: str
) -> None:
    told = await received(chat(max_tokens=300))
    answer = await chat(max_tokens=4).ainvoke("long:30")

    assert told["max_tokens"] == 512
    assert answer.response_metadata["finish_reason"] == "length"
    assert len(answer.text) < 30


@for_each(["boxes"])
async def test_settings_reach_boxes_and_labels_name_the_others(
    chat: Chat, form: Form, layout: str
) -> None:
    others = {"Language": "中文", "Web search": True}
    model = chat(temperature=0, max_tokens=2000, model_kwargs=others)

    told = await received(model, model_kwargs={"Style": "florid"})

    assert (told["temperature"], told["max_tokens"]) == (0, 2000)
    assert (told["language"], told["search"], told["style"]) == ("中文", True, "florid")


@for_each(["chat_interface"])
async def test_settings_reach_additional_inputs(chat: Chat, form: Form, layout: str) -> None:
    told = await received(chat(temperature=1.5, max_tokens=700))

    assert (told["temperature"], told["max_tokens"]) == (1.5, 700)


@for_each(["no_system"])
async def test_settings_that_have_no_input_are_named_in_a_warning(
    chat: Chat, form: Form, layout: str
) -> None:
    with pytest.warns(UserWarning, match="no input for temperature=0.5"):
        await chat(temperature=0.5).ainvoke("hello")


@for_each(["boxes"])
@pytest.mark.parametrize(
    ("label", "value", "takes"),
    [
        ("Style", "rococo", r"\['plain', 'florid'\]"),
        ("Web search", "yes", "True or False"),
        ("Language", 7, "text"),
        ("Max new tokens", 5000, "from 1 to 4096"),
        ("Colour", "red", "no input 'Colour'.*'Language'"),
    ],
)
async def test_values_that_an_input_refuses_never_join_the_queue(
    chat: Chat, requests: list[str], form: Form, layout: str, label: str, value: Any, takes: str
) -> None:
    with pytest.raises(InvalidInputError, match=takes):
        await chat(model_kwargs={label: value}).ainvoke("hello")

    assert "queue/join" not in requests
