"""The help of a command: read off its function, laid out for the width of the terminal.

Typer's own layout, boxes in columns, cuts the names of options off in a narrow window.
"""

import enum
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup
from typer.models import ArgumentInfo

from langchain_qwen_space.cli.common import USAGE, console, print_error, print_text

_WIDEST = 100  # columns; longer lines are hard to read
_COLUMN = 26  # cells for the name of an option; the meaning of a longer one begins below it
_NARROW = 60  # columns; in a narrower window every meaning stands below its option
_SHOWN = {int: "NUMBER", float: "NUMBER", Path: "FILE"}


@dataclass(frozen=True)
class Parameter:
    """An argument or option, as the function of a command declares it."""

    name: str
    kind: Any
    info: Any
    default: Any
    is_list: bool

    @property
    def is_argument(self) -> bool:
        """Whether it is given by its place."""
        return isinstance(self.info, ArgumentInfo)

    @property
    def spellings(self) -> list[str]:
        """How it is written, the shortest first: `["-m", "--model NAME"]`."""
        if self.is_argument:
            name = self.name.upper()
            name = name if self.default is inspect.Parameter.empty else f"[{name}]"
            return [f"{name}..." if self.is_list else name]
        # Where there is no default, typer keeps the first of the names in its place.
        names = (self.info.default, *(self.info.param_decls or ()))
        words = [each for each in names if isinstance(each, str)]
        words = sorted(words or [f"--{self.name.replace('_', '-')}"], key=len)
        value = "" if self.kind is bool else f" {self.info.metavar or self._value}"
        return [*words[:-1], f"{words[-1]}{value}"]

    @property
    def meaning(self) -> str:
        """What it does, its default, and the environment variable that sets it."""
        parts = [self.info.help or ""]
        if isinstance(self.default, str | int | float) and self.default not in ("", False):
            value = getattr(self.default, "value", self.default)
            parts.append(
                f"Default: `{value:g}`." if isinstance(value, float) else f"Default: `{value}`."
            )
        if self.info.envvar and f"`{self.info.envvar}`" not in parts[0]:
            parts.append(f"Environment variable: `{self.info.envvar}`.")
        return " ".join(parts)

    @property
    def _value(self) -> str:
        if issubclass(self.kind, enum.Enum):
            return "|".join(each.value for each in self.kind)
        return _SHOWN.get(self.kind, "TEXT")


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The arguments and options of a command's function."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(hints[name])[:2]
        kinds = (kind, *typing.get_args(kind))
        is_list = any(typing.get_origin(each) is list for each in kinds)
        while given := [each for each in typing.get_args(kind) if each is not type(None)]:
            kind = given[0]  # of `X | None`, `list[X]`
        found.append(Parameter(name, kind, info, parameter.default, is_list))
    return found


class Command(TyperCommand):
    """A command whose help fits every window."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; both arguments are click's."""
        assert self.callback is not None  # noqa: S101
        function = inspect.unwrap(self.callback)
        own = parameters(function)
        arguments = [each for each in own if each.is_argument]
        usage = " ".join(["[OPTIONS]", *(each.spellings[0] for each in arguments)])
        options = [*_options(own), _option(["-h", "--help"], "Show this help and exit.")]
        formatter.write(
            _page(
                f"{ctx.command_path} {usage}",
                function,
                ("Arguments", [(each.spellings[0], each.meaning) for each in arguments]),
                ("Options", options),
            )
        )


class CommandGroup(TyperGroup):
    """The command that holds the others; what is wrong with the arguments looks as any other error."""

    def main(
        self,
        args: Any = None,
        prog_name: Any = None,
        complete_var: Any = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command, and exit unless `standalone_mode` is false; the arguments are click's."""
        extra["windows_expand_args"] = windows_expand_args
        try:
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except Exception as error:
            # Typer has a copy of click, or click itself: their errors share no class.
            told = getattr(error, "format_message", None)
            if not standalone_mode or told is None:
                raise
            context: Any = getattr(error, "ctx", None)
            if type(error).__name__ == "NoArgsIsHelpError":
                print_text(f"{context.get_help()}\n")
            else:
                path = self.name if context is None else context.command_path
                hint = f"`{path} -h` shows its options."
                if context is None or context.parent is None:
                    hint = f'`{path} -h` lists the commands; `{path} chat "..."` asks a question.'
                print_error(told(), hint)
            sys.exit(USAGE)
        if standalone_mode:
            sys.exit(result or 0)
        return result

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; `help COMMAND` is `COMMAND --help`, as for many other commands."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; both arguments are click's."""
        assert self.callback is not None  # noqa: S101
        options = [_option(each.opts, getattr(each, "help", "")) for each in self.params]
        commands = [
            (name, (inspect.getdoc(inspect.unwrap(each.callback)) or "").partition("\n\n")[0])
            for name, each in self.commands.items()
            if each.callback is not None
        ]
        formatter.write(
            _page(
                f"{ctx.command_path} COMMAND [OPTIONS]",
                inspect.unwrap(self.callback),
                ("Commands", commands),
                ("Options", [*options, _option(["-h", "--help"], "Show this help and exit.")]),
            )
        )


def _options(own: Iterable[Parameter]) -> list[tuple[str, str]]:
    return [_option(each.spellings, each.meaning) for each in own if not each.is_argument]


def _option(spellings: list[str], meaning: str) -> tuple[str, str]:
    """An option and its meaning; long names stand below one another, whether or not there is a short one."""
    indent = "" if len(spellings) > 1 else "    "
    return indent + ", ".join(spellings), meaning


def _page(
    usage: str, function: Callable[..., Any], *sections: tuple[str, list[tuple[str, str]]]
) -> str:
    out = console()
    width = min(out.width, _WIDEST)
    parts: list[RenderableType] = [Text.assemble(("Usage: ", "bold"), usage), Text()]
    parts += _paragraphs(inspect.getdoc(function) or "")
    for heading, rows in sections:
        if rows:
            parts += [Text(f"{heading}:", style="bold"), *_rows(rows, width), Text()]
    with out.capture() as captured:
        out.print(Group(*parts), width=width)
    # Columns are padded; in a pipe, and for who copies a line, the padding is noise.
    return "\n".join(line.rstrip() for line in captured.get().rstrip().split("\n")) + "\n"


def _paragraphs(text: str) -> Iterator[RenderableType]:
    """A docstring; its indented lines are commands, which are lines of their own."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("    "):
            # One that is too long for the window continues further right.
            for line in inspect.cleandoc(paragraph).split("\n"):
                yield Padding(Text(line, style="bold"), (0, 0, 0, 4))
        else:
            yield _marked(" ".join(paragraph.split()))
        yield Text()


def _rows(rows: list[tuple[str, str]], width: int) -> Iterator[RenderableType]:
    column = min(_COLUMN, max(len(name) for name, _ in rows))
    for name, meaning in rows:
        if width < _NARROW or len(name) > column:
            indent = 8 if width < _NARROW else column + 4
            yield Padding(Text(name), (0, 0, 0, 2))
            yield Padding(_marked(meaning), (0, 0, 0, indent))
        else:
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(width=column + 2, no_wrap=True)
            grid.add_column()
            grid.add_row(f"  {name}", _marked(meaning))
            yield grid


def _marked(text: str) -> Text:
    """Text whose code, between backticks, is bold."""
    parts = re.split(r"`([^`]*)`", text)
    return Text.assemble(*((part, "bold" if at % 2 else "") for at, part in enumerate(parts)))
