"""`qwen-space api`: a Space as an OpenAI-compatible server."""

import asyncio
import signal
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_qwen_space.cli import common, options
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local.serving import listen

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def api(
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            metavar="ID|URL",
            help="Id of the Space, or URL of its app. With several, separated by commas or "
            "with the option repeated, each call goes to one of them. Default: "
            "`QWEN_SPACE`, else `Qwen/Qwen2.5`.",
        ),
    ] = None,
    model: options.ModelOption = None,
    token: options.TokenOption = None,
    proxy: options.ProxyOption = None,
    auth: options.AuthOption = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but loopback requires a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 chooses a free one.")
    ] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="QWEN_SPACE_API_KEY",
            metavar="KEY",
            help="The key that clients have to send. Other users of this machine can see this option: "
            "set `QWEN_SPACE_API_KEY` instead.",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="An origin whose pages may use the server from a browser. Can be repeated.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name under which clients reach the server, such as that of a reverse proxy on "
            "this machine. Without a key, a request is refused if its Host header is neither such a "
            "name nor a loopback name. Can be repeated.",
        ),
    ] = None,
) -> None:
    """Serve a Space as an OpenAI-compatible API, for editors, agents and other languages.

    For example:

        qwen-space api
        qwen-space api --space my-name/my-space --port 9000
        QWEN_SPACE_API_KEY=... qwen-space api --host 0.0.0.0

    Use the printed address as a client's `base_url`. Ctrl-C stops the server, with exit status 0.
    """
    with common.exit_codes():
        chat_model = common.chat_model(",".join(space or ()) or None, model, token, proxy, auth)
        try:
            import uvicorn

            from langchain_qwen_space.api import app
            from langchain_qwen_space.space.wire.access import is_loopback
        except ImportError:
            common.fail(
                "The API server is not installed: pip install 'langchain-qwen-space[api,cli]'"
            )
        application = app(
            chat_model, api_key=api_key or None, cors=cors or (), hosts=allow_host or ()
        )

        async def served(scope: "Scope", receive: "Receive", send: "Send") -> None:
            # What still runs when the server stops is cancelled; uvicorn would log that as an error.
            with suppress(asyncio.CancelledError):
                await application(scope, receive, send)

        # A process manager's request to stop is handled as Ctrl-C is.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with listen(host, port, "server") as listener:
            # What counts is the address that a name stands for, not the name.
            address, port = listener.getsockname()[:2]
            if not api_key and not is_loopback(address):
                raise InvalidInputError(
                    f"--host {host} accepts connections from other machines: set "
                    "QWEN_SPACE_API_KEY, or listen on 127.0.0.1."
                )
            shown = f"[{host}]" if ":" in host else host
            typer.echo(f"Serving on http://{shown}:{port}/v1 until Ctrl-C.")
            config = uvicorn.Config(
                served, log_level="warning", timeout_graceful_shutdown=3, lifespan="off"
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of settings; the server logs them
                try:
                    uvicorn.Server(config).run(sockets=[listener])
                except KeyboardInterrupt:
                    typer.echo("\nStopped.", err=True)
