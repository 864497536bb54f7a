"""What a Space refuses or fails to do is the right error, in the app's own words."""

import asyncio

import aiohttp
import pytest

from langchain_qwen_space.errors import (
    GenerationError,
    InvalidInputError,
    QueueFullError,
    SpaceAuthenticationError,
    SpaceTimeoutError,
)
from langchain_qwen_space.events import SpaceEvent

from .conftest import Chat
from .forms import CREDENTIALS, Form
from .marks import for_each
from .runs import still
from .servers import Server
from .test_client_events import held

pytestmark = pytest.mark.timeout(60, func_only=True)

FAILING = ["qwen25", "plain_function", "chat_interface"]
WORDS = 'it\'s "broken"\nhere: 你好 \\n'


@for_each(FAILING)
@pytest.mark.parametrize("command", ["raise", "crash"])
async def test_an_error_has_the_words_of_the_app(
    chat: Chat, server: Server, layout: str, command: str
) -> None:
    with pytest.raises(GenerationError) as caught:
        await chat().ainvoke(f"{command}:{WORDS}")

    where = server.base_url(layout)
    assert str(caught.value) == f"The app on Space {where} failed: {WORDS}"
    assert not caught.value.is_retryable
    assert caught.value.partial == ""


@for_each(["qwen25"])
async def test_an_exception_whose_text_is_quoted_keeps_its_quotes(chat: Chat, layout: str) -> None:
    with pytest.raises(GenerationError) as caught:
        await chat().ainvoke("crash:'quoted'")

    assert str(caught.value).endswith("failed: 'quoted'")


@for_each(["qwen25", "chat_interface"])
async def test_an_error_after_the_first_text_holds_what_had_come(chat: Chat, layout: str) -> None:
    chunks = chat().astream("late-raise:too late")

    first = await anext(chunks)
    with pytest.raises(GenerationError, match=r"failed: too late$") as caught:
        await anext(chunks)

    assert first.text == caught.value.partial == "partial answer"


@for_each(["hidden_errors"])
async def test_a_space_that_hides_its_errors_is_said_to(
    chat: Chat, form: Form, layout: str
) -> None:
    with pytest.raises(GenerationError, match="hides its errors") as hidden:
        await chat().ainvoke("crash:secret")
    with pytest.raises(GenerationError, match=r"failed: told$"):
        await chat().ainvoke("raise:told")

    assert "secret" not in str(hidden.value)


@for_each(["validated"])
async def test_what_the_app_itself_refuses_is_invalid_input(chat: Chat, layout: str) -> None:
    with pytest.raises(InvalidInputError, match=r"This query is not allowed\.") as caught:
        await chat().ainvoke("invalid")

    assert caught.value.status == 422
    assert (await chat().ainvoke("echo:valid")).content == "valid"


@for_each(["login"])
async def test_a_space_with_a_login_says_what_it_asks_for(chat: Chat, layout: str) -> None:
    with pytest.raises(SpaceAuthenticationError, match=r"auth=\(user, password\)"):
        await chat(auth=None).ainvoke("hello")
    with pytest.raises(SpaceAuthenticationError, match="rejects the login of 'user'"):
        await chat(auth=("user", "wrong")).ainvoke("hello")

    assert (await chat(auth=CREDENTIALS).ainvoke("echo:welcome")).content == "welcome"


@for_each(["busy"])
async def test_a_full_queue_is_an_error_that_may_be_tried_again(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    events: list[SpaceEvent] = []
    async with held(chat, http, server, "full"):
        waiting = asyncio.create_task(chat(on_event=events.append).ainvoke("echo:my turn"))
        while not events:
            await asyncio.sleep(0.02)

        with pytest.raises(QueueFullError, match="Queue is full") as caught:
            await chat().ainvoke("echo:no room")

    assert caught.value.is_retryable
    assert (await waiting).content == "my turn"


@for_each(["busy"])
async def test_it_is_tried_again_until_there_is_room(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    events: list[SpaceEvent] = []
    async with held(chat, http, server, "room"):
        waiting = asyncio.create_task(chat(on_event=events.append).ainvoke("echo:my turn"))
        while not events:
            await asyncio.sleep(0.02)
        events.clear()
        again = chat(on_event=events.append, max_retries=5)
        patient = asyncio.create_task(again.ainvoke("echo:room at last"))
        while not events:
            await asyncio.sleep(0.02)

    assert events[0].name == "qwen_space_retry"
    assert (await waiting).content == "my turn"
    assert (await patient).content == "room at last"


@for_each(["older"])
async def test_a_wait_in_the_queue_that_is_too_long_leaves_the_queue(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    async with held(chat, http, server, "queue-timeout"):
        with pytest.raises(
            SpaceTimeoutError, match=r"in its queue .* 0\.5 seconds.*queue_timeout="
        ):
            await chat(queue_timeout=0.5).ainvoke("hold:never-begun")

    assert (await chat().ainvoke("echo:next")).content == "next"
    assert (await still(http, server, "never-begun"))["started"] == 0


@for_each(["older"])
async def test_a_wait_in_the_queue_does_not_count_once_the_answer_has_begun(
    chat: Chat, layout: str
) -> None:
    assert (await chat(queue_timeout=2).ainvoke("slow:3:late")).content == "late"


@for_each(["older"])
async def test_silence_that_is_too_long_is_an_error(chat: Chat, layout: str) -> None:
    with pytest.raises(SpaceTimeoutError, match=r"sent nothing.* 2\.0 seconds.* timeout="):
        await chat(timeout=2).ainvoke("slow:4:late")


@for_each(["older"])
async def test_a_call_that_takes_too_long_in_all_is_ended(
    chat: Chat, http: aiohttp.ClientSession, server: Server, layout: str
) -> None:
    with pytest.raises(SpaceTimeoutError, match=r"5\.0 seconds in all.*total_timeout=") as caught:
        await chat(total_timeout=5).ainvoke("hold:total")

    assert caught.value.partial.startswith("tick")
    assert (await still(http, server, "total"))["steps"] < 200
    assert (await chat().ainvoke("echo:next")).content == "next"
