"""`qwen-space doctor`: whether a Space can be used, how long it takes, and what to do if not."""

import asyncio
import json
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.cli.common import (
    AuthOption,
    JsonOption,
    ModelOption,
    ProxyOption,
    SpaceOption,
    TokenOption,
    chat_model,
    console,
    exit_code,
    exit_codes,
    printable,
)
from langchain_qwen_space.errors import QwenSpaceError

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.cli.examination import Examination, Step

_QUESTION = "Say hello, in one word."


def doctor(
    space: SpaceOption = None,
    model: ModelOption = None,
    token: TokenOption = None,
    proxy: ProxyOption = None,
    auth: AuthOption = None,
    timeout: Annotated[
        float, typer.Option(help="The longest that the call may take, in seconds.")
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Find a Space, say what was understood of it, and make one call.

    Every step is timed. If one fails, it says why and what to do.

    For example:

        qwen-space doctor
        qwen-space doctor --space my-name/my-space --json

    Exit status: 0 if all is well, 1 if a step failed, 2 for wrong usage.

    With `--json` it is one object a line for each Space: `ok`; `space`; `steps`, a list of `name`, `ok`, `seconds` and
    `told`; `understood`, what was read off the Space, or null; `answer`; `error`, null or `type`,
    `message` and `advice`.
    """
    with exit_codes(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of settings; the steps tell them

        def asked(one: str | None) -> "ChatQwenSpace":
            return chat_model(
                one, model, token, proxy, auth, total_timeout=timeout, max_retries=0, wake_timeout=0
            )

        spaces = asked(space).space
        codes = [
            _examine(asked(one), one, as_json=as_json)
            for one in ([spaces] if isinstance(spaces, str) else spaces)
        ]
        raise typer.Exit(max(codes))


def _examine(model: "ChatQwenSpace", space: str, *, as_json: bool) -> int:
    """Examine one Space, and print what came of it; returns the exit code."""
    from langchain_qwen_space.cli.examination import Examination

    out = console()
    examination = Examination(model, space, _QUESTION, _ignore if as_json else _print_step)
    error: QwenSpaceError | None = None
    if not as_json:
        out.print(f"Examining {space}")
    try:
        asyncio.run(examination.run())
    except QwenSpaceError as failure:
        error = failure
    if as_json:
        typer.echo(json.dumps(_as_data(examination, error), ensure_ascii=False))
    elif error is None:
        out.print("All is well.", style="green")
    else:
        out.print(f"What to do: {advice(error) or 'see the message.'}")
    return 0 if error is None else exit_code(error)


def _ignore(_: "Step") -> None:
    """With JSON, all steps are told at the end."""


def _print_step(step: "Step") -> None:
    sign, style = ("ok  ", "green") if step.ok else ("FAIL", "red")
    out = console()
    out.print(f"{sign} {step.name}", style=style, end="")
    out.print(f", {step.seconds:.2f} s")
    if step.told:
        out.print(printable(step.told))


def _as_data(examination: "Examination", error: QwenSpaceError | None) -> dict[str, Any]:
    understood = examination.understood
    return {
        "ok": error is None,
        "space": examination.space,
        "steps": [asdict(step) for step in examination.steps],
        "understood": None if understood is None else asdict(understood),
        "answer": examination.answer,
        "error": None
        if error is None
        else {
            "type": type(error).__name__,
            "message": str(error),
            "advice": advice(error),
        },
    }
