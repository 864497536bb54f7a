# ruff: noqa: T201  it is a command
"""Start the service: ``python -m examples.agent_backend``, then open the address it prints."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from langchain_qwen_space import QwenSpaceError
from langchain_qwen_space.local import LocalSpace
from langchain_qwen_space.local.serving import listen

from .app import create_app

DATABASE_URL = f"sqlite:///{Path(__file__).with_name('agent.db')}"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  hosts that stand for every address of this machine


class Server(uvicorn.Server):
    """Says when it is ready, and cancels the answers in progress before it waits for their end.

    Args:
        app: What `create_app` made.
        ready: Called once requests are answered.
    """

    def __init__(self, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer requests."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop at once; an open page is not waited for."""
        await self._app.state.conversations.close()
        await super().shutdown(sockets)


def main() -> int:
    """Run until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(description="A page on which you talk with an agent.")
    parser.add_argument("--space", help="id or URL of a Space; by default one is started here")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="0.0.0.0 accepts connections from other machines; there is no login",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    arguments = parser.parse_args()
    # A process manager's request to stop is handled as Ctrl-C is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _serve(arguments.space, arguments.host, arguments.port)
    except KeyboardInterrupt:
        return 0
    except (ImportError, ValueError, QwenSpaceError) as error:
        print(error, file=sys.stderr)
        return 1


def _serve(space: str | None, host: str, port: int) -> int:
    with ExitStack() as stack:
        # First, since all that is slow comes after it.
        listener = stack.enter_context(listen(host, port, "service"))
        note = None
        if space is None:
            print("Starting a Space on this machine. A demo answers, not a model ...", flush=True)
            space = stack.enter_context(LocalSpace()).url
            note = "A demo on this machine answers, not a language model."
        app = create_app(
            space=space,
            note=note,
            database_url=os.environ.get("DATABASE_URL", DATABASE_URL),
        )
        server = Server(
            app,
            ready=lambda: print(_where(host, listener.getsockname()[1]), flush=True),
        )
        server.run([listener])
        return 0 if server.started else 1


def _where(host: str, port: int) -> str:
    if host in EVERYWHERE:
        return (
            f"Open http://127.0.0.1:{port}/ here, or http://{socket.gethostname()}:{port}/ on "
            "another machine. Ctrl-C stops it."
        )
    return f"Open http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops it)"


if __name__ == "__main__":
    sys.exit(main())
