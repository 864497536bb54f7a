"""`qwen-space serve`: a Space on this machine."""

import enum
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from langchain_qwen_space.cli import common
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.wire.access import is_loopback

if TYPE_CHECKING:
    import uvicorn

    from langchain_qwen_space.local.backend import Backend

_SMALL_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


class BackendName(enum.StrEnum):
    """What may answer."""

    DEMO = "demo"
    TRANSFORMERS = "transformers"
    OPENAI = "openai"


def serve(
    backend: Annotated[
        BackendName,
        typer.Option(
            help="What answers: `demo`, a script; `transformers`, a model on this machine; or "
            "`openai`, a server with an OpenAI-compatible API."
        ),
    ] = BackendName.DEMO,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"The model: for `transformers`, an id or a folder (default: {_SMALL_MODEL}); "
            "for `openai`, the name that the server uses.",
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="For `openai`: the base URL of the server's API."),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE",
            help="For `openai`: the environment variable that holds the server's API key "
            "(default: OPENAI_API_KEY).",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Longest answer, in tokens (default: 2048 for `transformers`, the server's own "
            "for `openai`).",
        ),
    ] = None,
    files: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="For `openai`: the kinds of files that the model reads, such as `image,audio,video,pdf`; "
            "`none` for text only (default: `image` if the model's name is that of a vision model).",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on; 0.0.0.0 accepts connections from other machines."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 chooses a free one.")
    ] = 7860,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many answers are generated at the same time (default: 1 for `transformers`, else 5).",
        ),
    ] = None,
    max_queue: Annotated[
        int | None, typer.Option(min=1, help="How many callers may wait (default: no limit).")
    ] = None,
    max_file_size: Annotated[
        int,
        typer.Option(min=1, metavar="MIB", help="Largest size of an attached file, in MiB."),
    ] = 64,
    auth: Annotated[
        str | None,
        typer.Option(
            envvar="QWEN_SPACE_AUTH",
            metavar="USER:PASSWORD",
            help="The login that the Space requires. Other users of this machine can see this option: "
            "set `QWEN_SPACE_AUTH` instead.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Do not serve: write a folder that you can push to Hugging Face as a Space.",
        ),
    ] = None,
) -> None:
    r"""Run a Space on this machine, with a backend that you choose.

    For example:

        qwen-space serve
        qwen-space serve --backend transformers --model Qwen/Qwen2.5-0.5B-Instruct
        qwen-space serve --backend openai --base-url http://localhost:11434/v1 \
            --model qwen2.5
        qwen-space serve --backend transformers --export my-space

    Ctrl-C stops the server and the answers in progress, with exit status 0.
    """
    with common.exit_codes():
        chosen = _backend(backend, model, base_url, key_env, max_tokens, files)
        login, most = _login(auth), max_file_size * 2**20
        try:
            if export is not None:
                _export(export, chosen, concurrency, max_queue, most, login)
            else:
                _serve(chosen, host, port, concurrency, max_queue, most, login)
        except ImportError as error:
            common.fail(str(error))


def _backend(
    name: BackendName,
    model: str | None,
    base_url: str | None,
    key_env: str | None,
    max_tokens: int | None,
    files: str | None,
) -> "Backend":
    """What the options ask for; those that it has no use for are refused."""
    from langchain_qwen_space.local import backend

    given = {
        "--model": model,
        "--base-url": base_url,
        "--key-env": key_env,
        "--max-tokens": max_tokens,
        "--files": files,
    }
    allowed = {
        BackendName.DEMO: set(),
        BackendName.TRANSFORMERS: {"--model", "--max-tokens"},
        BackendName.OPENAI: set(given),
    }
    for option, value in given.items():
        if value is not None and option not in allowed[name]:
            raise typer.BadParameter(f"{option} does not go with --backend {name}.")
    if name is BackendName.DEMO:
        return backend.demo()
    if name is BackendName.TRANSFORMERS:
        return backend.transformers(model or _SMALL_MODEL, max_tokens)
    if base_url is None or model is None:
        raise typer.BadParameter("--backend openai needs --base-url and --model.")
    kinds = None if files is None else [kind.strip() for kind in files.split(",") if kind.strip()]
    if kinds == ["none"]:
        kinds = []
    return backend.openai(base_url, model, key_env or "OPENAI_API_KEY", max_tokens, kinds)


def _login(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, _, password = auth.partition(":")
    if not user or not password:
        raise InvalidInputError("--auth must be USER:PASSWORD, with a colon between them.")
    return user, password


def _export(
    folder: Path,
    backend: "Backend",
    concurrency: int | None,
    max_queue: int | None,
    max_file_size: int,
    login: tuple[str, str] | None,
) -> None:
    from langchain_qwen_space.local.export import export

    for path in export(
        folder,
        backend,
        concurrency=concurrency,
        max_queue=max_queue,
        max_file_size=max_file_size,
    ):
        typer.echo(f"wrote {path}")
    typer.echo(
        "\nTry it:\n"
        f"  pip install -r {folder / 'requirements.txt'}\n"
        f"  python {folder / 'app.py'}\n"
        "Push it to your own Space:\n"
        "  hf auth login\n"
        "  hf repos create my-space --type space --sdk gradio\n"
        f"  hf upload my-space {folder} . --type space"
    )
    base_url = str(backend.arguments.get("base_url", ""))
    if is_loopback(urlsplit(base_url).hostname or ""):
        typer.echo(
            f"{base_url} is this machine, which a Space on Hugging Face cannot reach: change it in "
            "app.py before you upload."
        )
    if login is not None:
        typer.echo(
            "The login was not written, for files of a Space can be read. "
            "Give the Space a secret QWEN_SPACE_AUTH, as USER:PASSWORD."
        )


def _serve(
    backend: "Backend",
    host: str,
    port: int,
    concurrency: int | None,
    max_queue: int | None,
    max_file_size: int,
    login: tuple[str, str] | None,
) -> NoReturn:
    from langchain_qwen_space.local import serving

    # A process manager's "end" is as good as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serving.listen(host, port) as listener:  # first, for what is slow comes after it
            server = _server(backend, concurrency, max_queue, max_file_size, login)
            ended = _run(server, listener)
            _print_where(_url(listener.getsockname()), login)
            ended.wait()
    except KeyboardInterrupt:
        typer.echo("\nStopped.", err=True)
        _leave(0)
    _leave(common.FAILED)


def _server(
    backend: "Backend",
    concurrency: int | None,
    max_queue: int | None,
    max_file_size: int,
    login: tuple[str, str] | None,
) -> "uvicorn.Server":
    from langchain_qwen_space.local import serving

    serving.check_gradio()
    if backend.model is not None:
        typer.echo(f"Loading {backend.model} ...", err=True)
    answer = backend.load()

    from langchain_qwen_space.local.chat_page import build

    page = build(
        answer,
        model=backend.model,
        concurrency=concurrency or backend.concurrency,
        pace=backend.pace,
    )
    return serving.server(
        page, max_queue=max_queue, max_file_size=max_file_size, auth=login, show_error=False
    )


def _run(server: "uvicorn.Server", listener: socket.socket) -> threading.Event:
    """Run the server in a thread; returns what is set when it has ended by itself."""
    ended = threading.Event()

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    return ended


def _url(address: tuple[Any, ...]) -> str:
    host, port = address[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  it is only shown
    return f"http://{host}:{port}"


def _print_where(url: str, login: tuple[str, str] | None) -> None:
    asked = "" if login is None else f', auth=("{login[0]}", "...")'
    typer.echo(
        f"Serving on {url} until Ctrl-C. Open it in a browser, or use it in Python:\n\n"
        "  from langchain_qwen_space import ChatQwenSpace\n"
        f'  ChatQwenSpace(space="{url}"{asked}).invoke("Hello!")\n'
    )


def _leave(code: int) -> NoReturn:
    """End the process without waiting for answers that are being written in other threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
