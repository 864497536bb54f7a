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
        concurrency: The most calls at the same time, across all workers. By default 4, so that
            others who use the same Space are served too, or 8 if all Spaces of a `ChatQwenSpace` are
            on this machine. The model's own limit, such as `ChatQwenSpace.max_concurrency`, also
            applies.
        max_calls_per_minute: The most calls that may start in a minute, across all workers. Needs a
            chat model. Retries by the model itself (`max_retries`) are not counted.
        retry_failed: Retry rows that failed in an earlier run, after the rows that have not been
            sent yet.
        give_up_after: Stop when this many rows have failed in succession; None never stops. Rows
            that failed because of their contents, such as a prompt longer than the model's context,
            do not count.
        outage_timeout: How many seconds the job pauses for a Space that cannot be reached, sleeps or
            refuses calls, before it stops. No row is marked as failed: each is sent when the Space is
            available again, or in the next run.
        allow_changes: Resume with another Space, model or options than in the previous run. The
            output then mixes the answers of both.
        engine: "local" makes the calls from this process, "ray" from a Ray cluster (extra `ray`).
        ray_address: The cluster's address; by default the one that Ray finds on this machine.
        ray_workers: How many processes of the cluster make calls; by default one per node.
            `concurrency` is divided evenly among them, rounded down.
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
    """Send every row of a file to a model.

    The same call resumes where the last one stopped, however that ended: no answered row is sent
    again. An interrupt (Ctrl-C) cancels the calls in progress.

    Args:
        model: A chat model, or any Runnable that accepts messages.
        job: What to ask, and where the answers go.
        options: How to run it.
        on_progress: Called when the run begins, with every row that is done, and when the job pauses.

    Returns:
        The number of answered and failed rows. The output is written; failed rows have their errors.

    Raises:
        InvalidInputError: The source, the output or a setting cannot be used.
        QwenSpaceError: The Space was not available within `outage_timeout`, `give_up_after` rows
            failed in succession, or the disk is full. Finished rows are kept.
    """
    options = options or BatchOptions()
    if options.engine == "ray":
        return _run_on_ray(model, job, options, on_progress)
    work = arun_batch(model, job, options, on_progress=on_progress)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _sync.run_apart(work)  # in a notebook


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
