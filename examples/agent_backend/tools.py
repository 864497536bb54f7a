"""What the agent can do. Replace these with tools of your own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4
from zoneinfo import ZoneInfo, available_timezones

from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool, tool
from langgraph.store.base import BaseStore

from . import memory

PAGE = 100


@dataclass(frozen=True)
class User:
    """Who asks. The model neither sees nor chooses it: tools get it from the service."""

    id: str


@tool
def calculate(
    left: float, operation: Literal["plus", "minus", "times", "divided by"], right: float
) -> str:
    """Calculate with two numbers."""
    if operation == "divided by" and right == 0:
        return "Nothing can be divided by zero."
    result = {
        "plus": lambda: left + right,
        "minus": lambda: left - right,
        "times": lambda: left * right,
        "divided by": lambda: left / right,
    }[operation]()
    return f"{result:.12g}"


@tool
def clock(place: str) -> str:
    """Tell the time that it is now in a city, or in a time zone such as UTC or Europe/Paris."""
    wanted = place.strip().replace(" ", "_").lower()
    for zone in sorted(available_timezones()):
        if zone.lower() == wanted or zone.lower().endswith(f"/{wanted}"):
            return f"{datetime.now(ZoneInfo(zone)):%A, %d %B %Y, %H:%M} ({zone})"
    return f"No time zone is known for {place!r}. Name a big city near it."


@tool
async def save_note(text: str, runtime: ToolRuntime[User, Any]) -> str:
    """Save a note for the user. It is kept for good, in all conversations."""
    await _store(runtime).aput(_notes(runtime), uuid4().hex, {"text": text})
    return "Saved."


@tool
async def list_notes(runtime: ToolRuntime[User, Any], page: int = 1) -> str:
    """List the notes that the user saved, the newest first. A page holds 100 of them."""
    newest_first = await _store(runtime).asearch(_notes(runtime), limit=memory.ALL)
    pages = -(-len(newest_first) // PAGE)
    if not pages:
        return "There are no notes."
    if not 1 <= page <= pages:
        return f"There is no page {page}; the last one is {pages}."
    shown = newest_first[PAGE * (page - 1) : PAGE * page]
    lines = [f"- {note.value['text']}" for note in shown]
    if pages > 1:
        lines.append(f"(page {page} of {pages}; there are {len(newest_first)} notes)")
    return "\n".join(lines)


ALL: list[BaseTool] = [calculate, clock, save_note, list_notes]


def _store(runtime: ToolRuntime[User, Any]) -> BaseStore:
    assert runtime.store is not None  # noqa: S101  the agent is made with one
    return runtime.store


def _notes(runtime: ToolRuntime[User, Any]) -> tuple[str, str]:
    return runtime.context.id, "notes"
