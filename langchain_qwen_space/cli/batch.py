"""`qwen-space batch`: a file of prompts becomes a file of answers."""

import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from langchain_qwen_space.cli.common import (
    FAILED,
    INTERRUPTED,
    chat_model,
    error_console,
    exit_codes,
    printable,
    reason,
)
from langchain_qwen_space.cli.options import (
    AuthOption,
    MaxTokensOption,
    ModelOption,
    ProxyOption,
    SpaceOption,
    StopOption,
    SystemOption,
    TemperatureOption,
    TimeoutOption,
    TokenOption,
    TotalTimeoutOption,
)
from langchain_qwen_space.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_qwen_space.jobs import Progress
    from langchain_qwen_space.jobs.state import OnProgress

_EVERY = 30.0  # seconds between two lines where there is no terminal


class Engine(StrEnum):
    """What asks."""

    local = "local"
    ray = "ray"


def batch(
    prompts: Annotated[
        Path,
        typer.Argument(
            help="The prompts: a `.jsonl`, `.csv`, `.tsv` or `.parquet` file, or a `.txt` file with "
            "one prompt per line; all but Parquet may end in `.gz`; `-` is standard input, as JSONL."
        ),
    ],
    answers: Annotated[
        Path,
        typer.Argument(
            help="The answers: a new file in one of these formats, except `.txt`; `-` is standard output."
        ),
    ],
    space: SpaceOption = None,
    model: ModelOption = None,
    system: SystemOption = None,
    token: TokenOption = None,
    proxy: ProxyOption = None,
    auth: AuthOption = None,
    prompt_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column with the prompts.")
    ] = "prompt",
    messages_column: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The column with conversations, in the format of OpenAI's API. Used instead of "
            "the prompt in rows where it is not empty.",
        ),
    ] = "messages",
    id_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column that identifies a row. Default: the row's position in the file.",
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON schema that the answers must fit."),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Prefix for the names of the answer columns.")
    ] = "",
    max_tokens: MaxTokensOption = None,
    temperature: TemperatureOption = None,
    stop: StopOption = None,
    timeout: TimeoutOption = None,
    total_timeout: TotalTimeoutOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use only this many rows, from the first.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many calls are made at the same time. Default: 4, or 8 if the Space is on this machine.",
        ),
    ] = None,
    max_calls_per_minute: Annotated[
        float | None, typer.Option(min=0.001, help="How many calls may start in a minute.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry the rows that failed before.")
    ] = False,
    give_up_after: Annotated[
        int, typer.Option(min=1, help="Stop after this many failed rows in succession.")
    ] = 20,
    outage_timeout: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long to wait for a Space that cannot be reached before the job stops.",
        ),
    ] = 600.0,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes", help="Resume with another Space, model or options than before."
        ),
    ] = False,
    engine: Annotated[
        Engine, typer.Option(help="Make the calls from this machine, or from a Ray cluster.")
    ] = Engine.local,
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The cluster. Default: the one on this machine."),
    ] = None,
    ray_workers: Annotated[
        int | None,
        typer.Option(min=1, help="How many processes make calls. Default: one per node."),
    ] = None,
) -> None:
    """Send every row of a file as a prompt, and write the answers to another file.

    The output has the rows and columns of the input, in their order, and these columns: `text`, `error`,
    `error_type`, `space`, `model`, `finish_reason`, `input_tokens`, `output_tokens`, `seconds`; and, if a
    row has any, `options` (the settings of the call, as JSON), `parsed` (with `--schema`), `reasoning`
    and `tool_calls`. A row that failed has an error, and the text received so far.

    Each answer is saved in ANSWERS.job as soon as it arrives, and ANSWERS is written at the end. No
    matter how a run ends, the same command resumes it. A resumed run stops with an error if the Space,
    the model or a setting of the model has changed; `--allow-changes` permits that. If `--schema`,
    `--system`, `--prompt-column`, `--messages-column` or `--id-column` has changed, it stops even with
    `--allow-changes`. While the Space cannot be reached, the job waits. Keep ANSWERS.job if you may want
    to retry failed rows; otherwise delete it when the job is done.

    If PROMPTS or ANSWERS is `-`, its data is kept in a file in a temporary folder until the job is done.
    The first line on standard error names the files: to resume, pass them instead of `-`.

    For example:

        qwen-space batch prompts.jsonl answers.jsonl
        qwen-space batch questions.csv answers.parquet --prompt-column question
        qwen-space batch prompts.jsonl answers.jsonl --retry-failed
        qwen-space batch - - --limit 10 < prompts.jsonl > first-ten.jsonl
        qwen-space batch prompts.jsonl cities.jsonl --schema city.json --engine ray

    Exit status: 0 if every row has an answer, 1 if rows failed or the job stopped early, 2 for wrong usage
    or a file that cannot be used, 130 if it was interrupted.
    """
    with exit_codes():
        from langchain_qwen_space.jobs import BatchOptions, Job, run_batch, store_path

        options = BatchOptions(
            concurrency=concurrency,
            max_calls_per_minute=max_calls_per_minute,
            retry_failed=retry_failed,
            give_up_after=give_up_after,
            outage_timeout=outage_timeout,
            allow_changes=allow_changes,
            engine=engine.value,
            ray_address=ray_address,
            ray_workers=ray_workers,
        )
        asked = chat_model(
            space,
            model,
            token,
            proxy,
            auth,
            max_tokens=max_tokens,
            temperature=temperature,
            stop=stop,
            timeout=timeout,
            total_timeout=total_timeout,
            max_concurrency=concurrency,
        )
        schema_read = None if schema is None else _read_schema(schema)
        with _standard_streams(prompts, answers) as (source, output), _display() as display:
            job = Job(
                source,
                output,
                prompt=prompt_column,
                messages=messages_column,
                id=id_column,
                system=system,
                schema=schema_read,
                prefix=prefix,
                limit=limit,
            )
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("once", UserWarning)
                    warnings.showwarning = _print_warning
                    progress = run_batch(asked, job, options, on_progress=display)
            except KeyboardInterrupt:
                error_console().print(
                    f"Stopped. Finished rows are kept in {store_path(output)}; the same command resumes."
                )
                raise typer.Exit(INTERRUPTED) from None
        _report_end(progress, answers)


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning without the place in the code that it comes from."""
    error_console().print(printable(str(message)))


@contextmanager
def _standard_streams(prompts: Path, answers: Path) -> Iterator[tuple[Path, Path]]:
    """The files that stand for standard input and output: kept if the job does not finish.

    They are named before the first call, since a process that is killed names nothing.
    """
    from langchain_qwen_space.jobs import store_path

    if "-" not in (str(prompts), str(answers)):
        yield prompts, answers
        return
    folder = Path(tempfile.mkdtemp(prefix="qwen-space-batch-"))
    source = folder / "prompts.jsonl" if str(prompts) == "-" else prompts
    output = folder / "answers.jsonl" if str(answers) == "-" else answers
    if source != prompts:
        with source.open("wb") as file:
            shutil.copyfileobj(typer.get_binary_stream("stdin"), file)
    error_console().print(
        f"If this run is stopped, resume with {source} {output} in place of {prompts} {answers}.",
        soft_wrap=True,
        markup=False,
    )
    try:
        yield source, output
        if output != answers:
            stdout = typer.get_binary_stream("stdout")
            with output.open("rb") as file:
                shutil.copyfileobj(file, stdout)
            stdout.flush()  # before the folder goes: here a full disk, or a closed pipe, is noticed
    except BaseException:
        if not store_path(output).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _read_schema(path: Path) -> dict[str, Any]:
    import json

    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"--schema: {path} cannot be read as JSON: {reason(error)}."
        ) from None
    if not isinstance(schema, dict):
        raise InvalidInputError(f"--schema: {path} is not a JSON object.")
    return schema


def _report_end(progress: "Progress", answers: Path) -> None:
    console = error_console()
    console.print(
        f"{answers}: {_rows(progress.rows)}, {progress.answered} answered, {progress.failed} failed; "
        f"{progress.asked} asked now, in {_clock(progress.seconds)}."
    )
    if progress.failed:
        console.print("To retry the failed rows, run the same command with --retry-failed.")
        raise typer.Exit(FAILED)


@contextmanager
def _display() -> "Iterator[OnProgress]":
    """Shows the progress of a job: a bar in a terminal, else a line now and then."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = error_console()
    if not console.is_terminal:
        with _Lines() as lines:
            yield lines
        return
    with Bar(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("")

        def show(progress: "Progress") -> None:
            bar.update(
                task,
                total=progress.rows,
                completed=progress.rows - progress.left,
                description=_line(progress),
            )

        yield show


class _Lines:
    """Prints a line when a run begins or pauses, and then one every `_EVERY` seconds, whatever happens."""

    def __init__(self) -> None:
        self._latest: Progress | None = None
        self._since = 0.0  # when that was reported
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._clock.is_alive():
            self._clock.join()

    def __call__(self, progress: "Progress") -> None:
        before, self._latest, self._since = self._latest, progress, time.monotonic()
        if before is None and progress.left:
            self._clock.start()
        if before is None or (progress.paused and not before.paused):
            self._print()

    def _repeat(self) -> None:
        while not self._ended.wait(_EVERY):
            self._print()

    def _print(self) -> None:
        progress = self._latest
        if progress is not None and progress.left:
            seconds = progress.seconds + time.monotonic() - self._since
            error_console().print(_line(replace(progress, seconds=seconds)))


def _line(progress: "Progress") -> str:
    done = f"{progress.rows - progress.left} of {_rows(progress.rows)} done"
    if progress.failed:
        done += f", {progress.failed} failed"
    if progress.paused is not None:
        return f"Paused: {done}. {printable(progress.paused)}"
    left = progress.seconds_left
    if left is None:
        return done
    rate = progress.rate
    speed = f"{rate:.1f} per second" if rate >= 1 else f"{rate * 60:.1f} per minute"
    return f"{done}, {speed}, about {_clock(left)} left"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
