"""SIGKILL at random moments: nothing is lost, nothing is asked twice that was answered."""

import random
import sys

import pytest

from tests.integration_tests.jobs.kills import (
    batch_command,
    counting_space,
    run_with_kills,
    write_prompts,
    wrong_rows,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def test_a_job_that_is_killed_at_random_moments_ends_complete_and_exact(tmp_path):
    chance = random.Random(10)
    source, output, log = tmp_path / "p.jsonl", tmp_path / "a.jsonl", tmp_path / "calls"
    write_prompts(source, 60)
    with counting_space(log, seconds=0.1, concurrency=5) as url:
        command = batch_command(source, output, "--space", url, "--concurrency", "5")
        outcome = run_with_kills(command, log, lambda: chance.randint(5, 15), 3, chance)
    assert outcome.kills == 3
    assert wrong_rows(source, output) == 0
    assert len(outcome.asked) == 60
    assert outcome.repeated <= 3 * 5
