"""A job from its first run to its last, on this machine."""

import asyncio
import errno
import json
import os
import random
import subprocess
import sys
import threading

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableLambda

from langchain_qwen_space import ChatQwenSpace, _sync
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.jobs import BatchOptions, Job, arun_batch, run_batch
from tests.unit_tests.jobs.parrot import Parrot, read


@pytest.fixture
def output(tmp_path):
    return tmp_path / "answers.jsonl"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


class StopError(Exception):
    pass


def stop_after(count):
    """A listener that ends the run."""

    def listen(progress):
        if progress.asked == count:
            raise StopError

    return listen


def test_every_row_gets_its_answer_and_keeps_its_columns_and_its_place(prompts, output):
    source = prompts({"prompt": "a", "x": {"y": [1]}}, {"prompt": "b", "z": None}, {"prompt": "ü"})
    progress = run_batch(Parrot().model, Job(source, output))
    assert (progress.rows, progress.answered, progress.failed, progress.asked) == (3, 3, 0, 3)
    assert [{**row, "seconds": 0} for row in read(output)] == [
        {
            **row,
            "text": f"It is {row['prompt']}.",
            "error": None,
            "error_type": None,
            "model": None,
            "finish_reason": None,
            "input_tokens": None,
            "output_tokens": None,
            "seconds": 0,
        }
        for row in read(source)
    ]


def test_there_is_no_output_until_every_row_is_done(prompts, output):
    found = []
    run_batch(
        Parrot().model,
        Job(prompts("a", "b"), output),
        on_progress=lambda progress: found.append((progress.left, output.exists())),
    )
    assert found == [(2, False), (1, False), (0, False)]
    assert output.exists()


def test_a_run_that_was_stopped_continues_without_asking_twice(prompts, output):
    names = [f"row {n}" for n in range(20)]
    job, parrot = Job(prompts(*names), output), Parrot()
    with pytest.raises(StopError):
        run_batch(parrot.model, job, BatchOptions(concurrency=1), on_progress=stop_after(7))
    assert not output.exists()
    progress = run_batch(parrot.model, job, BatchOptions(concurrency=1))
    assert (progress.asked, progress.answered) == (13, 20)
    assert parrot.asked == names
    assert [row["text"] for row in read(output)] == [f"It is {name}." for name in names]


def test_a_job_that_is_done_asks_nothing_and_writes_nothing(prompts, output):
    job, parrot = Job(prompts("a", "b"), output), Parrot()
    run_batch(parrot.model, job)
    before = output.stat()
    assert run_batch(parrot.model, job).asked == 0
    assert (output.stat().st_mtime_ns, output.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert len(parrot.asked) == 2


def test_an_output_that_was_deleted_is_written_again_without_asking(prompts, output):
    job, parrot = Job(prompts("a"), output), Parrot()
    run_batch(parrot.model, job)
    before = output.read_bytes()
    output.unlink()
    run_batch(parrot.model, job)
    assert output.read_bytes() == before
    assert parrot.asked == ["a"]


def test_a_row_that_fails_is_kept_with_its_error(prompts, output):
    progress = run_batch(Parrot("b").model, Job(prompts("a", "b"), output))
    assert (progress.answered, progress.failed) == (1, 1)
    row = read(output)[1]
    assert (row["text"], row["error"], row["error_type"]) == (
        None,
        "b is broken.",
        "RuntimeError",
    )


def test_only_failed_rows_are_asked_again_and_only_when_that_is_wanted(prompts, output):
    job, parrot = Job(prompts("a", "b", "c"), output), Parrot("b", "c")
    run_batch(parrot.model, job)
    parrot.broken = {"c"}
    assert run_batch(parrot.model, job).asked == 0
    progress = run_batch(parrot.model, job, BatchOptions(retry_failed=True))
    assert (progress.asked, progress.answered, progress.failed) == (2, 2, 1)
    assert sorted(parrot.asked) == ["a", "b", "b", "c", "c"]
    assert [row["error"] for row in read(output)] == [None, None, "c is broken."]


def test_a_row_without_a_question_fails_and_the_others_do_not(prompts, output):
    source = prompts({"prompt": "a"}, {"prompt": " "}, {"prompt": 3}, {"messages": "[]"}, {"x": 1})
    progress = run_batch(Parrot().model, Job(source, output), BatchOptions(give_up_after=1))
    assert (progress.answered, progress.failed) == (1, 4)
    assert {row["error_type"] for row in read(output)[1:]} == {"InvalidInputError"}
    assert "The row has no prompt, but 3." in read(output)[2]["error"]


def test_so_many_calls_are_under_way_and_no_more(prompts, output):
    parrot = Parrot(pause=0.01)
    run_batch(parrot.model, Job(prompts(*map(str, range(30))), output), BatchOptions(concurrency=4))
    assert parrot.most == 4


def test_a_run_in_which_all_rows_fail_gives_up_and_can_be_taken_up(prompts, output):
    names = [str(n) for n in range(50)]
    job, parrot = Job(prompts(*names), output), Parrot(*names)
    with pytest.raises(QwenSpaceError, match=r"The last 5 rows all failed.* is broken\."):
        run_batch(parrot.model, job, BatchOptions(concurrency=2, give_up_after=5))
    assert 5 <= len(parrot.asked) <= 7
    parrot.broken.clear()
    progress = run_batch(parrot.model, job, BatchOptions(retry_failed=True))
    assert (progress.answered, progress.failed) == (50, 0)


def test_failures_that_are_not_one_after_the_other_do_not_end_a_run(prompts, output):
    names = [str(n) for n in range(20)]
    parrot = Parrot(*names[::2])
    options = BatchOptions(concurrency=1, give_up_after=2)
    assert run_batch(parrot.model, Job(prompts(*names), output), options).failed == 10


def test_a_retry_that_was_stopped_still_reaches_the_output(prompts, output):
    names = [str(n) for n in range(6)]
    job, parrot = Job(prompts(*names), output), Parrot(*names)
    run_batch(parrot.model, job)
    parrot.broken.clear()
    retry = BatchOptions(concurrency=1, retry_failed=True)
    with pytest.raises(StopError):
        run_batch(parrot.model, job, retry, on_progress=stop_after(3))
    assert run_batch(parrot.model, job).asked == 0
    assert [row["error"] is None for row in read(output)] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sudden_end_while_the_output_takes_its_place_is_made_up_for(
    prompts, output, monkeypatch, moment
):
    job, parrot = Job(prompts("a", "b"), output), Parrot("b")
    run_batch(parrot.model, job)
    parrot.broken.clear()
    replace = os.replace

    def end(part, whole):
        if moment == "after":
            replace(part, whole)
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", end)
        with pytest.raises(StopError):
            run_batch(parrot.model, job, BatchOptions(retry_failed=True))
    assert run_batch(parrot.model, job).asked == 0
    assert [row["text"] for row in read(output)] == ["It is a.", "It is b."]
    assert files(output.parent) == ["answers.jsonl", "answers.jsonl.job", "prompts.jsonl"]


# What must not be touched


def test_a_file_of_somebody_else_is_never_overwritten(prompts, output):
    output.write_text("mine")
    with pytest.raises(InvalidInputError, match="was not written by this job"):
        run_batch(Parrot().model, Job(prompts("a"), output))
    assert output.read_text() == "mine"
    assert files(output.parent) == ["answers.jsonl", "prompts.jsonl"]


def test_an_output_that_was_edited_is_never_overwritten(prompts, output):
    job, parrot = Job(prompts("a"), output), Parrot("a")
    run_batch(parrot.model, job)
    output.write_text("edited")
    with pytest.raises(InvalidInputError, match="was not written by this job"):
        run_batch(parrot.model, job, BatchOptions(retry_failed=True))
    assert output.read_text() == "edited"
    assert parrot.asked == ["a"]


def test_a_file_that_comes_while_the_job_runs_is_not_overwritten(prompts, output):
    job, parrot = Job(prompts("a"), output), Parrot()
    with pytest.raises(InvalidInputError, match="was not written by this job"):
        run_batch(parrot.model, job, on_progress=lambda _: output.write_text("mine"))
    assert output.read_text() == "mine"
    output.unlink()
    run_batch(parrot.model, job)
    assert parrot.asked == ["a"]
    assert len(read(output)) == 1


def test_the_prompts_are_not_overwritten_by_their_answers(prompts):
    source = prompts("a")
    with pytest.raises(InvalidInputError, match="both the prompts and the answers"):
        run_batch(Parrot().model, Job(source, source))


def test_a_ledger_that_is_none_is_left_alone(prompts, output):
    ledger = output.with_name("answers.jsonl.job")
    ledger.write_text("a diary, which is longer than the header of a database " * 20)
    before = ledger.read_bytes()
    with pytest.raises(InvalidInputError, match="cannot be used"):
        run_batch(Parrot().model, Job(prompts("a"), output))
    assert ledger.read_bytes() == before


def test_two_processes_cannot_work_on_one_job(prompts, output):
    job = Job(prompts("a"), output)

    def second(progress):
        with pytest.raises(InvalidInputError, match="another process is at work"):
            run_batch(Parrot().model, job)

    # SQLite's locks are between connections as they are between processes.
    assert run_batch(Parrot().model, job, on_progress=second).answered == 1


def test_a_disk_that_is_full_loses_no_answer(prompts, output, monkeypatch):
    job, parrot = Job(prompts("a"), output), Parrot()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(QwenSpaceError, match=r"No space left .* kept in .*answers\.jsonl\.job"):
            run_batch(parrot.model, job)
    assert not output.exists()
    run_batch(parrot.model, job)
    assert (parrot.asked, len(read(output))) == (["a"], 1)


# When the source changes


def test_a_row_that_asks_something_else_by_now_is_refused(prompts, output):
    run_batch(Parrot().model, Job(prompts("a", "b"), output))
    job = Job(prompts("a", "c"), output)
    with pytest.raises(InvalidInputError, match=r"has changed: row 2 is not the question"):
        run_batch(Parrot().model, job)


def test_a_source_that_became_shorter_is_refused(prompts, output):
    run_batch(Parrot().model, Job(prompts("a", "b"), output))
    with pytest.raises(
        InvalidInputError, match="1 rows that were already sent are no longer in it"
    ):
        run_batch(Parrot().model, Job(prompts("a"), output))


def test_rows_may_be_added_at_the_end(prompts, output):
    parrot = Parrot()
    run_batch(parrot.model, Job(prompts("a", "b"), output))
    run_batch(parrot.model, Job(prompts("a", "b", "c"), output))
    assert sorted(parrot.asked) == ["a", "b", "c"]
    assert [row["prompt"] for row in read(output)] == ["a", "b", "c"]


def test_rows_with_ids_may_be_moved_and_added_anywhere(prompts, output):
    one, two, three = ({"prompt": name, "key": f"k{name}"} for name in "abc")
    parrot = Parrot()
    run_batch(parrot.model, Job(prompts(one, two), output, id="key"))
    run_batch(parrot.model, Job(prompts(two, three, one), output, id="key"))
    assert sorted(parrot.asked) == ["a", "b", "c"]
    assert [row["text"] for row in read(output)] == ["It is b.", "It is c.", "It is a."]


def test_an_output_follows_its_source_when_only_the_order_or_other_columns_change(prompts, output):
    one, two = ({"prompt": name, "key": name} for name in "ab")
    parrot = Parrot()
    run_batch(parrot.model, Job(prompts(one, two), output, id="key"))
    source = prompts({**two, "more": "of it"}, one)
    assert run_batch(parrot.model, Job(source, output, id="key")).asked == 0
    assert [row["prompt"] for row in read(output)] == ["b", "a"]
    assert read(output)[0]["more"] == "of it"


@pytest.mark.parametrize("key", [None, "", True, 1.5, [1]])
def test_a_row_without_an_id_is_refused(prompts, output, key):
    source = prompts({"prompt": "a", "key": 1}, {"prompt": "b", "key": key})
    with pytest.raises(InvalidInputError, match="row 2 has"):
        run_batch(Parrot().model, Job(source, output, id="key"))


def test_an_id_that_comes_twice_is_refused(prompts, output):
    source = prompts({"prompt": "a", "key": 1}, {"prompt": "b", "key": 1})
    with pytest.raises(InvalidInputError, match="contains the id 1 twice"):
        run_batch(Parrot().model, Job(source, output, id="key"))


@pytest.mark.parametrize(
    "changed", [{"system": "Be brief."}, {"schema": {"type": "object"}}, {"id": "n"}]
)
def test_a_job_cannot_continue_with_other_settings(prompts, output, changed):
    source = prompts("a")
    model = FakeListChatModel(responses=["x"])
    run_batch(model, Job(source, output))
    with pytest.raises(InvalidInputError, match="with other settings"):
        run_batch(ChatQwenSpace(space="a/b"), Job(source, output, **changed))


def test_a_broken_line_is_reported_before_anything_is_asked(prompts, output):
    source, parrot = prompts("a", "b"), Parrot()
    source.write_text(source.read_text() + '{"prompt": "c"')
    with pytest.raises(InvalidInputError, match=r"prompts\.jsonl, line 3 is not JSON"):
        run_batch(parrot.model, Job(source, output))
    assert parrot.asked == []
    assert files(output.parent) == ["prompts.jsonl"]


def test_columns_of_the_same_name_need_a_prefix(prompts, output):
    source = prompts({"prompt": "a", "text": "kept"})
    with pytest.raises(InvalidInputError, match=r"--prefix answer_"):
        run_batch(Parrot().model, Job(source, output))
    run_batch(Parrot().model, Job(source, output, prefix="answer_"))
    (row,) = read(output)
    assert (row["text"], row["answer_text"]) == ("kept", "It is a.")


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("no.jsonl", "a.jsonl", "There is no file"),
        ("prompts.jsonl", "no/a.jsonl", "There is no folder"),
        ("prompts.md", "a.jsonl", "must end in"),
        ("prompts.jsonl", "a.txt", "must end in .*.parquet; all"),
        ("prompts.jsonl", "a.xlsx", "must end in"),
        ("prompts.jsonl", "/", "must end in"),
    ],
)
def test_paths_that_cannot_be_are_reported(prompts, tmp_path, source, output, message):
    prompts("a")
    with pytest.raises(InvalidInputError, match=message):
        run_batch(Parrot().model, Job(tmp_path / source, tmp_path / output))


def test_a_source_without_rows_or_without_a_question_is_reported(prompts, output):
    with pytest.raises(InvalidInputError, match="contains no rows"):
        run_batch(Parrot().model, Job(prompts(), output))
    with pytest.raises(InvalidInputError, match=r"no column 'prompt'.*first row has 'question'"):
        run_batch(Parrot().model, Job(prompts({"question": "a"}), output))
    assert files(output.parent) == ["prompts.jsonl"]


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"max_calls_per_minute": -1}, {"engine": "dask"}]
)
def test_options_that_cannot_be_are_reported(options):
    with pytest.raises(InvalidInputError):
        BatchOptions(**options)


def test_a_limit_on_calls_needs_a_chat_model_without_a_limit(prompts, output):
    limited = FakeListChatModel(responses=["x"], rate_limiter=InMemoryRateLimiter())
    for model in (Parrot().model, limited):
        with pytest.raises(InvalidInputError, match="a chat model without a rate_limiter"):
            run_batch(model, Job(prompts("a"), output), BatchOptions(max_calls_per_minute=1))


def test_calls_keep_to_their_number_a_minute(prompts, output):
    model = FakeListChatModel(responses=["x"])
    options = BatchOptions(max_calls_per_minute=600)
    progress = run_batch(model, Job(prompts(*"abcdef"), output), options)
    assert 0.5 <= progress.seconds < 5
    assert model.rate_limiter is None


async def test_it_works_in_a_running_loop_either_way(prompts, output):
    source, parrot = prompts("a", "b"), Parrot()
    assert (await arun_batch(parrot.model, Job(source, output))).answered == 2
    other = output.with_name("other.jsonl")
    assert run_batch(parrot.model, Job(source, other)).answered == 2


async def test_in_a_running_loop_a_model_that_blocks_holds_up_no_synchronous_call(prompts, output):
    async def answer(messages):
        waits.set()
        assert went_on.wait(10)  # blocks its event loop
        return AIMessage("x")

    waits, went_on = threading.Event(), threading.Event()

    def call():
        assert waits.wait(10)
        _sync.run(asyncio.sleep(0))
        went_on.set()

    other = asyncio.create_task(asyncio.to_thread(call))
    await asyncio.sleep(0)
    job = Job(prompts("a"), output)
    assert run_batch(RunnableLambda(lambda messages: None, afunc=answer), job).answered == 1
    await other


# What must not grow

_TWO_JOBS = """
import json, resource, sys
from langchain_core.runnables import RunnableLambda
from langchain_qwen_space.jobs import BatchOptions, Job, run_batch

async def answer(messages):
    return "x" * 2_000

model = RunnableLambda(lambda messages: None, answer)
folder, suffix, id_column = sys.argv[1:]
for rows in (2_000, 5_000):
    job = Job(f"{folder}/{rows}.jsonl", f"{folder}/{rows}-answers.{suffix}", id=id_column or None)
    run_batch(model, job, BatchOptions(concurrency=10))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize(("suffix", "id_column"), [("jsonl", "n"), ("parquet", "")])
def test_memory_does_not_grow_with_the_file(prompts, tmp_path, suffix, id_column):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    for rows in (2_000, 5_000):
        prompts(*["a" * 2_000] * rows, name=f"{rows}.jsonl")
    command = [sys.executable, "-c", _TWO_JOBS, str(tmp_path), suffix, id_column]
    # Arrow's own allocator takes 15 MB more at some moments, and in some runs.
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    small, large = map(float, done.stdout.split())
    # 3,000 rows more are 12 MB of prompts and answers, and more than that as objects.
    assert large - small < 8


def test_random_stops_leave_nothing_out_and_nothing_twice(prompts, output):
    names = [f"row {n}" for n in range(60)]
    parrot, chance = Parrot(), random.Random(7)
    job = Job(prompts(*names), output)
    stops = 0
    while not output.exists():
        try:
            listener = stop_after(chance.randint(1, 12))
            run_batch(parrot.model, job, BatchOptions(concurrency=5), on_progress=listener)
        except StopError:
            stops += 1
    assert stops > 3
    assert {*parrot.asked} == {*names}
    assert len(parrot.asked) - len(names) <= 5 * stops
    assert [row["prompt"] for row in read(output)] == names
    assert json.dumps(read(output)).count("It is") == 60
