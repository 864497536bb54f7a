"""Writes the measurements as tables and a plot: `docs/explanation/performance.{md,json,png}`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
FIGURES = ("<!-- figures: written by make bench -->", "<!-- end of figures -->")
API_FIGURES = (
    "<!-- figures of the API server: written by make bench -->",
    "<!-- end of figures of the API server -->",
)

Goal = tuple[str, str, float, str]  # measure, key, goal, format
API_GOALS: tuple[Goal, ...] = (
    ("CPU per chunk, live, relative to LiteLLM's proxy", "live_over_litellm", 0.33, "{:.2f}"),
    ("the same, burst, chunks joined", "burst_over_litellm", 0.33, "{:.3f}"),
    (
        "time to the first chunk, more than `ChatQwenSpace`'s own, warm",
        "first_beyond_ms",
        2,
        "{:.2f} ms",
    ),
    ("200 streams of 40 tokens/s: chunks lost", "lost", 0, "{:.0f}"),
)
GOALS: tuple[Goal, ...] = (
    ("CPU per event, live, relative to the minimal model", "live_over_minimal", 1.0, "{:.2f}"),
    (
        "CPU per event, burst, relative to the bare transport, chunks joined",
        "burst_over_bare",
        1.5,
        "{:.2f}",
    ),
    (
        "CPU per event, burst, relative to ChatOllama, chunks joined",
        "burst_over_ollama",
        0.15,
        "{:.3f}",
    ),
    (
        "CPU per event, burst, relative to ChatOpenAI, chunks joined",
        "burst_over_openai",
        0.03,
        "{:.3f}",
    ),
    (
        "the same, one chunk per event, relative to ChatOllama",
        "burst_apart_over_ollama",
        0.5,
        "{:.2f}",
    ),
    (
        "the same, one chunk per event, relative to ChatOpenAI",
        "burst_apart_over_openai",
        0.15,
        "{:.3f}",
    ),
    ("CPU per event, live, relative to ChatOllama", "live_over_ollama", 0.5, "{:.2f}"),
    ("CPU per event, live, relative to ChatOpenAI", "live_over_openai", 0.3, "{:.2f}"),
    (
        "time to the first chunk, more than the bare transport, warm",
        "first_fragment_ms",
        1.5,
        "{:.2f} ms",
    ),
    ("sync `stream` relative to `astream`, CPU per event, live", "sync_over_async", 1.5, "{:.2f}"),
    (
        "growth of CPU per event from 5,000 to 50,000 events, relative to the minimal model's",
        "growth",
        1.1,
        "{:.2f}",
    ),
    ("the same with `join_fragments=False`", "growth_apart", 1.1, "{:.2f}"),
    ("400 streams of 40 tokens/s: lag, 99th percentile", "crowd_p99_ms", 100, "{:.1f} ms"),
    ("the same, with rare full garbage collections", "crowd_tuned_p99_ms", 100, "{:.1f} ms"),
    ("the same: chunks lost", "crowd_lost", 0, "{:.0f}"),
    ("1,000 streams of 10 tokens/s: lag, 99th percentile", "many_p99_ms", 100, "{:.1f} ms"),
    ("the same: chunks lost", "many_lost", 0, "{:.0f}"),
    ("memory per stream, more than the minimal model", "memory_kb", 50, "{:.1f} KB"),
    ("`import langchain_qwen_space`, more than langchain-core", "import_ms", 100, "{:.1f} ms"),
    ("`… import ChatQwenSpace`, more than langchain-core", "import_model_ms", 100, "{:.1f} ms"),
    (
        "new process: from `import` to the first chunk, without langchain-core's import",
        "fresh_ms",
        400,
        "{:.0f} ms",
    ),
    ("new connections of a second call", "connections", 0, "{:.0f}"),
    (
        "CPU of uploading 10 MB, relative to aiohttp's own multipart post",
        "upload_over_aiohttp",
        1.3,
        "{:.2f}",
    ),
)


def tables(results: dict[str, Any]) -> str:
    """The measures with their goals, and the processor time of each program."""
    figures, machine = results["figures"], results["machine"]
    lines = _goals(GOALS, figures)
    lines += ["", "| CPU per event, microseconds | live | burst |", "| --- | ---: | ---: |"]
    for name, cpu in results["per_event_us"].items():
        lines.append(f"| {name} | {cpu['live']:.1f} | {cpu['burst']:.1f} |")
    crowd, rush, tuned = results["crowd"], results["rush"], results["tuned"]
    other = results["crowd_of_minimal"]
    crowd_note = (
        f"400 streams of 40 tokens/s: the median lag is {crowd['median_ms']:.1f} ms, the maximum "
        f"{crowd['max_ms']:.1f} ms. The client uses {crowd['core']:.0%} of a core. Python's garbage "
        f"collector pauses it for up to {crowd['pause_ms']:.0f} ms. With the minimal model, the lag is "
        f"{other['p99_ms']:.1f} ms at the 99th percentile, with pauses of up to "
        f"{other['pause_ms']:.0f} ms. With `gc.set_threshold(700, 10, 1000)`, the maximum is "
        f"{tuned['max_ms']:.1f} ms. The streams start within two seconds. If they start at the same "
        f"moment, the median lag is {rush['median_ms']:.1f} ms, and the 99th percentile "
        f"{rush['p99_ms']:.1f} ms."
    )
    many = results["many"]
    many_note = (
        f"1,000 streams of 10 tokens/s: the median lag is {many['median_ms']:.1f} ms, the maximum "
        f"{many['max_ms']:.1f} ms. The client uses {many['core']:.0%} of a core, and the garbage "
        f"collector pauses it for up to {many['pause_ms']:.0f} ms."
    )
    object_note = (
        f"Importing the package and creating a model, which imports aiohttp, takes "
        f"{figures['import_object_ms']:.0f} ms more than importing langchain-core."
    )
    lines += ["", crowd_note, "", many_note, "", object_note, "", _measured_on(machine)]
    return "\n".join(lines)


def api_tables(results: dict[str, Any]) -> str:
    """The measures of the API server with their goals, and its figures beside those of others."""
    names = list(results["live_us"])
    lines = _goals(API_GOALS, results["figures"])
    lines += ["", f"|  | {' | '.join(names)} |", f"| --- | {' | '.join(['---:'] * len(names))} |"]

    def row(what: str, values: Mapping[str, float], form: str) -> None:
        lines.append(f"| {what} | {' | '.join(form.format(values[name]) for name in names)} |")

    crowd = results["crowd"]
    row("CPU per chunk, live, microseconds", results["live_us"], "{:.0f}")
    row("CPU per chunk, burst, microseconds", results["burst_us"], "{:.0f}")
    row("first chunk, milliseconds", results["first_ms"], "{:.1f}")
    row("200 streams of 2 s: chunks lost", {n: crowd[n]["lost"] for n in names}, "{:.0f}")
    row("the same: seconds until all ended", {n: crowd[n]["seconds"] for n in names}, "{:.1f}")
    row("the same: CPU per chunk, microseconds", {n: crowd[n]["cpu_us"] for n in names}, "{:.0f}")
    row("memory of an open stream, KB", results["memory_kb"], "{:.0f}")
    own = f"`ChatQwenSpace`'s own first chunk takes {results['first_ms']['ChatQwenSpace']:.1f} ms."
    return "\n".join([*lines, "", own, "", _measured_on(results["machine"])])


def _goals(goals: Iterable[Goal], figures: Mapping[str, float]) -> list[str]:
    lines = ["| measure | goal | measured |  |", "| --- | --- | --- | --- |"]
    for name, key, goal, form in goals:
        value = figures[key]
        met = "met" if value <= goal else "missed"
        lines.append(f"| {name} | ≤ {goal:g} | {form.format(value)} | {met} |")
    return lines


def _measured_on(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"Measured with Python {machine['python']} on {machine['system']}, "
        f"{machine['processors']} processors, load {machine['load_before']:.1f} at the start; "
        f"{versions}."
    )


def write(results: dict[str, Any]) -> None:
    """Write the figures, without changing the rest of the page."""
    (DOCS / "performance.json").write_text(json.dumps(results, indent=1) + "\n")
    _plot(results["per_event_us"])
    _put(FIGURES, f"{tables(results)}\n\n![CPU per event](performance.png)")


def write_api(results: dict[str, Any]) -> None:
    """Write the figures of the API server, without changing the rest of the page."""
    (DOCS / "performance-api.json").write_text(json.dumps(results, indent=1) + "\n")
    _put(API_FIGURES, api_tables(results))


def _put(marks: tuple[str, str], figures: str) -> None:
    page = DOCS / "performance.md"
    before, rest = page.read_text().split(marks[0])
    _, after = rest.split(marks[1])
    page.write_text(f"{before}{marks[0]}\n\n{figures}\n\n{marks[1]}{after}")


def _plot(per_event: dict[str, dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    height = 0.38
    for offset, (kind, shown, color) in enumerate(
        (
            ("live", "live: one event per millisecond", "#4c72b0"),
            ("burst", "burst: all events at once", "#dd8452"),
        )
    ):
        places = [place + offset * height for place in range(len(per_event))]
        bars = axes.barh(
            places, [cpu[kind] for cpu in per_event.values()], height, label=shown, color=color
        )
        axes.bar_label(bars, fmt=" %.1f", fontsize=8)
    axes.set_yticks([place + height / 2 for place in range(len(per_event))], list(per_event))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel("processor time per event, microseconds (log scale)")
    figure.legend(fontsize=8, loc="outside upper center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "performance.png", dpi=130)
