"""Answers in OpenAI's form: what JSON or UTF-8 cannot hold, and the shape of a stream."""

import json

import orjson
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from langchain_qwen_space.api.answers import Frames, completion
from tests.unit_tests.api.callers import events, post, question, server_for, text_of
from tests.unit_tests.faults.server import (
    STARTS,
    answer_events,
    appended,
    completed,
    generating,
    stream,
    value,
)

HALF = "\ud83d"
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def delta(frame):
    return orjson.loads(frame.removeprefix(b"data: "))["choices"][0]["delta"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (f"a{HALF}b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude42", "🙂"),  # both halves, each a character of its own
        (f"é🙂{HALF}", "é🙂\ufffd"),
    ],
)
def test_half_a_character_is_replaced_whole_and_streamed(text, sent):
    whole = orjson.loads(completion(AIMessage(text), "72B"))
    assert whole["choices"][0]["message"]["content"] == sent
    frames = Frames("72B", include_usage=False)
    assert delta(frames.of(AIMessageChunk(text)))["content"] == sent
    thought = AIMessageChunk("", additional_kwargs={"reasoning_content": text})
    assert delta(frames.of(thought))["reasoning_content"] == sent
    piece = tool_call_chunk(name="f", args=text, id="1", index=0)
    call = delta(frames.of(AIMessageChunk("", tool_call_chunks=[piece])))["tool_calls"][0]
    assert call["function"]["arguments"] == sent
    last = AIMessageChunk(
        "", response_metadata={"revised": True, "final_text": text}, usage_metadata=USAGE
    )
    ending = orjson.loads(frames.of(last).removeprefix(b"data: "))
    assert ending["qwen_space"] == {"revised": True, "final_text": sent}


def test_files_of_an_answer_are_listed_whole_and_streamed():
    files = [{"name": "a.png", "url": "https://e.org/a.png", "mime_type": "image/png"}]
    whole = orjson.loads(completion(AIMessage("", additional_kwargs={"files": files}), "72B"))
    assert whole["choices"][0]["message"]["files"] == files
    last = AIMessageChunk("", additional_kwargs={"files": files}, usage_metadata=USAGE)
    first, *_ = Frames("72B", include_usage=False).of(last).split(b"\n\n")
    assert delta(first) == {"files": files}


@pytest.mark.parametrize(
    "arguments", [{"city": f"P{HALF}"}, {"n": 2**70}, {"n": 1.5, "deep": [{"x": None}]}, {}]
)
def test_arguments_of_a_call_are_json_of_the_same_values(arguments):
    call = {"name": "f", "args": arguments, "id": "1", "type": "tool_call"}
    whole = orjson.loads(completion(AIMessage("", tool_calls=[call]), "72B"))
    (sent,) = whole["choices"][0]["message"]["tool_calls"]
    assert json.loads(sent["function"]["arguments"]) == arguments
    assert whole["choices"][0]["message"]["content"] is None


def test_arguments_that_are_not_json_are_sent_as_they_were_written():
    call = {"name": "f", "args": "{no", "id": "1", "error": None, "type": "invalid_tool_call"}
    whole = orjson.loads(completion(AIMessage("", invalid_tool_calls=[call]), "72B"))
    (sent,) = whole["choices"][0]["message"]["tool_calls"]
    assert sent == {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{no"}}


def test_pieces_of_several_calls_have_openais_indices():
    frames = Frames("72B", include_usage=False)
    pieces = [
        tool_call_chunk(name="f", args='{"a":', id="1", index=4),
        tool_call_chunk(name="g", args="{}", id="2", index=7),
        tool_call_chunk(args="1}", index=4),
    ]
    sent = [
        delta(frames.of(AIMessageChunk("", tool_call_chunks=[piece])))["tool_calls"][0]
        for piece in pieces
    ]
    assert [call["index"] for call in sent] == [0, 1, 0]
    assert [call.get("id") for call in sent] == ["1", "2", None]
    assert sent[2]["function"] == {"arguments": "1}"}


TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def calls_of(written):
    return "".join(
        f'<tool_call>\n{{"name": "look", "arguments": {w}}}\n</tool_call>\n' for w in written
    )


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_with_half_a_character_in_it_arrives_as_the_model_wrote_it(space, streamed):
    space.on("data", stream(answer_events(calls_of([r'{"city": "P\ud83d"}']))))
    response = await post(server_for(space), question(tools=[TOOL], stream=streamed))
    assert response.status_code == 200
    if streamed:
        deltas = [e["choices"][0]["delta"] for e in events(response.text)[:-1]]
        calls = [call for d in deltas for call in d.get("tool_calls", ())]
        arguments = "".join(call["function"]["arguments"] for call in calls)
    else:
        (call,) = response.json()["choices"][0]["message"]["tool_calls"]
        arguments = call["function"]["arguments"]
    assert json.loads(arguments) == {"city": "P\ud83d"}


@pytest.mark.parametrize("streamed", [False, True])
async def test_without_parallel_tool_calls_one_call_comes(space, streamed):
    two = answer_events(calls_of(['{"city": "Paris"}', '{"city": "Rome"}']))
    for wanted, count in ((True, 2), (False, 1)):
        space.on("data", stream(two))
        body = question(tools=[TOOL], stream=streamed, parallel_tool_calls=wanted)
        response = await post(server_for(space), body)
        if streamed:
            deltas = [e["choices"][0]["delta"] for e in events(response.text)[:-1]]
            calls = {call["index"] for d in deltas for call in d.get("tool_calls", ())}
        else:
            calls = response.json()["choices"][0]["message"]["tool_calls"]
        assert len(calls) == count


@pytest.mark.parametrize("include_usage", [False, True])
async def test_a_stream_has_one_id_a_role_a_reason_and_usage_if_it_was_asked_for(
    space, include_usage
):
    body = question(stream=True, stream_options={"include_usage": include_usage})
    response = await post(server_for(space), body)
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    assert len({(c["id"], c["created"], c["object"], c["model"]) for c in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    reasons = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert text_of(chunks) == "Hello, wörld 🌍!"
    usage = [c.get("usage", "absent") for c in chunks]
    if include_usage:
        assert chunks[-1]["choices"] == []
        assert usage[-1]["total_tokens"] > 0
        assert set(map(str, usage[:-1])) == {"None"}
    else:
        assert set(usage) == {"absent"}


async def test_a_revised_answer_says_so_and_gives_the_final_text(space):
    revised = [STARTS, generating(value("Hello")), appended(" you"), completed(value("Farther"))]
    space.on("data", stream(revised))
    response = await post(server_for(space), question(stream=True))
    (said,) = [e["qwen_space"] for e in events(response.text)[:-1] if "qwen_space" in e]
    assert said == {"revised": True, "final_text": "Farther"}
