"""Server messages of Gradio's protocols `sse_v1` to `sse_v3` (Gradio 4 to 6), and the events in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from langchain_qwen_space.events import (
    NoticeEvent,
    ProgressEvent,
    QueueEvent,
    SpaceEvent,
    StartEvent,
)


@dataclass(slots=True)  # not frozen: one is made of every message, and freezing doubles its price
class ServerMessage:
    """One message of a stream. `body` is the whole JSON object."""

    msg: str
    event_id: str | None
    body: Mapping[str, Any] = field(repr=False)


def parse(data: bytes) -> ServerMessage:
    """Read one message.

    Raises:
        ValueError: The data is not a JSON object with a `msg`.
    """
    body = orjson.loads(data)
    if not isinstance(body, dict) or not isinstance(msg := body.get("msg"), str):
        raise ValueError("not an object with a msg")
    event_id = body.get("event_id")
    return ServerMessage(msg, event_id if isinstance(event_id, str) else None, body)


def space_events(message: ServerMessage) -> list[SpaceEvent]:
    """Returns the events that a message reports: none, one, or several (progress bars)."""
    body = message.body
    if message.msg == "estimation":
        return [
            QueueEvent(
                _int(body.get("rank")), _int(body.get("queue_size")), _float(body.get("rank_eta"))
            )
        ]
    if message.msg == "process_starts":
        return [StartEvent(_float(body.get("eta")))]
    if message.msg == "log":
        return [
            NoticeEvent(
                _str(body.get("log")) or "",
                _str(body.get("level")) or "info",
                _str(body.get("title")),
            )
        ]
    if message.msg == "progress":
        units = body.get("progress_data")
        return [
            ProgressEvent(
                _str(unit.get("desc")),
                _float(unit.get("index")),
                _float(unit.get("length")),
                _str(unit.get("unit")),
                _float(unit.get("progress")),
            )
            for unit in (units if isinstance(units, list) else ())
            if isinstance(unit, dict)
        ]
    return []


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _str(value: object) -> str | None:
    return value if isinstance(value, str) else None
