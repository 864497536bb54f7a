"""Questions go in, events come out: text, thoughts, tool calls and results, the queue, errors."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakValueDictionary

from langchain.agents import create_agent
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.errors import GraphRecursionError

from langchain_qwen_space import ChatQwenSpace, QwenSpaceError, SpaceEvent

from . import tools
from .listing import Listing
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
    def id(self) -> str:
        """Its name in the database."""
        return f"{self.user}:{self.conversation}"

    @property
    def config(self) -> RunnableConfig:
        """How LangGraph finds it there."""
        return {"configurable": {"thread_id": self.id}, "recursion_limit": MOST_STEPS}


class Conversations:
    """Answers questions, one after the other in a conversation, many conversations at a time.

    Args:
        space: Id or URL of the Space that answers.
        memory: Where conversations and notes are kept.

    Attributes:
        listing: The titles of all conversations.
    """

    def __init__(self, space: str, memory: Memory) -> None:
        self.listing = Listing(memory.store)
        self._memory = memory.conversations
        self._agent = create_agent(
            ChatQwenSpace(space=space, on_event=_hand_on, reasoning=True),
            tools.ALL,
            system_prompt=SYSTEM,
            context_schema=tools.User,
            checkpointer=memory.conversations,
            store=memory.store,
        )
        self._turns: WeakValueDictionary[Thread, asyncio.Lock] = WeakValueDictionary()
        self._tasks: dict[asyncio.Task[None], Thread] = {}

    async def ask(
        self, thread: Thread, question: str, question_id: str | None = None
    ) -> AsyncGenerator[Event]:
        """Yields what happens. Leaving early cancels the call.

        The last event is "done", except where the call was cancelled from elsewhere.

        Args:
            thread: The conversation.
            question: What is asked.
            question_id: A name for it. A question that was asked under this name before, and
                everything after it, is replaced, so a question can be sent again safely.
        """
        message = HumanMessage(question, id=question_id)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        # A task of its own, since a web server cancels over and over what a client has left. This
        # one is cancelled once, and has the time to write down what was said until then.
        task = asyncio.create_task(self._work(thread, message, events.put_nowait))
        self._tasks[task] = thread
        task.add_done_callback(self._tasks.pop)
        try:
            while event := await events.get():
                yield event
        finally:
            task.cancel()

    async def history(self, thread: Thread) -> list[Event]:
        """What was said so far, as events."""
        return [event for said in await self._messages(thread) for event in _shown(said)]

    async def delete(self, thread: Thread) -> None:
        """Forget a conversation. An answer in progress is cancelled."""
        await self._cancel([task for task, of in self._tasks.items() if of == thread])
        async with self._turn(thread):
            await self._memory.adelete_thread(thread.id)
            await self.listing.remove(thread.user, thread.conversation)

    async def close(self) -> None:
        """Cancel everything that is being answered."""
        await self._cancel(list(self._tasks))

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _turn(self, thread: Thread) -> asyncio.Lock:
        return self._turns.setdefault(thread, asyncio.Lock())

    async def _messages(self, thread: Thread) -> list[AnyMessage]:
        state = await self._agent.aget_state(thread.config)
        messages: list[AnyMessage] = state.values.get("messages", [])
        return messages

    async def _work(
        self, thread: Thread, question: HumanMessage, emit: Callable[[Event | None], None]
    ) -> None:
        try:
            await self._attempt(thread, question, emit)
            emit(Event("done", {}))
        finally:
            emit(None)

    async def _attempt(
        self, thread: Thread, question: HumanMessage, emit: Callable[[Event], None]
    ) -> None:
        try:
            await self.listing.use(thread.user, thread.conversation, question.text)
            async with self._turn(thread):
                await self._answer(thread, question, emit)
        except QwenSpaceError as error:
            emit(Event("error", {"message": str(error)}))
        except GraphRecursionError:
            emit(Event("error", {"message": f"No answer after {MOST_STEPS} steps. Ask for less."}))
        except Exception:
            logger.exception("A question could not be answered.")
            emit(Event("error", {"message": "The service failed. Its log says why."}))

    async def _answer(
        self, thread: Thread, question: HumanMessage, emit: Callable[[Event], None]
    ) -> None:
        unfinished = ""
        replaced = itertools.dropwhile(
            lambda said: said.id != question.id, await self._messages(thread)
        )
        new: list[Any] = [*(RemoveMessage(str(said.id)) for said in replaced), question]
        try:
            async for part in self._agent.astream(
                {"messages": new},
                thread.config,
                context=tools.User(thread.user),
                stream_mode=["messages", "updates", "custom"],
                version="v2",
            ):
                if part["type"] == "messages":
                    chunk, _ = part["data"]
                    if isinstance(chunk, AIMessageChunk):
                        if thought := chunk.additional_kwargs.get("reasoning_content"):
                            emit(Event("thought", {"text": thought}))
                        if chunk.text:
                            unfinished += chunk.text
                            emit(Event("text", {"text": chunk.text}))
                elif part["type"] == "custom":
                    emit(Event("space", part["data"]))
                elif part["type"] == "updates":
                    unfinished = ""
                    for message in _messages(part["data"]):
                        for event in _shown(message):
                            emit(event)
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
        yield Event("question", {"id": message.id, "text": message.text})
    elif isinstance(message, ToolMessage):
        failed = message.status == "error"
        yield Event(
            "tool_result", {"id": message.tool_call_id, "text": message.text, "failed": failed}
        )
    elif isinstance(message, AIMessage):
        if thoughts := message.additional_kwargs.get("reasoning_content"):
            yield Event("thoughts", {"text": thoughts})
        # A Space may take back blank space that was streamed already. Then the exact text is here.
        if text := message.response_metadata.get("final_text", message.text):
            yield Event("message", {"text": text})
        for call in message.tool_calls:
            yield Event("tool_call", {"id": call["id"], "name": call["name"], "args": call["args"]})
        for broken in message.invalid_tool_calls:
            error = f"The model wrote a tool call that cannot be read: {broken['args']}"
            yield Event("error", {"message": error})
