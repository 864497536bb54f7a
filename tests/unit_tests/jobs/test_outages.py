"""What is a row's own fault, what is the Space's, and what a job says about its answers."""

import asyncio
import errno
import sqlite3

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import (
    ContextTooLongError,
    GenerationError,
    InvalidInputError,
    QwenSpaceError,
    SpaceConnectionError,
    SpaceNotFoundError,
)
from langchain_qwen_space.jobs import BatchOptions, Job, calls, run_batch, store_path
from langchain_qwen_space.jobs.batch import concurrency_of
from tests.unit_tests.jobs.parrot import Parrot, read


@pytest.fixture
def output(tmp_path):
    return tmp_path / "answers.jsonl"


def raising(asked, errors):
    """A model that raises the errors, one a call, and answers after that; None answers at once."""
    left = list(errors)

    async def answer(messages):
        asked.append(messages[-1].content)
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return AIMessage("yes")

    return RunnableLambda(lambda _: None, answer)


@pytest.fixture
def waits(monkeypatch):
    """The waits of a job for its Space, which take no time."""
    found = []
    sleep = asyncio.sleep

    async def wait(seconds):
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr(calls.asyncio, "sleep", wait)
    return found


def test_a_space_that_goes_away_pauses_the_job_and_no_row_fails(prompts, output, waits):
    asked, seen = [], []
    model = raising(asked, [None, *[SpaceConnectionError("It cannot be reached.")] * 5])
    progress = run_batch(
        model,
        Job(prompts(*"abcd"), output),
        BatchOptions(concurrency=1),
        on_progress=lambda progress: seen.append(progress.paused),
    )
    assert (progress.answered, progress.failed) == (4, 0)
    assert asked == ["a", *"b" * 6, "c", "d"]
    assert waits == [1, 2, 4, 8, 16]
    assert seen == [None, None, *["It cannot be reached."] * 5, None, None, None]


@pytest.mark.parametrize("error", [SpaceConnectionError, SpaceNotFoundError])
def test_a_space_that_does_not_come_back_stops_the_job_without_failed_rows(
    prompts, output, waits, error
):
    job, asked = Job(prompts(*"abc"), output), []
    with pytest.raises(QwenSpaceError, match=r"The job stops: Gone\. .*same command"):
        run_batch(raising(asked, [None, *[error("Gone.")] * 100]), job)
    assert sum(waits) <= 600 * 4
    assert not output.exists()
    progress = run_batch(raising(asked, []), job)  # without retry_failed
    assert (progress.asked, progress.answered, progress.failed) == (2, 3, 0)


def test_a_row_that_is_too_long_does_not_count_toward_giving_up(prompts, output):
    model = raising([], [ContextTooLongError("Too long.")] * 9)
    options = BatchOptions(concurrency=1, give_up_after=2)
    progress = run_batch(model, Job(prompts(*map(str, range(10))), output), options)
    assert (progress.answered, progress.failed) == (1, 9)


def test_a_retry_asks_the_rows_that_were_never_asked_first_and_each_once(prompts, output):
    job, asked = Job(prompts(*"abcdef"), output), []
    options = BatchOptions(concurrency=1, give_up_after=2)
    with pytest.raises(QwenSpaceError, match="The last 2 rows all failed"):
        run_batch(raising(asked, [GenerationError("No.")] * 2), job, options)
    retry = BatchOptions(concurrency=1, give_up_after=2, retry_failed=True)
    progress = run_batch(raising(asked, [GenerationError("No.")]), job, retry)
    assert asked == ["a", "b", "c", "d", "e", "f", "a", "b"]
    assert (progress.answered, progress.failed) == (5, 1)


def settings(**changed):
    return ChatQwenSpace(**{"space": "a/b", "max_tokens": 5, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"space": "c/d"}, "Space was 'a/b' and is now 'c/d'"),
        ({"max_tokens": 6}, "options was"),
        ({"temperature": 0.5}, "options was"),
        ({"model": "72B"}, "model was None and is now '72B'"),
    ],
)
def test_a_job_is_not_resumed_with_other_settings_unless_that_is_wanted(
    prompts, output, monkeypatch, changed, message
):
    async def answer(self, *_, **__):
        return AIMessage("yes", response_metadata={"space": self.space, "model_name": "m"})

    monkeypatch.setattr(ChatQwenSpace, "ainvoke", answer)
    run_batch(settings(), Job(prompts("a"), output))
    job = Job(prompts("a", "b"), output)
    with pytest.raises(InvalidInputError, match=message) as refused:
        run_batch(settings(**changed), job)
    assert "--allow-changes" in str(refused.value)
    run_batch(settings(**changed), job, BatchOptions(allow_changes=True))
    first, second = read(output)
    assert (first["space"], first["model"]) == ("a/b", "m")
    assert '"max_tokens":5' in first["options"].replace(" ", "")
    assert (first["space"], first["options"]) != (second["space"], second["options"]) or (
        "model" in changed
    )
    run_batch(settings(**changed), job)  # the new settings are those of the job now


def test_a_failed_row_says_which_space_was_asked(prompts, output, monkeypatch):
    async def fail(self, *_, **__):
        raise GenerationError("No.")

    monkeypatch.setattr(ChatQwenSpace, "ainvoke", fail)
    run_batch(settings(space=["a/b", "c/d"]), Job(prompts("a"), output))
    assert read(output)[0]["space"] == "a/b, c/d"


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("Qwen/Qwen2.5", 4),
        ("http://127.0.0.1:7860", 8),
        ("http://localhost:7860", 8),
        (["http://127.0.0.1:1", "a/b"], 4),
        ("https://qwen-qwen2-5.hf.space", 4),
    ],
)
def test_others_on_the_same_space_are_left_room(space, expected):
    assert concurrency_of(ChatQwenSpace(space=space), BatchOptions()) == expected
    assert concurrency_of(ChatQwenSpace(space=space), BatchOptions(concurrency=7)) == 7
    assert concurrency_of(FakeListChatModel(responses=["x"]), BatchOptions()) == 4


def test_a_limit_takes_the_first_rows_and_may_be_raised(prompts, output):
    source, parrot = prompts(*"abcd"), Parrot()
    assert run_batch(parrot.model, Job(source, output, limit=2)).rows == 2
    assert [row["prompt"] for row in read(output)] == ["a", "b"]
    run_batch(parrot.model, Job(source, output))
    assert sorted(parrot.asked) == ["a", "b", "c", "d"]
    assert len(read(output)) == 4
    with pytest.raises(InvalidInputError, match="limit must be greater than 0"):
        Job(source, output, limit=0)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_nothing_half_written_is_left_where_the_disk_is_full(
    prompts, tmp_path, monkeypatch, suffix
):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    job, parrot = Job(prompts("a"), tmp_path / f"a.{suffix}"), Parrot()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(QwenSpaceError, match=r"No space left .*Free disk space"):
            run_batch(parrot.model, job)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
    assert run_batch(parrot.model, job).asked == 0


def test_a_store_on_a_full_disk_says_so_and_keeps_what_it_holds(prompts, output, monkeypatch):
    """SQLite is given no page more than it has: to it, that is a full disk."""
    job, parrot = Job(prompts(*("x" * 3_000 + str(n) for n in range(20))), output), Parrot()
    connect = sqlite3.connect

    def small(*arguments, **options):
        database = connect(*arguments, **options)
        database.execute("PRAGMA max_page_count = 12")
        return database

    with monkeypatch.context() as patch:
        patch.setattr("sqlite3.connect", small)
        with pytest.raises(QwenSpaceError, match=r"full.*Make room on its disk") as stopped:
            run_batch(parrot.model, job, BatchOptions(concurrency=1))
    assert str(store_path(output)) in str(stopped.value)
    before = len(parrot.asked)
    assert 1 < before < 20
    assert run_batch(parrot.model, job).answered == 20
    assert len(parrot.asked) == 21  # only the answer that found no room is asked for again
