"""`LocalSpace`: a Space on this machine, for tests, demos and your own models."""

import asyncio
import importlib
import pickle
import threading
from types import TracebackType
from typing import Self, cast

from langchain_qwen_space.errors import InvalidInputError, QwenSpaceError
from langchain_qwen_space.local.answers import Answerer
from langchain_qwen_space.local.demo import PACE, demo
from langchain_qwen_space.local.server import HOST, Settings
from langchain_qwen_space.local.server_process import ServerProcess
from langchain_qwen_space.local.serving import MAX_FILE_SIZE


class LocalSpace:
    """A real Gradio server on this machine with the layout of `Qwen/Qwen2.5`.

    It runs in a separate process and listens on the loopback interface only. It stops at the end of
    the `with` block, or at the latest when this object is garbage-collected or this process ends,
    however that happens:

    ```python
    with LocalSpace() as space:
        model = ChatQwenSpace(space=space.url)
    ```

    Args:
        answer: The function that answers, `(system, history, query, model)`. It yields the text so
            far at each step, as Gradio's functions do. `system` is the system prompt, `history` the
            earlier turns as (user, assistant) pairs of text, `query` the question, and `model` the
            model's name, such as "qwen2.5-72b-instruct". If it has a parameter `files`, the page
            accepts files, and `files` is a list of paths for each user turn, the question's last; its
            attribute `file_types` limits them, for instance to `["image", ".pdf"]`. It may also be
            given as "module:function". It runs in the server's process, in several threads. It is
            sent there with cloudpickle, so it may be a lambda or a function of a notebook; without
            cloudpickle, it must be importable. When a caller disconnects, its generator is closed at
            the next `yield`.
        port: The port to listen on; by default a free one.
        concurrency: How many answers are generated at the same time. Other callers wait in the queue.
        max_queue: How many callers may wait; by default any number. Further calls are refused.
        max_file_size: Largest size of an attached file, in bytes; by default 64 MiB. None is no limit.
        auth: User name and password that the Space requires.
        show_error: Send the messages of exceptions to the caller. Most public Spaces do not.
        revises: Let Gradio re-indent texts while they grow, as it does on the public Space. False
            sends every text exactly as it was yielded.
        pace: Seconds to wait between two chunks; by default 0.025 for the built-in demo, and none
            for your own function.
        start_timeout: How long the start may take, in seconds.

    Raises:
        InvalidInputError: `answer` cannot be sent to another process, or a number is out of range.
    """

    def __init__(
        self,
        answer: Answerer | str = demo,
        *,
        port: int | None = None,
        concurrency: int = 5,
        max_queue: int | None = None,
        max_file_size: int | None = MAX_FILE_SIZE,
        auth: tuple[str, str] | None = None,
        show_error: bool = False,
        revises: bool = True,
        pace: float | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        if pace is None:
            pace = PACE if answer is demo else 0.0
        for name, value, least in (
            ("port", port, 0),
            ("concurrency", concurrency, 1),  # with 0, every call would wait forever
            ("max_queue", max_queue, 1),
            ("max_file_size", max_file_size, 1),
            ("pace", pace, 0),
            ("start_timeout", start_timeout, 0),
        ):
            if value is not None and value < least:
                raise InvalidInputError(f"{name} must be at least {least}, not {value}.")
        self._settings = Settings(
            answer=_portable(answer),
            port=port or 0,
            concurrency=concurrency,
            max_queue=max_queue,
            max_file_size=max_file_size,
            auth=auth,
            show_error=show_error,
            revises=revises,
            pace=pace,
        )
        self._start_timeout = start_timeout
        self._process: ServerProcess | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address, "http://127.0.0.1:PORT".

        Raises:
            QwenSpaceError: The Space is not running.
        """
        return f"http://{HOST}:{self._running.port}"

    @property
    def log(self) -> str:
        """The last 64 KiB of the output of the server, including that of `answer`.

        Raises:
            QwenSpaceError: The Space is not running.
        """
        return self._running.log

    @property
    def _running(self) -> ServerProcess:
        if self._process is None:
            raise QwenSpaceError(
                "The local Space is not running. Start it: `with LocalSpace() as space:`"
            )
        return self._process

    def start(self) -> Self:
        """Start the server and wait until it responds. Does nothing if it is already running.

        Raises:
            ImportError: Gradio is not installed.
            InvalidInputError: The port is in use, or `answer` cannot be loaded there.
            SpaceUnavailableError: The server did not start. The message quotes its output.
        """
        with self._lock:
            if self._process is None:
                self._process = ServerProcess(self._settings, self._start_timeout)
        return self

    def stop(self) -> None:
        """Stop the server immediately. Does nothing if it is not running."""
        with self._lock:
            if self._process is not None:
                self._process.end()
                self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            return await asyncio.to_thread(self.start)
        except asyncio.CancelledError:
            # The start continues in its thread, and nobody will leave the block that it was for.
            threading.Thread(target=self.stop).start()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)


def _portable(answer: Answerer | str) -> bytes | str:
    """What answers, in a form that another process can load."""
    if isinstance(answer, str) and ":" in answer:
        return answer
    if not callable(answer):
        raise InvalidInputError(
            f'`answer` must be a function or "module:function", not {answer!r}.'
        )
    try:
        try:
            pickler = importlib.import_module("cloudpickle")
        except ImportError:
            pickler = pickle
        return cast("bytes", pickler.dumps(answer))
    except Exception as error:
        raise InvalidInputError(
            f"`answer` cannot be sent to the local Space's process: {error}. Define it at the top "
            "level of an importable module, or install cloudpickle, which can send functions of "
            "scripts and notebooks. Load a model inside the function, not before."
        ) from error
