import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from langchain_qwen_space.cli.app import app
from langchain_qwen_space.cli.main import main

COMMANDS = ["chat", "log", "models", "doctor", "serve", "api", "batch"]


@pytest.mark.parametrize("missing", ["typer", "rich", "prompt_toolkit"])
def test_a_missing_part_is_reported_with_what_installs_it(missing):
    hide = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from langchain_qwen_space.cli import main\n"
        "if 'prompt_toolkit' in sys.modules:  # needed by a conversation only\n"
        "    import langchain_qwen_space.cli.app as at\n"
        "    at.app = lambda: __import__('langchain_qwen_space.cli.interactive')\n"
        "main.main()"
    )
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"qwen-space needs {missing}: pip install 'langchain-qwen-space[cli]'\n"


def test_ctrl_c_while_the_command_is_loaded_is_an_interruption():
    script = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from langchain_qwen_space.cli.main import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_help_and_completion_load_nothing_heavy():
    script = (
        "import sys\n"
        "import langchain_qwen_space.cli.app\n"
        "print(*sorted({'gradio', 'transformers', 'torch', 'ray', 'pyarrow', 'aiohttp', 'openai',\n"
        "               'langchain_core.language_models', 'prompt_toolkit'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"qwen-space {command}" in done.stdout


def test_without_arguments_it_tells_what_there_is():
    done = CliRunner().invoke(app, [])
    for command in COMMANDS:
        assert f" {command} " in done.stdout


def test_the_version_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["qwen-space", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("qwen-space 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(shell):
    environment = {
        "_QWEN_SPACE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "qwen-space mod",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "qwen-space mod",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = CliRunner().invoke(app, [], env=environment, prog_name="qwen-space")
    assert "models" in done.stdout
    assert "chat" not in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes the streams")
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("chat <&-", 2, "Error: Pass a prompt"),
        ("batch - - <&-", 2, "contains no rows"),
        ("--version >&-", 1, "Error: Standard output cannot be written"),
        ("chat <&- >&- 2>&-", 2, ""),
    ],
)
def test_streams_that_the_caller_closed_are_no_traceback(arguments, status, said):
    command = f"exec {shlex.quote(sys.executable)} -m langchain_qwen_space.cli {arguments}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
