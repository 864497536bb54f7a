"""Structured output: a schema becomes a prompt, an answer becomes an object.

No Space has a JSON mode. So a schema is offered as a tool that has to be called, or it is put into
the system prompt; what comes back is searched for an object, checked, and asked for again if it is
wrong.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Literal, cast, get_args

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableSerializable,
)
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ConfigDict

from langchain_qwen_space.clock import one_clock
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.json_schema import Schema, checked, choice_of, json_schema, openai_tool
from langchain_qwen_space.object_parser import ObjectParser

Method = Literal["function_calling", "json_schema", "json_mode"]

_ONLY_JSON = (
    "Answer with one JSON object and nothing else: no words before or after it, no Markdown."
)
_AGAIN = "This answer cannot be used. {problem} Answer once more, with nothing but {wanted}."


def structured_output(
    model: BaseChatModel,
    schema: Schema | None,
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    max_repairs: int,
    **kwargs: Any,
) -> "StructuredOutput":
    """Returns what `ChatQwenSpace.with_structured_output` returns, and raises what it raises."""
    if not isinstance(method, str) or method not in get_args(Method):
        msg = f"method={method!r} must be one of {', '.join(get_args(Method))}."
        raise InvalidInputError(msg)
    if schema is None and method != "json_mode":
        msg = f"method={method!r} needs a schema; only json_mode works without one."
        raise InvalidInputError(msg)
    if not isinstance(include_raw, bool) or not isinstance(strict, bool | None):
        msg = f"include_raw={include_raw!r:.100} and strict={strict!r:.100} must be True or False."
        raise InvalidInputError(msg)
    if not isinstance(max_repairs, int) or isinstance(max_repairs, bool) or max_repairs < 0:
        msg = f"max_repairs={max_repairs!r:.100} must be an integer, 0 or more."
        raise InvalidInputError(msg)
    own = "tools" if method == "function_calling" else "response_format"
    if kwargs.pop(own, None) is not None:
        msg = (
            f"method={method!r} sets {own} itself. Tools can be offered with method='json_schema'."
        )
        raise InvalidInputError(msg)
    kwargs["ls_structured_output_format"] = {
        "kwargs": {"method": method, "strict": strict},
        "schema": schema,
    }
    tool = ""
    rules: dict[str, Any] = {}
    llm: Runnable[LanguageModelInput, AIMessage]
    if schema is None:
        llm = model.bind(response_format={"type": "json_object"}, **kwargs)
    elif method == "function_calling":
        tool, rules = _read(schema, strict, as_tool=True)
        settings = {
            "tool_choice": choice_of(tool),
            "strict": strict,
            "schema_tools": [tool],
            "parallel_tool_calls": False,
            "retry_tool_choice": False,  # `max_repairs` is the one budget of asking again
            **kwargs,
        }
        llm = model.bind_tools([schema], **settings)
    else:
        _, rules = _read(schema, strict, as_tool=False)
        described = {"name": rules.get("title", "answer"), "schema": rules, "strict": strict}
        response_format = {"type": "json_schema", "json_schema": described}
        llm = model.bind(response_format=response_format, **kwargs)
    reader = ObjectParser(pydantic_object=_pydantic_class(schema), rules=rules, tool=tool or None)
    outcomes = llm | reader.model_copy(update={"include_raw": True})
    return StructuredOutput(
        outcomes=outcomes,
        streaming=outcomes if include_raw else llm | reader,
        wanted=f"a call of the function {tool}" if tool else "the JSON object",
        include_raw=include_raw,
        max_repairs=max_repairs,
    )


def wanted_schema(response_format: Mapping[str, Any] | type | None) -> dict[str, Any] | None:
    """Returns the JSON schema that an answer has to fit for a `response_format`; None for plain text.

    Args:
        response_format: `{"type": "text"}`, `{"type": "json_object"}`, `{"type": "json_schema",
            "json_schema": {"name": …, "schema": {…}}}` as OpenAI's API takes them, or a schema.

    Raises:
        InvalidInputError: It is none of these.
    """
    if response_format is None:
        return None
    schema: Any = response_format
    if isinstance(response_format, Mapping):
        kind = response_format.get("type")
        if kind == "text":
            return None
        if kind == "json_object":
            return {}
        if kind not in (None, "object", "function"):
            schema = response_format.get("json_schema") if kind == "json_schema" else None
    try:
        rules = json_schema(schema, None)
    except Exception as error:  # LangChain reads annotations and docstrings of any kind
        msg = (
            f"response_format={response_format!r:.200} is not valid ({_reason(error)}). Give "
            '{"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": …}}.'
        )
        raise InvalidInputError(msg) from error
    try:
        return checked(rules)
    except InvalidInputError as error:
        raise InvalidInputError(f"response_format is not valid. {error}") from error


def instruction(schema: Mapping[str, Any] | None) -> str:
    """Returns what the system prompt has to say for a `wanted_schema`; "" for plain text."""
    if schema is None:
        return ""
    if not schema:
        return _ONLY_JSON
    text = json.dumps(schema, ensure_ascii=False)
    return f"{_ONLY_JSON} It has to fit this JSON schema:\n{text}"


class StructuredOutput(RunnableSerializable[LanguageModelInput, Any]):
    """Asks a model for an object, and again, up to `max_repairs` times, if the answer is none.

    A stream asks once.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    outcomes: Runnable[LanguageModelInput, Any]
    """Gives `{"raw", "parsed", "parsing_error"}`."""
    streaming: Runnable[LanguageModelInput, Any]
    wanted: str
    include_raw: bool
    max_repairs: int

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Returns the object, or the outcome as a dict (`include_raw`).

        Raises:
            OutputParserException: No answer was such an object.
            QwenSpaceError: A call failed.
        """
        with one_clock():
            return self._call_with_config(self._invoke, input, config, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `invoke`."""
        with one_clock():
            return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Yields the object as it grows, or chunks of the outcome (`include_raw`).

        Raises:
            OutputParserException: The answer was no such object.
            QwenSpaceError: The call failed.
        """
        yield from self.streaming.stream(input, config, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """As `stream`."""
        stream = self.streaming.astream(input, config, **kwargs)
        async with aclosing(cast("AsyncGenerator[Any]", stream)):
            async for value in stream:
                yield value

    def _invoke(
        self,
        asked: LanguageModelInput,
        run_manager: CallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Any:
        outcome = self.outcomes.invoke(asked, config, **kwargs)
        for _ in range(self.max_repairs):
            if outcome["parsing_error"] is None:
                break
            asked = self._again(asked, outcome)
            outcome = self.outcomes.invoke(asked, config, **kwargs)
        return self._result(outcome)

    async def _ainvoke(
        self,
        asked: LanguageModelInput,
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Any:
        outcome = await self.outcomes.ainvoke(asked, config, **kwargs)
        for _ in range(self.max_repairs):
            if outcome["parsing_error"] is None:
                break
            asked = self._again(asked, outcome)
            outcome = await self.outcomes.ainvoke(asked, config, **kwargs)
        return self._result(outcome)

    def _again(self, asked: LanguageModelInput, outcome: dict[str, Any]) -> list[BaseMessage]:
        """The conversation with the failed answer and what is wrong with it."""
        if isinstance(asked, PromptValue):
            messages = asked.to_messages()
        else:
            messages = convert_to_messages([asked] if isinstance(asked, str) else asked)
        problem = outcome["parsing_error"].observation
        again = HumanMessage(_AGAIN.format(problem=problem, wanted=self.wanted))
        return [*messages, outcome["raw"], again]

    def _result(self, outcome: dict[str, Any]) -> Any:
        if self.include_raw:
            return outcome
        if outcome["parsing_error"] is not None:
            raise outcome["parsing_error"]
        return outcome["parsed"]


def _read(schema: Any, strict: bool | None, *, as_tool: bool) -> tuple[str, dict[str, Any]]:
    """The name of the tool that a schema is offered as, "" if it is none, and its JSON schema."""
    tool = ""
    try:
        if as_tool:
            function = openai_tool(schema, strict)["function"]
            tool = function["name"]
            rules = {"title": tool, **function["parameters"]}
        else:
            rules = json_schema(schema, strict)
    except Exception as error:  # LangChain reads annotations and docstrings of any kind
        msg = (
            f"schema={schema!r:.200} cannot be read as the schema of an object "
            f"({_reason(error)}). Give a pydantic class, a TypedDict, a dataclass, a function, "
            "or a dict with a JSON schema and its title. Put a list or a union into a field of "
            "such a class."
        )
        raise InvalidInputError(msg) from error
    return tool, checked(rules)


def _reason(error: Exception) -> str:
    return f"{str(error).partition(chr(10))[0]:.200}".removesuffix(".")


def _pydantic_class(schema: Any) -> type | None:
    return schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None
