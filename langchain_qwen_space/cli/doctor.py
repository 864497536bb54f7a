"""`qwen-space doctor`: whether a Space can be used, how long it takes, and what to do if not."""

import asyncio
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from langchain_qwen_space.cli.advice import advice
from langchain_qwen_space.cli.common import (
    FAILED,
    chat_model,
    console,
    exit_code,
    exit_codes,
    inputs_named,
    name_or_number,
    print_json,
    printable,
    wrapped,
)
from langchain_qwen_space.cli.options import (
    AuthOption,
    HistoryOption,
    InputOption,
    JsonOption,
    ModelOption,
    ProxyOption,
    SpacesOption,
    StartOption,
    TimeoutOption,
    TokenOption,
)
from langchain_qwen_space.errors import QwenSpaceError

if TYPE_CHECKING:
    from langchain_qwen_space.chat_models import ChatQwenSpace
    from langchain_qwen_space.cli.examination import Examination, Step
    from langchain_qwen_space.cli.probe import Finding

_QUESTION = "Say hello, in one word."


def doctor(
    space: SpacesOption = None,
    model: ModelOption = None,
    start: StartOption = None,
    inputs: InputOption = None,
    history: HistoryOption = None,
    token: TokenOption = None,
    proxy: ProxyOption = None,
    auth: AuthOption = None,
    timeout: TimeoutOption = None,
    total_timeout: Annotated[
        float,
        typer.Option(min=0.001, metavar="SECONDS", help="Time limit for the whole call."),
    ] = 60.0,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Make three or four more calls, to check whether earlier turns, a system prompt "
            "and a token limit reach the model.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a Space: find it, show what was detected on it, and make one call.

    Every step is timed. If one fails, the reason and what to do about it are printed.

    For example:

        qwen-space doctor
        qwen-space doctor --space my-name/my-space --json
        qwen-space doctor --probe
        qwen-space doctor --probe --history text --input system=Persona

    Exit status: 0 if every step succeeded, 1 if a step failed or `--probe` found that something does not
    reach the model, 2 for wrong usage, such as an `--input` that the page does not have. Several
    Spaces are checked one after the other.

    `--json` prints one object per line, for each Space: `ok`; `space`; `steps`, a list of objects with
    `name`, `ok`, `seconds` and `detail`; `detected`, the Space's functions and inputs, or null; `answer`;
    `probe`, a list of objects with `name`, `reached` ("yes", "no" or "unclear"), `answer` and `advice`;
    `error`, null or an object with `type`, `message` and `advice`.
    """
    with exit_codes(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of settings; the steps tell them

        def asked(one: str | None) -> "ChatQwenSpace":
            return chat_model(
                one,
                model,
                token,
                proxy,
                auth,
                start=None if start is None else name_or_number(start),
                inputs=inputs_named(inputs),
                history=history,
                timeout=timeout,
                total_timeout=total_timeout,
                max_retries=0,
                wake_timeout=0,
            )

        spaces = asked(space).space
        codes = [
            _examine(asked(one), one, probe=probe, as_json=as_json)
            for one in ([spaces] if isinstance(spaces, str) else spaces)
        ]
        raise typer.Exit(max(codes))


def _examine(model: "ChatQwenSpace", space: str, *, probe: bool, as_json: bool) -> int:
    """Examine one Space, and print what came of it; returns the exit code."""
    from langchain_qwen_space.cli.examination import Examination

    out = console()
    examination = Examination(model, space, _QUESTION, _ignore if as_json else _print_step)
    findings: list[Finding] = []
    error: QwenSpaceError | None = None
    if not as_json:
        out.print(f"Examining {space}")

    async def run() -> None:
        await examination.run()
        if probe:
            await _probe(examination, model, findings, as_json=as_json)

    try:
        asyncio.run(run())
    except QwenSpaceError as failure:
        error = failure
    lost = any(finding.reached == "no" for finding in findings)
    if as_json:
        print_json(_as_data(examination, findings, error))
    elif error is not None:
        _print_wrapped(f"What to do: {advice(error) or 'see the message.'}")
    elif not lost:
        out.print("All is well.", style="green")
    return exit_code(error) if error is not None else FAILED if lost else 0


async def _probe(
    examination: "Examination", model: "ChatQwenSpace", findings: "list[Finding]", *, as_json: bool
) -> None:
    """See what reaches the model; the findings are added to the list as they come."""
    from langchain_qwen_space.cli.probe import Probe

    assert examination.endpoint is not None  # noqa: S101

    def report(finding: "Finding") -> None:
        findings.append(finding)
        if not as_json:
            _print_finding(finding)

    probe = Probe(model, examination.endpoint, report)
    if not as_json:
        console().print(f"Probing what reaches the model, with {probe.calls} calls")
    await probe.run()


def _print_finding(finding: "Finding") -> None:
    style = {"yes": "green", "no": "red", "unclear": "magenta"}[finding.reached]
    out = console()
    out.print(finding.reached.ljust(8), style=style, end="")
    out.print(finding.name)
    if finding.reached != "yes":
        _print_wrapped(f"  The model wrote: {finding.answer!r}\n  What to do: {finding.advice}")


def _ignore(_: "Step") -> None:
    """With JSON, all steps are reported at the end."""


def _print_step(step: "Step") -> None:
    sign, style = ("ok  ", "green") if step.ok else ("FAIL", "red")
    out = console()
    said = Text.assemble((sign, style), f" {step.name}, {step.seconds:.2f} s")
    out.print(said, soft_wrap=not out.is_terminal)
    if step.detail:
        _print_wrapped(step.detail)


def _print_wrapped(text: str) -> None:
    out = console()
    out.print(
        wrapped(printable(text), out.width) if out.is_terminal else printable(text), soft_wrap=True
    )


def _as_data(
    examination: "Examination", findings: "list[Finding]", error: QwenSpaceError | None
) -> dict[str, Any]:
    detected = examination.detected
    return {
        "ok": error is None,
        "space": examination.space,
        "steps": [asdict(step) for step in examination.steps],
        "detected": None if detected is None else asdict(detected),
        "answer": examination.answer,
        "probe": [asdict(finding) for finding in findings],
        "error": None
        if error is None
        else {
            "type": type(error).__name__,
            "message": str(error),
            "advice": advice(error),
        },
    }
