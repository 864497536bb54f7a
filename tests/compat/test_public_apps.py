"""Chat apps as people publish them: what the caller gave reaches the model, or an event says so."""

import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import ProtocolError, UnsupportedSpaceError

from .forms import FORMS, Form
from .misleading_pages import MISLEADING_PAGES
from .public_apps import PUBLIC_APPS
from .public_pages import PUBLIC_PAGES
from .servers import Server, kept
from .shapes import OWN_PROMPT

pytestmark = pytest.mark.timeout(60, func_only=True)

EARLIER = [("human", "What is a panda?"), ("ai", "A bear."), ("human", "What does it eat?")]
OWN: dict[str, dict[str, Any]] = {
    "hidden_transcript": {"key": "k-1", "temperature": 0.5, "max_tokens": 2048},
    "party": {"about": ""},
    "resume": {"files": [None, None], "link": ""},
    "small_model": {"temperature": 0.8, "max_tokens": 64, "loaded": "tiny"},
    "stems": {"model": "htdemucs", "song": "a song"},
    "compared": {"side": "left"},
    "battle": {"model": "gemma-2-2b-jpn"},
    "personas": {"persona": "Friendly"},
    "providers": {"model": "gpt-4o-mini", "heat": 0},
    "personality": {"chosen": ""},
    "support": {"session": 32},
    "agents": {"model": "glm-4-flash"},
    "deepseek": {
        "temperature": 0.6,
        "max_tokens": 10000,
        "top_p": 0.95,
        "top_k": 40,
        "penalty": 1.1,
    },
    "answers_text": {"files": [None, None]},
    "stashed_in_a_box": {"stash": "What does a panda eat?"},
    "asks_for_a_key": {"key": ""},
    "limits_much": {"turns": 5, "size": 4096, "limit": 512},
    "asks_again": {"tone": "friendly"},
    "knows_its_visitor": {"known": True},
    "keeps_a_transcript": {"talk": ""},
    "fills_its_settings": {"system": OWN_PROMPT, "temperature": 0.25},
}
"""What reaches the models besides the messages, where the caller gives nothing."""
GIVEN: dict[str, dict[str, Any]] = {
    "hidden_transcript": {"temperature": 1.5, "max_tokens": 3000},
    "small_model": {"temperature": 1.25, "max_tokens": 256},
    "stems": {"model": "htdemucs_6s"},
    "battle": {"model": "qwen2.5-3b"},
    "providers": {"model": "gpt-4o"},
    "personality": {"model": "gpt-4"},
    "agents": {"model": "gemini-2.0-flash"},
    "deepseek": {"temperature": 0.25, "max_tokens": 3000, "top_p": 0.5},
}

WITH_ANSWER = [app for app in MISLEADING_PAGES if app != "is_too_busy"]
TRANSCRIPTS = ("keeps_a_transcript", "keeps_a_transcript_in_html")
IN_THE_QUESTION = ("shows_no_question", "shows_its_tools", *TRANSCRIPTS)
"""Those of them that take no earlier turns."""

each_app = pytest.mark.parametrize("app", [*PUBLIC_APPS, *PUBLIC_PAGES, *WITH_ANSWER])
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Form], Server]]:
    """Gives a form's server of these apps."""
    with kept(tmp_path_factory, "public") as server_of:
        yield server_of


async def reached(server: Server, app: str, asked: Any, **settings: Any) -> dict[str, Any]:
    """What the model behind the app got, and whether the caller was warned of it.

    A stream gives the same text.
    """
    if app == "answers_text":  # which the user has to name, as no chatbot marks it as a chat
        start = "predict" if server.form.version < (6,) else "ask"
        settings |= {"start": start, "inputs": {"query": "Ask a question"}}
    if app in TRANSCRIPTS:
        settings |= {"start": "answer", "inputs": {"query": "Ask"}}
    model = ChatQwenSpace(space=server.base_url(app), max_retries=0, **settings)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        whole = (await model.ainvoke(asked)).text
        chunks = [chunk async for chunk in model.astream(asked)]
    streamed = "".join(chunk.text for chunk in chunks)
    assert chunks[-1].response_metadata.get("final_text", streamed) == whole
    told = any("written into the question" in str(item.message) for item in warned)
    return {**json.loads(whole), "warned": told}


@each_form
@each_app
async def test_a_question_alone(server: Server, form: Form, app: str) -> None:
    got = await reached(server, app, "What does a panda eat?")
    assert not got.pop("warned")
    assert got.pop("messages")[-1] == {"role": "user", "content": "What does a panda eat?"}
    assert got == OWN.get(app, {})


@each_form
@each_app
async def test_earlier_turns_and_a_system_prompt(server: Server, form: Form, app: str) -> None:
    got = await reached(server, app, [("system", "Be brief."), *EARLIER])
    said = [message["content"] for message in got["messages"]]
    told = "\n".join([*said, got.get("system", "")])
    assert "Be brief." in told
    places = [told.index(text) for _, text in EARLIER]
    assert places == sorted(places)
    assert got["warned"] is (len(said) == 1)


@each_form
@pytest.mark.parametrize("app", GIVEN)
async def test_settings(server: Server, form: Form, app: str) -> None:
    got = await reached(server, app, "Hello", **GIVEN[app])
    if app == "personality":  # whose function has another name for it
        got["model"] = got["chosen"]
    assert {key: got[key] for key in GIVEN[app]} == GIVEN[app]


@each_form
async def test_a_limit_of_what_goes_in_is_left_alone(server: Server, form: Form) -> None:
    got = await reached(server, "limits_much", "Hello", max_tokens=3000)
    assert (got["turns"], got["size"], got["limit"]) == (5, 4096, 3000)


@each_form
@pytest.mark.parametrize("app", [app for app in WITH_ANSWER if app not in IN_THE_QUESTION])
async def test_what_a_page_has_beside_its_chat_does_not_keep_earlier_turns_from_the_model(
    server: Server, form: Form, app: str
) -> None:
    got = await reached(server, app, EARLIER)
    assert not got["warned"]
    assert [message["content"] for message in got["messages"]] == [text for _, text in EARLIER]


@each_form
async def test_what_the_app_says_in_place_of_an_answer_stands_in_the_error(
    server: Server, form: Form
) -> None:
    model = ChatQwenSpace(space=server.base_url("is_too_busy"), max_retries=0)
    again = [("human", "Continue"), ("ai", "An older answer."), ("human", "Continue")]
    for asked in ("Hello", again):
        with pytest.raises(
            ProtocolError, match=r"does not hold the question.*Too many people are here"
        ):
            await model.ainvoke(asked)


@each_form
async def test_a_question_that_was_asked_before_gets_its_own_answer(
    server: Server, form: Form
) -> None:
    asked = ["Continue", "An older answer.", "Continue"]
    got = await reached(
        server, "checks_first", [*zip(("human", "ai", "human"), asked, strict=True)]
    )
    assert [message["content"] for message in got["messages"]] == asked


@each_form
async def test_a_page_without_a_chatbot_is_refused_with_what_to_name(
    server: Server, form: Form
) -> None:
    model = ChatQwenSpace(space=server.base_url("answers_text"), max_retries=0)
    start = "predict" if form.version < (6,) else "ask"
    with pytest.raises(
        UnsupportedSpaceError, match=rf"start='{start}', inputs={{'query': 'Ask a question'}}"
    ):
        await model.ainvoke("Hello")
