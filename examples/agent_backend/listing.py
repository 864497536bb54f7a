"""Which conversations a user has: their titles, and when they were last used."""

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from langgraph.store.base import BaseStore

from .memory import ALL

LONGEST_TITLE = 60


@dataclass(frozen=True)
class Entry:
    """One conversation in the list. `used` is a time in UTC, as ISO 8601 writes it."""

    id: str
    title: str
    used: str


class Listing:
    """The list of each user's conversations.

    Args:
        store: Where it is kept.
    """

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        self._lock = asyncio.Lock()  # a title is read and written back

    async def of(self, user: str) -> list[Entry]:
        """The conversations of a user, the last used first."""
        found = await self._store.asearch(_place(user), limit=ALL)
        entries = [Entry(**item.value) for item in found]
        return sorted(entries, key=lambda entry: entry.used, reverse=True)

    async def use(self, user: str, conversation: str, question: str) -> None:
        """Note that a question was asked. The first one becomes the title."""
        async with self._lock:
            known = await self._store.aget(_place(user), conversation)
            title = known.value["title"] if known else _title(question)
            entry = Entry(conversation, title, datetime.now(UTC).isoformat())
            await self._store.aput(_place(user), conversation, asdict(entry))

    async def rename(self, user: str, conversation: str, title: str) -> bool:
        """Give a conversation another title; False if there is no such conversation."""
        async with self._lock:
            known = await self._store.aget(_place(user), conversation)
            if known is not None:
                changed = {**known.value, "title": title}
                await self._store.aput(_place(user), conversation, changed)
            return known is not None

    async def remove(self, user: str, conversation: str) -> None:
        """Take a conversation off the list."""
        async with self._lock:
            await self._store.adelete(_place(user), conversation)


def _place(user: str) -> tuple[str, str]:
    return user, "conversations"


def _title(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1].rstrip()}…"
