"""What is found on pages that say little."""

import inspect
import json
import re
from typing import Any

import aiohttp
import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError, ProtocolError, UnknownModelError
from langchain_qwen_space.events import SpaceEvent
from tests.integration_tests.pages import app

TURNS = [("human", "What is a quokka?"), ("ai", "A marsupial."), ("human", "What does it eat?")]


def model_of(url: str, page: str, **settings: Any) -> ChatQwenSpace:
    return ChatQwenSpace(space=f"{url}/{page}", hf_token=None, max_retries=0, **settings)


async def reached(model: ChatQwenSpace, messages: Any = "Hello", **options: Any) -> dict[str, Any]:
    answer = json.loads((await model.ainvoke(messages, **options)).text)
    assert isinstance(answer, dict)
    return answer


class TestThinking:
    @pytest.mark.parametrize("wanted", [None, True, False])
    async def test_a_checkbox(self, url, wanted):
        got = await reached(model_of(url, "checkbox", thinking=wanted))
        assert got["think"] is (wanted is not False)

    async def test_a_budget(self, url):
        got = await reached(model_of(url, "checkbox", thinking_budget=7))
        assert got["budget"] == 7

    @pytest.mark.parametrize(
        ("wanted", "mode"),
        [(None, "With thinking"), (True, "With thinking"), (False, "No thinking")],
    )
    async def test_a_choice_of_two(self, url, wanted, mode):
        assert (await reached(model_of(url, "dropdown", thinking=wanted)))["mode"] == mode

    @pytest.mark.parametrize("wanted", [None, True, False])
    async def test_a_button_that_turns_a_state(self, url, wanted):
        got = await reached(model_of(url, "button", thinking=wanted))
        assert got["think"] is (wanted is True)
        assert got["turns"] == 0


class TestNames:
    async def test_parameters_and_element_ids_name_inputs_without_a_label(self, url):
        model = model_of(url, "unlabelled", temperature=1.5, max_tokens=700)
        got = await reached(model)
        assert (got["temperature"], got["k"]) == (1.5, 700)

    async def test_the_caller_names_an_input_by_its_parameter(self, url):
        model = model_of(url, "unlabelled", inputs={"system": "persona"})
        got = await reached(model, [("system", "Be a zoologist."), ("human", "Hello")])
        assert got["persona"] == "Be a zoologist."
        assert got["question"] == "Hello"


class TestModelsThatComeWhenThePageIsOpened:
    async def test_they_are_offered_and_the_default_is_the_pages(self, url):
        model = model_of(url, "models_by_load")
        described = await model.adescribe()
        assert described.models == ("Qwen3-8B", "Qwen3-32B")
        assert (await reached(model))["model"] == "Qwen3-8B"

    async def test_one_is_chosen_by_its_short_name(self, url):
        assert (await reached(model_of(url, "models_by_load", model="32B")))["model"] == "Qwen3-32B"

    async def test_another_is_refused_with_those_on_offer(self, url):
        with pytest.raises(UnknownModelError, match="Qwen3-32B"):
            await model_of(url, "models_by_load", model="Qwen3-4B").ainvoke("Hello")


class TestAModelThatIsChosenByAnEventOfItsOwn:
    async def test_it_reaches_the_chat_by_that_event(self, url):
        events: list[SpaceEvent] = []
        model = model_of(url, "chosen_elsewhere", model="32B", on_event=events.append)
        message = await model.ainvoke([*TURNS])
        got = json.loads(message.text)
        assert (got["model"], got["turns"]) == ("Qwen3-32B", 2)
        assert message.response_metadata["model_name"] == "qwen3-32b"
        assert not [event for event in events if event.name == "qwen_space_warning"]

    async def test_the_pages_own_needs_no_event(self, url):
        assert (await reached(model_of(url, "chosen_elsewhere")))["model"] == "Qwen3-8B"
        described = await model_of(url, "chosen_elsewhere").adescribe()
        assert (described.models, described.default_model) == (
            ("Qwen3-8B", "Qwen3-32B"),
            "Qwen3-8B",
        )
        assert re.match(r"'LLM', passed on by ", described.roles["model"])

    async def test_another_is_refused_with_those_on_offer(self, url):
        with pytest.raises(UnknownModelError, match="Qwen3-32B"):
            await model_of(url, "chosen_elsewhere", model="Qwen3-4B").ainvoke("Hello")


class TestSettingsThatEventsOfTheirOwnPassOn:
    async def test_the_pages_own_need_no_event(self, url):
        got = await reached(model_of(url, "set_elsewhere"))
        assert (got["persona"], got["temperature"], got["thinks"]) == ("Plain.", 0.5, True)

    async def test_all_that_are_given_reach_the_chat(self, url):
        events: list[SpaceEvent] = []
        settings: dict[str, Any] = {"temperature": 1.5, "thinking": False}
        model = model_of(url, "set_elsewhere", on_event=events.append, **settings)
        got = await reached(model, [("system", "Be a zoologist."), *TURNS])
        assert (got["persona"], got["temperature"]) == ("Be a zoologist.", 1.5)
        assert (got["thinks"], got["turns"]) == (False, 2)
        assert got["question"] == "What does it eat?"
        warned = ("qwen_space_warning", "qwen_space_system_in_question")
        assert not [event for event in events if event.name in warned]

    async def test_a_value_that_is_not_taken_is_sent_as_the_nearest(self, url):
        with pytest.warns(UserWarning, match=r"does not accept temperature=9\.0; 2 was sent"):
            got = await reached(model_of(url, "set_elsewhere", temperature=9))
        assert got["temperature"] == 2

    async def test_they_are_described(self, url):
        roles = (await model_of(url, "set_elsewhere").adescribe()).roles
        for role in ("system", "temperature", "thinking"):
            assert "passed on by" in roles[role]

    async def test_a_model_brings_the_settings_that_its_choice_fills(self, url):
        got = await reached(model_of(url, "presets", model="32B"), TURNS)
        assert (got["model"], got["persona"], got["limit"]) == ("Qwen3-32B", "Large.", 2048)
        assert got["turns"] == 2

    async def test_but_not_in_the_place_of_those_that_are_given(self, url):
        model = model_of(url, "presets", model="32B", max_tokens=99)
        got = await reached(model, [("system", "Be a zoologist."), *TURNS])
        assert (got["persona"], got["limit"]) == ("Be a zoologist.", 99)

    async def test_whose_bounds_it_changes_as_well(self, url):
        for settings in ({"max_tokens": 3000}, {"model_kwargs": {"Max new tokens": 3000}}):
            got = await reached(model_of(url, "presets", model="32B", **settings), TURNS)
            assert (got["limit"], got["turns"]) == (3000, 2)
        model = model_of(url, "presets", model="32B", model_kwargs={"Max new tokens": 9000})
        with pytest.raises(InvalidInputError, match="a number from 1 to 4096, not 9000"):
            await model.ainvoke("Hello")
        model = model_of(url, "presets", model_kwargs={"Max new tokens": 3000})
        with pytest.raises(InvalidInputError, match="a number from 1 to 512, not 3000"):
            await model.ainvoke("Hello")


class TestStart:
    async def test_of_two_chats_the_first_is_taken(self, url):
        assert (await reached(model_of(url, "two_chats")))["chat"] == "First"

    async def test_a_function_without_a_name_is_named_by_its_number(self, url):
        assert (await reached(model_of(url, "two_chats", start=1)))["chat"] == "Second"

    async def test_a_number_that_is_not_there_is_refused(self, url):
        with pytest.raises(InvalidInputError, match="no function"):
            await model_of(url, "two_chats", start=99).ainvoke("Hello")


async def test_earlier_turns_are_sent_as_the_chatbot_shows_them_with_the_newest_on_top(url):
    asked = ["What is a quokka?", "What does it eat?", "And where does it live?"]
    longer = [*TURNS, ("ai", "Leaves."), ("human", asked[-1])]
    first = model_of(url, "newest_first")
    with pytest.raises(ProtocolError, match="newest turn on top") as caught:
        await first.ainvoke(longer)
    assert caught.value.is_retryable
    assert (await reached(first, longer))["asked"] == asked
    assert (await reached(first, TURNS))["asked"] == asked[:2]


@pytest.mark.parametrize("history", [[], TURNS])
async def test_files_that_an_answer_puts_beside_the_chat_are_listed(url, history):
    answer = await model_of(url, "shows_beside").ainvoke([*history, ("human", "Draw.")])
    files = answer.additional_kwargs["files"]
    assert [file["name"] for file in files] == ["image.webp", "image.webp", "image.webp", "app.py"]
    assert len({file["url"] for file in files}) == 3  # the gallery has the picture too
    async with aiohttp.ClientSession() as http, http.get(files[-1]["url"]) as response:
        assert await response.text() == inspect.getsource(app)


async def test_a_step_that_only_cancels_is_passed_over(url):
    got = await reached(model_of(url, "cancels", history="turns"), TURNS)
    assert (got["question"], got["turns"]) == ("What does it eat?", 2)


async def test_leaving_a_chain_frees_the_app_as_its_stop_button_would(url):
    model = model_of(url, "stoppable", total_timeout=30)
    async for chunk in model.astream("Go"):
        assert chunk.text.startswith("tick")
        break
    assert (await reached(model, "ended?"))["ended"] == 1


async def test_a_page_that_is_not_filled_when_it_is_opened_is_used_with_its_own_values(url):
    with pytest.warns(UserWarning, match=r"did not fill its page .* Nobody is logged in\."):
        got = await reached(model_of(url, "fails_to_open"), TURNS)
    assert (got["persona"], got["turns"]) == ("Plain.", 2)
