"""An answer, whole or growing, becomes the object that was asked for."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables.utils import AddableDict
from pydantic import BaseModel, ConfigDict

from langchain_qwen_space import json_schema
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen import json_objects
from langchain_qwen_space.qwen.reasoning import without_thoughts

_MOST_MISTAKES = 10  # that are sent to the model; more would not help it


class ObjectParser(BaseTransformOutputParser[Any]):
    """Reads the object out of an answer."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    pydantic_object: type | None
    """The pydantic class, v1 or v2, that the object is to be of; None for a dict."""
    rules: dict[str, Any]
    """The JSON schema that a dict has to fit."""
    tool: str | None
    """The function whose call holds the object; None if the text does."""
    include_raw: bool = False
    """Whether to give `{"raw", "parsed", "parsing_error"}`, not the object."""

    @property
    def _type(self) -> str:
        return "qwen_space_structured"

    def parse(self, text: str) -> Any:
        """Returns the object that a text holds."""
        return self.parse_result([Generation(text=text)])

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Returns the object that an answer holds."""
        first = result[0]
        message = first.message if isinstance(first, ChatGeneration) else AIMessage(first.text)
        return {"raw": message, **self.outcome(message)} if self.include_raw else self.read(message)

    def outcome(self, message: BaseMessage) -> dict[str, Any]:
        """Returns the object, or what is wrong."""
        try:
            return {"parsed": self.read(message), "parsing_error": None}
        except OutputParserException as error:
            return {"parsed": None, "parsing_error": error}

    def read(self, message: BaseMessage) -> Any:
        """Returns the first object in a whole answer that is valid; None if it calls other tools.

        Raises:
            OutputParserException: There is none. Its `observation` tells the model why.
        """
        if self.tool is None and isinstance(message, AIMessage) and message.tool_calls:
            return None
        problem = f"It does not hold a {f'call of {self.tool}' if self.tool else 'JSON object'}."
        cause: Exception | None = None
        allowance = json_schema.Allowance()
        try:
            for value in self._candidates(message):
                try:
                    return self._valid(value, allowance)
                except InvalidInputError:  # the schema is wrong, not the answer
                    raise
                except Exception as error:  # validators of a pydantic class may raise anything
                    cause, problem = error, _explain(error)
        except json_objects.BrokenJSONError as error:
            cause, problem = error, str(error)
        if message.response_metadata.get("finish_reason") == "length":
            problem = "It was cut off at max_tokens. " + problem
        msg = f"The answer is not the object that was asked for. {problem}"
        raise OutputParserException(msg, observation=problem, llm_output=message.text) from cause

    def read_part(self, message: BaseMessage) -> Any:
        """Returns the object as far as it has come; None if there is nothing to show."""
        value = None
        if self.tool is None:
            value = json_objects.so_far(without_thoughts(message.text))
        else:
            with suppress(json_objects.BrokenJSONError):
                value = next(self._candidates(message), None)
        if value is None or self.pydantic_object is None:
            return value
        with suppress(Exception):
            return self._valid(value, json_schema.Allowance())
        return None

    def _candidates(self, message: BaseMessage) -> Iterator[Any]:
        """Yields the objects in an answer: calls first, then those in its text."""
        if self.tool is not None and isinstance(message, AIMessage):
            yield from (call["args"] for call in message.tool_calls if call["name"] == self.tool)
            if message.invalid_tool_calls:
                raise json_objects.BrokenJSONError("Its call is not valid JSON.")
        for value in json_objects.find(without_thoughts(message.text)):
            yield from json_objects.readings(value, self.rules.get("properties", {}))

    def _valid(self, value: Any, allowance: json_schema.Allowance) -> Any:
        cls: Any = self.pydantic_object
        if cls is None:
            with closing(json_schema.mistakes(value, self.rules, allowance)) as found:
                wrong = list(islice(found, _MOST_MISTAKES))
            if wrong:
                raise ValueError(" ".join(wrong))
            return value
        if issubclass(cls, BaseModel):  # as JSON: a strict class takes a date only from there
            return cls.model_validate_json(json.dumps(value))
        return cls.parse_obj(value)

    def _transform(self, input: Iterator[Any]) -> Iterator[Any]:  # noqa: A002
        growing = _Growing(self)
        for chunk in input:
            yield from growing.take(chunk)
        yield from growing.end()

    async def _atransform(self, input: AsyncIterator[Any]) -> AsyncIterator[Any]:  # noqa: A002
        growing = _Growing(self)
        async for chunk in input:
            for shown in growing.take(chunk):
                yield shown
        for shown in growing.end():
            yield shown


class _Growing:
    """What a stream shows of an answer: dicts while they grow, pydantic objects once valid."""

    def __init__(self, parser: ObjectParser) -> None:
        self._parser = parser
        self._whole: BaseMessage | None = None
        self._shown: Any = None

    def take(self, chunk: Any) -> Iterator[Any]:
        self._whole = chunk if self._whole is None else self._whole + chunk
        if self._parser.include_raw:
            yield AddableDict(raw=chunk)
        else:
            yield from self._show(self._parser.read_part(self._whole))

    def end(self) -> Iterator[Any]:
        if self._whole is None:
            return
        if self._parser.include_raw:
            yield AddableDict(self._parser.outcome(self._whole))
        else:
            yield from self._show(self._parser.read(self._whole))

    def _show(self, value: Any) -> Iterator[Any]:
        if value is not None and value != self._shown:
            self._shown = value
            yield value


def _explain(error: Exception) -> str:
    """What is wrong, for the model: pydantic's list without values and links, else the text."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return str(error)
    found = islice(errors(), _MOST_MISTAKES)
    return (
        "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the object'}: {item['msg']}" for item in found
        )
        + "."
    )
