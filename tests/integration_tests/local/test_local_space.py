"""What a client meets on a local Space: layout, streams, history, calls that are left."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import aiohttp
import pytest

from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.local import LocalSpace

from .local_answers import scripted
from .local_wire import DEFAULT_SYSTEM, call, events, reply, soon, turn

GENERAL = ["72B", "32B", "14B", "7B", "3B", "1.5B", "0.5B"]
MATH = ["Math-72B", "Math-7B", "Math-1.5B"]
CODER = ["Coder-7B", "Coder-1.5B"]
# Above 40, where Gradio has a limit of its own.
CONCURRENCY = 42


@pytest.fixture(scope="module")
def space() -> Iterator[LocalSpace]:
    with LocalSpace(scripted, concurrency=CONCURRENCY, max_queue=1) as space:
        yield space


def says(marker: Path, text: str) -> Callable[[], bool]:
    return lambda: marker.exists() and marker.read_text() == text


async def config(space: LocalSpace) -> dict:
    async with aiohttp.ClientSession() as http, http.get(f"{space.url}/config") as answer:
        assert answer.status == 200
        return await answer.json()


async def test_the_functions_are_those_of_the_public_space_in_their_order(space):
    dependencies = (await config(space))["dependencies"]
    assert [(each["id"], each["api_name"]) for each in dependencies] == [
        (0, "keep_one"),
        (1, "keep_one_1"),
        (2, "keep_one_2"),
        (3, "model_chat"),
        (4, "model_chat_1"),
        (5, "clear_session"),
        (6, "modify_system_session"),
        (7, "choose_radio"),
    ]
    generators = [each["api_name"] for each in dependencies if each["types"]["generator"]]
    assert generators == ["model_chat", "model_chat_1"]


async def test_the_components_of_the_endpoint_have_the_ids_of_the_recorded_space(space):
    found = await config(space)
    chat, click = found["dependencies"][3:5]
    assert (chat["inputs"], chat["outputs"]) == ([25, 24, 22, 12], [25, 24, 18])
    assert (click["inputs"], click["outputs"]) == (chat["inputs"], chat["outputs"])
    assert (chat["targets"], click["targets"]) == ([[25, "submit"]], [[28, "click"]])
    kinds = {each["id"]: each["type"] for each in found["components"]}
    assert [kinds[each] for each in chat["inputs"]] == ["textbox", "chatbot", "textbox", "radio"]


async def test_the_model_goes_in_by_a_hidden_radio_and_shows_in_three_visible_ones(space):
    props = {each["id"]: each["props"] for each in (await config(space))["components"]}
    radios = {
        each: (
            props[each].get("label"),
            [value for _, value in props[each]["choices"]],
            props[each].get("value"),
            props[each]["visible"],
        )
        for each in (4, 7, 10, 12)
    }
    assert radios == {
        4: ("Qwen2.5：", GENERAL, "72B", True),
        7: ("Qwen2.5-Math：", MATH, None, True),
        10: ("Qwen2.5-Coder：", CODER, None, True),
        12: (None, [*GENERAL, *MATH, *CODER], "72B", False),
    }


async def test_the_system_prompt_goes_in_by_a_hidden_box_and_shows_in_a_labelled_one(space):
    props = {each["id"]: each["props"] for each in (await config(space))["components"]}
    assert (props[18]["label"], props[18]["visible"]) == ("System", True)
    assert (props[22].get("label"), props[22]["visible"]) == (None, False)
    assert props[18]["value"] == props[22]["value"] == DEFAULT_SYSTEM


async def test_an_answer_streams_in_as_many_chunks_as_the_function_yields(space):
    found = await events(space.url, "say a long word")
    generating = [each["output"]["data"] for each in found if each["msg"] == "process_generating"]
    assert len(generating) == len("a long word")
    assert generating[0] == [
        "",
        [
            {**turn("user", "say a long word"), "metadata": None, "options": None},
            {**turn("assistant", "a"), "metadata": None, "options": None},
        ],
        DEFAULT_SYSTEM,
    ]
    assert generating[2] == [[], [["append", [1, "content", 0, "text"], "l"]], []]
    assert found[-1]["msg"] == "close_stream"


async def test_the_function_gets_system_prompt_history_as_pairs_query_and_model_name(space):
    history = [
        turn("user", "one,", " two"),
        turn("assistant", "three"),
        turn("user", "  four\n\tfive"),
        turn("assistant", ""),
    ]
    got = json.loads(await reply(space.url, "show", history, "Be brief.", "Coder-7B"))
    pairs = [["one, two", "three"], ["  four\n\tfive", ""]]
    assert got == ["Be brief.", pairs, "show", "qwen2.5-coder-7b-instruct"]


async def test_an_empty_system_prompt_reaches_the_function_as_it_is(space):
    assert json.loads(await reply(space.url, "show", system=""))[0] == ""


# What is printed may come later than what is sent: the log is waited for.


async def test_a_history_without_pairs_fails_the_call(space):
    found = await events(space.url, "show", [turn("user", "and no answer")])
    assert found[-2]["success"] is False
    assert await soon(lambda: "must be pairs" in space.log)


async def test_texts_are_re_indented_while_they_grow_as_on_the_public_space(space):
    text = "1. **First**:\n   - one\n2. **Second**:"
    found = await events(space.url, f"say {text}")
    edits = [each["output"]["data"][1] for each in found if each["msg"] == "process_generating"]
    assert ["replace", [1, "content", 0, "text"], f"{text[:-14]}2"] in chain(*edits[1:])
    assert found[-2]["output"]["data"][1][-1]["content"][0]["text"] == text


async def test_an_exception_of_the_function_is_in_the_log_and_not_on_the_wire(space):
    found = await events(space.url, "fail with these words")
    assert found[-2]["success"] is False
    assert found[-2]["output"]["error"] is None
    assert await soon(lambda: "printed by the function" in space.log)
    assert await soon(lambda: "RuntimeError: with these words" in space.log)


async def test_the_function_is_closed_at_its_next_yield_when_the_stream_is_left(space, tmp_path):
    marker = tmp_path / "marker"
    async with call(space.url, f"run {marker}") as running:
        await running.first("process_generating")
        assert marker.read_text() == "began"
    assert await soon(says(marker, "was closed"))


async def test_the_function_is_closed_at_its_next_yield_when_the_call_is_cancelled(space, tmp_path):
    marker = tmp_path / "marker"
    async with call(space.url, f"run {marker}") as running:
        await running.first("process_generating")
        await running.cancel()
        completed = await running.first("process_completed")
        assert completed["output"] == {}
        assert await soon(says(marker, "was closed"))


async def test_an_iterator_that_is_not_a_generator_is_closed_too(space, tmp_path):
    marker = tmp_path / "marker"
    async with call(space.url, f"iterate {marker}") as running:
        await running.first("process_generating")
    assert await soon(says(marker, "was closed"))


async def test_a_function_that_returns_a_string_fails_its_calls_and_the_log_says_why(space):
    assert (await events(space.url, "return all at once"))[-2]["success"] is False
    assert await soon(lambda: "must yield" in space.log)


async def test_both_triggers_share_one_limit_and_a_full_queue_turns_callers_away(space, tmp_path):
    markers = [tmp_path / str(number) for number in range(CONCURRENCY)]
    left = tmp_path / "left while queued"
    async with contextlib.AsyncExitStack() as stack:
        for number, marker in enumerate(markers):
            running = call(space.url, f"run {marker}", fn_index=3 + number % 2)
            await stack.enter_async_context(running)
            assert await soon(says(marker, "began"))
        async with call(space.url, f"run {left}") as waiting:
            assert (await waiting.first("estimation"))["rank"] == 0
            with pytest.raises(AssertionError, match="Queue is full"):
                async with call(space.url, "say no"):
                    pass
            assert not left.exists()
    assert await soon(lambda: all(marker.read_text() == "was closed" for marker in markers))
    assert await reply(space.url, "say yes") == "yes"
    assert not left.exists()


@pytest.mark.parametrize(
    ("fn_index", "data", "expected"),
    [
        (0, ["7B", None, None], ["7B", None, None]),
        (5, [], ["", []]),
        (6, ["Be brief."], ["Be brief.", "Be brief.", []]),
        (6, [""], [DEFAULT_SYSTEM, DEFAULT_SYSTEM, []]),
        (7, ["Math-7B", "S"], ["## Qwen2.5-Math-7B-instruct", "S", "S", ""]),
    ],
)
async def test_the_pages_other_functions_do_what_their_names_say(space, fn_index, data, expected):
    body = {"data": data, "fn_index": fn_index, "session_hash": "others"}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{space.url}/gradio_api/queue/join", json=body) as joined:
            assert joined.status == 200
        stream = f"{space.url}/gradio_api/queue/data?session_hash=others"
        async with http.get(stream) as answer:
            lines = [json.loads(line[6:]) async for line in answer.content if line != b"\n"]
    completed = next(line for line in lines if line["msg"] == "process_completed")
    assert completed["output"]["data"] == expected


async def test_a_login_is_asked_for_and_errors_and_texts_are_sent_as_they_are_where_wanted(
    monkeypatch,
):
    # Nothing of these may stand in the way of a server on this machine.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    login = {"username": "ada", "password": "secret"}
    space = LocalSpace(scripted, auth=("ada", "secret"), show_error=True, revises=False)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with space:
        ticking.cancel()
        assert ticks > 10, "the start blocked the event loop"
        async with aiohttp.ClientSession() as http, http.get(f"{space.url}/config") as answer:
            assert answer.status == 401
        assert await reply(space.url, "say   a\n\tb\n", login=login) == "  a\n\tb\n"
        failed = (await events(space.url, "fail with these words", login=login))[-2]
        assert failed["output"]["error"] == "with these words"
    with pytest.raises(QwenSpaceError, match="not running"):
        _ = space.url
