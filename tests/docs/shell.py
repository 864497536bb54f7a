"""Whether the commands of a `sh` block exist: targets of make, extras, scripts, options.

Nothing is run but `--help`.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec

from packaging.requirements import Requirement

from tests.docs.snippets import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PLAIN = {
    "aider",
    "cd",
    "cp",
    "git",
    "export",
    "source",
    "mkdir",
    "ls",
    "echo",
    "docker",
    "curl",
    "jq",
    "jupyter",
    "open",
}
"""Commands that are not ours."""


def check(block: str) -> None:
    """Reads each command of a block.

    Raises:
        ValueError: One of them does not exist; the message says which.
    """
    for line in block.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s(?:\||&&)\s", line):
            words = shlex.split(command, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):  # X=1 command
                words.pop(0)
            words = [word for word in words if word not in ("<", ">", "&")]
            if words[:2] == ["env", "-u"]:  # env -u X command
                del words[:3]
            if words:
                _command(words)


def _command(words: list[str]) -> None:
    name, *rest = words
    match name.removeprefix(".venv/bin/"):
        case "make":
            _make(rest)
        case "pip":
            _pip(rest)
        case "python" | "python3":
            _python(rest)
        case "qwen-space":
            _qwen_space(rest)
        case other if other not in PLAIN:
            raise ValueError(f"no command that is known here: {shlex.join(words)}")


def _make(words: list[str]) -> None:
    for word in words:
        variable, is_setting, _ = word.partition("=")
        if is_setting and not re.search(
            rf"\$\((?:or \$\()?{variable}\b|^{variable} ", MAKEFILE, re.MULTILINE
        ):
            raise ValueError(f"the Makefile has no variable {variable}")
        if not is_setting and not re.search(rf"^{re.escape(word)}:", MAKEFILE, re.MULTILINE):
            raise ValueError(f"the Makefile has no target {word}")


def _pip(words: list[str]) -> None:
    for word in words[1:]:
        if word.startswith("-"):
            continue
        if word.startswith("."):
            word = PROJECT["project"]["name"] + word.removeprefix(".")
        if word.endswith((".txt", ".whl")):
            continue
        wanted = Requirement(word)
        if wanted.name == PROJECT["project"]["name"]:
            there = PROJECT["project"]["optional-dependencies"].keys()
            if missing := wanted.extras - there:
                raise ValueError(f"there is no extra {', '.join(missing)}")


def _python(words: list[str]) -> None:
    if words[:1] == ["-m"]:
        if words[1] in ("venv", "pip", "http.server", "build", "twine", "pytest", "compat.app"):
            return
        if find_spec(words[1]) is None:
            raise ValueError(f"there is no module {words[1]}")
        options, program = words[2:], ["-m", words[1]]
    else:
        if not (ROOT / words[0]).exists() and "/" in words[0]:
            raise ValueError(f"there is no {words[0]}")
        if "/" not in words[0]:
            return  # a file of the reader's own
        options, program = words[1:], [words[0]]
    for option in (word.partition("=")[0] for word in options if word.startswith("--")):
        if option not in _help(*program):
            raise ValueError(f"{shlex.join(program)} has no option {option}")


@cache
def _help(*program: str) -> str:
    done = subprocess.run(
        [sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def _qwen_space(words: list[str]) -> None:
    import typer.main

    from langchain_qwen_space.cli.app import app

    group = typer.main.get_command(app)
    context = group.make_context("qwen-space", [], resilient_parsing=True)
    if not words or words[0].startswith("-"):
        command, options = group, words
    else:
        found = group.get_command(context, words[0])
        if found is None:
            raise ValueError(f"qwen-space has no command {words[0]}")
        command, options = found, words[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    known |= {option for parameter in command.params for option in parameter.secondary_opts}
    for option in (word.partition("=")[0] for word in options if re.match(r"-\D", word)):
        if option not in known and not (option.startswith("--") and "completion" in option):
            raise ValueError(f"qwen-space {words[0]} has no option {option}")
