"""`make live` on a Space that is on this machine: what its report holds."""

import os
import subprocess
import sys


def live(tmp_path, space, *arguments):
    environment = {**os.environ, "LIVE_SPACE": space, "LIVE_REPORT": str(tmp_path / "report.md")}
    return subprocess.run(
        [
            sys.executable,
            *["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "network", "tests/live"],
            *arguments,
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_each_run_is_a_dated_section(space_url, tmp_path):
    done = live(tmp_path, space_url, "-k", "found or one_call or leaving")
    assert done.returncode == 0, done.stdout
    report = (tmp_path / "report.md").read_text()
    assert report.startswith(f"# {space_url}, 20")
    assert "## it is found and understood: passed" in report
    assert "/model_chat (fn_index 3)" in report
    assert "You said: What is the capital of France?" in report
    assert "## leaving early: passed" in report


def test_what_failed_is_in_the_report(tmp_path):
    done = live(tmp_path, "http://127.0.0.1:1", "-k", "one_call")
    assert done.returncode == 1
    report = (tmp_path / "report.md").read_text()
    assert "## one call: failed" in report
    assert "cannot be reached" in report


def test_without_a_space_nothing_is_asked(tmp_path):
    done = live(tmp_path, "", "-k", "one_call")
    assert "1 skipped" in done.stdout
    assert not (tmp_path / "report.md").exists()
