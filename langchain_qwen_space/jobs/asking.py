"""A row's question goes to the model, and what comes back becomes the answer's columns."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.utils import convert_to_messages
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs.job import Job

Answer = dict[str, Any]
"""The columns of an answer that hold something; see `COLUMNS`."""
COLUMNS: dict[str, type | None] = {
    "text": str,
    "parsed": None,
    "reasoning": str,
    "tool_calls": None,
    "error": str,
    "error_type": str,
    "model": str,
    "finish_reason": str,
    "input_tokens": int,
    "output_tokens": int,
    "seconds": float,
}
"""The columns that answers bring, and what they hold; None where it depends on the answers."""
RARE = frozenset(["parsed", "reasoning", "tool_calls"])
"""Columns that are written only where an answer has them."""


@dataclass(frozen=True)
class Asker:
    """Asks the model; pickles as well as the model does."""

    model: Runnable[Any, Any]
    system: str | None
    structured: bool

    def ask(self, question: str) -> Answer:
        """Returns the answer to a `Row.question`. An error is an answer too."""
        began = time.monotonic()
        try:
            answer = self._read(self.model.invoke(messages_of(question, self.system)))
        except Exception as error:  # whatever a model raises belongs to its row
            answer = failed(error)
        return {**answer, "seconds": round(time.monotonic() - began, 3)}

    async def aask(self, question: str) -> Answer:
        """As `ask`."""
        began = time.monotonic()
        try:
            answer = self._read(await self.model.ainvoke(messages_of(question, self.system)))
        except Exception as error:
            answer = failed(error)
        return {**answer, "seconds": round(time.monotonic() - began, 3)}

    def _read(self, result: Any) -> Answer:
        if not self.structured:
            return answered(result)
        answer = answered(result["raw"])
        answer.pop("tool_calls", None)  # the object was one; it is in `parsed`
        if result["parsing_error"] is not None:
            return {**answer, **failed(result["parsing_error"], answer.get("text"))}
        return {**answer, "parsed": plain(result["parsed"])}


def make_asker(model: Runnable[Any, Any], job: Job, pace: BaseRateLimiter | None) -> Asker:
    """Returns what asks a model in the way of a job.

    Raises:
        InvalidInputError: The schema is none, or the model cannot have a schema or a pace.
    """
    if pace is not None:
        if not isinstance(model, BaseChatModel) or model.rate_limiter is not None:
            msg = (
                "A limit on calls a minute needs a chat model without a rate_limiter of its own. "
                "Give a model in a chain its rate_limiter yourself."
            )
            raise InvalidInputError(msg)
        model = model.model_copy(update={"rate_limiter": pace})
    if job.schema is not None:
        model = _structured(model, job.schema)
    return Asker(model, job.system, job.schema is not None)


def _structured(model: Runnable[Any, Any], schema: Mapping[str, Any] | type) -> Runnable[Any, Any]:
    if not isinstance(model, BaseChatModel):
        raise InvalidInputError("A schema needs a chat model, not a chain of one.")
    if isinstance(schema, Mapping):
        if schema.get("type", "object") != "object":
            msg = f"The schema has to describe an object, not type {schema['type']!r}."
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
            raise InvalidInputError(f"The row holds no prompt, but {prompt!r:.100}.")
        messages: list[BaseMessage] = [HumanMessage(prompt)]
    else:
        messages = _converted(asked["messages"])
    if system is not None and not any(isinstance(each, SystemMessage) for each in messages):
        messages.insert(0, SystemMessage(system))
    return messages


def _converted(given: Any) -> list[BaseMessage]:
    try:
        told = json.loads(given) if isinstance(given, str) else given
        if not isinstance(told, list) or not told:
            raise TypeError("a list of messages is needed")
        # Parquet fills keys that a message does not have with nulls.
        return convert_to_messages([_without_nulls(each) for each in told])
    except Exception as error:
        msg = f"The row holds no messages, but {given!r:.100}: {error}"
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
    told = result.response_metadata
    columns = {
        "text": str(result.text),
        "reasoning": result.additional_kwargs.get("reasoning_content"),
        "model": told.get("model_name"),
        "finish_reason": told.get("finish_reason"),
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
    answer = {"error": str(error) or repr(error), "error_type": type(error).__name__}
    return {"text": text, **answer} if text else answer


def plain(value: Any) -> Any:
    """Returns an object as JSON knows it."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
