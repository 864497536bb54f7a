"""The body of a request for a chat completion -> messages and keywords of a `ChatQwenSpace`.

The form: https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_qwen_space.api.answers import as_json
from langchain_qwen_space.api.problems import Problem
from langchain_qwen_space.options import as_tools
from langchain_qwen_space.structured import wanted_schema

_LONGEST_STOP = 1024  # characters


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    """Some languages write all their numbers with a point."""
    return _is_number(value) and float(value).is_integer()


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


# Fields that the call honours: whether a value is of the field's type, and that type's name. Python's
# own conversions are too generous for a client that sent `"5"` or `true` by mistake.
_PASSED_ON: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (lambda value: isinstance(value, str), "a string"),
    **dict.fromkeys(("temperature", "top_p"), (_is_number, "a number")),
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), (_is_whole, "a whole number")),
    "stop": (
        lambda value: all(
            isinstance(item, str) and len(item) <= _LONGEST_STOP
            for item in (value if isinstance(value, list) else [value])
        ),
        f"a string or a list of strings, of at most {_LONGEST_STOP} characters",
    ),
    "tools": (_are_objects, "a list of objects"),
    "tool_choice": (lambda value: isinstance(value, str | Mapping), "a string or an object"),
    "parallel_tool_calls": (lambda value: isinstance(value, bool), "true or false"),
    "response_format": (
        lambda value: isinstance(value, Mapping) and isinstance(value.get("type"), str),
        "an object with a 'type'",
    ),
}
# The most items of a list, as OpenAI has it: reading them holds up the event loop.
_MOST = {"messages": 2048, "tools": 128, "stop": 4}
_MOST_PARTS = 8192  # of the content, and calls, of all messages
# Of all lists and objects, counted by commas and brackets, of texts as well: they take half a second.
_MOST_VALUES = 2**19
_LONGEST = 2**20  # bytes of the tools, and of the response_format: checking them takes seconds
# Fields that have no effect on the answer.
_IGNORED = frozenset(
    [
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention"),
    ]
)
# Fields that change the answer where they are honoured, and the values that change nothing. The
# second group is not OpenAI's, but widely sent to servers that speak its protocol.
_NOT_HONOURED: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), (0,)),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    **dict.fromkeys(("prediction", "reasoning_effort", "seed", "top_logprobs", "verbosity"), ()),
    "web_search_options": (),
    **dict.fromkeys(("chat_template_kwargs", "enable_thinking", "min_p", "reasoning", "top_k"), ()),
    "repetition_penalty": (1,),
}


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a client asks for.

    Attributes:
        messages: The conversation.
        keywords: Settings of the call, as `ChatQwenSpace` takes them.
        stream: Whether the answer is to be streamed.
        include_usage: Whether a stream ends with the token counts.
        not_honoured: Fields that a Space cannot honour.
    """

    messages: list[BaseMessage]
    keywords: dict[str, Any]
    stream: bool
    include_usage: bool
    not_honoured: tuple[str, ...]


def read_request(body: bytes) -> CompletionRequest:
    """Returns the request that a body holds.

    Raises:
        Problem: It is not JSON, a field is missing, unknown or of the wrong type. What the fields
            in `keywords` may hold is checked by the call.
    """
    if sum(map(body.count, (b"[", b"{", b","))) > _MOST_VALUES:
        raise Problem(400, f"The body has more than {_MOST_VALUES:,} commas and brackets.")
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise Problem(400, "The body is not a JSON object.")
    given = {name: value for name, value in fields.items() if value is not None}
    for name, most in _MOST.items():
        if isinstance(items := given.get(name), list) and len(items) > most:
            msg = f"Invalid '{name}': it has {len(items)} items, and may have {most}."
            raise Problem(400, msg, code="array_above_max_length", param=name)
    stream = _boolean(given.pop("stream", False), "stream")
    stream_options = given.pop("stream_options", {})
    if not isinstance(stream_options, Mapping):
        raise _wrong("stream_options", "an object")
    if stream_options and not stream:
        raise Problem(
            400, "'stream_options' is only allowed when 'stream' is true.", param="stream_options"
        )
    if (n := given.pop("n", 1)) != 1 or n is True:
        raise Problem(400, f"n={n!r:.20}: a Space gives one answer to a request.", param="n")
    messages = given.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "a list of at least one message")
    if (parts := sum(map(_size, messages))) > _MOST_PARTS:
        msg = f"Invalid 'messages': they have {parts} content parts and calls, and may have {_MOST_PARTS}."
        raise Problem(400, msg, code="array_above_max_length", param="messages")
    known = _PASSED_ON.keys() | _IGNORED | _NOT_HONOURED.keys()
    if unknown := sorted(islice((name for name in given if name not in known), 10)):
        listed = ", ".join(f"{name:.60}" for name in unknown)
        raise Problem(400, f"Unrecognized request argument supplied: {listed}", param=unknown[0])
    return CompletionRequest(
        messages=[_message(message, f"messages[{i}]") for i, message in enumerate(messages)],
        keywords=_keywords({name: given[name] for name in _PASSED_ON if name in given}),
        stream=stream,
        include_usage=_boolean(
            stream_options.get("include_usage") or False, "stream_options.include_usage"
        ),
        not_honoured=tuple(
            sorted(
                name
                for name, neutral in _NOT_HONOURED.items()
                if name in given and given[name] not in neutral
            )
        ),
    )


def check_schemas(keywords: Mapping[str, Any]) -> None:
    """Check the schemas of a request, so that its call finds them checked.

    Raises:
        Problem: They are too long, or nested too deeply.
        InvalidInputError: One of them is wrong.
    """
    for name in ("tools", "response_format"):
        try:
            size = len(as_json(keywords.get(name)))
        except RecursionError:
            raise Problem(400, f"Invalid '{name}': it is nested too deeply.", param=name) from None
        if size > _LONGEST:
            msg = f"Invalid '{name}': it is {size:,} bytes long, and may have {_LONGEST:,}."
            raise Problem(400, msg, param=name)
    as_tools(keywords.get("tools"))
    wanted_schema(keywords.get("response_format"))


def _keywords(given: dict[str, Any]) -> dict[str, Any]:
    for name, value in given.items():
        fits, wanted = _PASSED_ON[name]
        if not fits(value):
            raise _wrong(name, wanted)
    if given.get("tools") == []:
        del given["tools"]
    return given


def _size(message: Any) -> int:
    """How many content parts and calls a message has."""
    lists = (
        [message.get(name) for name in ("content", "tool_calls")]
        if isinstance(message, dict)
        else []
    )
    return sum(len(items) for items in lists if isinstance(items, list))


def _message(message: Any, where: str) -> BaseMessage:
    """A message in LangChain's classes. Its content parts pass as they are."""
    if not isinstance(message, Mapping):
        raise _wrong(where, "an object")
    role, content = message.get("role"), message.get("content")
    if not (
        isinstance(content, str)
        or (
            isinstance(content, list)
            and all(isinstance(p, Mapping) and isinstance(p.get("type"), str) for p in content)
        )
        or (content is None and role == "assistant")
    ):
        raise _wrong(f"{where}.content", "a string or a list of content parts")
    if role in ("system", "developer"):
        return SystemMessage(content)
    if role == "user":
        return HumanMessage(content)
    if role == "assistant":
        return _assistant(message, content or message.get("refusal") or "", where)
    if role == "tool":
        return ToolMessage(content, tool_call_id=_text(message, "tool_call_id", where))
    if role == "function":
        return FunctionMessage(content=content, name=_text(message, "name", where))
    raise _wrong(f"{where}.role", "one of system, developer, user, assistant, tool, function")


def _assistant(message: Mapping[str, Any], content: Any, where: str) -> AIMessage:
    """Calls whose arguments are not JSON stay as they were written."""
    if message.get("audio") is not None:
        raise _wrong(f"{where}.audio", "left out: a Space has no audio of earlier answers")
    listed = message.get("tool_calls")
    if listed is None:
        listed = []
    if not isinstance(listed, list):
        raise _wrong(f"{where}.tool_calls", "a list")
    read = []
    if (function := message.get("function_call")) is not None:  # the older form of one call
        read.append(_read_call(function, "function_call", f"{where}.function_call"))
    for number, call in enumerate(listed):
        place = f"{where}.tool_calls[{number}]"
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            raise _wrong(place, "a call of a function")
        read.append(_read_call(function, _text(call, "id", place), f"{place}.function"))
    thoughts = message.get("reasoning_content")
    return AIMessage(
        content,
        tool_calls=[call for call in read if call["type"] == "tool_call"],
        invalid_tool_calls=[call for call in read if call["type"] == "invalid_tool_call"],
        additional_kwargs={"reasoning_content": thoughts} if isinstance(thoughts, str) else {},
    )


def _read_call(function: Any, id_: str, where: str) -> dict[str, Any]:
    if not isinstance(function, Mapping):
        raise _wrong(where, "an object")
    name, written = _text(function, "name", where), _text(function, "arguments", where)
    try:
        arguments = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if isinstance(arguments, dict):
        return {"name": name, "args": arguments, "id": id_, "type": "tool_call"}
    kind = "invalid_tool_call"
    return {"name": name, "args": written, "id": id_, "error": None, "type": kind}


def _text(holder: Mapping[str, Any], name: str, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise _wrong(f"{where}.{name}", "a string")
    return value


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def _wrong(name: str, wanted: str) -> Problem:
    return Problem(400, f"'{name}' must be {wanted}.", param=name)
