"""The API server beside LiteLLM's proxy, for `docs/explanation/performance.md`, in two minutes.

    python benchmarks/api.py          writes its figures into docs/explanation/performance.{md,-api.json}
    python benchmarks/api.py --quick  a first look: few rounds, writes nothing

Both are processes of their own with one worker, in front of a backend that sends the same chunks: a
Space to the one, OpenAI's API to the other. This process is the client of both, and they take turns
in every round. LiteLLM is installed into a venv of its own, unless the environment variable LITELLM
names an executable; where that fails, the figures are those of the API server alone.
"""

import asyncio
import json
import os
import platform
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import contenders
import measures as m
import orjson
import report
from bench import say, start_server

OURS, LITELLM, DIRECT = "qwen-space api", "LiteLLM's proxy", "ChatQwenSpace"
LIVE, BURST = 2_000, 5_000
STREAMS, TOKENS = 200, 80  # 40 a second, for two seconds
HELD = 100  # streams that are open at once where memory is measured
KEY = f"sk-{secrets.token_hex(16)}"  # LiteLLM's proxy has no other way to be closed to others
VENV = Path(__file__).parents[1] / ".venv" / "litellm"
PACKAGES = ("starlette", "uvicorn", "langchain-core")
_FIRST_TEXT = re.compile(rb'"content": ?"[^"]')


class Served:
    """A server in a process of its own, and what it uses."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process, self.url = process, url

    def cpu(self) -> float:
        """Microseconds of processor time of all its threads."""
        # Linux makes the number of a process's clock so (clock_getcpuclockid(3)).
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self._pids()) / 1e3

    def resident(self) -> float:
        """Kilobytes of memory."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024

    def _pids(self) -> list[int]:
        found, new = [], [self.process.pid]
        while new:
            found += new
            children = [Path(f"/proc/{pid}/task/{pid}/children").read_text() for pid in new]
            new = [int(pid) for listed in children for pid in listed.split()]
        return found


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[Served]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Served(process, f"http://127.0.0.1:{port}")
        except BaseException:
            said.seek(0)
            print(said.read().decode(errors="replace")[-4000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def ours(backend: str) -> Any:
    command = [sys.executable, __file__, "--serve", backend]
    return running(command, _free_port(), QWEN_SPACE_API_KEY=KEY)


@contextmanager
def litellm(executable: Path, backend: str) -> Iterator[Served]:
    settings = {"model": "openai/72B", "api_base": f"{backend}/v1", "api_key": "none"}
    config = {"model_list": [{"model_name": "72B", "litellm_params": settings}]}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        command = [str(executable), "--config", str(file), "--host", "127.0.0.1"]
        with running(
            [*command, "--num_workers", "1", "--telemetry", "False"],
            _free_port(),
            LITELLM_LOCAL_MODEL_COST_MAP="True",  # or it asks the network for prices
            LITELLM_LOG="ERROR",
            LITELLM_MASTER_KEY=KEY,
        ) as served:
            yield served


def installed_litellm() -> Path | None:
    """The executable of LiteLLM's proxy; None, and a line that says so, if it cannot be had."""
    if given := os.environ.get("LITELLM"):
        return Path(given)
    executable = VENV / "bin" / "litellm"
    if not executable.exists():
        say(f"installing LiteLLM into {VENV}")
        venv.create(VENV, with_pip=True)
        command = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "litellm[proxy]"]
        try:
            subprocess.run(command, check=True, timeout=900, stdin=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"LiteLLM is left out, for it could not be installed: {error}", file=sys.stderr)
            return None
    return executable


def serve(backend: str, port: int) -> None:
    """The API server as `qwen-space api` runs it, but for the limit on calls at a time."""
    import uvicorn

    from langchain_qwen_space.api import app

    application = app(contenders.qwen_space(backend), api_key=os.environ["QWEN_SPACE_API_KEY"])
    uvicorn.run(application, port=port, log_level="warning", lifespan="off")


class Client:
    """Reads event streams and does as little else as it can."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=60),
            headers={"authorization": f"Bearer {KEY}"},
        )

    async def ready(self, server: Served) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(120):
            while server.process.poll() is None:
                try:
                    await self.text(server.url, "burst 50")
                except (aiohttp.ClientError, OSError):
                    await asyncio.sleep(0.2)
                else:
                    return
        raise RuntimeError(f"{server.url} has ended")

    async def chunks(self, url: str, question: str) -> AsyncIterator[bytes]:
        messages = [{"role": "user", "content": question}]
        body = {"model": "72B", "messages": messages, "stream": True}
        async with self._session.post(f"{url}/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            async for data in response.content.iter_any():
                yield data

    async def text(self, url: str, question: str) -> str:
        answer = b"".join([data async for data in self.chunks(url, question)])
        events = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: {")]
        choices = [orjson.loads(event)["choices"] for event in events]
        return "".join(choice[0]["delta"].get("content") or "" for choice in choices if choice)

    async def first(self, url: str, question: str) -> float:
        """Milliseconds until the first text; the rest is read as well."""
        start, took, seen = time.perf_counter(), 0.0, b""
        async for data in self.chunks(url, question):
            if not took:
                seen += data
                if _FIRST_TEXT.search(seen):
                    took = (time.perf_counter() - start) * 1e3
        assert took, f"{url} sent no text"
        return took

    async def close(self) -> None:
        await self._session.close()


async def cpu_per_chunk(
    client: Client, who: dict[str, Served], kind: str, count: int, rounds: int
) -> m.Rounds:
    used: m.Rounds = {name: [] for name in who}
    for _ in range(rounds):
        for name, server in who.items():
            before = server.cpu()
            text = await client.text(server.url, f"{kind} {count}")
            used[name].append((server.cpu() - before) / count)
            assert len(text) == 12 * count, f"{name}: {len(text)} characters"
    return used


async def first_chunk(
    client: Client, who: dict[str, Served], backend: str, rounds: int
) -> m.Rounds:
    took: m.Rounds = {name: [] for name in [DIRECT, *who]}
    model = contenders.of_model(contenders.qwen_space(backend))
    await m.first_fragment({DIRECT: model}, 5)  # warm
    for _ in range(rounds):
        took[DIRECT] += (await m.first_fragment({DIRECT: model}, 1))[DIRECT]
        for name, server in who.items():
            took[name].append(await client.first(server.url, "burst 5"))
    return took


async def crowd(client: Client, server: Served) -> dict[str, float]:
    """Many streams at once: how many of their chunks never came."""
    before, start = server.cpu(), time.monotonic()
    asked = (client.text(server.url, f"paced {TOKENS}") for _ in range(STREAMS))
    texts = await asyncio.gather(*asked, return_exceptions=True)
    came = sum(text.count(";") for text in texts if isinstance(text, str))
    return {
        "lost": STREAMS * TOKENS - came,
        "seconds": time.monotonic() - start,
        "cpu_us": (server.cpu() - before) / (STREAMS * TOKENS),
    }


async def memory(client: Client, server: Served) -> float:
    """Kilobytes that an open stream holds; not a number if the streams do not begin in a minute."""

    async def open_stream(opened: asyncio.Event) -> None:
        async for data in client.chunks(server.url, "hold 50"):
            if _FIRST_TEXT.search(data):
                opened.set()

    async def open_many(count: int) -> float:
        events = [asyncio.Event() for _ in range(count)]
        tasks.extend(asyncio.create_task(open_stream(event)) for event in events)
        await asyncio.gather(*(event.wait() for event in events))
        await asyncio.sleep(1)
        return server.resident()

    tasks: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(60):
            before = await open_many(50)  # what the first ones make the allocator fetch counts not
            return (await open_many(HELD) - before) / HELD
    except TimeoutError:
        return nan
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(executable: Path | None, backend: str, *, quick: bool) -> dict[str, Any]:
    with ours(backend) as server:
        if executable is None:
            return await _measure({OURS: server}, backend, quick=quick)
        with litellm(executable, backend) as other:
            return await _measure({OURS: server, LITELLM: other}, backend, quick=quick)


async def _measure(who: dict[str, Served], backend: str, *, quick: bool) -> dict[str, Any]:
    client = Client()
    try:
        say("starting the API servers")
        await asyncio.gather(*(client.ready(server) for server in who.values()))
        await cpu_per_chunk(client, who, "burst", BURST, 1)  # warm
        say("processor time per chunk")
        live = await cpu_per_chunk(client, who, "live", LIVE, 1 if quick else 5)
        burst = await cpu_per_chunk(client, who, "burst", BURST, 1 if quick else 5)
        say("time to the first chunk")
        first = await first_chunk(client, who, backend, 20 if quick else 200)
        say("memory")  # before the crowd, whose memory the allocator keeps
        held = {name: await memory(client, server) for name, server in who.items()}
        say("crowd")
        crowds = {name: await crowd(client, server) for name, server in who.items()}
    finally:
        await client.close()
    beside = LITELLM in who
    return {
        "figures": {
            "live_over_litellm": m.ratio(live, OURS, LITELLM) if beside else nan,
            "burst_over_litellm": m.ratio(burst, OURS, LITELLM) if beside else nan,
            "first_beyond_ms": m.beyond(first, OURS, DIRECT),
            "lost": crowds[OURS]["lost"],
        },
        "live_us": {name: median(values) for name, values in live.items()},
        "burst_us": {name: median(values) for name, values in burst.items()},
        "first_ms": {name: median(values) for name, values in first.items()},
        "crowd": crowds,
        "memory_kb": held,
        "rounds": {"live": live, "burst": burst, "first": first},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _version_of(executable: Path) -> str:
    asked = "from importlib.metadata import version; print(version('litellm'))"
    command = [executable.with_name("python"), "-c", asked]
    return subprocess.check_output(command, text=True, timeout=60).strip()


def main() -> None:
    if "--serve" in sys.argv:
        serve(sys.argv[2], int(sys.argv[4]))
        return
    quick = "--quick" in sys.argv[1:]
    executable = installed_litellm()
    load = os.getloadavg()[0]
    backend, url = start_server()
    try:
        results = asyncio.run(measure(executable, url, quick=quick))
    finally:
        backend.communicate()
    versions = {name: version(name) for name in PACKAGES}
    results["machine"] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load_before": load,
        "versions": {"litellm": _version_of(executable), **versions} if executable else versions,
    }
    print(report.api_tables(results))
    if executable and not quick:
        report.write_api(results)


if __name__ == "__main__":
    main()
