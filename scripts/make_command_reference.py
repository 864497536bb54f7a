"""Writes the reference of the `qwen-space` command from the command itself.

    python scripts/make_command_reference.py

The page is docs/reference/command.md.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_qwen_space.cli.app import app
from langchain_qwen_space.cli.help import Parameter, parameters

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command.md"


def page() -> str:
    """The whole page."""
    assert app.registered_callback is not None
    root = app.registered_callback.callback
    parts = ["# The command qwen-space", *_about(root)]
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        arguments = [each for each in parameters(command.callback) if each.is_argument]
        usage = " ".join(
            ["qwen-space", name, "[OPTIONS]", *(each.spellings[0] for each in arguments)]
        )
        parts += [f"## qwen-space {name}", f"```text\n{usage}\n```", *_about(command.callback)]
    return "\n\n".join(parts) + "\n"


def _about(function: Callable[..., Any] | None) -> list[str]:
    """What a command does, and the tables of its arguments and options."""
    assert function is not None
    own = parameters(function)
    parts = [_text(inspect.getdoc(function) or "")]
    for head, is_argument in (("argument", True), ("option", False)):
        rows = [_row(each) for each in own if each.is_argument == is_argument]
        if rows:
            parts.append("\n".join([f"| {head} | meaning |", "| --- | --- |", *rows]))
    return parts


def _row(parameter: Parameter) -> str:
    spelled = (
        f"`{parameter.name.upper()}`"
        if parameter.is_argument
        else ", ".join(f"`{each}`" for each in parameter.spellings)
    )
    return f"| {_cell(spelled)} | {_cell(parameter.meaning)} |"


def _text(text: str) -> str:
    """A docstring as Markdown: its indented lines are commands."""
    return re.sub(
        r"(?:^    .*\n?)+",
        lambda block: f"```sh\n{inspect.cleandoc(block[0])}\n```\n",
        text,
        flags=re.MULTILINE,
    ).strip()


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("|", r"\|"))


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
