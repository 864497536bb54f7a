"""What a person does in `qwen-space chat` besides asking: the log, and the commands."""

import json
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app

from .terminal import CTRL_C, ENTER, Terminal, terminal

UP = "\x1b[A"


@pytest.fixture(autouse=True)
def log_file(narrow_space, monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("QWEN_SPACE", narrow_space.url)
    path = tmp_path / "kept" / "log.db"
    monkeypatch.setenv("QWEN_SPACE_LOG", str(path))
    return path


def run(*arguments: str, piped: str = ""):
    return CliRunner().invoke(app, [*arguments], input=piped)


def says(term: Terminal, line: str, pattern: str) -> str:
    term.type(f"{line}{ENTER}")
    return term.sees(pattern)


def shown(term: Terminal, question: str) -> list:
    """What the Space gets with "show …": system prompt, earlier turns, question, model."""
    pattern = rf'^\[.*"{question}", "qwen.*\]$'
    return json.loads(re.search(pattern, says(term, question, pattern), re.MULTILINE)[0])


def empties_the_prompt(term: Terminal) -> None:
    term.type(CTRL_C)
    term.sees(r"^> Ask anything.*\Z")


def test_a_conversation_is_continued_with_its_system_prompt_and_its_questions_come_back():
    with terminal("chat", "--system", "Be kind.", "--model", "7B", columns=200) as term:
        term.sees(r"^>")
        says(term, "say one", "^one")
        says(term, "/bye", "")
        assert term.exit_status() == 0  # nothing is asked: it is in the log
    with terminal("chat", "-c", columns=200) as term:
        term.sees(r"You asked last:\n> say one\n> ")
        term.type(UP)
        term.sees(r"You asked last:\n> say one\n> say one$")
        empties_the_prompt(term)
        system, earlier, _, model = shown(term, "show 1")
    assert (system, earlier, model) == ("Be kind.", [["say one", "one"]], "qwen2.5-7b-instruct")


def test_a_script_continues_the_last_conversation_or_one_by_its_number():
    run("chat", "say one", "--system", "Be kind.")
    run("chat", "say two")
    done = run("chat", "-c", "show", "--json")
    told = json.loads(done.stdout)
    assert json.loads(told["text"])[1] == [["say two", "two"]]
    assert told["conversation"] == 2
    system, earlier, *_ = json.loads(run("chat", "--conversation", "1", "show").stdout)
    assert (system, earlier) == ("Be kind.", [["say one", "one"]])
    assert run("chat", "--conversation", "9", "show").exit_code == 2


def test_no_log_keeps_nothing_and_asks_before_it_is_lost(log_file):
    assert run("chat", "say one", "--no-log").stdout == "one\n"
    with terminal("chat", "--no-log") as term:
        term.sees(r"^>")
        says(term, "say two", "^two")
        says(term, "/show", "is not kept")
        says(term, "/bye", "not saved. Leave")
        term.type(f"y{ENTER}")
        assert term.exit_status() == 0
    assert not log_file.parent.exists()


@pytest.mark.parametrize("closes", [True, False])
def test_what_was_said_is_kept_if_the_terminal_is_closed_or_the_process_stopped(tmp_path, closes):
    marker = tmp_path / "marker"
    with terminal("chat", columns=200) as term:
        term.sees(r"^>")
        says(term, "say one", "^one")
        says(term, f"run {marker}", r"^0123")
        if closes:
            term.close()
        else:
            term.signal(signal.SIGTERM)
            assert term.exit_status() == 130
    until = time.monotonic() + 60
    while len(turns := json.loads(run("log", "1", "--json").stdout)["turns"]) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert turns[1]["user"] == f"run {marker}"
    assert turns[1]["assistant"].startswith("0123")
    while marker.read_text() != "was closed":
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_question_under_way_is_kept_if_the_process_is_killed(tmp_path):
    with terminal("chat", columns=200) as term:
        term.sees(r"^>")
        says(term, f"run {tmp_path / 'marker'}", r"^0123")
        term.signal(signal.SIGKILL)
        term.exit_status()
    with terminal("chat", "-c", columns=200) as term:
        term.sees(rf"has no answer yet; /retry asks it again:\n> run {tmp_path / 'marker'}$")
        says(term, "/retry", r"^0123")
        term.signal(signal.SIGKILL)
        term.exit_status()
    assert run("log", "1").stdout == f"**You**\n\nrun {tmp_path / 'marker'}\n"


def test_a_conversation_without_an_answer_says_so_in_the_log():
    assert run("chat", "--model", "none", "say one").exit_code == 2
    assert run("log", "1").stdout == "No question was answered.\n"


def test_a_log_that_cannot_be_written_is_reported_and_the_conversation_continues(log_file):
    log_file.parent.write_text("a file where the folder has to be")
    done = run("chat", "say one")
    assert (done.exit_code, done.stdout) == (0, "one\n")
    assert "cannot be used" in done.stderr
    with terminal("chat") as term:
        term.sees(r"^>")
        says(term, "say two", "^two")
        term.sees("is not kept")
        says(term, "/bye", "not saved. Leave")


def test_retry_and_undo_take_the_last_turn_out_of_the_conversation_and_the_log():
    with terminal("chat", columns=200) as term:
        term.sees(r"^>")
        says(term, "/retry", "no question")
        says(term, "/undo", "nothing to undo")
        says(term, "say one", "^one")
        says(term, "say two", "^two")
        says(term, "/retry", r"^two[\s\S]*^two")
        assert shown(term, "show 1")[1] == [["say one", "one"], ["say two", "two"]]
        says(term, "/undo", "^Undone; 2 turns left")
        term.sees(r"^> show 1$")
        empties_the_prompt(term)
        says(term, "break it", "failed: it")
        says(term, "/retry", r"failed: it[\s\S]*failed: it")
        assert shown(term, "show 2")[1] == [["say one", "one"], ["say two", "two"]]
        term.type(f"/bye{ENTER}")
        assert term.exit_status() == 0
    kept = json.loads(run("log", "1", "--json").stdout)
    assert [turn["user"] for turn in kept["turns"]] == ["say one", "say two", "show 2"]


def test_a_message_is_written_in_an_editor_or_between_quotes(tmp_path, monkeypatch):
    script = tmp_path / "editor.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(' edited\\nlines')")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    with terminal("chat", columns=200) as term:
        term.sees(r"^>")
        says(term, "/edit say", r"^> say edited\nlines\nedited\nlines$")
        says(term, '"""say /bye', r"^> \"\"\"say /bye\s*$")
        says(term, "exit", "^  exit$")
        says(term, '"""', r"^/bye\s*\nexit")
        assert shown(term, "show 1")[1] == [
            ["say edited\nlines", "edited\nlines"],
            ["say /bye\nexit", "/bye\nexit"],
        ]


def test_settings_are_set_shown_and_checked():
    with terminal("chat", "--verbose", columns=200) as term:
        term.sees(r"^>")
        says(term, "say one two three", r"queue \d.*first chunk \d.*answer .*\d tokens")
        says(term, "/set quiet", "verbose off")
        says(term, "/set parameter max_tokens 1", "max_tokens 1")
        says(term, "say one two three", r"^one$")
        says(term, "/set max_tokens lots", "not a number")
        says(term, "/set max_tokens 0", "max_tokens")
        says(term, "/set seed 1", "Settings: temperature")
        term.type(f'/system """Be kind.{ENTER}Be brief."""{ENTER}')
        term.sees(r"^System prompt: Be kind\.\nBe brief\.$")
        says(term, "/set max_tokens", r"Settings: timeout 60.0, verbose off")
        says(term, "/show", r"Log: .*conversation 1")


def test_the_system_prompt_and_the_model_return_to_those_of_the_space():
    with terminal("chat", "-s", "Be kind.", "-m", "7B", columns=200) as term:
        term.sees(r"^>")
        assert shown(term, "show 1")[::3] == ["Be kind.", "qwen2.5-7b-instruct"]
        says(term, "/system default", "^System prompt: the Space's own")
        says(term, "/model default", "^Model: the Space's own")
        system, _, _, model = shown(term, "show 2")
        assert "Be kind." not in system
        assert model == "qwen2.5-72b-instruct"
        says(term, "/bye", "")
        assert term.exit_status() == 0
    kept = json.loads(run("log", "1", "--json").stdout)
    assert (kept["system"], kept["model"]) == (None, None)


def test_files_are_asked_with_the_prompt(tmp_path):
    (tmp_path / "a.txt").write_text("first\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("zweite 你", encoding="utf-8-sig")
    files = ["-f", str(tmp_path / "a.txt"), "--file", str(tmp_path / "b.txt")]
    done = run("chat", "say this:", *files, piped="\ufeffpiped")
    assert done.stdout == "this:\n\nfirst\n\n\nzweite 你\n\npiped\n"
    (tmp_path / "a.txt").write_text("say from a template")
    assert run("chat", *files[:2]).stdout == "from a template\n"
    (tmp_path / "b.txt").write_bytes(b"\xff")
    for missing in (tmp_path / "b.txt", tmp_path / "nothing", tmp_path):
        done = run("chat", "say", "-f", str(missing))
        assert (done.exit_code, done.stdout) == (2, "")
        assert str(missing) in done.stderr
        assert "Errno" not in done.stderr


def test_the_times_of_an_answer_go_to_standard_error():
    done = run("chat", "say hello", "--verbose")
    assert done.stdout == "hello\n"
    assert re.search(
        r"^queue .* s, first chunk .* s, total .* s, prompt .*\d tokens", done.stderr, re.MULTILINE
    )


def test_the_log_is_listed_printed_searched_and_deleted(log_file):
    assert run("log").stdout == "No conversations.\n"
    run("chat", "say # one\n\ntwo")
    run("chat", "say \x1b[31mred")
    assert run("log", "--path").stdout == f"{log_file}\n"
    assert stat.S_IMODE(log_file.stat().st_mode) == 0o600
    run("chat", f"say {'very long ' * 30}")
    piped = run("log").stdout.splitlines()
    assert [line.split()[0] for line in piped] == ["3", "2", "1"]
    assert len(piped[0]) > 300
    assert "\x1b" not in "".join(piped)
    for columns in (40, 80, 200):
        with terminal("log", columns=columns) as term:
            assert term.exit_status() == 0
            lines = term.screen.lines
        assert len(lines) == (6 if columns == 40 else 3)
        assert sum(line.endswith("…") for line in lines) == 1
    run("log", "3", "--delete")
    assert run("log", "1").stdout == "**You**\n\nsay # one\n\ntwo\n\n**Model**\n\n# one\n\ntwo\n"
    assert json.loads(run("log", "1", "--json").stdout) == {
        "id": 1,
        "space": os.environ["QWEN_SPACE"],
        "system": None,
        "model": None,
        "turns": [{"user": "say # one\n\ntwo", "assistant": "# one\n\ntwo"}],
    }
    listed = [json.loads(line) for line in run("log", "--json").stdout.splitlines()]
    assert [(each["id"], each["turns"]) for each in listed] == [(2, 1), (1, 1)]
    assert run("log", "--search", "RED", "--json").stdout.count("\n") == 1
    assert run("log", "1", "--delete").exit_code == 0
    assert run("log", "1").exit_code == 2
    assert run("log", "--delete").exit_code == 2
    assert len(run("log").stdout.splitlines()) == 1


def test_without_a_log_there_is_nothing_to_list_or_continue(monkeypatch):
    monkeypatch.setenv("QWEN_SPACE_LOG", "off")
    for arguments in (["log"], ["chat", "-c", "say one"]):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "QWEN_SPACE_LOG is off" in done.stderr
    assert run("chat", "say one").stdout == "one\n"
