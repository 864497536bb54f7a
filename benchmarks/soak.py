"""Thousands of calls on one model object: does anything stay behind?

    python benchmarks/soak.py                           20,000 calls in ten minutes, writes docs/developers/soak.png
    python benchmarks/soak.py --calls 400 --minutes 0.2 a first look, writes nothing

    PYTHONMALLOC=malloc GLIBC_TUNABLES=glibc.malloc.tcache_count=0 \\
        python benchmarks/soak.py --name soak-exact     the same with one allocator that keeps less

The calls go to a real Gradio server in a process of its own. Most succeed, some fail on the Space,
some are left in the midst of their answer, in every way that there is. Memory, file descriptors,
threads and asyncio tasks are sampled. A curve is flat if what it drifts over the second half of the
run, by a straight line laid through the samples, is within `FLAT`, and the counts at rest after the
run are no more than that above those before it. In a short run only the latter is judged.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import GenerationError
from langchain_qwen_space.local import LocalSpace

DOCS = Path(__file__).parents[1] / "docs" / "developers"
CALLS, MINUTES = 20_000, 10.0
AT_A_TIME = 16  # calls that are under way together, one a worker
FAREWELLS = 3.0  # seconds that a busy Space may take to answer them
SAMPLE = 2.0  # seconds between two looks
LONG_ENOUGH = 120.0  # seconds of a run whose drift says something
PATIENCE = 0.05  # seconds after which a call is left that is to be left by a timeout

FLAT = {
    "memory_mb": 4.0,
    "malloc_mb": 1.0,
    "blocks": 5_000.0,
    "files": 4.0,
    "threads": 1.0,
    "tasks": 4.0,
}
"""The most that each may drift over the second half.

The counts sway with the calls that happen to be under way; a leak of one in a thousand calls would
add ten to a count. Two counts show what is in use: `blocks` are the small ones that Python has
allocated, of which an object left by every other call would add 5,000; `malloc_mb` is all else, as C's
allocator has handed it out, and 1 MB of it are 100 bytes a call. `memory_mb` is what the process has
of the system, 4 MB are 400 bytes a call; it grows somewhat without a leak, as both allocators keep and
scatter what is given back to them.
"""


NAMES = {
    "memory_mb": "memory, MB",
    "malloc_mb": "of malloc, MB",
    "blocks": "Python's blocks",
    "files": "file descriptors",
    "threads": "threads",
    "tasks": "asyncio tasks",
}
"""What the measures are called in a plot."""


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc: https://man7.org/linux/man-pages/man3/mallinfo.3.html"""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """What the Space says: fails, says four words, or continues long enough to be left."""
    import time  # the function travels to the server's process

    if query.startswith("fail"):
        raise RuntimeError(query)
    endless = query.startswith("leave")
    text = query
    for number in range(200 if endless else 4):
        text += f" {number}"
        yield text
        time.sleep(0.02 if endless else 0)


def expected(query: str) -> str:
    """The text of an answer that was heard to its end."""
    return f"{query} 0 1 2 3"


@dataclass(frozen=True)
class Sample:
    """What this process holds: `seconds` into the run, after `calls`."""

    seconds: float
    calls: int
    memory_mb: float
    malloc_mb: float
    blocks: int
    files: int
    threads: int
    tasks: int


class Soak:
    """Makes calls on one model and counts how they end; what ends otherwise than it must raises."""

    def __init__(self, model: ChatQwenSpace) -> None:
        self.model = model
        self.ends: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self._began = time.monotonic()
        ways: dict[str, tuple[int, Callable[[str], Awaitable[None]]]] = {
            "ainvoke": (28, self._ainvoke),
            "astream": (28, self._astream),
            "invoke": (4, self._invoke),
            "stream": (4, self._stream),
            "fails": (12, self._fails),
            "break": (8, self._break),
            "cancel": (8, self._cancel),
            "timeout": (6, self._timeout),
            "sync break": (2, self._sync_break),
        }
        self._ways = [(name, way) for name, (share, way) in ways.items() for _ in range(share)]

    async def run(self, calls: int, seconds: float) -> None:
        """Make the calls, evenly spread over the time."""
        numbers = iter(range(calls))
        self._began = time.monotonic()

        async def work() -> None:
            for number in numbers:
                due = self._began + seconds * number / calls
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                name, way = self._ways[number * 37 % len(self._ways)]  # 37: all of them, mixed
                await way(str(number))
                self.ends[name] += 1

        sampler = asyncio.create_task(self._sample())
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_A_TIME):
                    workers.create_task(work())
        finally:
            sampler.cancel()

    async def _sample(self) -> None:
        while True:
            self.samples.append(self.look())
            await asyncio.sleep(SAMPLE)

    def look(self) -> Sample:
        """What this process holds now, garbage aside. Linux only."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Sample(
            seconds=time.monotonic() - self._began,
            calls=self.ends.total(),
            memory_mb=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            malloc_mb=_handed_out() / 2**20,
            blocks=sys.getallocatedblocks(),
            files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208  (which Path has no words for)
            threads=threading.active_count(),
            tasks=len(asyncio.all_tasks()),
        )

    # The ways in which a call goes

    async def _ainvoke(self, name: str) -> None:
        assert (await self.model.ainvoke(name)).content == expected(name)

    async def _astream(self, name: str) -> None:
        chunks = [chunk.text async for chunk in self.model.astream(name)]
        assert "".join(chunks) == expected(name)

    async def _invoke(self, name: str) -> None:
        assert (await asyncio.to_thread(self.model.invoke, name)).content == expected(name)

    async def _stream(self, name: str) -> None:
        chunks = await asyncio.to_thread(lambda: list(self.model.stream(name)))
        assert "".join(chunk.text for chunk in chunks) == expected(name)

    async def _fails(self, name: str) -> None:
        try:
            await self.model.ainvoke(f"fail {name}")
        except GenerationError as error:
            assert f"fail {name}" in str(error)  # noqa: PT017
        else:
            raise AssertionError("It did not fail.")

    async def _break(self, name: str) -> None:
        async with aclosing(self.model.astream(f"leave {name}")) as chunks:  # type: ignore[type-var]
            async for _ in chunks:
                break

    async def _cancel(self, name: str) -> None:
        task = asyncio.create_task(self.model.ainvoke(f"leave {name}"))
        await asyncio.sleep(PATIENCE)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    async def _timeout(self, name: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self.model.ainvoke(f"leave {name}")
        except TimeoutError:
            return
        raise AssertionError("It was not left.")

    async def _sync_break(self, name: str) -> None:
        def first() -> None:
            for _ in self.model.stream(f"leave {name}"):
                break

        await asyncio.to_thread(first)


def _handed_out() -> int:
    """Bytes that C's allocator has handed out; 0 if the C library does not tell (glibc 2.33 does)."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo.restype = _MallInfo
    info = mallinfo()
    return int(info.uordblks + info.hblkhd)


def drift(samples: list[Sample], measure: str) -> float:
    """What a measure gains over the second half of a run, by least squares."""
    half = samples[len(samples) // 2 :]
    times = [sample.seconds for sample in half]
    values = [float(getattr(sample, measure)) for sample in half]
    mid_time, mid_value = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - mid_time) ** 2 for time in times)
    slope = sum(
        (time - mid_time) * (value - mid_value) for time, value in zip(times, values, strict=True)
    )
    return slope / spread * (times[-1] - times[0]) if spread else 0.0


async def soak(calls: int, seconds: float) -> tuple[Soak, Sample, Sample]:
    """Run it on a new Space; also what was held after the first calls, and at rest at the end."""
    async with LocalSpace(answer, concurrency=2 * AT_A_TIME, show_error=True) as space:
        model = ChatQwenSpace(space=space.url, max_retries=0, max_concurrency=AT_A_TIME)
        warm = Soak(model)
        await warm.run(100, 0)  # one of each kind: threads, connections and caches are there
        before = await _at_rest(warm)
        run = Soak(model)
        await run.run(calls, seconds)
        return run, before, await _at_rest(run)


async def _at_rest(run: Soak) -> Sample:
    """What is held when all cancel requests are sent."""
    await asyncio.sleep(FAREWELLS)
    return run.look()


def is_flat(run: Soak, before: Sample, after: Sample, measure: str) -> bool:
    """Whether a measure stayed where it was; see the top of this file."""
    if run.samples[-1].seconds >= LONG_ENOUGH and abs(drift(run.samples, measure)) > FLAT[measure]:
        return False
    gained = getattr(after, measure) - getattr(before, measure)
    return measure in ("memory_mb", "malloc_mb", "blocks") or bool(gained <= FLAT[measure])


def report(run: Soak, before: Sample, after: Sample) -> dict[str, Any]:
    """The figures of a run."""
    half = run.samples[len(run.samples) // 2 :]
    measures = {
        name: {
            "before": getattr(before, name),
            "least": min(getattr(sample, name) for sample in half),
            "most": max(getattr(sample, name) for sample in half),
            "after": getattr(after, name),
            "drift": round(drift(run.samples, name), 2),
            "flat": is_flat(run, before, after, name),
        }
        for name in FLAT
    }
    return {
        "calls": run.ends.total(),
        "seconds": round(after.seconds, 1),
        "ends": dict(run.ends),
        "measures": measures,
    }


def plot(samples: Sequence[Sample], names: Mapping[str, str], title: str, path: Path) -> None:
    """Draw samples over the calls made.

    Args:
        samples: What was held.
        names: The measures that are drawn, with their titles.
        title: That of the whole.
        path: Where to.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(names), sharex=True, figsize=(8, 1.7 * len(names)))
    for axis, (measure, name) in zip(axes, names.items(), strict=True):
        values = [getattr(sample, measure) for sample in samples]
        axis.plot([sample.calls for sample in samples], values, linewidth=0.8)
        axis.set_ylim(0, max(*values, 1) * 1.2)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("calls made")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Thousands of calls on one model object.")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--name", default="soak", help="of the files in docs/developers/")
    asked = parser.parse_args()
    run, before, after = asyncio.run(soak(asked.calls, asked.minutes * 60))
    figures = report(run, before, after)
    print(json.dumps(figures, indent=2))
    if (asked.calls, asked.minutes) == (CALLS, MINUTES):
        samples = [asdict(sample) for sample in run.samples]
        (DOCS / f"{asked.name}.json").write_text(json.dumps({**figures, "samples": samples}) + "\n")
        title = "What one process holds while it makes calls on one model object"
        plot(run.samples, NAMES, title, DOCS / f"{asked.name}.png")
    sys.exit(not all(measure["flat"] for measure in figures["measures"].values()))


if __name__ == "__main__":
    main()
