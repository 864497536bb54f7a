"""The commands of `qwen-space`, put together."""

from importlib.metadata import version
from typing import Annotated

import typer

from langchain_qwen_space.cli.api import api
from langchain_qwen_space.cli.batch import batch
from langchain_qwen_space.cli.chat import chat
from langchain_qwen_space.cli.doctor import doctor
from langchain_qwen_space.cli.help import Command, CommandGroup
from langchain_qwen_space.cli.log import log
from langchain_qwen_space.cli.models import models
from langchain_qwen_space.cli.serve import serve

app = typer.Typer(
    name="qwen-space",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,  # errors of usage in lines, like all others
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"qwen-space {version('langchain-qwen-space')}")
        raise typer.Exit


@app.callback()
def _qwen_space(
    wants_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Chat with the Qwen models of Spaces on Hugging Face. No API key, no GPU.

    For example:

        qwen-space chat
        qwen-space chat "Why is the sky blue?"
        git diff | qwen-space chat "Write a commit message" --model Coder-7B
        qwen-space doctor --space my-name/my-space

    Commands use the Space given by `--space`, else by the environment variable `QWEN_SPACE`, else
    `Qwen/Qwen2.5`.

    Exit status: 0 success, 1 the Space or the network failed, 2 wrong usage, 130 interrupted.
    """


for command in (chat, log, models, doctor, serve, api, batch):
    app.command(cls=Command)(command)
