"""`history="turns" | "text"`: how earlier turns reach the model, where the caller settles it."""

import json
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.space.routing.target import _pages

CONVERSATION = [HumanMessage("Hi"), AIMessage("Hello"), HumanMessage("And now?")]
AS_TEXT = (
    "This is our conversation so far:\n\nUser:\n> Hi\n\nAssistant:\n> Hello\n\n"
    "Now answer this:\n\nAnd now?"
)


def answer(system, history, query, model):
    """What the model is asked, as JSON."""
    yield json.dumps([history, query])


@pytest.fixture(scope="module")
def url():
    with LocalSpace(answer, pace=0, revises=False) as space:
        yield space.url


@pytest.mark.parametrize("history", [None, "turns"])
def test_turns(url, history):
    model = ChatQwenSpace(space=url, history=history)
    assert json.loads(model.invoke(CONVERSATION).content) == [[["Hi", "Hello"]], "And now?"]
    assert "as messages" in model.describe().history


def test_text_is_what_was_asked_for_and_no_reason_to_warn(url):
    events = []
    model = ChatQwenSpace(space=url, history="text", on_event=events.append)
    assert json.loads(model.invoke(CONVERSATION).content) == [[], AS_TEXT]
    assert model.describe().history == "as text in the question"
    assert not [event for event in events if event.name == "qwen_space_warning"]


def test_one_page_serves_both(url):
    turns, text = (ChatQwenSpace(space=url, history=how) for how in ("turns", "text"))
    first, second = (json.loads(model.invoke(CONVERSATION).content) for model in (turns, text))
    assert (len(first[0]), len(second[0])) == (1, 0)


def test_turns_need_an_input(url):
    ChatQwenSpace(space=url).describe()
    endpoint = next(item.endpoint for key, item in _pages.items() if key[0].startswith(f"{url} "))
    without = {role: index for role, index in endpoint.roles.items() if role != "history"}
    with pytest.raises(InvalidInputError, match=r"inputs=\{'history'"):
        replace(endpoint, roles=without).with_history("turns")


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="'turns' or 'text'"):
        ChatQwenSpace(history="file")
