"""A model is asked once more for a call that cannot be read, however its answer arrives."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.rate_limiters import BaseRateLimiter

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import SpaceTimeoutError
from langchain_qwen_space.events import CorrectionEvent, RetryEvent, SpaceEvent
from langchain_qwen_space.qwen.turns import from_messages
from langchain_qwen_space.transport import Request, Response
from tests.unit_tests.faults.server import (
    CLOSE,
    CONFIG,
    STARTS,
    completed,
    generating,
    value,
)

GOOD = '<tool_call>\n{"name": "note", "arguments": {"text": "a"}}\n</tool_call>'
BROKEN = '<tool_call>\n{"name": "note", "arguments": {"text": "a" "b"}}\n</tool_call>'
QUOTED = "<tool_call>\n{'name': 'note', 'arguments': {'text': 'a' 'b'}}\n</tool_call>"
XML = "<function=note>\n<parameter=text>\na\n</parameter>\n<parameter=text>\nb\n</parameter>\n</function>"
THOUGHT = "Or <tool_call>\n{}\n</tool_call>?\n</think>\n\n".format(
    '{"name": "note", "arguments": {"text": "not this"}}'
)
ANSWERS = (BROKEN, QUOTED, XML, "<tool_call>\nnothing\n</tool_call>")
LEADS = ("", "Well.\n", "<think>\nHm.\n</think>\n\n", THOUGHT)


def note(text: str) -> str:
    """Write a note."""
    return text


class Chat:
    """A Space without a network: gives its answers in turn, the last for good, as they are split."""

    def __init__(self, *answers: Sequence[str], at_once: bool = True) -> None:
        self.answers = [*answers]
        self.at_once = at_once
        self.joins = 0
        self.query = ""
        self.heard: list[SpaceEvent] = []
        self.fails: set[int] = set()
        """The numbers of the joins that fail."""
        self.hangs: set[int] = set()
        """The numbers of those that are never answered to their end."""

    def model(self, **given: object) -> ChatQwenSpace:
        url = "https://chat.example"
        return ChatQwenSpace(
            **{"space": url, "hf_token": None, "transport": self, "on_event": self.heard.append}
            | given
        )

    async def __call__(self, request: Request) -> Response:
        match urlsplit(request.url).path.removeprefix("/gradio_api"):
            case "/config":
                return Response(body=json.dumps(CONFIG).encode())
            case "/queue/join":
                self.joins += 1
                if self.joins in self.fails:
                    return Response(429)
                self.query = json.loads(request.body)["data"][0]
                return Response(body=b'{"event_id": "e1"}')
            case "/queue/data":
                return Response(body=self.events())
        return Response()

    async def events(self) -> AsyncIterator[bytes]:
        text, sent = "", [STARTS]
        for fragment in self.answers[min(self.joins, len(self.answers)) - 1]:
            text += fragment
            sent.append(generating(value(text, self.query)))
        if self.joins in self.hangs:
            yield b"".join(sent)
            await asyncio.Event().wait()
        sent += [completed(value(text, self.query)), CLOSE]
        for data in [b"".join(sent)] if self.at_once else sent:
            yield data
            await asyncio.sleep(0)


async def streamed(chat: Chat, **given: object) -> AIMessageChunk:
    parts = [chunk async for chunk in chat.model(**given).bind_tools([note]).astream("q")]
    return parts[0] + parts[1:]


def split(text: str, places: Sequence[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(bounds)]


def outcome(message: AIMessage, chat: Chat) -> tuple[object, ...]:
    return (
        message.text,
        [(call["name"], call["args"]) for call in message.tool_calls],
        [(call["name"], call["args"]) for call in message.invalid_tool_calls],
        message.additional_kwargs.get("reasoning_content"),
        message.response_metadata.get("final_text"),
        message.usage_metadata,
        [event for event in chat.heard if isinstance(event, CorrectionEvent)],
        chat.joins,
    )


@settings(max_examples=60, deadline=None)
@given(
    lead=st.sampled_from(LEADS),
    broken=st.sampled_from(ANSWERS),
    reasoning=st.sampled_from([None, True, False]),
    places=st.lists(st.integers(0, 300), max_size=6),
    at_once=st.booleans(),
)
@example(lead="", broken=BROKEN, reasoning=None, places=[], at_once=True)
@example(lead="", broken=BROKEN, reasoning=None, places=[60], at_once=False)
def test_how_an_answer_arrives_does_not_matter(lead, broken, reasoning, places, at_once):
    text = lead + broken

    async def both() -> None:
        parted = Chat(split(text, places), split(GOOD, places), at_once=at_once)
        one = outcome(await streamed(parted, reasoning=reasoning), parted)
        letters = Chat(list(text), list(GOOD), at_once=False)
        other = outcome(await streamed(letters, reasoning=reasoning), letters)
        assert one == other
        assert one[1] == [("note", {"text": "a"})]
        assert parted.joins == 2
        whole = Chat([text], [GOOD])
        message = await whole.model(reasoning=reasoning).bind_tools([note]).ainvoke("q")
        assert message.usage_metadata == one[5]
        assert [call["args"] for call in message.tool_calls] == [{"text": "a"}]
        assert message.invalid_tool_calls == []

    asyncio.run(both())


async def test_a_stream_shows_both_answers_and_the_history_has_the_second():
    chat = Chat([f"Well.\n{BROKEN}"], [f"Again.\n{GOOD}"])
    message = await streamed(chat)
    assert message.text == "Well.\n\nAgain."
    assert message.response_metadata["final_text"] == "Again."
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert [call["args"] for call in message.tool_calls] == [{"text": "a"}]
    (invalid,) = message.invalid_tool_calls
    assert message.additional_kwargs["broken_tool_calls"][invalid["id"]]["error"]
    results = [
        ToolMessage("a", tool_call_id=message.tool_calls[0]["id"]),
        ToolMessage("not valid", tool_call_id=invalid["id"]),
    ]
    prompt = from_messages([HumanMessage("q"), message, *results])
    assert prompt.history == (("q", f"Again.\n{GOOD}"),)
    assert prompt.query == "<tool_response>\na\n</tool_response>"


async def test_a_second_answer_in_words_is_the_answer():
    message = await streamed(Chat([BROKEN], ["Never mind."]))
    assert message.text == "Never mind."
    assert "final_text" not in message.response_metadata
    assert message.response_metadata["finish_reason"] == "stop"
    prompt = from_messages([HumanMessage("q"), message, HumanMessage("r")])
    assert prompt.history == (("q", "Never mind."),)


async def test_the_second_request_is_an_event_that_says_what_was_wrong():
    chat = Chat([BROKEN], [BROKEN])
    message = await streamed(chat)
    assert chat.joins == 2  # and no third
    assert len(message.invalid_tool_calls) == 2
    (again,) = [event for event in chat.heard if isinstance(event, CorrectionEvent)]
    assert again.problem.startswith("The function call in your answer cannot be used. ")
    chat = Chat(["No."], ["No."])
    await chat.model().bind_tools([note], tool_choice="any").ainvoke("q")
    (again,) = [event for event in chat.heard if isinstance(event, CorrectionEvent)]
    assert again.problem.startswith("You answered without a function call.")


async def test_without_a_broken_call_nothing_is_asked_again():
    for text in ("No.", GOOD, f"{BROKEN}\n{GOOD}"):
        chat = Chat([text])
        await streamed(chat)
        assert chat.joins == 1
        assert not any(isinstance(event, CorrectionEvent) for event in chat.heard)
    chat = Chat([BROKEN])
    await streamed(chat, retry_tool_choice=False)
    assert chat.joins == 1


async def test_one_time_holds_for_both_requests_of_a_stream():
    chat = Chat([f"Well.\n{BROKEN}"], ["Again."])
    chat.hangs = {2}
    with pytest.raises(SpaceTimeoutError, match=r"within 1\.5 seconds in all"):
        await streamed(chat, timeout=30, total_timeout=1.5)
    assert chat.joins == 2


@pytest.mark.parametrize("failing", [1, 2])
async def test_either_request_of_a_stream_is_retried(failing):
    chat = Chat([BROKEN], [BROKEN], [GOOD])
    chat.fails = {failing}
    message = await streamed(chat, max_retries=1)
    assert [call["args"] for call in message.tool_calls] == [{"text": "a"}]
    assert chat.joins == 3
    kinds = [type(e) for e in chat.heard if isinstance(e, RetryEvent | CorrectionEvent)]
    assert sorted(kind.__name__ for kind in kinds) == ["CorrectionEvent", "RetryEvent"]


class Limiter(BaseRateLimiter):
    def __init__(self) -> None:
        self.turns = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.turns += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


async def test_each_request_of_a_stream_takes_a_turn_of_the_rate_limiter():
    limiter = Limiter()
    await streamed(Chat([BROKEN], [GOOD]), rate_limiter=limiter)
    assert limiter.turns == 2


async def test_a_call_of_a_stream_that_the_space_revised_is_that_of_the_exact_text():
    written = GOOD.replace('"a"', '"a b"')

    class Revising(Chat):
        async def events(self) -> AsyncIterator[bytes]:
            yield STARTS
            yield generating(value(GOOD.replace('"a"', '"a  b"'), self.query))
            await asyncio.sleep(0)
            yield completed(value(written, self.query))
            yield CLOSE

    message = await streamed(Revising([written]), join_fragments=False)
    assert [call["args"] for call in message.tool_calls] == [{"text": "a b"}]
    assert message.response_metadata["revised"] is True
    prompt = from_messages([HumanMessage("q"), message, HumanMessage("r")])
    assert prompt.history == (("q", written),)
