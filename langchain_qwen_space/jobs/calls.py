"""A row's question goes to the model, and what comes back becomes the answer's columns."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.utils import convert_to_messages
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langchain_qwen_space.chat_models import ChatQwenSpace
from langchain_qwen_space.errors import (
    InvalidInputError,
    QueueFullError,
    SpaceAuthenticationError,
    SpaceConnectionError,
    SpaceNotFoundError,
    SpacePermissionError,
    SpaceRateLimitError,
    SpaceUnavailableError,
    UnknownModelError,
    UnsupportedSpaceError,
)
from langchain_qwen_space.jobs.job import Job
from langchain_qwen_space.jobs.text import as_json

Answer = dict[str, Any]
"""The columns of an answer that hold something; see `COLUMNS`."""
COLUMNS: dict[str, type | None] = {
    "text": str,
    "parsed": None,
    "reasoning": str,
    "tool_calls": None,
    "error": str,
    "error_type": str,
    "space": str,
    "model": str,
    "options": str,
    "finish_reason": str,
    "input_tokens": int,
    "output_tokens": int,
    "seconds": float,
}
"""The columns that answers bring, and what they hold; None where it depends on the answers."""
RARE = frozenset(["parsed", "reasoning", "tool_calls", "space", "options"])
"""Columns that are written only where an answer has them."""
OWN_FAULTS = frozenset(["InvalidInputError", "ContextTooLongError", "OutputParserException"])
"""Types of errors that are a row's own fault: they say nothing of the next row."""
_OUTAGES = (
    *(SpaceConnectionError, SpaceUnavailableError, SpaceRateLimitError, QueueFullError),
    *(SpaceNotFoundError, SpaceAuthenticationError, SpacePermissionError),
    *(UnknownModelError, UnsupportedSpaceError),
)
"""Errors that are the Space's, or the caller's for every row: the row is not to blame."""
_LONGEST_DELAY = 60.0  # seconds between two looks whether the Space is back
_OUTAGE = "outage"  # marks such an answer, which is never stored


def is_outage(answer: Answer) -> bool:
    """Whether the Space could not be asked at all, so that the row is still to be asked."""
    return _OUTAGE in answer


@dataclass(frozen=True)
class RowCaller:
    """Asks the model about rows; pickles as well as the model does.

    Args:
        model: What is asked.
        system: The system prompt of rows that bring none.
        structured: Whether the model gives objects.
        origin: Columns that say what every answer of this run was made with: Space and options.
        patience: How many seconds a row waits for a Space that cannot be reached.
    """

    model: Runnable[Any, Any]
    system: str | None
    structured: bool
    origin: Answer
    patience: float

    def call(self, question: str) -> Answer:
        """Returns the answer to a `Row.question`. An error is an answer too."""
        delays = _delays(self.patience)
        while True:
            began = time.monotonic()
            try:
                answer = self._read(self.model.invoke(messages_of(question, self.system)))
            except Exception as error:  # whatever a model raises belongs to its row
                answer = failed(error)
                delay = _delay(error, delays)
                if delay is not None:
                    time.sleep(delay)
                    continue
            return self._whole(answer, began)

    async def acall(self, question: str, on_outage: Callable[[str], None]) -> Answer:
        """As `call`; `on_outage` is called with the error whenever it begins to wait."""
        delays = _delays(self.patience)
        while True:
            began = time.monotonic()
            try:
                answer = self._read(await self.model.ainvoke(messages_of(question, self.system)))
            except Exception as error:
                answer = failed(error)
                delay = _delay(error, delays)
                if delay is not None:
                    on_outage(answer["error"])
                    await asyncio.sleep(delay)
                    continue
            return self._whole(answer, began)

    def _whole(self, answer: Answer, began: float) -> Answer:
        return {**self.origin, **answer, "seconds": round(time.monotonic() - began, 3)}

    def _read(self, result: Any) -> Answer:
        if not self.structured:
            return answered(result)
        answer = answered(result["raw"])
        answer.pop("tool_calls", None)  # the object was one; it is in `parsed`
        if result["parsing_error"] is not None:
            return {**answer, **failed(result["parsing_error"], answer.get("text"))}
        return {**answer, "parsed": plain(result["parsed"])}


def _delays(patience: float) -> Iterator[float]:
    """Growing delays, which last for `patience` seconds together."""
    delay = 1.0
    while patience > 0:
        yield min(delay, patience)
        patience -= delay
        delay = min(2 * delay, _LONGEST_DELAY)


def _delay(error: Exception, delays: Iterator[float]) -> float | None:
    """How long to wait before the same row is asked again; None if that would not help."""
    if not isinstance(error, _OUTAGES) or not error.is_retryable:
        return None
    delay = next(delays, None)
    return None if delay is None else max(delay, min(error.retry_after or 0, _LONGEST_DELAY))


def make_caller(
    model: Runnable[Any, Any], job: Job, limiter: BaseRateLimiter | None, patience: float
) -> RowCaller:
    """Returns what asks a model about the rows of a job.

    Raises:
        InvalidInputError: The schema is not one, or the model cannot have a schema or a limit.
    """
    origin = _origin(model)
    if limiter is not None:
        if not isinstance(model, BaseChatModel) or model.rate_limiter is not None:
            msg = (
                "A limit on calls per minute requires a chat model without a rate_limiter. For a "
                "chain, set the rate_limiter of its model."
            )
            raise InvalidInputError(msg)
        model = model.model_copy(update={"rate_limiter": limiter})
    if job.schema is not None:
        model = _structured(model, job.schema)
    return RowCaller(model, job.system, job.schema is not None, origin, patience)


def settings_of(model: Runnable[Any, Any]) -> dict[str, Any]:
    """What of a chat model's settings shapes its answers, without those that are not set."""
    if isinstance(model, ChatQwenSpace):
        found = model._identifying_params  # noqa: SLF001
    elif isinstance(model, BaseChatModel):
        standard = model._get_ls_params()  # noqa: SLF001  (LangChain's own names of them)
        names = {"ls_model_name": "model", "ls_temperature": "temperature"}
        names |= {"ls_max_tokens": "max_tokens", "ls_stop": "stop"}
        found = {names[name]: value for name, value in standard.items() if name in names}
    else:
        found = {}
    settings = json.loads(json.dumps(found, default=str))
    return {name: value for name, value in settings.items() if value not in (None, {}, [])}


def _origin(model: Runnable[Any, Any]) -> Answer:
    settings = settings_of(model)
    space, _ = settings.pop("space", None), settings.pop("model", None)
    origin = {
        "space": ", ".join(space) if isinstance(space, list) else space,
        "options": as_json(settings) if settings else None,
    }
    return {name: value for name, value in origin.items() if value is not None}


def _structured(model: Runnable[Any, Any], schema: Mapping[str, Any] | type) -> Runnable[Any, Any]:
    if not isinstance(model, BaseChatModel):
        raise InvalidInputError("A schema requires a chat model, not a chain.")
    if isinstance(schema, Mapping):
        if schema.get("type", "object") != "object":
            msg = f"The schema must describe an object, not type {schema['type']!r}."
            raise InvalidInputError(msg)
        schema = {"title": "answer", **schema}
    try:
        return model.with_structured_output(schema, include_raw=True)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"The schema cannot be used: {error}") from error


def messages_of(question: str, system: str | None) -> list[BaseMessage]:
    """Returns the messages that a `Row.question` stands for.

    Raises:
        InvalidInputError: It holds no prompt, or messages that are none.
    """
    asked = json.loads(question)
    if "prompt" in asked:
        prompt = asked["prompt"]
        if not isinstance(prompt, str) or not prompt.strip():
            raise InvalidInputError(f"The row has no prompt, but {prompt!r:.100}.")
        messages: list[BaseMessage] = [HumanMessage(prompt)]
    else:
        messages = _converted(asked["messages"])
    if system is not None and not any(isinstance(each, SystemMessage) for each in messages):
        messages.insert(0, SystemMessage(system))
    return messages


def _converted(given: Any) -> list[BaseMessage]:
    try:
        messages = json.loads(given) if isinstance(given, str) else given
        if not isinstance(messages, list) or not messages:
            raise TypeError("a list of messages is needed")
        # Parquet fills keys that a message does not have with nulls.
        return convert_to_messages([_without_nulls(each) for each in messages])
    except Exception as error:
        msg = f"The row has no messages, but {given!r:.100}: {error}"
        raise InvalidInputError(msg) from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_nulls(each) for name, each in value.items() if each is not None}
        return {**kept, "content": value["content"]} if "content" in value else kept
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def answered(result: Any) -> Answer:
    """Returns the columns of a result."""
    if not isinstance(result, BaseMessage):
        return {"text": result} if isinstance(result, str) else {"parsed": plain(result)}
    metadata = result.response_metadata
    columns = {
        "text": str(result.text),
        "reasoning": result.additional_kwargs.get("reasoning_content"),
        "space": metadata.get("space"),
        "model": metadata.get("model_name"),
        "finish_reason": metadata.get("finish_reason"),
    }
    if isinstance(result, AIMessage):
        usage: Mapping[str, Any] = result.usage_metadata or {}
        columns["tool_calls"] = [
            {"name": call["name"], "args": call["args"], "id": call["id"]}
            for call in result.tool_calls
        ] or None
        columns["input_tokens"] = usage.get("input_tokens")
        columns["output_tokens"] = usage.get("output_tokens")
    return {name: value for name, value in columns.items() if value is not None}


def failed(error: Exception, text: str | None = None) -> Answer:
    """Returns the columns of an error; `text` is what of the answer had come."""
    text = text or getattr(error, "partial", None)
    answer: Answer = {"error": str(error) or repr(error), "error_type": type(error).__name__}
    if isinstance(error, _OUTAGES):
        answer[_OUTAGE] = True
    return {"text": text, **answer} if text else answer


def plain(value: Any) -> Any:
    """Returns an object as JSON knows it."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
