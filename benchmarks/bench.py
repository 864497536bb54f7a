"""Everything that `docs/explanation/performance.md` reports, in one run of less than ten minutes.

    python benchmarks/bench.py          writes docs/explanation/performance.{md,json,png}
    python benchmarks/bench.py --quick  a first look: few rounds, writes nothing

The server runs in a process of its own; all contenders run in this one, and take turns.
"""

import asyncio
import gc
import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from statistics import median
from typing import Any

import contenders as c
import measures as m
import report
from crowd_server import allow_files

BARE, MINIMAL, OURS = "bare transport", "minimal model", "ChatQwenSpace"
SYNC, APART = "ChatQwenSpace, stream()", "ChatQwenSpace, join_fragments=False"
OLLAMA, OPENAI, GRADIO = "ChatOllama", "ChatOpenAI", "gradio_client"

EVENTS_LIVE, EVENTS_BURST, EVENTS_LONG = 2_000, 5_000, 50_000
STREAMS, TOKENS = 400, 200  # 40 a second, for five seconds
OPENED_WITHIN = 2.0  # seconds
MANY, FEW_TOKENS = 1_000, 100  # 10 a second, for ten seconds
UPLOADED = 10 * 2**20  # bytes
HELD = 200  # streams that are open at once where memory is measured
PACKAGES = ("langchain-core", "langchain-ollama", "langchain-openai", "gradio_client", "aiohttp")


def start_server(*options: str) -> tuple[subprocess.Popen[bytes], str]:
    command = [sys.executable, str(m.HERE / "server.py"), *options]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout
    return server, f"http://127.0.0.1:{int(server.stdout.readline())}"


async def measure(url: str, *, quick: bool) -> dict[str, Any]:
    def rounds(count: int) -> int:
        return 2 if quick else count

    transport = c.BareTransport(url)
    model = c.qwen_space(url)
    bare, minimal = transport.stream, c.of_model(c.MinimalModel(transport=transport))
    ours, apart = c.of_model(model), c.of_model(c.qwen_space(url, join_fragments=False))
    own = {BARE: bare, MINIMAL: minimal, OURS: ours, APART: apart}
    sync = {SYNC: c.of_model_sync(model)}
    others = {
        OLLAMA: c.of_model(c.ollama(url)),
        OPENAI: c.of_model(c.openai(url)),
        GRADIO: await asyncio.to_thread(c.gradio_client, url),
    }
    everyone = {**own, **sync, **others}
    await m.cpu_per_event(everyone, "burst", 200, 2)  # warm: connections, endpoint, caches
    gc.freeze()  # so that what the others imported is not searched at our cost, nor ours at theirs

    say("processor time per event, live")
    live = await m.cpu_per_event(everyone, "live", EVENTS_LIVE, rounds(7))
    say("processor time per event, burst")
    fast = await m.cpu_per_event(own | sync, "burst", EVENTS_BURST, rounds(15))
    burst = await m.cpu_per_event({**own, **others}, "burst", EVENTS_BURST, rounds(5))
    say("growth")
    long = await m.cpu_per_event(own, "burst", EVENTS_LONG, rounds(3))
    say("time to the first chunk")
    first = await m.first_fragment({BARE: bare, OURS: ours}, rounds(300))
    say("crowd")
    rush = await m.crowd(ours, STREAMS, TOKENS, 0)
    crowd = await m.crowd(ours, STREAMS, TOKENS, OPENED_WITHIN)
    other = await crowd_of_minimal(url)
    usual = gc.get_threshold()
    gc.set_threshold(*usual[:2], 1_000)  # a hundredth as often as usual through all objects
    tuned = await m.crowd(ours, STREAMS, TOKENS, OPENED_WITHIN)
    gc.set_threshold(*usual)
    many = await many_streams()
    opened = await m.connections_of_second_call(ours, url)
    say("upload")
    sent = await m.uploads(url, UPLOADED, rounds(15))
    say("memory")
    memory = m.memory_per_stream([MINIMAL, OURS], url, HELD, rounds(3))
    say("imports")
    imports = m.import_time(rounds(9))
    fresh = m.fresh_process(url, rounds(9))
    await transport.close()

    def growth(name: str) -> float:
        return median(long[name]) / median(fast[name])

    figures = {
        "live_over_minimal": m.ratio(live, OURS, MINIMAL),
        "burst_over_bare": m.ratio(fast, OURS, BARE),
        "burst_over_ollama": m.ratio(burst, OURS, OLLAMA),
        "burst_over_openai": m.ratio(burst, OURS, OPENAI),
        "burst_apart_over_ollama": m.ratio(burst, APART, OLLAMA),
        "burst_apart_over_openai": m.ratio(burst, APART, OPENAI),
        "live_over_ollama": m.ratio(live, OURS, OLLAMA),
        "live_over_openai": m.ratio(live, OURS, OPENAI),
        "first_fragment_ms": m.beyond(first, OURS, BARE),
        "sync_over_async": m.ratio(live, SYNC, OURS),
        "growth": growth(OURS) / growth(MINIMAL),
        "growth_apart": growth(APART) / growth(MINIMAL),
        "crowd_p99_ms": crowd["p99_ms"],
        "crowd_tuned_p99_ms": tuned["p99_ms"],
        "crowd_lost": crowd["lost"] + tuned["lost"],
        "many_p99_ms": many["p99_ms"],
        "many_lost": many["lost"],
        "memory_kb": m.beyond(memory, OURS, MINIMAL),
        "import_ms": m.beyond(imports, "the package", "langchain-core"),
        "import_model_ms": m.beyond(imports, "ChatQwenSpace", "langchain-core"),
        "import_object_ms": m.beyond(imports, "a model object", "langchain-core"),
        "fresh_ms": fresh,
        "connections": opened,
        "upload_over_aiohttp": m.ratio(sent, "ours", "aiohttp"),
    }
    per_event = {
        name: {"live": median(live[name]), "burst": median((fast | burst)[name])}
        for name in everyone
    }
    return {
        "figures": figures,
        "per_event_us": per_event,
        "crowd": crowd,
        "crowd_of_minimal": other,
        "tuned": tuned,
        "many": many,
        "rush": rush,
        "rounds": {"live": live, "fast": fast, "burst": burst, "long": long, "memory": memory},
    }


async def many_streams() -> dict[str, float]:
    """A thousand streams, from a server of their own."""
    server, url = start_server("--many")
    try:
        ours = c.of_model(c.qwen_space(url))
        await ours("burst 50", lambda _: None)
        return await m.crowd(ours, MANY, FEW_TOKENS, OPENED_WITHIN, "slow")
    finally:
        await asyncio.to_thread(server.communicate)


async def crowd_of_minimal(url: str) -> dict[str, float]:
    transport = c.BareTransport(url)  # its own, for the server has no room for so many for long
    model = c.MinimalModel(transport=transport, text_of=c.appended)
    try:
        return await m.crowd(c.of_model(model), STREAMS, TOKENS, OPENED_WITHIN)
    finally:
        await transport.close()


def say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    load = os.getloadavg()[0]
    allow_files()
    server, url = start_server()
    try:
        results = asyncio.run(measure(url, quick=quick))
    finally:
        server.communicate()
    results["machine"] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load_before": load,
        "versions": {name: version(name) for name in PACKAGES},
    }
    print(report.tables(results))
    if not quick:
        with suppress(BrokenPipeError):
            report.write(results)


if __name__ == "__main__":
    main()
