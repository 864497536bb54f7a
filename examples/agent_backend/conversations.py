"""Questions go in, events come out: text, tool calls, their results, the queue, errors."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakValueDictionary

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.errors import GraphRecursionError

from langchain_qwen_space import ChatQwenSpace, QwenSpaceError, SpaceEvent

from . import tools
from .memory import Memory

SYSTEM = (
    "You are a helpful assistant. Answer briefly. Use the tools to calculate, to tell the time and "
    "to keep the user's notes."
)
# Steps of the graph: a model's answer is one, and so are the tools that it calls.
MOST_STEPS = 25

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something to show: `kind` says what, and is the name of the server-sent event."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Thread:
    """One conversation of one user."""

    user: str
    conversation: str

    @property
    def config(self) -> RunnableConfig:
        """How LangGraph finds the conversation in the database."""
        thread_id = f"{self.user}:{self.conversation}"
        return {"configurable": {"thread_id": thread_id}, "recursion_limit": MOST_STEPS}


class Conversations:
    """Answers questions, one after the other in a conversation, many conversations at a time.

    Args:
        space: Id or URL of the Space that answers.
        memory: Where conversations and notes are kept.
    """

    def __init__(self, space: str, memory: Memory) -> None:
        self._agent = create_agent(
            ChatQwenSpace(space=space, on_event=_hand_on),
            tools.ALL,
            system_prompt=SYSTEM,
            context_schema=tools.User,
            checkpointer=memory.conversations,
            store=memory.notes,
        )
        self._turns: WeakValueDictionary[Thread, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, thread: Thread, question: str) -> AsyncGenerator[Event]:
        """Yields what happens until the answer is complete. Leaving early cancels the call."""
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        # A task of its own, since a web server cancels over and over what a client has left. This
        # one is cancelled once, and has the time to write down what was said until then.
        task = asyncio.create_task(self._work(thread, question, events.put_nowait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while event := await events.get():
                yield event
        finally:
            task.cancel()

    async def history(self, thread: Thread) -> list[Event]:
        """What was said so far, as events."""
        state = await self._agent.aget_state(thread.config)
        return [event for message in state.values.get("messages", []) for event in _shown(message)]

    async def close(self) -> None:
        """End all that is being answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(
        self, thread: Thread, question: str, tell: Callable[[Event | None], None]
    ) -> None:
        try:
            turn = self._turns.setdefault(thread, asyncio.Lock())
            async with turn:
                await self._answer(thread, question, tell)
        except QwenSpaceError as error:
            tell(Event("error", {"message": str(error)}))
        except GraphRecursionError:
            tell(Event("error", {"message": f"No answer after {MOST_STEPS} steps. Ask for less."}))
        except Exception:
            logger.exception("A question could not be answered.")
            tell(Event("error", {"message": "The service failed. Its log says why."}))
        finally:
            tell(None)

    async def _answer(self, thread: Thread, question: str, tell: Callable[[Event], None]) -> None:
        unfinished = ""
        try:
            async for part in self._agent.astream(
                {"messages": [HumanMessage(question)]},
                thread.config,
                context=tools.User(thread.user),
                stream_mode=["messages", "updates", "custom"],
                version="v2",
            ):
                if part["type"] == "messages":
                    chunk, _ = part["data"]
                    if isinstance(chunk, AIMessageChunk) and chunk.text:
                        unfinished += chunk.text
                        tell(Event("text", {"text": chunk.text}))
                elif part["type"] == "custom":
                    tell(Event("space", part["data"]))
                elif part["type"] == "updates":
                    unfinished = ""
                    for message in _messages(part["data"]):
                        for event in _shown(message):
                            tell(event)
        except (asyncio.CancelledError, QwenSpaceError):
            if unfinished:
                cut = {"messages": [AIMessage(unfinished)]}
                await self._agent.aupdate_state(thread.config, cut, as_node="model")
            raise


def _hand_on(event: SpaceEvent) -> None:
    """Put an event of a call on a Space into the stream of the agent that makes the call."""
    get_stream_writer()({"name": event.name, **asdict(event)})


def _messages(update: dict[str, Any]) -> list[AnyMessage]:
    return [message for change in update.values() for message in (change or {}).get("messages", [])]


def _shown(message: AnyMessage) -> Iterator[Event]:
    """A whole message as events."""
    if isinstance(message, HumanMessage):
        yield Event("question", {"text": message.text})
    elif isinstance(message, ToolMessage):
        yield Event("tool_result", {"id": message.tool_call_id, "text": message.text})
    elif isinstance(message, AIMessage):
        # A Space may take back blank space that was streamed already. Then the exact text is here.
        if text := message.response_metadata.get("final_text", message.text):
            yield Event("message", {"text": text})
        for call in message.tool_calls:
            yield Event("tool_call", dict(call))
        for broken in message.invalid_tool_calls:
            yield Event("error", {"message": f"The model made no sense: {broken['args']}"})
