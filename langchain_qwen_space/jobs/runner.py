"""Jobs run: on this machine, or on a Ray cluster."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_json_schema

from langchain_qwen_space import _sync
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs.asking import Asker, make_asker
from langchain_qwen_space.jobs.job import Job, Progress
from langchain_qwen_space.jobs.pace import Pace, Turns
from langchain_qwen_space.jobs.rows import Row
from langchain_qwen_space.jobs.run import OnProgress, Run

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Options:
    """How a job is run. These may change from one run of a job to the next.

    Args:
        concurrency: How many calls may be under way at a time, over all workers. The model's own
            limit, as `ChatQwenSpace.max_concurrency`, holds besides.
        max_calls_per_minute: How many calls may begin in a minute, over all workers. Needs a chat
            model. Calls that a model makes again by itself (`max_retries`) are not counted.
        retry_failed: Ask again about rows that failed in an earlier run.
        give_up_after: End the run when so many rows have failed one after the other; None never.
        engine: "local" asks from this process, "ray" from a Ray cluster (extra `ray`).
        ray_address: The cluster's address; by default the one that Ray finds on this machine.
        ray_workers: How many processes of the cluster ask; by default one a node. `concurrency` is
            shared out evenly, rounded down.
    """

    concurrency: int = 8
    max_calls_per_minute: float | None = None
    retry_failed: bool = False
    give_up_after: int | None = 100
    engine: Engine = "local"
    ray_address: str | None = None
    ray_workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_calls_per_minute", "give_up_after", "ray_workers"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidInputError(f"{name} has to be more than 0, not {value}.")
        if self.engine not in ("local", "ray"):
            raise InvalidInputError(f"There is no engine {self.engine!r}; there are local and ray.")


def run_batch(
    model: Runnable[Any, Any],
    job: Job,
    options: Options | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Progress:
    """Ask a model about every row of a file.

    The same call made again, after an end of whatever kind, goes on where the last one ended: no
    row is asked about again whose answer had come. An interrupt (Ctrl-C) ends the calls under way.

    Args:
        model: A chat model, or any Runnable that takes messages.
        job: What to ask, and where the answers go.
        options: How to run it.
        on_progress: Called when the run begins, and with every row that is done.

    Returns:
        What became of the rows. The output is written, its failed rows with their errors.

    Raises:
        InvalidInputError: The source, the output or a setting cannot be used.
        QwenSpaceError: So many rows failed one after the other that the run gave up.
    """
    options = options or Options()
    if options.engine == "ray":
        return _run_on_ray(model, job, options, on_progress)
    work = arun_batch(model, job, options, on_progress=on_progress)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _sync.run(work)  # in a notebook


async def arun_batch(
    model: Runnable[Any, Any],
    job: Job,
    options: Options | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Progress:
    """As `run_batch`. On Ray, it runs in a thread, and cannot be cancelled."""
    options = options or Options()
    if options.engine == "ray":
        return await asyncio.to_thread(_run_on_ray, model, job, options, on_progress)
    limit = options.max_calls_per_minute
    asker = make_asker(model, job, None if limit is None else Pace(Turns(limit)))
    with _begin(model, job, options, on_progress) as run:
        await _ask_all(asker, run, options.concurrency)
        return run.finish()


async def _ask_all(asker: Asker, run: Run, concurrency: int) -> None:
    rows = run.rows()

    async def work(rows: Iterator[Row]) -> None:
        for row in rows:
            run.take(row, await asker.aask(row.question))

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, run.progress.left)):
                workers.create_task(work(rows))
    except* Exception as group:
        raise group.exceptions[0] from None


def _run_on_ray(
    model: Runnable[Any, Any], job: Job, options: Options, on_progress: OnProgress | None
) -> Progress:
    from langchain_qwen_space.jobs.ray_engine import ask_all

    make_asker(model, job, None)  # a schema that is none is better refused before the cluster
    with _begin(model, job, options, on_progress) as run:
        if run.progress.left:
            ask_all(model, run, options)
        return run.finish()


def _begin(
    model: Runnable[Any, Any], job: Job, options: Options, on_progress: OnProgress | None
) -> Run:
    return Run(
        job,
        _settings(model, job),
        retry_failed=options.retry_failed,
        give_up_after=options.give_up_after,
        on_progress=on_progress,
    )


def _settings(model: Runnable[Any, Any], job: Job) -> dict[str, Any]:
    """What makes the answers of one run fit those of another."""
    schema = job.schema
    if isinstance(schema, type):
        schema = convert_to_json_schema(schema)
    name = getattr(model, "model", None)
    return {
        "prompt column": job.prompt,
        "messages column": job.messages,
        "id column": job.id,
        "system prompt": job.system,
        "schema": None if schema is None else dict(schema),
        "model": name if isinstance(name, str) else None,
    }
