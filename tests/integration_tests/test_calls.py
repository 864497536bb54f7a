"""Calls of ChatQwenSpace on a real Space: many at once, left in mid-answer, left in the queue."""

import asyncio
import gc
import json
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.space.wire import pool
from langchain_qwen_space.space.wire.client import SpaceClient


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """Obey the query: `run FILE` notes in FILE how far it came, `tell` says what arrived."""
    order, _, rest = query.partition(" ")
    if order == "run":
        path = Path(rest)
        text = ""
        try:
            for step in range(1200):
                path.write_text(f"running {step}")
                text += f"{step} "
                yield text
                time.sleep(0.05)
        except GeneratorExit:
            path.write_text("closed")
            raise
    elif order == "tell":
        yield json.dumps([system, history, query, model])
    else:
        for end in range(0, len(rest) + 1, 5):
            yield rest[:end]
        yield rest


@pytest.fixture(scope="module")
def space() -> Iterator[LocalSpace]:
    with LocalSpace(answer, concurrency=2) as space:
        yield space


@pytest.fixture
def model(space) -> ChatQwenSpace:
    return ChatQwenSpace(space=space.url, max_concurrency=None)


async def until(condition) -> bool:
    end = time.monotonic() + 45  # seconds; only failures take as long
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


def runs(path: Path) -> bool:
    return path.exists() and path.read_text().startswith("running")


def closed(path: Path) -> bool:
    return path.exists() and path.read_text() == "closed"


async def test_a_hundred_calls_at_once_return_whole_unmixed_answers(model):
    texts = [f"{number} " * (5 + number % 17) + "end" for number in range(100)]
    answers = await asyncio.gather(*(model.ainvoke(f"echo {text}") for text in texts))
    assert [answer.content for answer in answers] == texts


def test_threads_share_one_model(model):
    answers: dict[int, str] = {}

    def text(number: int) -> str:
        return f"{number} words " * 20 + "end"

    def ask(number: int) -> None:
        answers[number] = "".join(chunk.content for chunk in model.stream(f"echo {text(number)}"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: text(number) for number in range(8)}


def test_one_model_serves_event_loops_one_after_another(model):
    for _ in range(3):
        assert asyncio.run(model.ainvoke("echo hello")).content == "hello"
    assert model.invoke("echo hello").content == "hello"


async def test_sync_works_inside_a_running_loop(model):
    assert model.invoke("echo hello").content == "hello"
    assert "".join(chunk.content for chunk in model.stream("echo hello")) == "hello"


async def test_the_space_gets_system_history_query_and_model(model):
    conversation = [
        ("human", "first"),
        ("ai", "one"),
        ("human", "tell"),
        ("system", "Be brief."),
        ("system", "Be kind."),
    ]
    told = json.loads((await model.ainvoke(conversation, model="Coder-7B")).content)
    assert told == ["Be brief.\nBe kind.", [["first", "one"]], "tell", "qwen2.5-coder-7b-instruct"]


def test_without_a_system_message_the_space_gets_qwens_own(model):
    told = json.loads(model.invoke("tell").content)
    assert told[0] == "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    assert told[3] == "qwen2.5-72b-instruct"


async def test_a_chain_streams_chunk_by_chunk(space):
    model = ChatQwenSpace(space=space.url, join_fragments=False)
    chain = ChatPromptTemplate.from_template("echo {text}") | model | StrOutputParser()
    fragments = [part async for part in chain.astream({"text": "a" * 200})]
    assert "".join(fragments) == "a" * 200
    assert len(fragments) >= 200 / 5


@pytest.mark.parametrize("join", [True, False])
async def test_a_stop_string_cuts_the_answer_and_ends_the_call(space, tmp_path, join):
    model = ChatQwenSpace(space=space.url, join_fragments=join)
    marker = tmp_path / "marker"
    message = await model.ainvoke(f"run {marker}", stop=["3 4", "7"])
    assert message.content == "0 1 2 "
    assert message.response_metadata["finish_reason"] == "stop"
    assert await until(lambda: closed(marker))


async def leave_by_break(model, query, begun):
    async for chunk in model.astream(query):
        if chunk.content:
            break


async def leave_by_aclose(model, query, begun):
    async with aclosing(model.astream(query)) as stream:
        await anext(stream)


async def leave_by_cancelling(model, query, begun):
    task = asyncio.create_task(model.ainvoke(query))
    await begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_timeout(model, query, begun):
    async def until_it_has_begun():
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            waiting = asyncio.create_task(begun())
            waiting.add_done_callback(lambda _: limit.reschedule(loop.time()))
            await model.ainvoke(query)

    with pytest.raises(TimeoutError):
        await until_it_has_begun()


async def leave_to_the_garbage_collector(model, query, begun):
    stream = model.astream(query)
    await anext(stream)
    del stream
    gc.collect()


async def leave_sync(model, query, begun):
    for chunk in model.stream(query):
        if chunk.content:
            break


LEAVINGS = [
    leave_by_break,
    leave_by_aclose,
    leave_by_cancelling,
    leave_by_timeout,
    leave_to_the_garbage_collector,
    leave_sync,
]


@pytest.mark.parametrize("leave", LEAVINGS)
async def test_a_call_that_is_left_while_running_stops_at_the_next_chunk(model, tmp_path, leave):
    marker = tmp_path / "marker"
    await leave(model, f"run {marker}", lambda: until(lambda: runs(marker)))
    assert await until(lambda: closed(marker))


@pytest.mark.parametrize("leave", [leave_by_cancelling, leave_by_timeout])
async def test_a_call_that_is_left_while_queued_never_runs(model, tmp_path, leave):
    busy = [tmp_path / "one", tmp_path / "two"]
    running = [asyncio.create_task(leave_by_reading(model, path)) for path in busy]
    assert await until(lambda: all(map(runs, busy)))
    never, queued = tmp_path / "never", asyncio.Event()
    waiting = model.model_copy(update={"on_event": lambda _: queued.set()})
    await leave(waiting, f"run {never}", queued.wait)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert await until(lambda: all(map(closed, busy)))
    # The call behind it in the queue is served, and it is not.
    assert (await model.ainvoke("echo after")).content == "after"
    assert not never.exists()


async def leave_by_reading(model, path):
    async for _ in model.astream(f"run {path}"):
        pass


async def test_a_finished_call_is_not_cancelled_and_its_connection_is_used_again(
    model, monkeypatch
):
    asked: list[str] = []
    request = SpaceClient.request

    async def noting(self, method, url, **options):
        asked.append(url.path)
        return await request(self, method, url, **options)

    monkeypatch.setattr(SpaceClient, "request", noting)
    await model.ainvoke("echo one")
    connector = (await pool.current_pool())._connector
    first = {id(item[0]) for items in connector._conns.values() for item in items}
    await model.ainvoke("echo two")
    second = {id(item[0]) for items in connector._conns.values() for item in items}
    await asyncio.sleep(0.2)
    assert first == second != set()
    assert not any("cancel" in path for path in asked)


async def test_no_more_calls_than_allowed_are_on_the_space_at_a_time(space, tmp_path):
    model = ChatQwenSpace(space=space.url, max_concurrency=1)
    markers = [tmp_path / "one", tmp_path / "two"]
    tasks = [asyncio.create_task(leave_by_reading(model, marker)) for marker in markers]
    assert await until(lambda: any(map(runs, markers)))
    await asyncio.sleep(0.3)
    assert sum(marker.exists() for marker in markers) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
