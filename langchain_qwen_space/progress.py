"""Shows a person how long the wait for a Space is."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from langchain_core.callbacks import BaseCallbackHandler

from langchain_qwen_space.events import SpaceEvent


class QueueProgressCallbackHandler(BaseCallbackHandler):
    """Shows the queue position in a line in a terminal or a notebook, and removes it at the end.

    ```python
    progress = QueueProgressCallbackHandler()
    ChatQwenSpace(on_event=progress)                        # a bare model, on every path
    chain.invoke(..., config={"callbacks": [progress]})     # or in chains, graphs, agents
    ```

    Args:
        stream: Where to write; standard error by default. If it is neither a terminal nor a
            notebook, nothing is written.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._most = 0
        self._display: Any = None
        self._shown = False

    def __call__(self, event: SpaceEvent) -> None:
        """Take an event, as `on_event` of a model."""
        self._update(event.name, asdict(event))

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        """Take an event, as a LangChain callback handler."""
        if isinstance(data, Mapping):
            self._update(name, data)

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        """The answer has begun."""
        self.clear()

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """The answer is complete."""
        self.clear()

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """The call failed."""
        self.clear()

    def clear(self) -> None:
        """Take the line away."""
        self._most = 0
        if self._shown:
            self._show("")
            self._shown = False

    def _update(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "qwen_space_queue":
            self._show(self._queue(data))
        elif name == "qwen_space_wake":
            self._show(f"The Space is waking up ({str(data.get('stage', '')).lower()}) …")
        elif name == "qwen_space_retry":
            self._show(f"Trying again in {float(data.get('delay') or 0):.0f} s …")
        elif name == "qwen_space_upload":
            share = float(data.get("sent") or 0) / max(1, data.get("size") or 1)
            self._show(f"Sending {data.get('file')} … {share:.0%}")
        elif name == "qwen_space_start":
            self.clear()

    def _queue(self, data: Mapping[str, Any]) -> str:
        rank, eta = max(0, int(data.get("rank") or 0)), data.get("eta")
        self._most = max(self._most, rank + 1)
        width = 20
        done = round(width * (self._most - rank) / (self._most + 1))
        wait = f", about {eta:.0f} s" if isinstance(eta, int | float) else ""
        place = "next" if rank == 0 else f"{rank} before you"
        return f"Waiting for the Space [{'=' * done}{' ' * (width - done)}] {place}{wait}"

    def _show(self, text: str) -> None:
        stream = self._stream or sys.stderr
        if stream.isatty():
            most = shutil.get_terminal_size().columns - 1  # only one row can be cleared
            stream.write(f"\r\x1b[2K{text[:most]}")  # \x1b[2K clears the line (ECMA-48, EL)
            stream.flush()
            self._shown = True
        elif _in_notebook():
            from IPython import display

            content = {"text/plain": text}
            if self._display is None:
                self._display = display.display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
            else:
                self._display.update(content, raw=True)
            self._shown = True


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel, whose standard error is not a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
