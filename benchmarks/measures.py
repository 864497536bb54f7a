"""The measurements. Contenders take turns in every round, so that what drifts hits all alike."""

import asyncio
import gc
import io
import os
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import aiohttp
import contenders
from contenders import Contender
from yarl import URL

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.space.wire.pool import current_pool
from langchain_qwen_space.space.wire.upload import Upload

HERE = Path(__file__).parent
Rounds = dict[str, list[float]]


async def cpu_per_event(who: Mapping[str, Contender], kind: str, count: int, rounds: int) -> Rounds:
    """Processor time of this process per event, all threads, in microseconds."""
    used: Rounds = {name: [] for name in who}
    for _ in range(rounds):
        for name, stream in who.items():
            gc.collect()
            seen: list[str] = []
            start = time.process_time()
            await stream(f"{kind} {count}", seen.append)
            used[name].append((time.process_time() - start) / count * 1e6)
            assert seen, f"{name} received nothing"
    return used


async def first_fragment(who: Mapping[str, Contender], rounds: int) -> Rounds:
    """Time from the call to its first chunk, in milliseconds."""
    took: Rounds = {name: [] for name in who}
    for _ in range(rounds):
        for name, stream in who.items():
            first: list[float] = []

            def take(text: str, first: list[float] = first) -> None:
                if text and not first:
                    first.append(time.perf_counter())

            start = time.perf_counter()
            await stream("burst 5", take)
            took[name].append((first[0] - start) * 1e3)
    return took


async def crowd(
    stream: Contender, streams: int, count: int, opened_within: float, kind: str = "paced"
) -> dict[str, float]:
    """Many paced streams at once: how long chunks took to arrive, how many never did.

    The streams are opened one after another within `opened_within` seconds; 0 opens all of them in
    the same instant, which measures the opening as well.
    """
    lags: list[float] = []
    pauses = [0.0]
    began = 0.0

    def collecting(phase: str, info: Mapping[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.monotonic()
        else:
            pauses.append((time.monotonic() - began) * 1e3)

    def take(text: str) -> None:
        now = time.monotonic()
        lags.extend((now - float(stamp)) * 1e3 for stamp in text.split(";")[:-1])

    async def one(number: int) -> None:
        await asyncio.sleep(opened_within * number / streams)
        await stream(f"{kind} {count}", take)

    gc.collect()
    gc.callbacks.append(collecting)
    start = time.process_time(), time.monotonic()
    await asyncio.gather(*map(one, range(streams)))
    gc.callbacks.remove(collecting)
    used = (time.process_time() - start[0]) / (time.monotonic() - start[1])
    lags.sort()
    return {
        "median_ms": lags[len(lags) // 2],
        "p99_ms": lags[len(lags) * 99 // 100],
        "max_ms": lags[-1],
        "pause_ms": max(pauses),
        "lost": streams * count - len(lags),
        "core": used,
    }


async def connections_of_second_call(stream: Contender, url: str) -> int:
    """How many connections a call opens after another has ended."""

    def opened() -> int:
        with urllib.request.urlopen(f"{url}/connections") as answer:
            return int(answer.read())

    await stream("burst 50", lambda _: None)
    before = await asyncio.to_thread(opened)
    await stream("burst 50", lambda _: None)
    return await asyncio.to_thread(opened) - before


async def uploads(url: str, size: int, rounds: int) -> Rounds:
    """Processor time of sending a file to the Space, in milliseconds, ours and aiohttp's own."""
    file = Attachment("noise.bin", "application/octet-stream", "", os.urandom(size))
    client = contenders.qwen_space(url)._target()
    _, client = await client.visit(await current_pool())
    target = URL(url) / "upload"
    used: Rounds = {"aiohttp": [], "ours": []}
    async with aiohttp.ClientSession() as session:

        async def bare() -> None:
            form = aiohttp.FormData()
            form.add_field("files", io.BytesIO(file.data or b""), filename=file.name)
            async with session.post(target, data=form) as answer:
                await answer.read()

        async def ours() -> None:
            upload = Upload(client, target, [file], None)
            while await upload.progress() is not None:
                pass

        for _ in range(rounds):
            for name, send in (("aiohttp", bare), ("ours", ours)):
                start = time.process_time()
                await send()
                used[name].append((time.process_time() - start) * 1e3)
    return used


def memory_per_stream(names: Sequence[str], url: str, streams: int, rounds: int) -> Rounds:
    """What an open stream holds in a process of its own, in kilobytes."""
    held: Rounds = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            command = [sys.executable, str(HERE / "measures.py"), name, url, str(streams)]
            held[name].append(float(subprocess.check_output(command, timeout=60)))
    return held


async def _hold(name: str, url: str, streams: int) -> None:
    """Open streams, wait until all have said what they have to say, and print what they hold."""
    transport = contenders.BareTransport(url)
    stream = (
        contenders.of_model(contenders.MinimalModel(transport=transport))
        if name == "minimal model"
        else contenders.of_model(contenders.qwen_space(url, join_fragments=False))  # as many chunks
    )
    await stream("burst 50", lambda _: None)

    async def open_many(count: int) -> None:
        started = [asyncio.Event() for _ in range(count)]
        tasks.extend(
            asyncio.create_task(stream("hold 50", lambda _, event=event: event.set()))  # type: ignore[misc]
            for event in started
        )
        await asyncio.gather(*(event.wait() for event in started))
        await asyncio.sleep(0.2)
        gc.collect()

    tasks: list[asyncio.Task[None]] = []
    await open_many(50)  # what the first ones make the allocator fetch is not theirs
    before = _resident()
    await open_many(streams)
    print((_resident() - before) / streams, flush=True)
    os._exit(0)  # without closing them one by one


def _resident() -> float:
    """Kilobytes of memory that the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


IMPORTS = {
    "langchain-core": "from langchain_core.language_models.chat_models import BaseChatModel",
    "the package": "import langchain_qwen_space",
    "ChatQwenSpace": "from langchain_qwen_space import ChatQwenSpace",
    "a model object": "from langchain_qwen_space import ChatQwenSpace; ChatQwenSpace(space='a/b')",
}


def import_time(rounds: int) -> Rounds:
    """Processor time of a new interpreter that imports, in milliseconds."""
    took: Rounds = {name: [] for name in IMPORTS}
    core = IMPORTS["langchain-core"]
    for _ in range(rounds):
        for name, line in IMPORTS.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", f"{core}; {line}"], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took[name].append(
                (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3
            )
    return took


FRESH = """
import sys, time
from langchain_core.language_models import FakeListChatModel
list(FakeListChatModel(responses=["1"]).stream("burst 1"))
start = time.perf_counter()
from langchain_qwen_space import ChatQwenSpace
for chunk in ChatQwenSpace(space=sys.argv[1]).stream("burst 5"):
    if chunk.text:
        print((time.perf_counter() - start) * 1e3)
        break
"""


def fresh_process(url: str, rounds: int) -> float:
    """Milliseconds in a new interpreter from the import of the package to the first chunk.

    What langchain-core imports, on a first call too, is imported before.
    """
    command = [sys.executable, "-c", FRESH, url]
    return median(float(subprocess.check_output(command, timeout=60)) for _ in range(rounds))


def ratio(rounds: Rounds, one: str, other: str) -> float:
    """The median of the rounds' own ratios."""
    return median(a / b for a, b in zip(rounds[one], rounds[other], strict=True))


def beyond(rounds: Rounds, one: str, other: str) -> float:
    """How much more the one takes than the other: the difference of medians."""
    return median(rounds[one]) - median(rounds[other])


if __name__ == "__main__":
    asyncio.run(_hold(sys.argv[1], sys.argv[2], int(sys.argv[3])))
