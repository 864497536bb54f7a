"""The events of a call: queue positions, notices, progress, retries.

The `SpaceEvent` classes describe everything that happens to a call except its text. Those that the
Space itself reports are made in `space.wire.server_messages`.
"""

from dataclasses import dataclass
from typing import ClassVar


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
    """The call failed before its first text; attempt number `attempt` begins in `delay` seconds."""

    name: ClassVar[str] = "qwen_space_retry"
    error: str
    delay: float
    attempt: int


@dataclass(frozen=True, slots=True)
class CorrectionEvent(SpaceEvent):
    """The answer has no usable tool call, and the model is asked once more with `problem`."""

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
    """Something cannot be sent or set as it was given. Also issued once as a Python warning."""

    name: ClassVar[str] = "qwen_space_warning"
    message: str
