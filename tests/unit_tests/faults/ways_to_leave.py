"""Ways to leave an answer that is being streamed. `python ways_to_leave.py WAY URL` takes one.

The Space at URL sends a few chunks and then nothing more.
"""

import asyncio
import gc
import multiprocessing
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from yarl import URL

from langchain_qwen_space import ChatQwenSpace


class Away(Exception):  # noqa: N818
    """The consumer has had enough."""


def model_for(url: str, **settings: object) -> ChatQwenSpace:
    return ChatQwenSpace(space=url, max_retries=0, timeout=20, hf_token=None, **settings)


# Asynchronous


async def breaks(url: str) -> None:
    async for chunk in model_for(url).astream("hi"):
        if chunk.content:
            break


async def closes(url: str) -> None:
    chunks = model_for(url).astream("hi")
    await anext(chunks)
    await chunks.aclose()


async def is_cancelled(url: str) -> None:
    got = asyncio.Event()

    async def consume() -> None:
        async for chunk in model_for(url).astream("hi"):
            if chunk.content:
                got.set()

    task = asyncio.create_task(consume())
    await got.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def begun(url: str) -> "asyncio.Task[object]":
    """An `ainvoke` on which the Space works."""
    got = asyncio.Event()
    model = model_for(url, on_event=lambda _: got.set())
    task: asyncio.Task[object] = asyncio.create_task(model.ainvoke("hi"))
    await got.wait()
    return task


async def is_cancelled_in_ainvoke(url: str) -> None:
    task = await begun(url)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def times_out(url: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            async for _ in model_for(url).astream("hi"):
                limit.reschedule(asyncio.get_running_loop().time() + 0.1)


async def waits_for(url: str) -> None:
    task = await begun(url)
    with suppress(TimeoutError):
        await asyncio.wait_for(task, 0.1)


async def times_out_around_one_step(url: str) -> None:
    async with aclosing(model_for(url).astream("hi")) as chunks:
        with suppress(TimeoutError):
            await anext(chunks)
            while True:
                async with asyncio.timeout(0.1):
                    await anext(chunks)


async def leaves_a_task_group(url: str) -> None:
    got = asyncio.Event()

    async def consume() -> None:
        async for _ in model_for(url).astream("hi"):
            got.set()

    async def fail() -> None:
        await got.wait()
        raise Away

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(consume())
            group.create_task(fail())


async def raises_in_the_consumer(url: str) -> None:
    with suppress(Away):
        async for chunk in model_for(url).astream("hi"):
            if chunk.content:
                raise Away


async def forgets_the_stream(url: str) -> None:
    chunks = model_for(url).astream("hi")
    await anext(chunks)
    del chunks
    gc.collect()


async def forgets_the_stream_in_a_cycle(url: str) -> None:
    chunks = model_for(url).astream("hi")
    await anext(chunks)
    cycle: list[object] = [chunks]
    cycle.append(cycle)
    del chunks, cycle
    gc.collect()


async def runs_out_of_time(url: str) -> None:
    with suppress(TimeoutError):
        await model_for(url, total_timeout=2).ainvoke("hi")


# Synchronous


def breaks_sync(url: str) -> None:
    for chunk in model_for(url).stream("hi"):
        if chunk.content:
            break


def closes_sync(url: str) -> None:
    chunks = model_for(url).stream("hi")
    next(chunks)
    chunks.close()


def raises_sync(url: str) -> None:
    with suppress(Away):
        for chunk in model_for(url).stream("hi"):
            if chunk.content:
                raise Away


def forgets_the_stream_sync(url: str) -> None:
    chunks = model_for(url).stream("hi")
    next(chunks)
    cycle: list[object] = [chunks]
    cycle.append(cycle)
    del chunks, cycle
    gc.collect()


def breaks_in_a_thread(url: str) -> None:
    thread = threading.Thread(target=breaks_sync, args=(url,))
    thread.start()
    thread.join()


def runs_out_of_time_sync(url: str) -> None:
    with suppress(TimeoutError):
        model_for(url, total_timeout=2).invoke("hi")


# The process ends, or becomes two


def exits(url: str) -> None:
    chunks = model_for(url).stream("hi")
    next(chunks)
    globals()["kept"] = chunks
    sys.exit(0)


def exits_in_a_thread(url: str) -> None:
    def consume() -> None:
        with suppress(BaseException):
            for _ in model_for(url).stream("hi"):
                got.set()

    got = threading.Event()
    threading.Thread(target=consume, daemon=True).start()
    got.wait()


async def ends_the_loop(url: str) -> None:
    chunks = model_for(url).astream("hi")
    await anext(chunks)
    globals()["kept"] = chunks


async def breaks_and_ends_the_loop(url: str) -> None:
    async for chunk in model_for(url).astream("hi"):
        if chunk.content:
            break


async def ends_the_loop_with_tasks(url: str) -> None:
    globals()["kept"] = await begun(url)


def forks(url: str) -> None:
    """The child makes a call of its own; the parent leaves its stream while the child lives."""
    chunks = model_for(url).stream("hi")
    next(chunks)
    context = multiprocessing.get_context("fork")
    left, told = context.Event(), context.Event()

    def child() -> None:
        breaks_sync(url)
        told.set()
        left.wait(60)  # the end of such a child ends its threads at once

    process = context.Process(target=child)
    process.start()
    assert told.wait(60)
    chunks.close()
    space = URL(url)
    with socket.create_connection((space.host, space.port)) as connection:
        connection.sendall(b"GET /seen HTTP/1.1\r\n\r\n")
        connection.recv(1)  # which comes when the Space has seen both leave
    left.set()
    process.join(60)
    assert process.exitcode == 0


Way = Callable[[str], Awaitable[None] | None]

ASYNC: list[Way] = [
    breaks,
    closes,
    is_cancelled,
    is_cancelled_in_ainvoke,
    times_out,
    waits_for,
    times_out_around_one_step,
    leaves_a_task_group,
    raises_in_the_consumer,
    forgets_the_stream,
    forgets_the_stream_in_a_cycle,
    runs_out_of_time,
]
SYNC: list[Way] = [
    breaks_sync,
    closes_sync,
    raises_sync,
    forgets_the_stream_sync,
    breaks_in_a_thread,
    runs_out_of_time_sync,
]
LOOP_ENDS: list[Way] = [ends_the_loop, breaks_and_ends_the_loop, ends_the_loop_with_tasks]
PROCESS_ENDS: list[Way] = [exits, exits_in_a_thread]


def main(names: str, url: str) -> None:
    for name in names.split(","):
        way = globals()[name]
        if asyncio.iscoroutinefunction(way):
            asyncio.run(way(url))
        else:
            way(url)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
