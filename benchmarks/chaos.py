"""Thousands of calls on Spaces that misbehave: does each end as it must, and does anything stay behind?

    python -m benchmarks.chaos                 5,000 calls, writes docs/developers/chaos.json and chaos.png
    python -m benchmarks.chaos --calls 300     a first look, writes nothing

Three real Gradio servers (4.44, 5.50, 6.31) stand behind proxies that cut connections, stall, answer
429, 502, 503 and 504, deny that they know a session, fall asleep and restart. The calls come from event
loops in several threads and from synchronous code, on one Space and on all three, and some callers
leave at random. A call ends well if its text is exact, if it raises a `QwenSpaceError`, or if its caller
left it, all within `BOUND` seconds. A call that the Space accepted more often than the caller learned
(by a `RetryEvent`) counts as run twice. Slots, sockets, tasks, threads and memory are counted before
and after, and sampled in between.
"""

import argparse
import asyncio
import json
import random
import re
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak import NAMES, Sample, Soak, plot
from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import QwenSpaceError
from langchain_qwen_space.events import RetryEvent, WakeEvent
from langchain_qwen_space.space.routing.slots import current_slots
from tests.compat.forms import Form
from tests.compat.servers import running
from tests.integration_tests.faults.proxy import (
    Carry,
    Proxy,
    _Cut,
    _send,
    cut,
    proxy_before,
    stall,
    whole,
)

DOCS = Path(__file__).parents[1] / "docs" / "developers"
CALLS = 5_000
FORMS = (Form("4.44.1", "messages"), Form("5.50.0", "messages"), Form("6.31.0", "messages"))
LAYOUT = "qwen25"
LOOPS, WORKERS, THREADS = 3, 8, 4  # event loops, calls at a time in each, and synchronous threads
TOTAL = 20.0  # total_timeout of each call, in seconds
BOUND = TOTAL + 5.0  # in which a call has to be over; a busy machine is slow to notice
OUTAGE, PEACE = (0.5, 2.5), (3.0, 8.0)  # seconds that a Space is gone, and that it is there
ODDS = {  # of each response to a request that is not the stream, and of each stream
    "whole": 86,
    "cut": 5,
    "stall": 3,
    "429": 1,
    "502": 2,
    "503": 1,
    "504": 1,
    "404": 1,
}
WORDS = {
    "429": b"Too Many Requests",
    "502": b"Bad Gateway",
    "503": b"Service Unavailable",
    "504": b"Gateway Timeout",
    "404": b'{"detail": "Session not found."}',
}


def instead(status: str) -> Carry:
    """A response of the proxy's own; what the Space says is dropped."""
    body = WORDS[status]
    head = b"HTTP/1.1 %s Status\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    async def carry(_: bytes, to: asyncio.StreamWriter) -> None:
        await _send(head % (status.encode(), len(body)) + body, to)
        await asyncio.sleep(0.05)
        raise _Cut

    return carry


@dataclass
class Chaos:
    """What a proxy does; each `fault` begins one response."""

    dice: random.Random
    gone: str | None = None  # how the Space is gone at present
    done: Counter[str] = field(default_factory=Counter)

    def fault(self) -> Carry:
        """What becomes of one response."""
        kind = self.gone or self.dice.choices([*ODDS], [*ODDS.values()])[0]
        self.done[kind] += 1
        if kind == "whole":
            return whole()
        if kind in ("cut", "restarting"):
            return cut(0 if self.gone else self.dice.randrange(3000))()
        if kind == "stall":
            return stall(self.dice.randrange(2000), self.dice.uniform(0.5, 4.0))()
        return instead("503" if kind == "asleep" else kind)

    async def outages(self) -> None:
        """Let the Space fall asleep or restart, now and then."""
        while True:
            await asyncio.sleep(self.dice.uniform(*PEACE))
            self.gone = self.dice.choice(["asleep", "restarting"])
            await asyncio.sleep(self.dice.uniform(*OUTAGE))
            self.gone = None


class Joins:
    """Counts how often the Spaces accepted each call."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()

    def before(self) -> Carry:
        """Notes the call that a request to join names."""
        seen = b""

        async def carry(data: bytes, to: asyncio.StreamWriter) -> None:
            nonlocal seen
            seen += data
            if found := re.search(rb"echo:call-(\d+)-", seen):
                self.accepted[found[1].decode()] += 1
                seen = b""
            await _send(data, to)

        return carry


@dataclass
class Run:
    """What came of the calls."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    told: Counter[str] = field(
        default_factory=Counter
    )  # retries that were reported to a caller, by call
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, number: str, end: str, seconds: float, heard: list[object]) -> None:
        with self.lock:
            self.ends[end] += 1
            self.slowest = max(self.slowest, seconds)
            self.told[number] += sum(isinstance(e, RetryEvent | WakeEvent) for e in heard)
            if end.startswith("WRONG") or seconds > BOUND:
                self.wrong.append(f"{number}: {end} after {seconds:.1f} s")


def text_of(number: int, dice: random.Random) -> str:
    words = " ".join(
        dice.choice(["snow", "Käse", "雪", "🌍", "x"]) for _ in range(dice.randrange(30))
    )
    return f"call-{number}-{words} end"


class Callers:
    """Makes the calls on models of one Space and of all."""

    def __init__(self, urls: list[str], seed: int) -> None:
        settings: dict[str, Any] = {
            "timeout": 2.0,
            "total_timeout": TOTAL,
            "max_retries": 4,
            "max_concurrency": 8,
        }
        self.models = [ChatQwenSpace(space=space, **settings) for space in (urls, *urls)]
        self.run, self.seed = Run(), seed

    def call(self, number: int) -> tuple[ChatQwenSpace, list[object], str, random.Random]:
        dice = random.Random(self.seed + number)
        heard: list[object] = []
        model = dice.choice(self.models).model_copy(update={"on_event": heard.append})
        return model, heard, text_of(number, dice), dice

    async def one(self, number: int) -> None:
        model, heard, text, dice = self.call(number)
        way = dice.choice(["ainvoke", "astream", "astream", "break", "cancel"])
        began = time.monotonic()
        try:
            if way == "ainvoke":
                end = judged((await model.ainvoke(f"echo:{text}")).text, text)
            elif way == "cancel":
                task = asyncio.create_task(model.ainvoke(f"echo:{text}"))
                await asyncio.wait([task], timeout=dice.uniform(0, 1))
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                end = "left"
            else:
                end = await self._stream(model, text, dice.randrange(3) if way == "break" else None)
        except QwenSpaceError as error:
            end = type(error).__name__
        except Exception as error:
            end = f"WRONG {error!r}"
        self.run.note(str(number), end, time.monotonic() - began, heard)

    async def _stream(self, model: ChatQwenSpace, text: str, leave: int | None) -> str:
        said, exact, count = "", None, 0
        async for chunk in model.astream(f"echo:{text}"):
            said += chunk.text
            exact = chunk.response_metadata.get("final_text", exact)
            count += 1
            if count == leave:
                return "left"
        return judged(said if exact is None else exact, text)

    def one_in_a_thread(self, number: int) -> None:
        model, heard, text, dice = self.call(number)
        began = time.monotonic()
        try:
            if dice.random() < 0.5:
                end = judged(model.invoke(f"echo:{text}").text, text)
            else:
                for _ in model.stream(f"echo:{text}"):
                    break
                end = "left"
        except QwenSpaceError as error:
            end = type(error).__name__
        except Exception as error:
            end = f"WRONG {error!r}"
        self.run.note(str(number), end, time.monotonic() - began, heard)


def judged(said: str, text: str) -> str:
    return "exact" if said == text else f"WRONG text {said!r} for {text!r}"


def call_all(callers: Callers, numbers: range) -> None:
    """Make the calls from all loops and threads."""
    left = iter(numbers)
    lock = threading.Lock()

    def take() -> int | None:
        with lock:
            return next(left, None)

    async def worker() -> None:
        while (number := take()) is not None:
            await callers.one(number)

    async def crowd() -> None:
        await asyncio.gather(*(worker() for _ in range(WORKERS)))

    def sync() -> None:
        while (number := take()) is not None:
            callers.one_in_a_thread(number)

    threads = [threading.Thread(target=lambda: asyncio.run(crowd())) for _ in range(LOOPS)]
    threads += [threading.Thread(target=sync) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def calm(urls: list[str], seed: int) -> Sample:
    """What is held after some calls that nothing disturbs: threads and caches are there."""
    warm = Callers([f"{url}/{LAYOUT}" for url in urls], seed)
    await asyncio.to_thread(call_all, warm, range(10**6, 10**6 + 60))
    await asyncio.sleep(6)
    return Soak(warm.models[0]).look()


async def chaos(urls: list[str], calls: int, seed: int) -> dict[str, Any]:
    """Run it before these servers; the figures."""
    joins = Joins()
    samples: list[dict[str, Any]] = []
    before = await calm(urls, seed)
    async with (
        proxy_before(urls[0]) as first,
        proxy_before(urls[1]) as second,
        proxy_before(urls[2]) as third,
    ):
        proxies: list[Proxy] = [first, second, third]
        spirits = [Chaos(random.Random(seed + n)) for n in range(3)]
        callers = Callers([f"{proxy.url}/{LAYOUT}" for proxy in proxies], seed)
        looker = Soak(callers.models[0])
        for proxy, spirit in zip(proxies, spirits, strict=True):
            proxy.before("join", joins.before)
            for step in ("config", "join", "data"):
                proxy.on(step, spirit.fault)
        weather = [asyncio.create_task(spirit.outages()) for spirit in spirits]
        began = time.monotonic()
        work = asyncio.create_task(asyncio.to_thread(call_all, callers, range(calls)))
        while not work.done():
            samples.append({**asdict(looker.look()), "calls": callers.run.ends.total()})
            await asyncio.wait([work], timeout=1)
        await work
        seconds = time.monotonic() - began
        for task in weather:
            task.cancel()
        await asyncio.sleep(6)  # the last cancel requests
    await asyncio.sleep(1)  # the proxies are gone, with the connections that they kept
    after = looker.look()
    return figures(callers.run, joins, spirits, before, after, samples, seconds)


def figures(
    run: Run,
    joins: Joins,
    spirits: list[Chaos],
    before: Sample,
    after: Sample,
    samples: list[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    """What the run shows."""
    secret = [
        n for n, count in joins.accepted.items() if count > 1 + run.told[n] and int(n) < 10**6
    ]
    held = sum(len(space.slots) for space in current_slots()._spaces.values())
    faults: Counter[str] = Counter()
    for spirit in spirits:
        faults += spirit.done
    rest: dict[str, dict[str, float]] = defaultdict(dict)
    for name in ("files", "threads", "tasks", "blocks", "memory_mb"):
        rest[name] = {"before": getattr(before, name), "after": getattr(after, name)}
    return {
        "calls": run.ends.total(),
        "seconds": round(seconds, 1),
        "ends": dict(run.ends.most_common()),
        "wrong": run.wrong,
        "slowest": round(run.slowest, 2),
        "run twice without a word": secret,
        "slots held at the end": held,
        "faults": dict(faults),
        "at rest": rest,
        "samples": samples,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Thousands of calls on Spaces that misbehave.")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        urls = []
        for form in FORMS:
            directory = Path(folder, form.name)
            directory.mkdir()
            urls.append(stack.enter_context(running(form, directory)).url)
        result = asyncio.run(chaos(urls, asked.calls, asked.seed))
    print(json.dumps({**result, "samples": len(result["samples"])}, indent=2, ensure_ascii=False))
    if asked.calls == CALLS:
        (DOCS / "chaos.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")
        drawn = {name: NAMES[name] for name in ("memory_mb", "blocks", "files", "threads")}
        title = "What one process holds while its Spaces misbehave"
        plot([Sample(**sample) for sample in result["samples"]], drawn, title, DOCS / "chaos.png")
    if result["wrong"] or result["run twice without a word"] or result["slots held at the end"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
