"""What `qwen-space batch` shows while it runs."""

import io

from rich.console import Console

from langchain_qwen_space.cli import batch
from langchain_qwen_space.jobs import Progress


def progress(asked=30, rows=100):
    return Progress(rows=rows, answered=asked - 2, failed=2, asked=asked, seconds=15)


def test_the_line_tells_rows_failures_rate_and_time_left():
    assert batch._line(progress()) == "30 of 100 rows, 2 failed, 2.0 a second, 0:00:35 left"
    begun = Progress(rows=100, answered=0, failed=0, asked=0, seconds=0)
    assert batch._line(begun) == "0 of 100 rows, 0 failed, 0.0 a second, ? left"


def test_without_a_terminal_it_prints_a_line_now_and_then(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with batch._display() as show:
        for moment in (1.0, 2.0, 30.9, 31.1):
            now[0] = moment
            show(progress())
    assert capsys.readouterr().err.count("30 of 100 rows") == 2


def test_a_terminal_shows_a_bar_that_moves(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120, markup=False)
    monkeypatch.setattr(batch, "error_console", lambda: terminal)
    with batch._display() as show:
        show(progress(10))
        show(progress(60))
    assert "60 of 100 rows, 2 failed, 4.0 a second, 0:00:10 left" in screen.getvalue()
