"""What a call asks of a Space, and how it is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.space.chat.chatbot import History
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.finding import Wanted


@dataclass(frozen=True, slots=True)
class SpaceOptions:
    """How a call is made. Times are in seconds, None is without limit.

    Attributes:
        timeout: The longest silence of the Space.
        queue_timeout: The longest wait for a slot and in the Space's queue.
        total_timeout: The longest that the whole call may take.
        wake_timeout: How long a Space that is asleep or starting is waited for.
        max_retries: How often a call that failed before its first text is retried.
        max_concurrency: How many calls are on the Space at the same time.
        join_fragments: Whether text that arrives together is joined.
        max_reply_bytes: The largest size of one event, in bytes, and of one answer, in characters.
        max_config_bytes: The most that the Space's `/config` may hold.
        start: The function that the page's event calls, by name or number.
        api_name: The function that answers, by its name on the Space's API page.
        inputs: (role, label or index) pairs that settle which input is what.
        history: How earlier turns travel: "turns", "text" (in the question), or None: as turns where
            the page is known to take them from a client.
    """

    timeout: float | None = 60.0
    queue_timeout: float | None = None
    total_timeout: float | None = None
    wake_timeout: float = 120.0
    max_retries: int = 2
    max_concurrency: int | None = None
    join_fragments: bool = True
    max_reply_bytes: int = 16 * 2**20
    max_config_bytes: int = 16 * 2**20
    start: str | int | None = None
    api_name: str | None = None
    inputs: tuple[tuple[str, str | int], ...] = ()
    history: Literal["turns", "text"] | None = None

    @property
    def wanted(self) -> Wanted:
        """What the caller settled of the chat."""
        return Wanted(self.start, self.api_name, dict(self.inputs))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the question, earlier turns, values by role, values by label.

    `files` are those of each turn, the question's last, or empty where there are none at all.
    `system_in_question` says that the system prompt opens the first turn.
    `notes` say what could not be laid out as it was given, each to follow the Space's name.
    `check` raises if a long prompt cannot be sent; it takes too long for the event loop's thread.
    """

    query: str
    history: History = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    system_in_question: bool = False
    files: Sequence[Sequence[Attachment]] = ()
    check: Callable[[], None] | None = None


Prepare = Callable[[str, Endpoint], Question]
"""Makes what is asked of a Space (its id or URL), whose chat is found."""
