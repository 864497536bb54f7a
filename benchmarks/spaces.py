"""Two Spaces of different speed as one: how much of what each can do alone is left together?

    python benchmarks/spaces.py --slower 4 --calls 240    the figures of docs/explanation/scaling.md
    python benchmarks/spaces.py --calls 48 --rounds 1     a first look

Two local Spaces answer 4 calls at a time in 0.2 s and 2 in 0.5 s, the first chunk at half time;
on a busy machine let them be `--slower`, so that they and not the processor are the limit. Each is measured alone and both together, in turns, so that other work on the machine falls on all.
Then the faster one is killed a third of the way through and started again after two thirds. An
answer that had begun cannot move on: the call fails, and is retried, as a batch job does.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import StreamInterruptedError
from langchain_qwen_space.events import RetryEvent
from langchain_qwen_space.local import LocalSpace

Kind = tuple[int, float]  # calls at a time, seconds an answer
FAST, SLOW = (4, 0.2), (2, 0.5)


def answering(seconds: float) -> Callable[..., Iterator[str]]:
    def answer(system: str, history: object, query: str, model: str) -> Iterator[str]:
        import time  # the function travels to the server's process

        time.sleep(seconds / 2)
        yield query[:1]
        time.sleep(seconds / 2)
        yield query

    return answer


def local(kind: Kind, port: int | None = None) -> LocalSpace:
    return LocalSpace(answering(kind[1]), concurrency=kind[0], port=port)


class Run:
    """So many calls at once on one model, and what became of them."""

    def __init__(self, spaces: list[str], calls: int) -> None:
        self.model = ChatQwenSpace(space=spaces, on_event=self._hear)
        self.calls = calls
        self.moved = self.begun = 0
        self.by_space: Counter[str] = Counter()
        self.thirds = [asyncio.Event(), asyncio.Event()]

    def _hear(self, event: object) -> None:
        self.moved += isinstance(event, RetryEvent)

    async def go(self) -> float:
        """Make the calls; calls a second."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.calls):
                tasks.create_task(self._one(f"question {number}"))
        return self.calls / (time.monotonic() - began)

    async def _one(self, question: str) -> None:
        while True:
            try:
                answer = await self.model.ainvoke(question)
                break
            except StreamInterruptedError:
                self.begun += 1
        assert answer.content == question
        self.by_space[answer.response_metadata["space"]] += 1
        done = self.by_space.total()
        for third, event in enumerate(self.thirds, 1):
            if done * 3 >= self.calls * third:
                event.set()


async def together(kinds: tuple[Kind, Kind], calls: int, rounds: int) -> dict[str, object]:
    """The throughput of both Spaces over the sum of each alone."""
    shares, speeds = [], []
    best = [count / seconds for count, seconds in kinds]
    part = best[0] / sum(best)
    with local(kinds[0]) as fast, local(kinds[1]) as slow:
        for _ in range(rounds):
            alone = [
                await Run([fast.url], round(calls * part)).go(),
                await Run([slow.url], round(calls * (1 - part))).go(),
            ]
            both = await Run([fast.url, slow.url], calls).go()
            speeds.append([round(speed, 2) for speed in (*alone, both)])
            shares.append(round(both / sum(alone), 3))
    return {
        "calls a second: fast alone, slow alone, both": speeds,
        "at best, as the answers take their time": [
            round(speed, 2) for speed in (*best, sum(best))
        ],
        "both over the sum": shares,
        "median": statistics.median(shares),
    }


async def killed(kinds: tuple[Kind, Kind], calls: int) -> dict[str, object]:
    """A run in whose midst the faster Space is killed and started again."""
    with local(kinds[0]) as fast, local(kinds[1]) as slow:
        port = int(fast.url.rpartition(":")[2])
        run = Run([fast.url, slow.url], calls)
        running = asyncio.create_task(run.go())
        await run.thirds[0].wait()
        await asyncio.to_thread(fast.stop)
        before = run.by_space[f"http://127.0.0.1:{port}"]
        await run.thirds[1].wait()
        with local(kinds[0], port) as again:
            speed = await running
            after = run.by_space[again.url] - before
    return {
        "calls": calls,
        "answered": run.by_space.total(),
        "tries that failed before a chunk, and moved on": run.moved,
        "answers that broke off, and were asked for again": run.begun,
        "answered by the killed Space before and after": [before, after],
        "calls a second": round(speed, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Two Spaces of different speed as one.")
    parser.add_argument("--calls", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slower", type=float, default=1.0, help="times")
    asked = parser.parse_args()
    fast, slow = ((count, seconds * asked.slower) for count, seconds in (FAST, SLOW))
    print(json.dumps(asyncio.run(together((fast, slow), asked.calls, asked.rounds)), indent=2))
    print(json.dumps(asyncio.run(killed((fast, slow), asked.calls)), indent=2))


if __name__ == "__main__":
    main()
