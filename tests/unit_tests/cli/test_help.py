"""The help and the errors of usage in windows of several widths."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app
from langchain_qwen_space.cli.help import parameters

COMMANDS = get_command(app).commands


@pytest.fixture
def in_window(monkeypatch):
    """Run a command in a window of so many columns, without a terminal behind it."""

    def run(columns: int, *arguments: str):
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, arguments, prog_name="qwen-space")

    return run


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_its_window_and_cuts_nothing_off(command, columns, in_window):
    done = in_window(columns, command, "--help")
    assert done.exit_code == 0
    lines = done.stdout.split("\n")
    assert max(map(len, lines)) <= min(columns, 100)
    assert lines == [line.rstrip() for line in lines]
    assert "\x1b" not in done.stdout
    assert "`" not in done.stdout
    words = " ".join(done.stdout.split())
    for parameter in parameters(COMMANDS[command].callback.__wrapped__):
        assert ", ".join(parameter.spellings) in words
        assert " ".join(parameter.meaning.replace("`", "").split()) in words
    assert "…" not in done.stdout


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_first_page_lists_every_command_and_fits_its_window(columns, in_window):
    done = in_window(columns)
    assert max(map(len, done.stdout.split("\n"))) <= min(columns, 100)
    for word in (*COMMANDS, "--version", "--install-completion", "-h, --help"):
        assert word in done.stdout
    assert in_window(columns, "-h").stdout == done.stdout


def test_long_names_stand_below_one_another(in_window):
    lines = in_window(80, "chat", "--help").stdout.split("\n")
    options = [line for line in lines if line.startswith(("  -", "      --"))]
    assert {line.index("--") for line in options} == {6}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chat", "--modle", "7B"], "Error: No such option: --modle"),
        (["cat"], "Error: No such command 'cat'."),
        (["serve", "--base-url", "x"], "Error: Invalid value: --base-url does not go with"),
        (["chat", "--auth", "x", "Hi"], "Error: --auth must be USER:PASSWORD"),
    ],
)
def test_wrong_usage_is_one_message_and_where_to_look(arguments, said, in_window):
    done = in_window(80, *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) <= 2


def test_help_may_be_a_word(in_window):
    assert in_window(80, "help").stdout == in_window(80, "-h").stdout
    assert in_window(80, "help", "log").stdout == in_window(80, "log", "-h").stdout
    assert "No such command 'lgo'. Did you mean 'log'?" in in_window(80, "help", "lgo").stderr


def test_a_question_without_a_command_is_answered_with_the_one_that_asks(in_window):
    done = in_window(80, "why is the sky blue?")
    assert '`qwen-space chat "..."` asks a question' in " ".join(done.stderr.split())
