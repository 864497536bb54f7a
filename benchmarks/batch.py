"""A big job that is killed on its way, and what a row costs on this machine and on a Ray cluster.

    python -m benchmarks.batch                            20,000 rows, three kills; writes docs/explanation/batch.json
    python -m benchmarks.batch --rows 1000 --kills 1      a first look, writes nothing

The job: two local Spaces, real Gradio servers, whose answers take a known time, so that it is known
what they can do: slots / seconds answers a second each. `qwen-space batch` is killed (SIGKILL) at
random moments and started again. The throughput counts all its time: starts, kills, the output.

The overhead: rows whose answers take no time, so that all the time is the job's own. On Ray, two
nodes of one processor each on this machine ask them with eight threads each.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableLambda

from langchain_qwen_space.jobs import BatchOptions, Job, run_batch
from tests.integration_tests.jobs.kills import (
    batch_command,
    counting_space,
    run_with_kills,
    write_prompts,
    wrong_rows,
)

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
ROWS, KILLS = 20_000, 3
SPACES = 2
SLOTS, SECONDS = 30, 3.6  # answers that a Space writes at a time, and how long one takes
QUEUED = 1.5  # calls under way a slot: a call waits in the queue when another ends
LOCAL_ROWS, RAY_ROWS = 20_000, 2_000
MEMORY = 100 * 2**20  # bytes of each Ray node's object store


@dataclass(frozen=True)
class Killed:
    """What became of the job that was killed."""

    rows: int
    spaces: int
    slots: int
    seconds_an_answer: float
    concurrency: int
    kills: int
    seconds: float
    wrong: int
    repeated: int
    """Rows that were asked about more than once: those that were under way at a kill."""
    own_rate: float
    """Answers a second that the Spaces can give."""
    rate: float
    share: float
    """Of the Spaces' own throughput."""
    load: float
    """What the machine had to do besides, or for it: its load over the last 15 minutes."""


def killed_job(folder: Path, rows: int, kills: int, slots: int, seconds: float) -> Killed:
    """Run the job."""
    source, output, log = folder / "prompts.jsonl", folder / "answers.jsonl", folder / "calls"
    write_prompts(source, rows)
    chance = random.Random(20)
    concurrency = round(SPACES * slots * QUEUED)
    with ExitStack() as spaces:
        urls = [spaces.enter_context(counting_space(log, seconds, slots)) for _ in range(SPACES)]
        options = ["--space", ",".join(urls), "--concurrency", str(concurrency)]
        each = rows // (kills + 1)
        outcome = run_with_kills(
            batch_command(source, output, *options),
            log,
            lambda: chance.randint(each // 2, each),
            kills,
            chance,
        )
    own, rate = SPACES * slots / seconds, rows / outcome.seconds
    return Killed(
        rows=rows,
        spaces=SPACES,
        slots=slots,
        seconds_an_answer=seconds,
        concurrency=concurrency,
        kills=outcome.kills,
        seconds=round(outcome.seconds, 1),
        wrong=wrong_rows(source, output) + (len(outcome.asked) != rows),
        repeated=outcome.repeated,
        own_rate=own,
        rate=round(rate, 2),
        share=round(rate / own, 3),
        load=os.getloadavg()[2],
    )


def _at_once(_messages: Any) -> str:
    return "yes"


async def _at_once_too(_messages: Any) -> str:
    return "yes"


def overhead(folder: Path, rows: int, options: BatchOptions) -> float:
    """Milliseconds a row, from the first answer to the last, of a job whose answers take no time."""
    source, output = folder / f"{options.engine}.jsonl", folder / f"{options.engine}-answers.jsonl"
    write_prompts(source, rows)
    first = 0.0

    def listen(progress: Any) -> None:
        nonlocal first
        if progress.asked == 1:
            first = progress.seconds

    model = RunnableLambda(_at_once, _at_once_too)
    progress = run_batch(model, Job(source, output), options, on_progress=listen)
    return round((progress.seconds - first) / rows * 1000, 2)


def overhead_on_ray(folder: Path, rows: int) -> float:
    """As `overhead`, on a cluster of its own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        options = BatchOptions(concurrency=16, engine="ray", ray_address=cluster.address)
        return overhead(folder, rows, options)
    finally:
        ray.shutdown()
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description="A big job that is killed on its way.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--slots", type=int, default=SLOTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", choices=["overhead", "killed"])
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        if asked.only != "killed":
            share = asked.rows / ROWS
            figures["ms_a_row"] = {
                "here": overhead(folder, round(LOCAL_ROWS * share), BatchOptions(concurrency=16)),
                "on Ray": overhead_on_ray(folder, round(RAY_ROWS * share)),
            }
        if asked.only != "overhead":
            killed = killed_job(folder, asked.rows, asked.kills, asked.slots, asked.seconds)
            figures["killed"] = asdict(killed)
            good = not killed.wrong and killed.repeated <= killed.kills * killed.concurrency
        figures["seconds"] = round(time.monotonic() - began)
    print(json.dumps(figures, indent=2))
    if (asked.rows, asked.kills, asked.only) == (ROWS, KILLS, None):
        (DOCS / "batch.json").write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(not good)


if __name__ == "__main__":
    main()
