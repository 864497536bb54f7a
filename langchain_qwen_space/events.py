"""The events of a call: queue positions, notices, progress, retries.

The `SpaceEvent` classes describe everything that happens to a call except its text. `parse` decodes
one event of Gradio's protocols `sse_v1` to `sse_v3` (Gradio 4 to 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson


@dataclass(frozen=True, slots=True)
class SpaceEvent:
    """Something that happened to a call. `name` is also its LangChain custom event's name."""

    name: ClassVar[str] = "qwen_space_event"


@dataclass(frozen=True, slots=True)
class QueueEvent(SpaceEvent):
    """The call is waiting in the Space's queue.

    Attributes:
        rank: The number of calls ahead of this one; 0 is next.
        queue_size: The number of calls in this function's queue.
        eta: The Space's estimate of the seconds until the answer is complete, or None.
    """

    name: ClassVar[str] = "qwen_space_queue"
    rank: int
    queue_size: int
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class StartEvent(SpaceEvent):
    """The Space started to run the call; `eta` as in `QueueEvent`."""

    name: ClassVar[str] = "qwen_space_start"
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class NoticeEvent(SpaceEvent):
    """A message that the app shows its users. `level`: info, warning, success or error."""

    name: ClassVar[str] = "qwen_space_notice"
    message: str
    level: str = "info"
    title: str | None = None


@dataclass(frozen=True, slots=True)
class ProgressEvent(SpaceEvent):
    """The app reports progress. `done` of `total` in `unit`, or a fraction `progress` (0 to 1)."""

    name: ClassVar[str] = "qwen_space_progress"
    description: str | None = None
    done: float | None = None
    total: float | None = None
    unit: str | None = None
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class RetryEvent(SpaceEvent):
    """The call failed before its first chunk; try number `attempt` begins in `delay` seconds."""

    name: ClassVar[str] = "qwen_space_retry"
    error: str
    delay: float
    attempt: int


@dataclass(frozen=True, slots=True)
class CorrectionEvent(SpaceEvent):
    """The answer has no usable tool call, and the model is asked once more. `problem`: in what words."""

    name: ClassVar[str] = "qwen_space_correction"
    problem: str


@dataclass(frozen=True, slots=True)
class UploadEvent(SpaceEvent):
    """A file of the messages is being sent to the Space: `sent` of `size` bytes so far."""

    name: ClassVar[str] = "qwen_space_upload"
    file: str
    sent: int
    size: int


@dataclass(frozen=True, slots=True)
class WakeEvent(SpaceEvent):
    """The Space is asleep or starting, and the call waits. `stage` is as in the Hub API."""

    name: ClassVar[str] = "qwen_space_wake"
    stage: str


@dataclass(frozen=True, slots=True)
class RevisedEvent(SpaceEvent):
    """The Space revised text that it had sent; the last chunk holds the exact text."""

    name: ClassVar[str] = "qwen_space_revised"


@dataclass(frozen=True, slots=True)
class SystemInQuestionEvent(SpaceEvent):
    """The Space has no input for a system prompt, so it is sent at the beginning of the first turn."""

    name: ClassVar[str] = "qwen_space_system_in_question"


@dataclass(frozen=True, slots=True)
class WarningEvent(SpaceEvent):
    """A setting cannot be applied as given. Also issued once as a Python warning."""

    name: ClassVar[str] = "qwen_space_warning"
    message: str


@dataclass(slots=True)  # not frozen: one is made of every event, and freezing doubles its price
class Message:
    """One event of the wire. `body` is the whole JSON object."""

    msg: str
    event_id: str | None
    body: Mapping[str, Any] = field(repr=False)


def parse(data: bytes) -> Message:
    """Read one event.

    Raises:
        ValueError: The data is not a JSON object with a `msg`.
    """
    body = orjson.loads(data)
    if not isinstance(body, dict) or not isinstance(msg := body.get("msg"), str):
        raise ValueError("not an object with a msg")
    event_id = body.get("event_id")
    return Message(msg, event_id if isinstance(event_id, str) else None, body)


def space_events(message: Message) -> list[SpaceEvent]:
    """Returns the events that a message of the stream reports: none, one, or several (progress bars)."""
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
