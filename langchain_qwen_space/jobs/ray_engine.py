"""A job's questions asked from a Ray cluster, through Ray Data (extra `ray`).

The driver, which holds the answer store, sends rows out and puts answers on disk as they come back. The
limit on calls under way holds whatever dies, since it is built in: so many worker processes, each
with so many threads that ask one question at a time. A worker that dies is started again, and its
questions are asked again.
"""

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable

from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.jobs.calls import RowCaller, make_caller
from langchain_qwen_space.jobs.rate_limit import CallSchedule, ScheduledRateLimiter
from langchain_qwen_space.jobs.rows import Row
from langchain_qwen_space.jobs.state import JobState

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
try:
    import ray
    import ray.data
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise InvalidInputError(
        "The engine ray needs Ray Data, which is not installed. "
        'Install it: pip install "langchain-qwen-space[ray]"'
    ) from error

if TYPE_CHECKING:
    from langchain_qwen_space.jobs.batch import BatchOptions

_PATIENCE = 10.0  # seconds that a cluster's address may take to answer
_PROCESSOR = 0.01
_AT_A_TIME = 10_000  # rows that are handed to Ray together; the driver holds no more


class _Worker:
    """What a worker process keeps: the model, with its connections."""

    def __init__(self, caller: RowCaller) -> None:
        self._caller = caller

    def __call__(self, batch: Any) -> dict[str, Any]:
        answers = map(self._caller.call, batch["question"].to_pylist())
        written = [json.dumps(answer, default=str) for answer in answers]
        return {"number": batch["number"].to_pylist(), "answer": written}


class _ClusterSchedule:
    """A schedule that one actor keeps for all workers. A worker that dies with its moment wastes it."""

    def __init__(self, per_minute: float) -> None:
        # Beside the driver, so that it lives as long as the job does.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(CallSchedule).options(num_cpus=0, scheduling_strategy=here)
        self._actor = actor.remote(per_minute)

    def reserve(self) -> float:
        """Reserve the next moment. Returns how many seconds it is away."""
        return float(ray.get(self._actor.reserve.remote()))


def call_all(
    model: Runnable[Any, Any], state: JobState, options: "BatchOptions", concurrency: int
) -> None:
    """Ask about all rows of a job that are left.

    Raises:
        InvalidInputError: There is no cluster at the address.
        QwenSpaceError: The cluster failed as a whole; what was done is kept.
    """
    with _cluster(options.ray_address), _quiet():
        limit = options.max_calls_per_minute
        limiter = None if limit is None else ScheduledRateLimiter(_ClusterSchedule(limit))
        caller = make_caller(model, state.job, limiter, options.outage_timeout)
        nodes = sum(node["Alive"] for node in ray.nodes())
        workers = min(options.ray_workers or nodes, concurrency)
        rows = state.rows()
        try:
            while together := list(islice(rows, _AT_A_TIME)):
                for number, answer in _answers(caller, together, workers, concurrency):
                    state.add(together[number], json.loads(answer))
        except ray.exceptions.RayError as error:
            msg = f"The Ray cluster failed: {error}. Finished rows are kept; run the job again."
            raise QwenSpaceError(msg) from error


def _answers(
    caller: RowCaller, rows: list[Row], workers: int, concurrency: int
) -> Iterator[tuple[int, str]]:
    """Yields the numbers of rows and their answers, as they come."""
    # One question a block: its answer comes back as soon as it is there.
    questions = [{"number": number, "question": row.question} for number, row in enumerate(rows)]
    threads = concurrency // workers
    answers = ray.data.from_items(questions, override_num_blocks=len(questions)).map_batches(
        _Worker,
        fn_constructor_args=(caller,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            size=workers,
            max_concurrent_calls_per_actor=threads,
            max_tasks_in_flight_per_actor=2 * threads,
            enable_true_multi_threading=True,
        ),
        # Waiting takes hardly any processor, so that the worker of a node that died finds room on
        # another. With none at all, Ray would not spread them.
        num_cpus=_PROCESSOR,
        scheduling_strategy="SPREAD",
    )
    for block in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for answer in block.to_pylist():
            yield answer["number"], answer["answer"]


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """A connection to a cluster; one that this process has already is used, and is not closed."""
    if ray.is_initialized():
        yield
        return
    try:
        _knock(address)
        ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        msg = f"No Ray cluster can be reached at {address or 'auto'}: {first}"
        raise InvalidInputError(msg) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Find out within seconds whether anything listens; Ray would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Ray Data's own progress bars and notes."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    bars, level = context.enable_progress_bars, logger.level
    context.enable_progress_bars = False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = bars
        logger.setLevel(level)
