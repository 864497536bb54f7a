"""The process of a `LocalSpace`: it serves the page until the process that started it is gone."""

import os
import pickle
import pkgutil
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import BinaryIO, cast

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local import serving
from langchain_qwen_space.local.answers import Answerer

HOST = "127.0.0.1"
# Seconds between two looks at whether the parent still lives. Its end is seen at once by the pipe,
# except where a fork of the parent holds the pipe open.
_PARENT_CHECK_INTERVAL = 1.0


@dataclass(frozen=True)
class Settings:
    """What a `LocalSpace` sends to its process. `answer` is pickled, or "module:function"."""

    answer: bytes | str
    port: int
    concurrency: int
    max_queue: int | None
    max_file_size: int | None
    auth: tuple[str, str] | None
    show_error: bool
    revises: bool
    pace: float


def main() -> None:
    """Read `Settings` from standard input, report on standard output, serve.

    The report is one pickle: the port that is being listened on, or the error to raise.
    """
    parent = os.getppid()
    # Ctrl-C, and a notebook's "interrupt", reach every process of the group. They are not for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed here goes to the log
    settings: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301  our own parent wrote it
    threading.Thread(target=_serve_to_the_end, args=(settings, report), daemon=True).start()
    _wait_for_the_end_of(parent)
    os._exit(0)  # without waiting for answers that are being written


def _wait_for_the_end_of(parent: int) -> None:
    closed = threading.Event()

    def read_to_the_end() -> None:
        sys.stdin.buffer.read()
        closed.set()

    threading.Thread(target=read_to_the_end, daemon=True).start()
    while os.getppid() == parent and not closed.wait(_PARENT_CHECK_INTERVAL):
        pass


def _serve_to_the_end(settings: Settings, report: BinaryIO) -> None:
    try:
        _serve(settings, report)
    except (ImportError, InvalidInputError) as error:
        _send(report, error)
    except Exception:
        traceback.print_exc()
    os._exit(1)


def _serve(settings: Settings, report: BinaryIO) -> None:
    # The slowest last, so that errors come early.
    listener = serving.listen(HOST, settings.port)
    answer = _load(settings.answer)
    serving.check_gradio()

    from langchain_qwen_space.local.qwen_page import build

    page = build(
        answer, concurrency=settings.concurrency, revises=settings.revises, pace=settings.pace
    )
    server = serving.server(
        page,
        max_queue=settings.max_queue,
        max_file_size=settings.max_file_size,
        auth=settings.auth,
        show_error=settings.show_error,
    )
    _send(report, listener.getsockname()[1])
    server.run(sockets=[listener])


def _load(answer: bytes | str) -> Answerer:
    try:
        loaded = pkgutil.resolve_name(answer) if isinstance(answer, str) else pickle.loads(answer)  # noqa: S301  our own parent wrote it
    except Exception as error:
        traceback.print_exc()
        raise InvalidInputError(
            "`answer` cannot be loaded in the local Space's process: "
            f"{type(error).__name__}: {error}. Define it at the top level of an importable module, "
            "or install cloudpickle, which can send functions of scripts and notebooks."
        ) from None
    return cast("Answerer", loaded)


def _send(report: BinaryIO, message: int | Exception) -> None:
    with report:
        pickle.dump(message, report)
