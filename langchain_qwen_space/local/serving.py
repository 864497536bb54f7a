"""How a page is served: port, login, queue. It runs where Gradio is."""

import errno
import os
import socket
from typing import TYPE_CHECKING

from langchain_qwen_space.errors import InvalidInputError

if TYPE_CHECKING:
    import gradio
    import uvicorn

MAX_FILE_SIZE = 64 * 2**20
"""How many bytes a file may have that is attached on a page, unless more are allowed."""


def listen(host: str, port: int, server: str = "local Space") -> socket.socket:
    """Listen on a port of this machine; 0 is a free one. `server` is what messages call it.

    Raises:
        InvalidInputError: The port is in use, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python repeats the address there
        advice = ""
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            advice = " Stop what uses the port, or choose another one; 0 takes a free one."
        raise InvalidInputError(
            f"The {server} cannot listen on port {port} of {host}: {reason}.{advice}"
        ) from None


def check_gradio() -> None:
    """Load Gradio, which is to send no statistics from here.

    Raises:
        ImportError: It is not installed; the message says how to.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ImportError(
            "A local Space needs Gradio, which is not installed. "
            'Install it: pip install "langchain-qwen-space[local]"'
        ) from None


def server(
    page: "gradio.Blocks",
    *,
    max_queue: int | None,
    max_file_size: int | None,
    auth: tuple[str, str] | None,
    show_error: bool,
) -> "uvicorn.Server":
    """The server of a page, to be run on a socket that listens.

    Args:
        page: What `build` of `page` or `chat_page` made.
        max_queue: How many callers may wait; None is any number.
        max_file_size: How many bytes an attached file may have; None is any number.
        auth: User name and password that it asks for.
        show_error: Whether the texts of all exceptions are sent to callers.
    """
    import gradio
    import uvicorn
    from fastapi import FastAPI

    page.queue(max_size=max_queue)
    # Not page.launch(): it chooses its port itself, and asks itself for a page by a client that
    # would go through a proxy.
    app = gradio.mount_gradio_app(
        FastAPI(),
        page,
        "/",
        auth=auth,
        show_error=show_error,
        ssr_mode=False,
        max_file_size=max_file_size,
    )
    # Gradio refuses a value that names a file of this machine which nobody uploaded, but only on pages
    # that it knows to be served.
    page.has_launched = True
    return uvicorn.Server(uvicorn.Config(app, log_level="warning"))
