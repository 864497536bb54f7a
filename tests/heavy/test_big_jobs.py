"""A longer job on two Spaces, killed again and again."""

import random
import sys
from contextlib import ExitStack

import pytest

from tests.integration_tests.jobs.kills import (
    batch_command,
    counting_space,
    run_with_kills,
    write_prompts,
    wrong_rows,
)

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_job_on_two_spaces_survives_ten_kills(tmp_path, seed):
    chance = random.Random(seed)
    source, output, log = tmp_path / "p.jsonl", tmp_path / "a.jsonl", tmp_path / "calls"
    write_prompts(source, 1_000)
    with ExitStack() as spaces:
        urls = [spaces.enter_context(counting_space(log, 0.2, 10)) for _ in range(2)]
        command = batch_command(source, output, "--space", ",".join(urls), "--concurrency", "20")
        outcome = run_with_kills(command, log, lambda: chance.randint(1, 90), 10, chance)
    assert outcome.kills == 10
    assert wrong_rows(source, output) == 0
    assert len(outcome.asked) == 1_000
    assert outcome.repeated <= 10 * 20
