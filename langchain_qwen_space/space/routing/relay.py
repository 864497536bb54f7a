"""One call that may go to any of several Spaces, and moves on to the next when one fails."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from langchain_qwen_space.errors import (
    ContextTooLongError,
    GenerationError,
    InvalidInputError,
    QwenSpaceError,
    SpaceTimeoutError,
    UnknownModelError,
)
from langchain_qwen_space.events import (
    QueueEvent,
    RetryEvent,
    SpaceEvent,
    StartEvent,
    WarningEvent,
)
from langchain_qwen_space.space.routing.call import Call, Finished, Item
from langchain_qwen_space.space.routing.choice import Choice, Place, Standing, choice_for
from langchain_qwen_space.space.routing.client import Prepare, SpaceClient
from langchain_qwen_space.space.routing.retries import Retries

_OF_THE_CALL = (InvalidInputError, UnknownModelError, ContextTooLongError)  # wrong on every Space


class Relay:
    """One call on one of several Spaces. Iterate over `run()` as over a `Call`'s.

    Args:
        clients: The Spaces, with the same options.
        prepare: Makes what is asked, once a Space and its endpoint are known.
        end: The loop's time at which `total_timeout` is up; None is without limit.

    Attributes:
        call: The call on the Space that was tried last, which is the one that answered.
    """

    call: Call

    def __init__(
        self, clients: Sequence[SpaceClient], prepare: Prepare, end: float | None = None
    ) -> None:
        self._clients = clients
        self._prepare = prepare
        self._end = end
        self._options = clients[0].options
        accesses = tuple(client.access for client in clients)
        self._choice = choice_for(accesses, self._options.max_concurrency)

    async def run(self) -> AsyncGenerator[list[Item]]:
        """Make the call and yield what arrives, as `Call.run` does.

        Until the first text, a call whose Space fails moves on to another at once, as often as
        there are others; after that each further try is one of `max_retries`, with its delay.

        Raises:
            QwenSpaceError: The last Space's error; its notes hold the earlier ones.
        """
        choice, end = self._choice, self._end
        retries = Retries(self._options.max_retries)
        tried: list[Standing] = []
        notes: list[str] = []
        while True:
            place = await self._place(tried, end)
            try:
                self.call = self._call_on(place, end)
                async with aclosing(self.call.run()) as batches:
                    async for batch in batches:
                        if not place.spoke:
                            _tell(choice, place, batch)
                        yield batch
                return
            except QwenSpaceError as error:
                for note in notes:
                    error.add_note(note)
                late = end is not None and asyncio.get_running_loop().time() >= end
                if isinstance(error, _OF_THE_CALL) or self.call.over or late:
                    raise
                choice.failed(place, error)
                if place.spoke:
                    raise
                tried.append(place.space)
                if len(tried) < len(self._clients) and choice.others(place.space):
                    pause = 0.0
                else:
                    pause = retries.after(error)
                    if end is not None and asyncio.get_running_loop().time() + pause > end:
                        raise
                notes.append(f"Before, on another Space: {error}")
                events = _told(error, pause, len(tried))
            finally:
                choice.leave(place)
            yield events
            await asyncio.sleep(pause)

    async def _place(self, tried: Sequence[Standing], end: float | None) -> Place:
        try:
            async with asyncio.timeout_at(end):
                return await self._choice.place(tried)
        except TimeoutError:
            names = ", ".join(client.access.space for client in self._clients)
            total = self._options.total_timeout
            msg = f"None of the Spaces {names} had room for the call within {total} seconds. "
            raise SpaceTimeoutError(msg + "Raise total_timeout=… or ask for less.") from None

    def _call_on(self, place: Place, end: float | None) -> Call:
        """The call on one Space: tried once, and not waited for if it sleeps while others are up."""
        client, options = self._clients[place.space.index], self._options
        awake = self._choice.others(place.space)
        options = replace(
            options, max_retries=0, wake_timeout=0.0 if awake else options.wake_timeout
        )
        return Call(SpaceClient(client.access, options), self._prepare, end)


def _tell(choice: Choice, place: Place, batch: Sequence[Item]) -> None:
    """Report to the choice what has arrived, up to the first text."""
    for item in batch:
        if isinstance(item, QueueEvent):
            choice.queued(place, item)
        elif isinstance(item, StartEvent):
            choice.started(place)
        elif isinstance(item, Finished) or not isinstance(item, SpaceEvent):
            choice.spoke(place)
            return


def _told(error: QwenSpaceError, pause: float, attempt: int) -> list[Item]:
    """The events for a try that failed, with a warning if a retry would not help."""
    events: list[Item] = [RetryEvent(str(error), pause, attempt)]
    if not (error.is_retryable or isinstance(error, GenerationError)):
        events.insert(0, WarningEvent(f"The call moves on to another Space: {error}"))
    return events
