"""`qwen-space chat`, in a terminal and in scripts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.cli.app import app
from langchain_qwen_space.cli.conversation_log import ConversationLog
from tests.pictures import RED

from .terminal import CTRL_C, CTRL_D, ENTER, terminal


@pytest.fixture(autouse=True)
def _the_space_by_default(narrow_space, monkeypatch):
    monkeypatch.setenv("QWEN_SPACE", narrow_space.url)


def chat(*arguments: str, piped: str = ""):
    return CliRunner().invoke(app, ["chat", *arguments], input=piped)


def becomes(marker: Path, text: str) -> None:
    """Wait until the Space has written `text`."""
    end = time.monotonic() + 60
    while not marker.exists() or marker.read_text() != text:
        assert time.monotonic() < end
        time.sleep(0.02)


# In a terminal


def test_ctrl_c_stops_an_answer_that_streams_on_the_space_too_and_ctrl_d_leaves(tmp_path):
    marker = tmp_path / "marker"
    with terminal("chat") as term:
        term.sees(r"^>")
        term.type(f"run {marker}{ENTER}")
        becomes(marker, "began")
        term.sees(r"^0")  # it continues for a minute, so this is seen while it is written
        term.type(CTRL_C)
        term.sees("^Stopped")
        becomes(marker, "was closed")
        term.type(f"show{ENTER}")
        told = "".join(term.sees(r"instruct\"\]").split())
        assert f'[["run{marker}","' in told  # what was said before is still known
        term.type(CTRL_D)
        term.sees("not saved. Leave")
        term.type(CTRL_D)
        assert term.exit_status() == 0


def test_a_saved_conversation_continues_after_it_was_loaded(tmp_path):
    file = "talk.json"
    with terminal("chat", "--system", "Be kind.", cwd=tmp_path) as term:
        term.sees(r"^>")
        term.type(f"say hello 你好{ENTER}")
        term.sees("^hello 你好")
        term.type(f"/save {file}{ENTER}")
        term.sees("Saved")
        term.type(f"/save {file}{ENTER}")
        term.sees("Overwrite")
        term.type(f"n{ENTER}")
        term.sees("Not saved")
        term.type(f"/quit{ENTER}")
        assert term.exit_status() == 0
    with terminal("chat", cwd=tmp_path) as term:
        term.sees(r"^>")
        term.type(f"/load nothing{ENTER}")
        term.sees("No such file")
        term.type(f"/load ~nosuchuser/x{ENTER}")
        term.sees("no such user")
        (tmp_path / "deep").write_text("[" * 100_000)
        term.type(f"/load deep{ENTER}")
        term.sees("is not a conversation")
        term.type(f"/load {file}{ENTER}")
        term.sees("Loaded 1 turn")
        term.type(f"/model 7B{ENTER}")
        term.sees("^Model: 7B")
        term.type(f"show{ENTER}")
        told = "".join(term.sees(r"instruct\"\]").split())
        assert '["Bekind.",[["sayhello你好","hello你好"]],"show","qwen2.5-7b-instruct"]' in told
        term.type(f"/bye{ENTER}")
        term.sees("not saved. Leave")
        term.type(f"y{ENTER}")
        assert term.exit_status() == 0


def test_the_place_in_the_queue_is_reported_and_a_call_that_waits_can_be_stopped(tmp_path):
    marker = tmp_path / "marker"
    others = ChatQwenSpace().stream(f"run {marker}")
    next(others)
    with terminal("chat", columns=30) as term:
        term.sees(r"^>")
        term.type(f"say hello{ENTER}")
        term.sees("In the Space's queue: next")
        term.type(CTRL_C)
        seen = term.sees("^Stopped")
        assert "queue" not in seen
        others.close()
        term.type(f"say it again{ENTER}")
        term.sees("^it again")


def test_an_error_keeps_the_conversation(tmp_path):
    with terminal("chat", cwd=tmp_path) as term:
        term.sees(r"^>")
        term.type(f"say one{ENTER}")
        term.sees("^one")
        term.type(f"break everything{ENTER}")
        term.sees("failed: everything")
        term.type(f"/nonsense{ENTER}")
        term.sees("There is no /nonsense")
        term.type(f"//show{ENTER}")
        term.sees("failed:")
        term.type(f"show{ENTER}")
        told = "".join(term.sees(r"instruct\"\]").split())
        assert '[["sayone","one"]],"show"' in told
        term.type(f"/save ~nosuchuser/x{ENTER}")
        term.sees("no such user")
        term.type(f"/save nowhere/talk{ENTER}")
        term.sees("nowhere/talk: No such file or directory.$")
        term.type(CTRL_D)
        term.sees("not saved. Leave")
        term.type(f"n{ENTER}/save talk{ENTER}")
        term.sees("Saved to talk")
        term.type(f"exit{ENTER}")
        assert term.exit_status() == 0
    assert len(json.loads((tmp_path / "talk").read_text())["turns"]) == 2


def test_one_answer_in_a_terminal_is_rendered(narrow_space):
    with terminal("chat", "say # Head\n\n**bold**") as term:
        assert term.exit_status() == 0
        words = [line.strip() for line in term.screen.lines]
    assert words == ["Head", "", "bold"]


def test_ctrl_c_ends_one_answer_with_130_and_frees_the_space(tmp_path):
    marker = tmp_path / "marker"
    with terminal("chat", f"run {marker}") as term:
        becomes(marker, "began")
        term.type(CTRL_C)
        assert term.exit_status() == 130
    becomes(marker, "was closed")


# In scripts


def test_the_output_is_the_exact_text():
    text = "**bold** <b>\n    indented\n你好"
    done = chat(f"say {text}")
    assert (done.exit_code, done.stdout) == (0, text + "\n")


def process(*arguments: str, **options):
    command = [sys.executable, "-m", "langchain_qwen_space.cli", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, **{"stdout": subprocess.PIPE, **options}
    )


def test_a_pipe_gets_each_chunk_at_once(tmp_path):
    marker = tmp_path / "marker"
    with process("chat", f"run {marker}") as run:
        assert run.stdout.read(1) == b"0"  # the answer takes a minute
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    becomes(marker, "was closed")


def test_a_pipe_gets_escape_sequences_and_every_byte():
    text = "\x1b[31mred\x1b[0m\r\n\x07你好"
    with process("chat", f"say {text}") as run:
        assert run.stdout.read() == f"{text}\n".encode()


def test_a_reader_that_has_enough_ends_the_call(tmp_path):
    marker = tmp_path / "marker"
    with process("chat", f"run {marker}", stderr=subprocess.PIPE) as run:
        assert run.stdout.read(1) == b"0"
        run.stdout.close()
        assert run.wait(60) == 1
        assert run.stderr.read() == b""
    becomes(marker, "was closed")


REVISED = "def f():\n        return 1"  # Gradio cleans the indentation of what it has already sent


def test_a_revised_answer_is_exact_in_a_file_and_on_demand_and_reported_in_a_pipe(tmp_path):
    exact = ChatQwenSpace().invoke(f"say {REVISED}").content
    with process("chat", f"say {REVISED}", stderr=subprocess.PIPE) as run:
        told, errors = run.communicate()
    assert told.decode() != f"{exact}\n"
    assert b"--no-stream" in errors
    with (tmp_path / "file").open("wb") as file:
        process("chat", f"say {REVISED}", stdout=file).wait()
    assert (tmp_path / "file").read_text() == f"{exact}\n"
    assert chat(f"say {REVISED}", "--no-stream").stdout == f"{exact}\n"


def test_what_an_encoding_lacks_is_reported_and_json_keeps_it():
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    with process("chat", "say é 你好", stderr=subprocess.PIPE, env=environment) as run:
        told, errors = run.communicate()
    assert (run.returncode, told) == (0, b"\xe9 ??\n")
    assert b"cp1252" in errors
    with process("chat", "say é 你好", "--json", env=environment) as run:
        assert json.loads(run.communicate()[0])["text"] == "é 你好"
    with process("models", env=environment) as run:
        assert b"72B" in run.communicate()[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk")
@pytest.mark.parametrize(
    "arguments",
    [["chat", "say hello"], ["chat", "say hello", "--json"], ["models"], ["doctor"], ["--version"]],
    ids=" ".join,
)
def test_a_full_disk_is_reported_and_exits_with_1(arguments):
    with Path("/dev/full").open("wb") as full:
        run = process(*arguments, stdout=full, stderr=subprocess.PIPE)
        _, errors = run.communicate()
    assert run.returncode == 1
    assert errors == b"Error: Standard output cannot be written: No space left on device.\n"


def test_a_prompt_may_come_through_a_pipe():
    assert chat(piped="say hello\n").stdout == "hello\n"


def test_a_prompt_and_piped_text_are_asked_together():
    assert chat("say this:", piped="text\n").stdout == "this:\n\ntext\n"


def test_words_are_joined():
    done = chat("say", "one", "--no-log", "two", "--", "--three")
    assert (done.exit_code, done.stdout) == (0, "one two --three\n")


def test_an_answer_that_does_not_end_stops_at_the_total_timeout(tmp_path):
    marker = tmp_path / "marker"
    done = chat(f"run {marker}", "--total-timeout", "5")
    assert done.exit_code == 1
    assert done.stdout.startswith("01")
    assert "--total-timeout" in done.stderr
    becomes(marker, "was closed")


def test_bytes_that_are_no_text_are_refused():
    done = chat("say \udcff")  # which Python makes of the byte
    assert (done.exit_code, done.stdout) == (2, "")
    assert "its bytes are not UTF-8" in done.stderr


def test_system_prompt_and_model_reach_the_space():
    done = chat("show", "--system", "", "--model", "qwen2.5-coder-7b-instruct")
    assert json.loads(done.stdout) == ["", [], "show", "qwen2.5-coder-7b-instruct"]


def test_json_is_one_object(narrow_space):
    done = chat("say hello", "--json", "--max-tokens", "100")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert told["text"] == "hello"
    assert told["usage"]["total_tokens"] > told["usage"]["output_tokens"] > 0
    assert told["usage"]["source"] in ("tokenizer", "estimate")
    assert 0 < told["seconds"]["first"] <= told["seconds"]["whole"]
    assert (told["model"], told["space"]) == ("qwen2.5-72b-instruct", narrow_space.url)
    assert (told["tool_calls"], told["finish_reason"]) == ([], "stop")
    assert told["event_id"]
    assert told["id"]
    for key in told:
        assert f"`{key}`" in " ".join((app_help("chat")).split())


def app_help(command: str) -> str:
    from langchain_qwen_space.cli import chat as module

    return getattr(module, command).__doc__


def test_json_reports_a_failure_and_so_does_the_exit_status():
    done = chat("break it", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert told["error"]["type"] == "GenerationError"
    assert "failed: it" in told["error"]["message"]
    assert "failed: it" in done.stderr


def test_a_setting_that_the_space_does_not_take_is_reported():
    done = chat("say hello", "--temperature", "0.5")
    assert (done.exit_code, done.stdout) == (0, "hello\n")
    assert "temperature" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["hi", "--model", "GPT-2"], "qwen-space models"),
        (["hi", "--temperature", "-1"], "--temperature"),
        (["hi", "--space", "not a space"], "--space"),
        (["hi", "--auth", "no colon"], "USER:PASSWORD"),
        (["  "], "empty"),
        ([], "empty"),
        (["hi", "--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_reported_and_exits_with_2(arguments, told):
    done = chat(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_a_message_breaks_between_words_in_a_terminal(columns):
    with terminal("chat", "hi", "--space", "http://127.0.0.1:1", columns=columns) as term:
        assert term.exit_status() == 1
        lines = term.screen.lines
    assert lines[0].startswith("Error: http://127.0.0.1:1 cannot be")
    said = "set HTTPS_PROXY, or QWEN_SPACE_PROXY for this program alone."
    assert " ".join(lines).endswith(said)


def test_a_space_that_is_not_there_is_reported_and_exits_with_1():
    done = chat("hi", "--space", "http://127.0.0.1:1", "--timeout", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "cannot be reached" in done.stderr
    assert "HTTPS_PROXY" in done.stderr


# With files


def test_a_script_attaches_pictures(picture_space_url, tmp_path, monkeypatch):
    monkeypatch.setenv("QWEN_SPACE_LOG", str(tmp_path / "log.db"))
    photo = tmp_path / "photo.png"
    photo.write_bytes(RED)
    answer = chat("--space", picture_space_url, "-i", str(photo), "What?")
    assert "`photo.png`: a PNG picture, 8 x 8 pixels" in answer.stdout
    assert answer.exit_code == 0
    _, kept = ConversationLog(tmp_path / "log.db").load()
    assert kept.turns[0].user == "What?\n\n(with photo.png)"
    missing = chat("--space", picture_space_url, "-i", str(tmp_path / "none.png"), "What?")
    assert missing.exit_code == 2


def test_pictures_are_attached_in_a_conversation(picture_space_url, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(RED)
    with terminal("chat", "--space", picture_space_url, "--no-log") as term:
        term.sees(r"^>")
        term.type(f"/image {tmp_path / 'none.png'}{ENTER}")
        term.sees(r"No such\s+file")
        term.type(f"/image {photo}{ENTER}")
        term.sees("next question: photo.png")
        term.type(f"What?{ENTER}")
        term.sees("mostly red")
        term.type(f"/retry{ENTER}")
        term.sees("mostly red")
        term.type(f"echo: And without one?{ENTER}")
        term.sees("^And without one")
        term.type(CTRL_D)
        term.sees("Leave")
        term.type(CTRL_D)
        assert term.exit_status() == 0
