"""The options that several commands have in common."""

from typing import Annotated

import typer

SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="ID|URL",
        help="Id of the Space, or URL of its app; several, separated by commas, share the work. "
        "Default: `QWEN_SPACE`, else `Qwen/Qwen2.5`.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="The model; `qwen-space models` lists them. Default: the Space's own.",
    ),
]
SystemOption = Annotated[
    str | None,
    typer.Option("--system", "-s", metavar="TEXT", help="The system prompt. Default: the Space's."),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        metavar="NUMBER",
        min=0,
        help="How much answers vary, if the Space has this setting.",
    ),
]
TopPOption = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        metavar="NUMBER",
        min=0,
        max=1,
        help="Nucleus sampling, if the Space has this setting.",
    ),
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="NUMBER", min=1, help="The most tokens of an answer."),
]
StopOption = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="End an answer before this text; may be repeated."),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.001,
        metavar="SECONDS",
        help="How long the Space may be silent. Default: 60.",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="HF_TOKEN",
        help="Hugging Face token, for private Spaces. Others on this machine may see it here; "
        "better set `HF_TOKEN`.",
    ),
]
ProxyOption = Annotated[
    str | None,
    typer.Option(
        "--proxy", metavar="URL", help="HTTP proxy for every request. Default: `QWEN_SPACE_PROXY`."
    ),
]
AuthOption = Annotated[
    str | None,
    typer.Option(
        "--auth",
        envvar="QWEN_SPACE_AUTH",
        metavar="USER:PASSWORD",
        help="Login of a Space that asks for one. Better set the variable than write it here.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
