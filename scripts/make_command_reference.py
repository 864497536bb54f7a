"""Writes the reference of the `qwen-space` command from the command itself.

    python scripts/make_command_reference.py

The page is docs/reference/command.md.
"""

import enum
import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo

from langchain_qwen_space.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command.md"
_SHOWN = {int: "NUMBER", float: "NUMBER", Path: "FILE"}


@dataclass(frozen=True)
class _Parameter:
    """An argument or option, as the function of a command declares it."""

    name: str
    kind: Any
    info: Any
    default: Any

    @property
    def is_argument(self) -> bool:
        return isinstance(self.info, ArgumentInfo)

    @property
    def spelled(self) -> str:
        """How it is written: `-m`, `--model NAME`."""
        if self.is_argument:
            name = self.name.upper()
            return name if self.default is inspect.Parameter.empty else f"[{name}]"
        # Where there is no default, typer keeps the first of the names in its place.
        names = (self.info.default, *(self.info.param_decls or ()))
        words = [each for each in names if isinstance(each, str)]
        words = sorted(words or [f"--{self.name.replace('_', '-')}"], key=len)
        value = "" if self.kind is bool else f" {self.info.metavar or self._value}"
        return ", ".join([*(f"`{word}`" for word in words[:-1]), f"`{words[-1]}{value}`"])

    @property
    def _value(self) -> str:
        if issubclass(self.kind, enum.Enum):
            return "|".join(each.value for each in self.kind)
        return _SHOWN.get(self.kind, "TEXT")

    @property
    def row(self) -> str:
        meaning = [self.info.help or ""]
        if isinstance(self.default, str | int | float) and self.default not in ("", False):
            meaning.append(f"Default: `{getattr(self.default, 'value', self.default)}`.")
        if self.info.envvar:
            meaning.append(f"Environment variable: `{self.info.envvar}`.")
        spelled = f"`{self.name.upper()}`" if self.is_argument else self.spelled
        return "| " + " | ".join(_cell(each) for each in (spelled, " ".join(meaning))) + " |"


def page() -> str:
    """The whole page."""
    assert app.registered_callback is not None
    root = app.registered_callback.callback
    parts = ["# The command qwen-space", *_about(root)]
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        arguments = [each for each in _parameters(command.callback) if each.is_argument]
        usage = " ".join(["qwen-space", name, "[OPTIONS]", *(each.spelled for each in arguments)])
        parts += [f"## qwen-space {name}", f"```text\n{usage}\n```", *_about(command.callback)]
    return "\n\n".join(parts) + "\n"


def _about(function: Callable[..., Any] | None) -> list[str]:
    """What a command does, and the tables of its arguments and options."""
    assert function is not None
    parameters = _parameters(function)
    parts = [_text(inspect.getdoc(function) or "")]
    for head, is_argument in (("argument", True), ("option", False)):
        rows = [each.row for each in parameters if each.is_argument == is_argument]
        if rows:
            parts.append("\n".join([f"| {head} | meaning |", "| --- | --- |", *rows]))
    return parts


def _parameters(function: Callable[..., Any]) -> list[_Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(hints[name])[:2]
        while given := [each for each in typing.get_args(kind) if each is not type(None)]:
            kind = given[0]  # of `X | None`, `list[X]`
        found.append(_Parameter(name, kind, info, parameter.default))
    return found


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
