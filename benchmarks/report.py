"""The measurements as tables and a plot: `docs/explanation/performance.{md,json,png}`."""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"

# measure, key, what to reach, format
GOALS = (
    ("CPU per event, live, over the minimal model", "live_over_minimal", 1.0, "{:.2f}"),
    ("CPU per event, burst, over the bare transport", "burst_over_bare", 1.5, "{:.2f}"),
    ("CPU per event, burst, over ChatOllama", "burst_over_ollama", 0.15, "{:.3f}"),
    ("CPU per event, burst, over ChatOpenAI", "burst_over_openai", 0.03, "{:.3f}"),
    ("CPU per event, live, over ChatOllama", "live_over_ollama", 0.5, "{:.2f}"),
    ("CPU per event, live, over ChatOpenAI", "live_over_openai", 0.3, "{:.2f}"),
    ("first fragment beyond the bare transport's, warm", "first_fragment_ms", 1.5, "{:.2f} ms"),
    ("sync `stream` over `astream`, CPU per event, live", "sync_over_async", 1.5, "{:.2f}"),
    ("growth, 50,000 events over 5,000, over the minimal model's", "growth", 1.1, "{:.2f}"),
    ("the same with `join_fragments=False`", "growth_apart", 1.1, "{:.2f}"),
    ("400 streams of 40 tokens/s: lag, p99", "crowd_p99_ms", 100, "{:.1f} ms"),
    ("the same, all objects collected rarely", "crowd_tuned_p99_ms", 100, "{:.1f} ms"),
    ("the same: fragments lost", "crowd_lost", 0, "{:.0f}"),
    ("memory a stream beyond the minimal model's", "memory_kb", 50, "{:.1f} KB"),
    ("`import langchain_qwen_space` beyond langchain-core", "import_ms", 100, "{:.1f} ms"),
    ("`… import ChatQwenSpace` beyond langchain-core", "import_model_ms", 100, "{:.1f} ms"),
    ("connections that a second call opens", "connections", 0, "{:.0f}"),
)


def tables(results: dict[str, Any]) -> str:
    """The measures beside what they are to reach, and the processor time of every contender."""
    figures, machine = results["figures"], results["machine"]
    lines = ["| measure | to reach | measured |  |", "| --- | --- | --- | --- |"]
    for name, key, goal, form in GOALS:
        value = figures[key]
        shown = form.format(value)
        met = "met" if value <= goal else "missed"
        lines.append(f"| {name} | ≤ {goal:g} | {shown} | {met} |")
    lines += ["", "| CPU per event, microseconds | live | burst |", "| --- | ---: | ---: |"]
    for name, cpu in results["per_event_us"].items():
        lines.append(f"| {name} | {cpu['live']:.1f} | {cpu['burst']:.1f} |")
    crowd, rush, tuned = results["crowd"], results["rush"], results["tuned"]
    other = results["crowd_of_minimal"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    crowd_note = (
        f"400 streams of 40 tokens/s: the lag is {crowd['median_ms']:.1f} ms in the median, "
        f"{crowd['max_ms']:.1f} ms at most; the client keeps {crowd['core']:.0%} of a core busy. "
        f"Python's garbage collector stops it for up to {crowd['pause_ms']:.0f} ms. The same crowd of "
        f"the minimal model: {other['p99_ms']:.1f} ms at the 99th percentile, stops of up to "
        f"{other['pause_ms']:.0f} ms. With `gc.set_threshold(700, 10, 1000)`: {tuned['max_ms']:.1f} ms "
        "at most. The streams are opened within two seconds; opened in the same instant, their opening "
        f"counts as well, and the lag is {rush['median_ms']:.1f} ms in the median, "
        f"{rush['p99_ms']:.1f} ms at the 99th percentile."
    )
    object_note = (
        f"Making the first model object, which loads aiohttp, takes "
        f"{figures['import_object_ms']:.0f} ms beyond langchain-core in all."
    )
    machine_note = (
        f"Measured with Python {machine['python']} on {machine['system']}, "
        f"{machine['processors']} processors, load {machine['load_before']:.1f} at the start; "
        f"{versions}."
    )
    lines += ["", crowd_note, "", object_note, "", machine_note]
    return "\n".join(lines)


def write(results: dict[str, Any]) -> None:
    """Write the figures, and leave the page's own words alone."""
    (DOCS / "performance.json").write_text(json.dumps(results, indent=1) + "\n")
    _plot(results["per_event_us"])
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = f"{BEGIN}\n\n{tables(results)}\n\n![CPU per event](performance.png)\n\n{END}"
    page.write_text(before + figures + after)


def _plot(per_event: dict[str, dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    height = 0.38
    for offset, (kind, shown, color) in enumerate(
        (
            ("live", "live: an event a millisecond", "#4c72b0"),
            ("burst", "burst: all has arrived", "#dd8452"),
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
