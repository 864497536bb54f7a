"""SIGKILL at random moments: nothing is lost, nothing is asked twice that was answered."""

import csv
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration_tests.jobs.kills import (
    batch_command,
    calls,
    counting_space,
    run_with_kills,
    write_prompts,
    wrong_rows,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

ROWS = 80  # more than are answered before the last kill, however late that comes


def test_a_job_that_is_killed_at_random_moments_ends_complete_and_exact(tmp_path):
    chance = random.Random(10)
    source, output, log = tmp_path / "p.jsonl", tmp_path / "a.jsonl", tmp_path / "calls"
    write_prompts(source, 150)
    with counting_space(log, seconds=0.1, concurrency=5) as url:
        command = batch_command(source, output, "--space", url, "--concurrency", "5")
        outcome = run_with_kills(command, log, lambda: chance.randint(5, 15), 3, chance)
    assert outcome.kills == 3
    assert wrong_rows(source, output) == 0
    assert len(outcome.asked) == 150
    assert outcome.repeated <= 3 * 5


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    if ".jsonl" in path.suffixes:
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text), dialect=_dialect(path)))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    text = io.StringIO()
    if ".jsonl" in path.suffixes:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        writer = csv.DictWriter(text, list(rows[0]), dialect=_dialect(path))
        writer.writeheader()
        writer.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _dialect(path: Path) -> str:
    return "excel-tab" if ".tsv" in path.suffixes else "excel"


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    log = tmp_path_factory.mktemp("counted") / "calls"
    with counting_space(log, seconds=0.1, concurrency=5) as url:
        yield url, log


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl.gz", ".csv.gz"])
def test_every_format_survives_kills_as_an_undisturbed_run_writes_it(ending, tmp_path, counted):
    url, log = counted
    chance = random.Random(ending)
    source, output, calm = (tmp_path / f"{name}{ending}" for name in ("p", "a", "calm"))
    _write(source, [{"prompt": f"question {n}", "number": str(n)} for n in range(ROWS)])
    options = ("--space", url, "--concurrency", "4")
    subprocess.run(batch_command(source, calm, *options), check=True, capture_output=True)
    log.unlink()
    command = batch_command(source, output, *options)
    outcome = run_with_kills(command, log, lambda: chance.randint(3, 6), 2, chance)
    assert outcome.kills == 2
    assert len(outcome.asked) == ROWS
    assert outcome.repeated <= 2 * 4
    # Only how long an answer took differs from run to run.
    assert _untimed(output) == _untimed(calm)
    assert [row["text"] for row in _rows(output)] == [
        f"You said: question {n}" for n in range(ROWS)
    ]


def _untimed(path: Path) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name != "seconds"} for row in _rows(path)]


def test_a_killed_job_from_standard_input_names_the_files_that_it_resumes_with(tmp_path, counted):
    url, log = counted
    log.unlink(missing_ok=True)
    prompts = "".join(json.dumps({"prompt": f"question {n}"}) + "\n" for n in range(ROWS))
    options = ("--space", url, "--concurrency", "4")
    run = subprocess.Popen(
        batch_command(Path("-"), Path("-"), *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert run.stdin is not None
    assert run.stderr is not None
    run.stdin.write(prompts)
    run.stdin.close()
    named = run.stderr.readline().split("resume with ")[1].split(" in place of - -.")[0]
    while run.poll() is None and calls(log) < 8:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    run.stdout.close()
    run.stderr.close()
    source, output = map(Path, named.split(" "))
    subprocess.run(batch_command(source, output, *options), check=True, capture_output=True)
    assert [row["text"] for row in _rows(output)] == [
        f"You said: question {n}" for n in range(ROWS)
    ]
    asked = log.read_text().splitlines()
    assert len(set(asked)) == ROWS
    assert len(asked) <= ROWS + 4
