"""What the commands share: the model that they ask, output, errors and their exit codes."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError, UnknownModelError

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace

FAILED = 1
USAGE = 2
INTERRUPTED = 130

# What rich colors by itself and one of two terminals, a dark or a light one, hardly shows.
_THEME = Theme(
    {
        "markdown.item.bullet": "bold",
        "markdown.item.number": "bold",
        "markdown.table.header": "bold",
        "markdown.table.border": "dim",
        "markdown.hr": "dim",
        "markdown.link": "underline",
        "markdown.link_url": "underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.h4": "bold italic",
    }
)

# Control characters of C0 and C1 but tab and newline: a terminal would obey them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    r"""The text without control characters, so that no Space steers the terminal; `\r\n` is `\n`."""
    return _CONTROLS.sub("", text)


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be used: "No such file or directory", without numbers and names."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def as_json(data: Any, encoding: str, **settings: Any) -> str:
    """JSON that can be written in an encoding: readable if possible, else escaped."""
    text = json.dumps(data, ensure_ascii=False, **settings)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(data, **settings)
    return text


def print_text(text: str) -> None:
    """Write text to standard output at once and as it is, escape sequences included."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_json(data: Any) -> None:
    """Write one line of JSON, whatever the encoding of standard output is."""
    print_text(f"{as_json(data, sys.stdout.encoding)}\n")


def wrapped(text: str, width: int) -> str:
    """Lines of at most `width` cells, each continued below its last column."""
    return "\n".join(line for given in text.split("\n") for line in _wrapped_line(given, width))


def _wrapped_line(line: str, width: int) -> list[str]:
    if cell_len(line) <= width:
        return [line]
    column = re.match(r"\s*(?:\S+ )*\S+\s{2,}", line)
    indent = len(column[0] if column else line) - (0 if column else len(line.lstrip()))
    indent = indent if indent <= width // 2 else 2
    rows = [""]
    for word in re.findall(r"\s*\S+", line):
        row = rows[-1] + word
        if rows[-1].strip() and cell_len(row) > width:
            rows.append(" " * indent + word.lstrip())
        else:
            rows[-1] = row
    return rows


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table without lines; in a window that is too narrow, each row over several lines."""
    out = console()
    cells = [[printable(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if out.is_terminal and sum(widths) + 2 * len(widths) - 2 > out.width:
        for first, *rest in cells[1:]:
            out.print(first)
            for heading, cell in zip(cells[0][1:], rest, strict=True):
                out.print(wrapped(f"  {heading}: {cell}", out.width))
        return
    for row in cells:
        padded = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        out.print(
            "  ".join(padded).rstrip(), soft_wrap=True, style="bold" if row is cells[0] else None
        )


def console() -> Console:
    """Standard output, as rich writes to it. Text is taken as it is: no markup, no colours."""
    return Console(markup=False, highlight=False, emoji=False, theme=_THEME)


def error_console() -> Console:
    """Standard error, likewise; lines are broken, between words, in a terminal alone."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=not terminal)


def chat_model(
    space: str | None = None,
    model: str | None = None,
    token: str | None = None,
    proxy: str | None = None,
    auth: str | None = None,
    **settings: Any,
) -> "ChatQwenSpace":
    """The model that the options ask for; an option that is None leaves its setting alone.

    Args:
        space: `--space`.
        model: `--model`.
        token: `--token`.
        proxy: `--proxy`.
        auth: `--auth`, "USER:PASSWORD".
        **settings: Other settings of `ChatQwenSpace`.

    Raises:
        InvalidInputError: A setting makes no sense; the message names it.
    """
    from pydantic import ValidationError

    from langchain_qwen_space.chat_models import ChatQwenSpace  # takes a second to load

    spaces = None if space is None else [one.strip() for one in space.split(",")]
    given = {"space": spaces, "model": model, "hf_token": token, "proxy": proxy, **settings}
    if auth is not None:
        user, colon, password = auth.partition(":")
        if not colon:
            raise InvalidInputError("--auth must be USER:PASSWORD, with a colon between them.")
        given["auth"] = (user, password)
    try:
        return ChatQwenSpace(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidInputError("\n".join(map(_explain, error.errors()))) from None


def name_or_number(text: str) -> str | int:
    """A function of a page, or an input, as an option names it: digits are its number."""
    return int(text) if text.isascii() and text.isdigit() else text


def inputs_named(given: Sequence[str] | None) -> dict[str, str | int] | None:
    """`--input ROLE=NAME` as `ChatQwenSpace(inputs=…)` takes it; None where there is none.

    Raises:
        InvalidInputError: One has no `=`.
    """
    inputs = {}
    for text in given or ():
        role, equals, name = text.partition("=")
        if not equals:
            raise InvalidInputError(
                f"--input must be ROLE=NAME, with a = between them, not {text!r}."
            )
        inputs[role.strip()] = name_or_number(name.strip())
    return inputs or None


def _explain(problem: Any) -> str:
    """A problem of pydantic's, by the option that it is about."""
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    option = {"hf_token": "token", "inputs": "input"}.get(name, name).replace("_", "-")
    return f"--{option}: {problem['msg'].removeprefix('Value error, ')}"


@contextmanager
def exit_codes() -> Iterator[None]:
    """What goes wrong inside becomes a line on standard error and an exit code."""
    try:
        yield
    except QwenSpaceError as error:
        fail(str(error), exit_code(error), advice(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def exit_code(error: QwenSpaceError) -> int:
    """2 for what the caller got wrong, 1 for what the Space or the network did."""
    return USAGE if isinstance(error, InvalidInputError | UnknownModelError) else FAILED


def fail(message: str, code: int = FAILED, hint: str = "") -> NoReturn:
    """Say on standard error what is wrong and what to do, and exit with `code`."""
    print_error(message, hint)
    raise typer.Exit(code)


def print_error(message: str, hint: str = "") -> None:
    """Say on standard error what is wrong and what to do."""
    errors = error_console()
    errors.print(Text.assemble(("Error: ", "bold red"), printable(message)))
    if hint:
        errors.print(hint)
