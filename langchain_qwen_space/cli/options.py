"""The options that several commands have in common."""

from typing import Annotated

import typer

_DEFAULT_SPACE = "Default: `QWEN_SPACE`, else `Qwen/Qwen2.5`."
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="ID|URL",
        help="Id of the Space, or URL of its app. With several, separated by commas, "
        f"each call goes to one of them. {_DEFAULT_SPACE}",
    ),
]
SpacesOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="ID|URL",
        help=f"Id of the Space, or URL of its app; several are separated by commas. {_DEFAULT_SPACE}",
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
        help="Sampling temperature, if the Space has this setting.",
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
    typer.Option("--max-tokens", metavar="NUMBER", min=1, help="Longest answer, in tokens."),
]
StopOption = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="End an answer before this text. Can be repeated."),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.001,
        metavar="SECONDS",
        help="Longest time without data from the Space. Default: 60.",
    ),
]
TotalTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--total-timeout",
        min=0.001,
        metavar="SECONDS",
        help="Time limit for a whole call. Default: none.",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="HF_TOKEN",
        help="Hugging Face token, for private Spaces. Other users of this machine can see this option: "
        "set `HF_TOKEN` instead.",
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
        help="Login of a Space that requires one. Other users of this machine can see this option: "
        "set `QWEN_SPACE_AUTH` instead.",
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="NAME|NUMBER",
        help="The app's function that runs first when a question is sent. Default: the one that is "
        "detected.",
    ),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="ROLE=NAME",
        help="Say what an input of the page is for, where detection is wrong: `system=Persona`, by "
        "its label, or `max_tokens=4`, by its number. ROLE is query, history, system, model, "
        "temperature, top_p, max_tokens, thinking or thinking_budget. Can be repeated.",
    ),
]
HistoryOption = Annotated[
    str | None,
    typer.Option(
        "--history",
        metavar="turns|text",
        help="Send earlier turns as turns, or as text in the question. Default: as turns if the app "
        "accepts them.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
