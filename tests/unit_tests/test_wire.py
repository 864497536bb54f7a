"""Every recorded call decodes to the text that its Space delivered, however the bytes are split."""

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    GenerationError,
    QueueFullError,
    QwenSpaceError,
    SpaceRateLimitError,
    SpaceUnavailableError,
    StreamInterruptedError,
)
from tests.replay import FOLDERS, Case, load, replay, split, streamed_cases

SEEDS = range(2)


def solid(text: str) -> str:
    return "".join(text.split())


def text_events(case: Case) -> int:
    """How many events of the traffic bring text, counted without the package's own code."""
    count = 0
    for event in case.events():
        if event["msg"] != "process_generating":
            continue
        change = event["output"]["data"][1]
        edits = [edit for edit in change if isinstance(edit, list) and edit[:1] == ["append"]]
        first = not count and bool(case.reply)
        count += first or bool(edits)
    return count


def is_revised(case: Case) -> bool:
    """Whether the server replaced text that it had sent."""
    generating = [event for event in case.events() if event["msg"] == "process_generating"]
    return any(
        edit[0] == "replace" and isinstance(edit[2], str)
        for event in generating[1:]
        for edit in event["output"]["data"][1]
    )


def model_for(url: str, **settings: object) -> ChatQwenSpace:
    return ChatQwenSpace(space=url, max_retries=0, timeout=5, **settings)


ANSWERED = [case for case in streamed_cases() if load(*case).reply is not None]


@pytest.mark.parametrize("join", [True, False], ids=["joined", "apart"])
@pytest.mark.parametrize(("folder", "name"), ANSWERED)
async def test_an_answer_streams_as_the_text_that_the_space_delivered(folder, name, join):
    case = load(folder, name)
    for seed in SEEDS:
        pieces = split(case.body, seed)
        async with replay(folder, name, pieces) as space:
            model = model_for(space.url, join_fragments=join)
            chunks = [chunk async for chunk in model.astream(case.data[0])]
        last = chunks[-1]
        text = "".join(chunk.content for chunk in chunks)
        assert last.content == ""
        assert last.chunk_position == "last"
        if is_revised(case):
            assert last.response_metadata["revised"] is True
            assert last.response_metadata["final_text"] == case.reply
            if name == "revised":
                assert text == "Thinking..." + case.reply
            else:
                assert solid(text) == solid(case.reply)
        else:
            assert text == case.reply
            assert "revised" not in last.response_metadata
            if not join:
                assert sum(bool(chunk.content) for chunk in chunks) >= text_events(case)


@pytest.mark.parametrize(("folder", "name"), ANSWERED)
async def test_invoke_returns_the_exact_answer(folder, name):
    case = load(folder, name)
    async with replay(folder, name) as space:
        message = await model_for(space.url).ainvoke(case.data[0])
    assert message.content == case.reply
    assert message.response_metadata["event_id"] == case.event_id


FAILURES = {
    "error": (SpaceRateLimitError, "You have exceeded your quota", ""),
    "late_error": (GenerationError, "failed: upstream failed", "partial answer"),
    "crash": (GenerationError, "failed: boom", ""),
    "bad_arguments": (GenerationError, "didn't receive enough input values", ""),
    "cancelled": (StreamInterruptedError, "broke off", None),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_failed_call_raises_what_the_app_said(folder, name):
    kind, words, partial = FAILURES[name]
    case = load(folder, name)
    async with replay(folder, name, split(case.body, 1)) as space:
        with pytest.raises(QwenSpaceError, match=words) as caught:
            await model_for(space.url).ainvoke(case.data[0])
    assert type(caught.value) is kind
    if partial is None:
        assert caught.value.partial.startswith("00000 00001")
    else:
        assert caught.value.partial == partial


@pytest.mark.parametrize("folder", FOLDERS)
async def test_a_stream_that_knows_no_such_session_is_an_interrupted_call(folder):
    async with replay(folder, "plain", [load(folder, "no_session").body]) as space:
        with pytest.raises(StreamInterruptedError, match="404: "):
            await model_for(space.url).ainvoke("hi")


@pytest.mark.parametrize(
    "folder", ["gradio-4.44.1-modelscope-chatbot", "gradio-6.31.0-chatbot-messages"]
)
async def test_a_full_queue_says_so(folder):
    async with replay(folder, "queue_full") as space:
        with pytest.raises(QueueFullError, match="Queue is full"):
            await model_for(space.url).ainvoke("hi")


@pytest.mark.parametrize("folder", FOLDERS)
async def test_the_history_goes_to_the_space_as_it_was_recorded(folder):
    case = load(folder, "history")
    async with replay(folder, "history") as space:
        await model_for(space.url, model="7B").ainvoke(
            [
                ("system", "You are a helpful assistant."),
                ("human", "first question"),
                ("ai", "first answer"),
                ("human", "second question"),
                ("ai", "second answer"),
                ("human", case.data[0]),
            ]
        )
    (join,) = space.joins()
    recorded = case.record["request"]
    assert join["data"] == recorded["data"]
    assert join["fn_index"] == recorded["fn_index"]
    assert len(join["session_hash"]) >= 8


async def test_a_crashed_endpoint_is_an_unavailable_space():
    async with replay(FOLDERS[0], "plain") as space:
        space.case.record["join"] = load(FOLDERS[0], "no_such_fn").record
        with pytest.raises(SpaceUnavailableError, match="500"):
            await model_for(space.url).ainvoke("hi")
