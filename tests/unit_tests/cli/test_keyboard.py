import os
import signal
import sys

import pytest
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from langchain_qwen_space.cli import keyboard
from langchain_qwen_space.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "is_open", "inside"),
    [
        ("hello", False, None),
        ('say """', False, None),
        ('"""', True, None),
        ('"""a\nb', True, None),
        ('"""a"', True, None),
        ('""""', True, None),
        ('"""a"""', False, "a"),
        ('  """\n  def f():\n\n    pass\n"""  ', False, "  def f():\n\n    pass"),
        ('"""/bye"""', False, "/bye"),
        ('/system """a', True, None),
        ('/system """a\nb"""', False, None),
        ('/set system """a', True, None),
        ('/system say """', False, None),
        ('""""""', False, ""),
    ],
)
def test_lines_between_three_quotes_are_one_message(text, is_open, inside):
    assert keyboard.is_open_block(text) == is_open
    assert keyboard.block(text) == inside


async def test_the_arrow_keys_bring_back_what_was_sent_now_before_older_questions():
    history = keyboard.prompt_session([], ["newer", "older"]).history
    history.append_string("first now")
    history.append_string("second now")
    assert [text async for text in history.load()] == ["second now", "first now", "newer", "older"]


@pytest.fixture
def no_terminal(monkeypatch):
    """Where pytest runs, standard input need not be a terminal."""
    monkeypatch.setitem(sys.modules, "termios", None)


def editor(tmp_path, program: str) -> str:
    script = tmp_path / "my editor.py"
    script.write_text(f"import sys, pathlib\npath = pathlib.Path(sys.argv[-1])\n{program}\n")
    return f"'{sys.executable}' '{script}' --wait"


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="there is no job control")
def test_ctrl_z_leaves_the_conversation_to_the_shell_and_sends_nothing(monkeypatch):
    stopped = []
    monkeypatch.setattr(Application, "suspend_to_background", lambda *_: stopped.append(True))
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("a\x1ab\r")
        assert keyboard.prompt_session([], []).prompt() == "ab"
    assert stopped == [True]


def test_a_message_is_what_the_editor_leaves(tmp_path, monkeypatch, no_terminal):
    program = "path.write_text(path.read_text('utf-8') + ' 好\\n\\n', 'utf-8-sig'); print(path)"
    monkeypatch.setenv("EDITOR", editor(tmp_path, program))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(keyboard.tempfile, "tempdir", str(tmp_path))
    assert keyboard.edited("你") == "你 好"
    assert not list(tmp_path.glob("qwen-space-*"))


def test_visual_comes_before_editor_and_one_that_fails_sends_nothing(
    tmp_path, monkeypatch, no_terminal
):
    monkeypatch.setenv("EDITOR", "never-asked")
    monkeypatch.setenv("VISUAL", editor(tmp_path, "sys.exit(3)"))
    with pytest.raises(InvalidInputError, match="exit status 3"):
        keyboard.edited("text")
    monkeypatch.setenv("VISUAL", "no-such-editor")
    with pytest.raises(FileNotFoundError, match="no-such-editor"):
        keyboard.edited("text")


def test_without_a_choice_the_editor_is_one_that_is_there(monkeypatch):
    monkeypatch.setattr(keyboard.shutil, "which", lambda name: name == "vim" and os.sep)
    assert keyboard._editor() == "vim"
    monkeypatch.setattr(keyboard.shutil, "which", lambda _: None)
    assert keyboard._editor() == "vi"
