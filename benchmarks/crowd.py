"""A thousand streams on one event loop: are all whole, and is `max_concurrency` kept?

    python benchmarks/crowd.py                  writes docs/developers/crowd.json and docs/developers/crowd.png
    python benchmarks/crowd.py --streams 100    a first look, writes nothing

Three crowds: all at once, and then as many calls through a small `max_concurrency`, both on a bare
server that speaks a Space's wire (`crowd_server.py`), because Gradio does not serve that many on a
small machine; and some hundred on a real Gradio server, the first of them all open at once too.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from crowd_server import allow_files

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.local import LocalSpace

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "developers"
STREAMS, ON_GRADIO, FEW = 1_000, 200, 50
WORDS = 10  # an answer


@dataclass(frozen=True)
class Crowd:
    """What became of a crowd. Times in seconds from the start of all."""

    name: str
    streams: int
    limit: int | None
    whole: int
    most_open: int
    seconds: float
    first: list[float]
    """When each stream had its first chunk, in order."""
    last: list[float]
    """When each was complete, in order."""


def text_of(number: int) -> str:
    """The answer to call `number`: no two are alike."""
    return " ".join(f"{number}·{word}" for word in range(WORDS))


async def run(name: str, model: ChatQwenSpace, streams: int, together: int) -> Crowd:
    """Open all streams at once and read each to its end."""
    began = time.monotonic()
    open_now = most_open = whole = 0
    first: list[float] = []
    last: list[float] = []

    async def listen(number: int) -> None:
        nonlocal open_now, most_open, whole
        chunks: list[str] = []
        async for chunk in model.astream(f"together {together}: {text_of(number)}"):
            if chunk.text and not chunks:
                first.append(time.monotonic() - began)
                open_now += 1
                most_open = max(most_open, open_now)
            chunks.append(chunk.text)
        open_now -= 1
        whole += "".join(chunks) == text_of(number)
        last.append(time.monotonic() - began)

    async with asyncio.TaskGroup() as crowd:
        for number in range(streams):
            crowd.create_task(listen(number))
    seconds = time.monotonic() - began
    return Crowd(
        name, streams, model.max_concurrency, whole, most_open, seconds, sorted(first), sorted(last)
    )


@asynccontextmanager
async def bare_server() -> AsyncIterator[str]:
    """The address of a server that speaks the wire, for as long as the block lasts."""
    command = [sys.executable, str(HERE / "crowd_server.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdin
    assert process.stdout
    try:
        port = await asyncio.to_thread(process.stdout.readline)
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        process.stdin.close()
        process.stdout.close()
        await asyncio.to_thread(process.wait)


async def peak(url: str) -> int:
    """How many streams were open on the bare server at most, since this was last asked."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/peak") as answer:
        return int(await answer.json())


async def on_bare_server(streams: int, few: int) -> Iterator[Crowd]:
    """All at once, then through `max_concurrency`. Open streams are counted by the server."""
    async with bare_server() as url:
        crowds = []
        for name, limit in (("all at once", None), (f"through {few}", few)):
            model = ChatQwenSpace(space=url, max_retries=0, max_concurrency=limit)
            crowd = await run(name, model, streams, together=limit or streams)
            counted = await peak(url)
            crowds.append(Crowd(**{**asdict(crowd), "most_open": counted}))
        return iter(crowds)


def say_words(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """What the real Space says: the text in the question, a word at a time."""
    import time  # the function travels to the server's process

    head, _, text = query.partition(": ")
    words = text.split(" ")
    streams = int(head.split(" ")[1])
    for count in range(1, len(words) + 1):
        yield " ".join(words[:count])
        time.sleep(0.05 + 0.002 * streams)  # slow enough for all to be open at once


async def on_gradio(streams: int) -> Crowd:
    """A crowd on a real Gradio server. Open streams are counted here: those that have begun."""
    async with LocalSpace(say_words, concurrency=streams) as space:
        model = ChatQwenSpace(space=space.url, max_retries=0, max_concurrency=None)
        return await run("on Gradio", model, streams, together=streams)


async def crowds(streams: int, on_gradio_streams: int, few: int) -> list[Crowd]:
    """All three."""
    return [*await on_bare_server(streams, few), await on_gradio(on_gradio_streams)]


def plot(found: list[Crowd], path: Path) -> None:
    """Draw when streams began and ended."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(12, 4))
    for axis, crowd in zip(axes, found, strict=True):
        for times, what in ((crowd.first, "begun"), (crowd.last, "complete")):
            axis.plot(times, range(1, len(times) + 1), label=what)
        axis.set_title(f"{crowd.streams} streams {crowd.name}")
        axis.set_xlabel("seconds")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("streams")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="A thousand streams on one event loop.")
    parser.add_argument("--streams", type=int, default=STREAMS)
    asked = parser.parse_args()
    allow_files()
    share = asked.streams / STREAMS
    few, real = max(1, int(FEW * share)), max(1, int(ON_GRADIO * share))
    found = asyncio.run(crowds(asked.streams, real, few))
    good = True
    for crowd in found:
        kept = crowd.limit is None or crowd.most_open <= crowd.limit
        good &= kept and crowd.whole == crowd.streams
        print(
            f"{crowd.streams} streams {crowd.name}: {crowd.whole} whole, at most {crowd.most_open} "
            f"open at once, {crowd.seconds:.1f} s"
        )
    if asked.streams == STREAMS:
        (DOCS / "crowd.json").write_text(json.dumps([asdict(crowd) for crowd in found]) + "\n")
        plot(found, DOCS / "crowd.png")
    sys.exit(not good)


if __name__ == "__main__":
    main()
