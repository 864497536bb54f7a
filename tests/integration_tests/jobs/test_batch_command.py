"""`qwen-space batch` on a real Space."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.cli.app import app
from langchain_qwen_space.jobs import Job, arun_batch
from tests.integration_tests.jobs.kills import batch_command, counting_space, write_prompts
from tests.ports import free_port
from tests.unit_tests.jobs.parrot import read


@pytest.fixture
def run(tmp_path, space_url):
    """Runs the command with options, on rows."""
    source, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"

    def command(*rows, options=()):
        if rows:
            source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments = ["batch", str(source), str(output), "--space", space_url, *options]
        return CliRunner().invoke(app, arguments)

    command.output = output
    return command


def test_a_file_of_prompts_becomes_a_file_of_answers(run):
    done = run({"prompt": "echo: one", "n": 1}, {"messages": [{"role": "user", "content": "tell"}]})
    assert done.exit_code == 0, done.output
    first, second = read(run.output)
    assert (first["n"], first["text"], first["error"]) == (1, "one", None)
    assert first["finish_reason"] == "stop"
    assert first["output_tokens"] > 0
    assert json.loads(second["text"])[2] == "tell"
    assert "2 rows, 2 answered, 0 failed; 2 asked now" in done.output


def test_failed_rows_are_reported_kept_and_retried(run):
    done = run(
        {"prompt": "echo: a"}, {"prompt": "fail once: batch"}, options=["--concurrency", "1"]
    )
    # The Space is asked once more by the model itself, and answers then.
    assert done.exit_code == 0
    run.output.with_name("answers.jsonl.job").unlink()
    run.output.unlink()
    done = run({"prompt": "echo: a"}, {"prompt": "fail: always"})
    assert done.exit_code == 1
    assert "1 failed" in done.output
    assert "--retry-failed" in done.output
    assert read(run.output)[1]["error_type"] == "GenerationError"
    assert "1 asked now" in run(options=["--retry-failed"]).output
    assert "0 asked now" in run().output


def test_a_schema_makes_objects(run, tmp_path):
    schema = tmp_path / "city.json"
    schema.write_text(
        json.dumps(
            {
                "type": "object",
                "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
                "required": ["city", "people"],
            }
        ),
        encoding="utf-8-sig",
    )
    done = run({"prompt": "Where is Paris?"}, options=["--schema", str(schema)])
    assert done.exit_code == 0, done.output
    assert read(run.output)[0]["parsed"].keys() == {"city", "people"}


def test_prompts_come_through_a_pipe_and_answers_go_into_one(space_url, tmp_path):
    piped = b"".join(b'{"prompt": "echo: %d"}\n' % n for n in range(5))
    command = [sys.executable, "-m", "langchain_qwen_space.cli", "batch", "-", "-"]
    command += ["--space", space_url, "--limit", "3", "--max-tokens", "50", "--timeout", "30"]
    done = subprocess.run(
        command,
        input=piped,
        capture_output=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["0", "1", "2"]
    assert {row["space"] for row in rows} == {space_url}
    assert json.loads(rows[0]["options"]) == {"max_tokens": 50}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_answers_that_standard_output_does_not_take_are_kept(space_url, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("PYTHONUNBUFFERED", None)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            batch_command(Path("-"), Path("-"), "--space", space_url),
            input=b'{"prompt": "echo: paid for"}\n',
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=environment,
        )
    assert done.returncode == 1
    assert b"Standard output cannot be written: No space left" in done.stderr
    (folder,) = tmp_path.iterdir()
    assert f"{folder}/answers.jsonl" in done.stderr.decode()
    assert read(folder / "answers.jsonl")[0]["text"] == "paid for"


def test_a_pipe_that_did_not_finish_says_where_its_answers_are(tmp_path):
    command = [sys.executable, "-m", "langchain_qwen_space.cli", "batch", "-", "-"]
    command += ["--space", "http://127.0.0.1:1", "--outage-timeout", "0"]
    done = subprocess.run(
        command,
        input=b'{"prompt": "a"}\n',
        capture_output=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, b"")
    (folder,) = tmp_path.iterdir()
    assert f"{folder}/prompts.jsonl {folder}/answers.jsonl" in done.stderr.decode()
    assert "The job stops" in done.stderr.decode()


def test_stop_strings_and_temperature_reach_the_model(run):
    options = ["--stop", "three", "--stop", "four", "--temperature", "0.5"]
    done = run({"prompt": "echo: one two three"}, options=options)
    assert done.exit_code == 0, done.output
    warned = [line for line in done.output.splitlines() if "no input for temperature=0.5" in line]
    assert len(warned) == 1
    assert warned[0].startswith("Space http")
    row = read(run.output)[0]
    assert row["text"].strip() == "one two"
    assert json.loads(row["options"]) == {"temperature": 0.5, "stop": ["three", "four"]}
    refused = run(options=["--stop", "two"])
    assert refused.exit_code == 2
    assert "--allow-changes" in refused.output


def test_settings_change_on_demand_and_the_limit_is_raised(run):
    rows = [{"prompt": f"echo: {number} x {number}"} for number in range(3)]
    assert run(*rows, options=["--limit", "1"]).exit_code == 0
    assert [row["text"] for row in read(run.output)] == ["0 x 0"]
    changed = ["--limit", "2", "--stop", "x"]
    refused = run(options=changed)
    assert refused.exit_code == 2
    assert "--allow-changes" in refused.output
    done = run(options=[*changed, "--allow-changes"])
    assert done.exit_code == 0, done.output
    assert "2 rows, 2 answered, 0 failed; 1 asked now" in done.output
    first, second = read(run.output)
    assert (first["text"], second["text"].strip()) == ("0 x 0", "1")
    assert (first["options"], json.loads(second["options"])) == (None, {"stop": ["x"]})


def test_compressed_and_tab_separated_files_are_read_and_written(space_url, tmp_path):
    source, output = tmp_path / "questions.tsv.gz", tmp_path / "answers.csv.gz"
    with gzip.open(source, "wt", encoding="utf-8") as file:
        file.write("question\tn\necho: eins, zwei\t1\necho: drei\t2\n")
    arguments = ["--prompt-column", "question", "--space", space_url]
    done = CliRunner().invoke(app, ["batch", str(source), str(output), *arguments])
    assert done.exit_code == 0, done.output
    with gzip.open(output, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["n"], row["text"]) for row in rows] == [("1", "eins, zwei"), ("2", "drei")]


class City(BaseModel):
    """A city."""

    name: str
    people: int


async def test_a_pydantic_class_makes_objects_and_an_answer_that_is_none_is_an_error(
    tmp_path, space_url
):
    source, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    questions = ["Where is Paris?", "in turn: " + json.dumps(["In France."] * 9)]
    source.write_text("".join(json.dumps({"question": each}) + "\n" for each in questions))
    job = Job(source, output, prompt="question", schema=City)
    progress = await arun_batch(ChatQwenSpace(space=space_url), job)
    assert (progress.answered, progress.failed) == (1, 1)
    good, bad = read(output)
    assert City.model_validate(good["parsed"])
    assert (bad["parsed"], bad["error_type"]) == (None, "OutputParserException")
    assert "does not hold a call of City" in bad["error"]


def test_the_system_prompt_reaches_the_space(run):
    run({"prompt": "tell"}, options=["--system", "Be brief."])
    assert json.loads(read(run.output)[0]["text"])[0] == "Be brief."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt-column", "no"], "has no column 'no'"),
        (["--schema", "no.json"], "--schema: no.json cannot be read"),
        (["--id-column", "no"], "row 1 has '' in its id column"),
    ],
)
def test_wrong_usage_is_reported(run, options, message):
    done = run({"prompt": "echo: a"}, options=options)
    assert done.exit_code == 2
    assert message in done.output
    assert not run.output.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
def test_ctrl_c_ends_it_cleanly_and_it_continues(tmp_path):
    source, output, log = tmp_path / "p.jsonl", tmp_path / "a.jsonl", tmp_path / "calls"
    write_prompts(source, 45)
    with counting_space(log, seconds=0.3, concurrency=3) as url:
        command = batch_command(source, output, "--space", url, "--concurrency", "3")
        first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not log.exists() or len(log.read_text().splitlines()) < 9:
            time.sleep(0.02)
            assert first.poll() is None
        first.send_signal(signal.SIGINT)
        _, told = first.communicate()
        assert first.returncode == 130, told
        assert "Traceback" not in told
        assert f"Finished rows are kept in {output}.job; the same command resumes." in told
        assert not output.exists()
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert len(read(output)) == 45
    # Three were under way when it ended; three more may have begun in the meantime.
    assert 45 <= len(log.read_text().splitlines()) <= 51


def test_a_space_that_is_silent_for_longer_than_the_timeout_fails_the_row(tmp_path):
    source, output, log = tmp_path / "p.jsonl", tmp_path / "a.jsonl", tmp_path / "calls"
    write_prompts(source, 1)
    with counting_space(log, seconds=20, concurrency=9) as url:
        command = batch_command(source, output, "--space", url, "--timeout", "0.5")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 failed" in done.stderr
    assert read(output)[0]["error_type"] == "SpaceTimeoutError"
    assert "0.5" in read(output)[0]["error"]


def test_a_row_that_does_not_end_stops_at_the_total_timeout_with_its_text(run):
    done = run({"prompt": "count to 200000"}, options=["--total-timeout", "5"])
    assert done.exit_code == 1
    (row,) = read(run.output)
    assert row["error_type"] == "SpaceTimeoutError"
    assert row["text"].startswith("1\n2\n3")


def test_a_space_that_dies_pauses_the_job_until_it_is_back(tmp_path):
    source, output, log = tmp_path / "p.jsonl", tmp_path / "a.jsonl", tmp_path / "calls"
    write_prompts(source, 40)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = batch_command(source, output, "--space", url, "--concurrency", "2")
    with counting_space(log, seconds=0.3, concurrency=2, port=port):
        job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not log.exists() or len(log.read_text().splitlines()) < 4:
            time.sleep(0.02)
            assert job.poll() is None
    try:
        assert any(line.startswith("Paused: ") for line in job.stderr)
        with counting_space(log, seconds=0, concurrency=2, port=port):
            _, rest = job.communicate(timeout=120)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 0, rest
    assert "40 rows, 40 answered, 0 failed" in rest
    assert {row["space"] for row in read(output)} == {url}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
def test_a_disk_that_is_full_stops_the_job_and_the_same_command_resumes(space_url, tmp_path):
    """The limit is on the size of a file, which SQLite and Python meet as they meet a full disk."""
    import resource

    source, output = tmp_path / "p.jsonl", tmp_path / "a.jsonl"
    prompts = [f"echo: {number} {'x' * 5000}" for number in range(20)]
    source.write_text("".join(json.dumps({"prompt": each}) + "\n" for each in prompts))
    command = batch_command(source, output, "--space", space_url, "--concurrency", "1")
    limit = 200_000
    full = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert "Make room" in full.stderr
    assert not output.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["text"] for row in read(output)] == [
        each.removeprefix("echo: ") for each in prompts
    ]
    asked = int(re.search(r"(\d+) asked now", done.stderr)[1])
    assert 0 < asked < 20  # what had been answered before is not asked again
