"""A call's events (queue, notices, retries) on their way to LangChain's and LangGraph's listeners."""

import sys
import warnings
from dataclasses import asdict
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.runnables.config import ensure_config, get_callback_manager_for_config

from langchain_qwen_space.events import SpaceEvent


def dispatch(event: SpaceEvent, run_manager: CallbackManagerForLLMRun | None) -> None:
    """Hand `event` on as a LangChain custom event, and to the graph that the model runs in.

    The run manager's handlers get it. Without one, as in a model's own `stream`, those of the run
    around the model get it, if there is one: a chain's, a graph's, an agent's. What a handler
    raises is logged, or raised if its `raise_error` is set.
    """
    data = asdict(event)
    _write_to_graph(event.name, data)
    if run_manager is not None:
        handle_event(*_handled(run_manager, event.name, data), **_about(run_manager))
    elif _in_a_run():
        dispatch_custom_event(event.name, data)


async def adispatch(event: SpaceEvent, run_manager: AsyncCallbackManagerForLLMRun | None) -> None:
    """As `dispatch`, for asynchronous calls."""
    data = asdict(event)
    _write_to_graph(event.name, data)
    if run_manager is not None:
        await ahandle_event(*_handled(run_manager, event.name, data), **_about(run_manager))
    elif _in_a_run():
        await adispatch_custom_event(event.name, data)


def warn(message: str) -> None:
    """Issue a Python warning that points at the line of the caller's own code."""
    level, frame = 1, sys._getframe()  # noqa: SLF001
    while frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES:
        if frame.f_back is None:  # a thread of LangChain's, with none of the caller's code below
            level = 1
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


_LIBRARIES = frozenset(
    [
        *("langchain_qwen_space", "langchain_core", "langchain", "langgraph", "pydantic"),
        *("asyncio", "concurrent", "contextvars", "threading"),
    ]
)


def _in_a_run() -> bool:
    return get_callback_manager_for_config(ensure_config()).parent_run_id is not None


def _write_to_graph(name: str, data: dict[str, Any]) -> None:
    """Write to the stream mode `custom` of the LangGraph run around the model, if there is one."""
    graphs = sys.modules.get("langgraph.config")
    if graphs is None:
        return
    try:
        write = graphs.get_stream_writer()
    except (RuntimeError, KeyError, AttributeError):  # no graph around the model
        return
    write({"type": name, **data})


def _handled(
    run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun,
    name: str,
    data: dict[str, Any],
) -> tuple[Any, ...]:
    return run_manager.handlers, "on_custom_event", "ignore_custom_event", name, data


def _about(
    run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun,
) -> dict[str, Any]:
    return {
        "run_id": run_manager.run_id,
        "tags": run_manager.tags,
        "metadata": run_manager.metadata,
    }
