"""`run_batch`: a job runs, on this machine or on a Ray cluster."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_json_schema

from langchain_qwen_space import _sync
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs.calls import RowCaller, make_caller, settings_of
from langchain_qwen_space.jobs.job import Job, Progress
from langchain_qwen_space.jobs.rate_limit import CallSchedule, ScheduledRateLimiter
from langchain_qwen_space.jobs.rows import Row
from langchain_qwen_space.jobs.state import JobState, OnProgress
from langchain_qwen_space.space.wire.access import is_loopback

Engine = Literal["local", "ray"]
_ON_THIS_MACHINE, _ON_OTHERS = 8, 4  # calls at a time by default


@dataclass(frozen=True)
class BatchOptions:
    """How a job is run. These may change from one run of a job to the next.

    Args:
        concurrency: How many calls may be under way at a time, over all workers. By default 4, so
            that others who use the same Space are served too, and 8 where all Spaces of a
            `ChatQwenSpace` are on this machine. The model's own limit, as
            `ChatQwenSpace.max_concurrency`, holds besides.
        max_calls_per_minute: How many calls may begin in a minute, over all workers. Needs a chat
            model. Calls that a model retries by itself (`max_retries`) are not counted.
        retry_failed: Ask again about rows that failed in an earlier run, after those that were not
            asked about yet.
        give_up_after: Stop when so many rows have failed one after the other; None never. Rows that
            failed by their own fault, as one that is longer than the model's context, do not count.
        outage_timeout: How many seconds the job pauses for a Space that cannot be reached, sleeps or
            refuses calls, before it stops. No row fails by that: each is asked when the Space is
            back, or by the next run.
        allow_changes: Resume with another Space, model or other options than those of the run before,
            so that the output mixes the answers of both.
        engine: "local" asks from this process, "ray" from a Ray cluster (extra `ray`).
        ray_address: The cluster's address; by default the one that Ray finds on this machine.
        ray_workers: How many processes of the cluster ask; by default one a node. `concurrency` is
            shared out evenly, rounded down.
    """

    concurrency: int | None = None
    max_calls_per_minute: float | None = None
    retry_failed: bool = False
    give_up_after: int | None = 20
    outage_timeout: float = 600.0
    allow_changes: bool = False
    engine: Engine = "local"
    ray_address: str | None = None
    ray_workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_calls_per_minute", "give_up_after", "ray_workers"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidInputError(f"{name} must be greater than 0, not {value}.")
        if self.outage_timeout < 0:
            raise InvalidInputError(f"outage_timeout must be 0 or more, not {self.outage_timeout}.")
        if self.engine not in ("local", "ray"):
            raise InvalidInputError(f"engine must be 'local' or 'ray', not {self.engine!r}.")


def run_batch(
    model: Runnable[Any, Any],
    job: Job,
    options: BatchOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Progress:
    """Ask a model about every row of a file.

    The same call resumes where the last one stopped, however that ended: no answered row is
    asked about again. An interrupt (Ctrl-C) cancels the calls under way.

    Args:
        model: A chat model, or any Runnable that takes messages.
        job: What to ask, and where the answers go.
        options: How to run it.
        on_progress: Called when the run begins, with every row that is done, and when the job pauses.

    Returns:
        What became of the rows. The output is written, its failed rows with their errors.

    Raises:
        InvalidInputError: The source, the output or a setting cannot be used.
        QwenSpaceError: The Space did not come back within `outage_timeout`, `give_up_after` rows
            failed one after the other, or the disk is full. What is done is kept.
    """
    options = options or BatchOptions()
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
    options: BatchOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Progress:
    """As `run_batch`. On Ray, it runs in a thread, and cannot be cancelled."""
    options = options or BatchOptions()
    if options.engine == "ray":
        return await asyncio.to_thread(_run_on_ray, model, job, options, on_progress)
    limit = options.max_calls_per_minute
    limiter = None if limit is None else ScheduledRateLimiter(CallSchedule(limit))
    caller = make_caller(model, job, limiter, options.outage_timeout)
    with _open(model, job, options, on_progress) as state:
        await _call_all(caller, state, concurrency_of(model, options))
        return state.finish()


async def _call_all(caller: RowCaller, state: JobState, concurrency: int) -> None:
    rows = state.rows()

    async def work(rows: Iterator[Row]) -> None:
        for row in rows:
            state.add(row, await caller.acall(row.question, state.pause))

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, state.progress.left)):
                workers.create_task(work(rows))
    except* Exception as group:
        raise group.exceptions[0] from None


def _run_on_ray(
    model: Runnable[Any, Any], job: Job, options: BatchOptions, on_progress: OnProgress | None
) -> Progress:
    from langchain_qwen_space.jobs.ray_engine import call_all

    # A schema that is not one is better refused before the cluster.
    make_caller(model, job, None, 0)
    with _open(model, job, options, on_progress) as state:
        if state.progress.left:
            call_all(model, state, options, concurrency_of(model, options))
        return state.finish()


def concurrency_of(model: Runnable[Any, Any], options: BatchOptions) -> int:
    """How many calls may be under way at a time."""
    if options.concurrency is not None:
        return options.concurrency
    spaces = settings_of(model).get("space", [])
    spaces = spaces if isinstance(spaces, list) else [spaces]
    hosts = [urlsplit(space).hostname or "" for space in spaces]
    return _ON_THIS_MACHINE if hosts and all(map(is_loopback, hosts)) else _ON_OTHERS


def _open(
    model: Runnable[Any, Any], job: Job, options: BatchOptions, on_progress: OnProgress | None
) -> JobState:
    return JobState(
        job,
        {**_fixed_settings(job), **_model_settings(model)},
        fixed=_fixed_settings(job),
        allow_changes=options.allow_changes,
        retry_failed=options.retry_failed,
        give_up_after=options.give_up_after,
        on_progress=on_progress,
    )


def _fixed_settings(job: Job) -> dict[str, Any]:
    """What makes the rows of one run those of another."""
    schema = job.schema
    if isinstance(schema, type):
        schema = convert_to_json_schema(schema)
    return {
        "prompt column": job.prompt,
        "messages column": job.messages,
        "id column": job.id,
        "system prompt": job.system,
        "schema": None if schema is None else dict(schema),
    }


def _model_settings(model: Runnable[Any, Any]) -> dict[str, Any]:
    """What makes the answers of one run fit those of another."""
    settings = settings_of(model)
    space, name = settings.pop("space", None), settings.pop("model", None)
    return {
        "Space": sorted(space) if isinstance(space, list) else space,
        "model": name,
        "options": settings,
    }
