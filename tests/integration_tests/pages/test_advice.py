"""Each error and warning that says what to set, by what comes of doing so."""

import ast
import json
import re
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    GenerationError,
    InvalidInputError,
    ProtocolError,
    SpaceTimeoutError,
    UnsupportedSpaceError,
)
from langchain_qwen_space.events import SpaceEvent, SystemInQuestionEvent
from tests.integration_tests.pages.test_pages import TURNS, model_of, reached
from tests.pictures import image, png
from tests.unit_tests.faults.server import CONFIG, fault_server, reply


async def refused(
    model: ChatQwenSpace, kind: type[Exception], words: str, messages: Any = "Hello"
) -> str:
    """The message of the error that a call ends with."""
    with pytest.raises(kind, match=words) as caught:
        await model.ainvoke(messages)
    return str(caught.value)


class TestThePage:
    async def test_what_is_no_gradio_app_is_replaced_by_the_apps_own_url(self, url):
        async with fault_server() as server:
            server.on("config", reply('{"name": "a site"}'))
            other = ChatQwenSpace(space=server.url, hf_token=None, max_retries=0)
            await refused(other, UnsupportedSpaceError, "URL of the app itself")
        assert await reached(model_of(url, "two_chats"))

    async def test_an_old_protocol_is_read_once_the_owner_has_upgraded(self):
        old = {"version": "3.50.2", "components": [], "dependencies": []}
        async with fault_server() as server:
            server.on("config", reply(json.dumps(old)), reply(json.dumps(CONFIG)))
            model = ChatQwenSpace(space=server.url, hf_token=None, max_retries=0)
            said = await refused(model, UnsupportedSpaceError, "ask the Space's owner to upgrade")
            assert "Gradio 3.50.2" in said
            assert "Gradio 4.9" in said
            assert (await model.ainvoke("Hello")).text

    async def test_a_page_that_opens_slowly_gets_more_time(self, url):
        said = await refused(
            model_of(url, "slow_to_open", timeout=2), SpaceTimeoutError, "did not open within 2"
        )
        assert "Raise timeout=…" in said
        assert (await reached(model_of(url, "slow_to_open", timeout=60)))["model"] == "Qwen3-8B"

    async def test_where_a_timer_fetches_the_answer_another_space_is_to_be_chosen(self, url):
        said = await refused(model_of(url, "polled"), GenerationError, "contains no answer")
        assert "with a timer, which is not supported; choose another Space." in said
        assert "start=" not in said

    async def test_a_function_without_a_chatbot_is_named_as_the_error_says(self, url):
        said = await refused(model_of(url, "no_chatbot"), UnsupportedSpaceError, "It has: start=")
        start, box = re.search(r"start=('.*?'), inputs=({.*?})", said).groups()
        named = {"start": ast.literal_eval(start), "inputs": ast.literal_eval(box)}
        assert (await reached(model_of(url, "no_chatbot", **named)))["question"] == "Hello"

    async def test_where_nothing_answers_a_text_another_space_does(self, url):
        await refused(model_of(url, "no_text"), UnsupportedSpaceError, "Choose another Space")
        assert await reached(model_of(url, "no_chatbot", start="reply"))


class TestNames:
    async def test_one_of_the_functions_that_there_are(self, url):
        said = await refused(model_of(url, "two_chats", start="third"), InvalidInputError, "it has")
        first = re.search(r"it has (/\w+)", said)[1]
        assert (await reached(model_of(url, "two_chats", start=first)))["chat"] == "First"
        said = await refused(
            model_of(url, "two_chats", api_name="/third"), InvalidInputError, "no function"
        )
        first = re.search(r"it has (/\w+)", said)[1]
        assert (await reached(model_of(url, "two_chats", api_name=first)))["chat"] == "First"

    async def test_one_of_the_inputs_that_there_are(self, url):
        page = "elsewhere"
        said = await refused(
            model_of(url, page, start="consult", inputs={"system": "Mood"}),
            InvalidInputError,
            "no input 'Mood' for system; it has",
        )
        names = re.findall(r"'(\w+)'", said.partition("it has")[2])
        model = model_of(url, page, start="consult", inputs={"system": names[-1]})
        assert (await reached(model, [("system", "Be brief."), ("human", "Hi")]))["persona"]

    async def test_one_of_the_roles_that_there_are(self, url):
        said = await refused(
            model_of(url, "two_chats", inputs={"question": "First"}), InvalidInputError, "no role"
        )
        roles = ast.literal_eval(re.search(r"the roles are (\(.*\))", said)[1])
        model = model_of(url, "two_chats", inputs={roles[0]: "First"})
        assert (await reached(model))["question"] == "Hello"

    async def test_one_of_the_labels_of_other_inputs(self, url):
        page = "elsewhere"
        said = await refused(
            model_of(url, page, start="consult", model_kwargs={"Mood": "calm"}),
            InvalidInputError,
            "has no input 'Mood'",
        )
        label = ast.literal_eval(re.search(r"it has (\[.*\])", said)[1])[-1]
        model = model_of(url, page, start="consult", model_kwargs={label: "calm"})
        assert (await reached(model))["persona"] == "calm"


class TestValues:
    @pytest.mark.parametrize(
        ("page", "name", "wrong", "words", "right", "key"),
        [
            ("checkbox", "Thinking budget", 99, "a number from 1 to 38, not 99", 38, "budget"),
            ("checkbox", "Thinking budget", "9", "a number, not '9'", 9, "budget"),
            ("checkbox", "Enable thinking", "no", "True or False, not 'no'", False, "think"),
            (
                *("dropdown", "Thinking", "Maybe"),
                *(r"one of \['With thinking', 'No thinking'\]", "No thinking", "mode"),
            ),
            ("elsewhere", "Persona", 3, "text, not 3", "A zebra", "persona"),
            ("elsewhere", "Persona", {1}, "a JSON value", "A zebra", "persona"),
        ],
    )
    async def test_a_value_that_is_refused_and_one_that_is_taken(
        self, url, page, name, wrong, words, right, key
    ):
        settings = {"start": "consult"} if page == "elsewhere" else {}
        model = model_of(url, page, model_kwargs={name: wrong}, **settings)
        await refused(model, InvalidInputError, f"{name}.* must be {words}")
        model = model_of(url, page, model_kwargs={name: right}, **settings)
        assert (await reached(model))[key] == right

    async def test_a_long_answer_is_taken_with_a_higher_limit(self, url):
        question = "long " * 300
        model = model_of(url, "two_chats", max_reply_bytes=1024)
        await refused(model, ProtocolError, "raise max_reply_bytes", question)
        got = await reached(model_of(url, "two_chats", max_reply_bytes=100_000), question)
        assert got["question"].startswith("long long")


class TestFiles:
    PICTURE = image()

    async def test_a_space_for_text_only_is_asked_without_the_block(self, url):
        message = HumanMessage([{"type": "text", "text": "Hello"}, self.PICTURE])
        model = model_of(url, "two_chats")
        await refused(model, InvalidInputError, "remove the block", [message])
        assert (await reached(model, "Hello"))["question"] == "Hello"

    @pytest.mark.parametrize(
        ("blocks", "words"),
        [
            ([image(b"%PDF-1.7", "application/pdf", type="file")], "'Message' takes .*image"),
            ([image(), image()], "does not accept so many files: 'Message' takes image, 1 at most"),
            ([image(png(side=900))], "bytes, but this Space accepts at most 2,000"),
        ],
    )
    async def test_another_file_is_accepted(self, url, blocks, words):
        model = model_of(url, "album")
        text = {"type": "text", "text": "What is it?"}
        await refused(model, InvalidInputError, words, [HumanMessage([text, *blocks])])
        assert (await reached(model, [HumanMessage([text, self.PICTURE])]))["files"] == 1


class TestTurns:
    async def test_an_input_for_them_is_named_or_history_left_out(self, url):
        model = model_of(url, "transcript", history="turns")
        await refused(model, InvalidInputError, r"Name one by inputs={'history': …}", TURNS)
        model = model_of(url, "transcript", history="turns", inputs={"history": "Transcript"})
        got = await reached(model, TURNS)
        assert got["question"] == "What does it eat?"
        assert got["told"] == ["What is a quokka?", "A marsupial."]
        with pytest.warns(UserWarning, match="written into the question"):
            got = await reached(model_of(url, "transcript"), TURNS)
        assert got["turns"] == 0
        assert "> A marsupial." in got["question"]


class TestWhereItGoes:
    async def test_where_no_answer_came_the_function_that_answers_is_named(self, url):
        with pytest.raises(GenerationError, match=r"pass the function that answers as start=…"):
            await model_of(url, "elsewhere", start="show").ainvoke("Hello")
        got = await reached(model_of(url, "elsewhere", start="consult"))
        assert got["question"] == "Hello"

    async def test_the_questions_own_box_that_was_emptied_is_no_answer(self, url):
        model = model_of(url, "drawn", start="ask", inputs={"query": "Message"})
        await refused(model, GenerationError, "its textbox 'Message' contains no answer: ''")

    async def test_where_turns_go_into_the_question_text_says_that_it_is_wanted(self, url):
        question = (await reached(model_of(url, "two_chats", history="text"), TURNS))["question"]
        assert "> A marsupial." in question
        assert (await reached(model_of(url, "two_chats", history="turns"), TURNS))["turns"] == 2

    async def test_a_setting_without_an_input_is_sent_under_its_label(self, url):
        with pytest.warns(UserWarning, match=r"model_kwargs|no input for top_p") as caught:
            await model_of(url, "elsewhere", start="consult", top_p=0.5).ainvoke("Hello")
        assert len(caught) == 1
        model = model_of(url, "elsewhere", start="consult", model_kwargs={"Persona": "A zebra"})
        assert (await reached(model))["persona"] == "A zebra"

    async def test_the_input_for_the_system_prompt_is_named(self, url):
        events: list[SpaceEvent] = []
        messages = [("system", "Be brief."), ("human", "Hello")]
        model = model_of(url, "elsewhere", start="consult", on_event=events.append)
        assert (await reached(model, messages))["question"] == "Be brief.\n\nHello"
        assert [event for event in events if isinstance(event, SystemInQuestionEvent)]

        events.clear()
        model = model_of(
            url,
            "elsewhere",
            start="consult",
            inputs={"system": "Persona"},
            on_event=events.append,
        )
        got = await reached(model, messages)
        assert (got["question"], got["persona"]) == ("Hello", "Be brief.")
        assert not [event for event in events if isinstance(event, SystemInQuestionEvent)]
