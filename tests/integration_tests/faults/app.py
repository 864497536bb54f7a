"""A plain Gradio chat: prints its port and serves until its standard input ends."""

import sys
from collections.abc import Iterator

import gradio

from tests.integration_tests.faults.notes import answer


def chat(message: str, history: list[dict[str, object]]) -> Iterator[str]:
    yield from answer("", [], message, "")


if __name__ == "__main__":
    app = gradio.ChatInterface(chat)
    app.launch(server_name="127.0.0.1", quiet=True, prevent_thread_lock=True)
    sys.stdout.write(f"{app.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
