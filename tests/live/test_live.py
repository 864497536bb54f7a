"""What can be seen on a real Space, whose model answers in its own words.

Only what the package is responsible for is asserted; what the model wrote is in the report.
"""

import asyncio
import time
from contextlib import aclosing

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from langchain_qwen_space.cli.probe import Probe
from langchain_qwen_space.space.wire.pool import current_pool

pytestmark = pytest.mark.network


def weather(city: str) -> str:
    """Say what the weather is in a city.

    Args:
        city: The city's name.
    """
    return f"sunny in {city}"


def test_it_is_found_and_understood(model, note):
    description = model.describe()
    note(description)
    assert description.gradio


async def test_one_call(model, note):
    answer = await model.ainvoke("What is the capital of France? Answer with one word.")
    note(answer.text)
    note(answer.response_metadata)
    assert answer.text
    assert answer.response_metadata["finish_reason"] == "stop"


async def test_a_stream(model, note):
    began, times, whole = time.monotonic(), [], None
    async for chunk in model.astream("Count from 1 to 60, with commas."):
        if chunk.text:
            times.append(time.monotonic() - began)
        whole = chunk if whole is None else whole + chunk
    note(f"{len(times)} chunks, first after {times[0]:.2f} s, last after {times[-1]:.2f} s")
    note(whole.text)
    assert times
    assert whole.chunk_position == "last"


async def test_earlier_turns(model, note):
    answer = await model.ainvoke(
        [
            HumanMessage("My cat is called Pamuk."),
            AIMessage("What a nice name."),
            HumanMessage("What is my cat called? Answer with one word."),
        ]
    )
    note(answer.text)
    assert answer.text


async def test_a_system_prompt(model, note):
    answer = await model.ainvoke(
        [SystemMessage("Answer in French only."), HumanMessage("What colour is the sky?")]
    )
    note(answer.text)
    assert answer.text


async def test_leaving_early(model, note):
    began = time.monotonic()
    async with aclosing(model.astream("Write a long story about a lighthouse.")) as chunks:
        async for chunk in chunks:
            if chunk.text:
                break
    note(f"left after {time.monotonic() - began:.2f} s")
    began = time.monotonic()
    assert (await model.ainvoke("Say yes.")).text
    note(f"the next call took {time.monotonic() - began:.2f} s")


async def test_a_stop_string_and_a_limit(model, note):
    stopped = await model.ainvoke("Count from 1 to 30, with commas.", stop=["7"])
    note(stopped.text)
    assert "7" not in stopped.text
    limited = await model.ainvoke("Write a long story about a lighthouse.", max_tokens=20)
    note(f"{limited.text!r} {limited.response_metadata['finish_reason']}")
    assert limited.text


async def test_token_counts(model, note):
    answer = await model.ainvoke("Say hello.")
    note(answer.usage_metadata)
    assert answer.usage_metadata["output_tokens"] > 0


async def test_a_tool_call(model, note):
    answer = await model.bind_tools([weather]).ainvoke("What is the weather in Ankara?")
    note(f"{answer.tool_calls} {answer.invalid_tool_calls} {answer.text}")
    assert answer.tool_calls or answer.text
    assert {call["name"] for call in answer.tool_calls} <= {"weather"}


async def test_calls_side_by_side(model, note):
    words = ["apple", "stone", "river"]
    answers = await asyncio.gather(*(model.ainvoke(f"Repeat this word: {word}") for word in words))
    note([answer.text for answer in answers])
    assert all(answer.text for answer in answers)


async def test_what_reaches_the_model(model, note):
    endpoint, _ = await model._target().visit(await current_pool())
    for finding in await Probe(model, endpoint, note).run():
        assert finding.reached != "no", finding
