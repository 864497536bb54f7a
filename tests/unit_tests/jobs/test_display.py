"""What `qwen-space batch` shows while it runs."""

import io
import threading
import time
from dataclasses import replace

from rich.console import Console

from langchain_qwen_space.cli import batch
from langchain_qwen_space.jobs import Progress


def progress(asked=30, rows=100):
    return Progress(rows=rows, answered=asked - 2, failed=2, asked=asked, seconds=15)


def test_the_line_tells_rows_failures_rate_and_time_left():
    line = "30 of 100 rows done, 2 failed, 2.0 per second, about 0:00:35 left"
    assert batch._line(progress()) == line
    begun = Progress(rows=100, answered=0, failed=0, asked=0, seconds=0)
    assert batch._line(begun) == "0 of 100 rows done"
    slow = Progress(rows=2, answered=1, failed=0, asked=1, seconds=20)
    assert batch._line(slow) == "1 of 2 rows done, 3.0 per minute, about 0:00:20 left"
    paused = Progress(rows=1, answered=0, failed=0, asked=0, seconds=9, paused="It sleeps.")
    assert batch._line(paused) == "Paused: 0 of 1 row done. It sleeps."


def printed(capsys, text):
    """Waits for a line of the clock's thread; returns all lines since the last look."""
    lines, until = "", time.monotonic() + 30
    while text not in lines and time.monotonic() < until:
        lines += capsys.readouterr().err
        time.sleep(0.01)
    assert text in lines
    return lines


def test_without_a_terminal_lines_come_at_intervals_though_no_row_finishes(monkeypatch, capsys):
    monkeypatch.setattr(batch, "_EVERY", 0.05)
    before = threading.active_count()
    with batch._display() as show:
        show(Progress(rows=8, answered=0, failed=0, asked=0, seconds=0))
        assert printed(capsys, "0 of 8 rows done\n")
        show(Progress(rows=8, answered=7, failed=0, asked=7, seconds=1))
        printed(capsys, "7 of 8 rows done, ")
        printed(capsys, "7 of 8 rows done, ")  # again, though nothing happened
        show(Progress(rows=8, answered=8, failed=0, asked=8, seconds=2))
    assert threading.active_count() <= before


def test_without_a_terminal_the_first_line_and_a_pause_come_at_once(capsys):
    with batch._display() as show:
        show(progress(2))
        show(progress(30))
        show(replace(progress(31), paused="It sleeps."))
        show(replace(progress(31), paused="It sleeps still."))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("2 of 100 rows done, 2 failed")
    assert lines[1] == "Paused: 31 of 100 rows done, 2 failed. It sleeps."


def test_a_job_that_is_done_prints_no_progress(capsys):
    with batch._display() as show:
        show(Progress(rows=1, answered=1, failed=0, asked=0, seconds=0))
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_that_moves(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, markup=False)
    monkeypatch.setattr(batch, "error_console", lambda: terminal)
    with batch._display() as show:
        show(progress(10))
        show(progress(60))
    assert "60 of 100 rows done, 2 failed, 4.0 per second, about 0:00:10 left" in screen.getvalue()
