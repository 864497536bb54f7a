"""What one call was asked for: the object's settings and the call's keywords as one checked model.

A wrong value is reported here, by name, before the call joins a queue.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from langchain_qwen_space import structured
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.json_schema import checked, choice_of, openai_tool

PROVIDER = "qwen_space"
"""The name of the provider in metadata and in LangSmith."""


def _no_bool(number: Any) -> Any:
    if isinstance(number, bool):
        raise PydanticCustomError("bool", "Input should not be True or False")
    return number


NoBool = BeforeValidator(_no_bool)
"""For numbers: pydantic reads True as 1."""

Temperature = Annotated[float, NoBool, Field(ge=0, allow_inf_nan=False)]
TopP = Annotated[float, NoBool, Field(ge=0, le=1)]
MaxTokens = Annotated[int, NoBool, Field(ge=1)]
Seconds = Annotated[float, NoBool, Field(gt=0)]


def _of_reading(timeout: Any) -> Any:
    """The time without data in an httpx timeout, or in its tuple (connect, read, …)."""
    if isinstance(timeout, tuple | list) and len(timeout) > 1:
        return timeout[1]
    return getattr(timeout, "read", timeout)


Timeout = Annotated[Seconds | None, BeforeValidator(_of_reading)]

DialectName = Literal["hermes", "qwen3-coder", "qwen3.5"]

SYNONYMS = {
    "base_url": "space",
    "openai_api_base": "space",
    "model_name": "model",
    "api_key": "hf_token",
    "openai_api_key": "hf_token",
    "openai_proxy": "proxy",
    "max_completion_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "stop_sequences": "stop",
    "request_timeout": "timeout",
    "format": "response_format",
}
"""Other chat models' names for a setting, and ours."""

# Settings of other chat models that change how an answer is sampled, billed or transported. They
# reach us through `with_fallbacks`, or in a program that ran on such a model, and no Space has an
# input for them.
FOREIGN = frozenset(
    [
        *("audio", "cache_control", "context_management", "default_headers", "default_query"),
        *("disabled_params", "extra_body", "extra_headers", "extra_query", "frequency_penalty"),
        *("http_socket_options", "include", "include_response_headers", "keep_alive", "logit_bias"),
        *("logprobs", "metadata", "mirostat", "mirostat_eta", "mirostat_tau", "modalities", "n"),
        *("num_ctx", "num_gpu", "num_thread", "openai_organization", "options", "organization"),
        *("prediction", "presence_penalty", "previous_response_id", "prompt_cache_key"),
        *("prompt_cache_options", "reasoning_effort", "repeat_last_n", "repeat_penalty"),
        *("safety_identifier", "safety_settings", "seed", "service_tier", "store"),
        *("stream_chunk_timeout", "strict", "tfs_z", "tiktoken_model_name", "top_k"),
        *("top_logprobs", "truncation", "use_previous_response_id", "use_responses_api", "user"),
        *("validate_model_on_init", "verbosity"),
    ]
)

_OWN_CLIENT = (
    "The requests to a Space are not made by httpx. Give proxy=… for a proxy, or transport=… for "
    "another way of making requests."
)
_FORMER = (
    "It is the former name of tools. Give bind_tools([…]) the functions; calls are in "
    "message.tool_calls."
)
REFUSED = {
    **dict.fromkeys(("http_client", "http_async_client"), _OWN_CLIENT),
    **dict.fromkeys(("client", "async_client", "root_client", "root_async_client"), _OWN_CLIENT),
    **dict.fromkeys(("client_kwargs", "async_client_kwargs", "sync_client_kwargs"), _OWN_CLIENT),
    **dict.fromkeys(("functions", "function_call"), _FORMER),
}
"""Settings of other chat models without which a program would do something else, and what to do."""

_OF_CALLS = frozenset(["tools", "tool_choice"])
IN_MODEL_KWARGS = ("response_format", "parallel_tool_calls")
"""Keywords of calls that programs also give for all calls, through `model_kwargs`."""

_NO_WISH: Mapping[str, object] = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0}
_THINKING = {"enabled": True, "adaptive": True, "disabled": False}
_GRANTED = frozenset(["stream_options", "stream_usage"])  # usage ends every stream
_NOT_SENT = frozenset(["stream"])  # LangChain's own; how an answer is delivered


class CallOptions(BaseModel):
    """The settings of one call.

    Attributes:
        model: Name of the model, or the Space's own word for it.
        dialect: How the model is spoken to; None goes by its name.
        temperature: Sampling temperature.
        top_p: Nucleus sampling.
        max_tokens: Most tokens of the answer.
        stop: Strings at which the answer is cut.
        timeout: Longest time without data from the Space, in seconds.
        reasoning: What happens to the model's thoughts, as `ChatQwenSpace.reasoning`.
        thinking: Whether the model is to think, as `ChatQwenSpace.thinking`.
        thinking_budget: The most tokens that the model may think.
        tools: The tools that the model may call, as OpenAI's API describes them.
        tool_choice: None, "auto", "none", "any", or a tool: its name, or
            `{"type": "function", "function": {"name": …}}` where the name is one of these words.
        schema_tools: Names of tools that run nothing and only describe the form of an object.
            A call of one is read without tags anywhere in an answer; a call of another tool is read
            without tags only if it is the whole answer.
        parallel_tool_calls: False ends the answer after its first call.
        response_format: The JSON schema that the answer must fit; None for plain text.
        retry_tool_choice: Whether to ask once more if the model had to make a call but did not, or
            if none of its calls can be parsed.
        fetch_files: Whether files that are named by URL are fetched here, not by the Space.
        model_kwargs: Values for other inputs of the Space, by label.
        ignored: Keywords of other chat models that no Space has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str | None = None
    dialect: DialectName | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: MaxTokens | None = None
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    timeout: Timeout = None
    reasoning: bool | None = None
    thinking: bool | None = None
    thinking_budget: MaxTokens | None = None
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str | dict[str, Any] | None = None
    schema_tools: frozenset[str] = frozenset()
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    retry_tool_choice: bool = True
    fetch_files: bool = False
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        stop: Sequence[str] | str | None,
        keywords: Mapping[str, Any],
    ) -> Self:
        """Returns the options of a call.

        Args:
            settings: The model object's own, by name.
            stop: The call's `stop`; None keeps the object's.
            keywords: The call's other keywords. Each replaces the object's setting, None too;
                `model_kwargs` are added to the object's; those of `IN_MODEL_KWARGS` among them are
                keywords.

        Raises:
            InvalidInputError: A keyword is not known, or a value is not valid. The message names it.
        """
        given = {name: keywords[name] for name in keywords.keys() - _NOT_SENT}
        known = cls.model_fields.keys() - {"ignored"}
        given, ignored = in_own_form(given if stop is None else {**given, "stop": stop}, known)
        if unknown := sorted(given.keys() - known):
            raise InvalidInputError(_unknown(unknown, known))
        extra = given.get("model_kwargs") or {}
        bound = {}
        if isinstance(extra, Mapping):
            extra = {**settings.get("model_kwargs", {}), **extra}
            bound = {name: extra.pop(name) for name in IN_MODEL_KWARGS if name in extra}
            given["model_kwargs"] = extra
        try:
            return cls.model_validate({**settings, **bound, **given, "ignored": ignored})
        except ValidationError as error:
            raise InvalidInputError("; ".join(map(_explain, error.errors()))) from error

    @property
    def forced(self) -> str | None:
        """The tool that must be called; "" for any, None for none."""
        if self.tool_choice in (None, "auto", "none"):
            return None
        return "" if isinstance(self.tool_choice, str) else self.tool_choice["function"]["name"]

    def check_tool_names(self) -> None:
        """Refuse tools that a call cannot tell apart. They may be bound, as LangChain's suite does.

        Raises:
            InvalidInputError: Two tools have one name.
        """
        places: dict[str, int] = {}
        for number, tool in enumerate(self.tools):
            name = tool["function"]["name"]
            if (first := places.setdefault(name, number)) != number:
                msg = f"tools[{number}] has the same name as tools[{first}], {name!r:.100}: rename one."
                raise InvalidInputError(msg)

    @field_validator("stop", mode="before")
    @classmethod
    def _read_stop(cls, stop: object) -> object:
        return [stop] if isinstance(stop, str) else stop or ()

    @field_validator("tools", mode="before")
    @classmethod
    def _read_tools(cls, tools: object) -> object:
        return tuple(as_tools(tools))

    @field_validator("tool_choice", mode="before")
    @classmethod
    def _read_tool_choice(cls, choice: object) -> str | dict[str, Any] | None:
        return _tool_choice(choice)

    @field_validator("response_format", mode="before")
    @classmethod
    def _read_response_format(cls, response_format: Any) -> dict[str, Any] | None:
        return structured.wanted_schema(response_format)

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        names = [tool["function"]["name"] for tool in self.tools]
        forced = self.forced
        if forced is None or (names if forced == "" else forced in names):
            return self
        msg = f"tool_choice={forced or 'any'!r} does not name an offered tool; offered are {names}."
        raise InvalidInputError(msg)


def in_own_form(
    values: Mapping[str, Any], known: AbstractSet[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns settings of any chat model as ours, and the names of those that no Space has.

    Args:
        values: The settings.
        known: The names that are ours.

    Raises:
        InvalidInputError: Two names of one setting are given, one that cannot be left out, or a
            `thinking` of no known type.
    """
    given = with_own_names(values, known)
    effort = given.get("reasoning")
    if isinstance(effort, Mapping):  # OpenAI's {"effort": …}
        given["reasoning.effort"] = given.pop("reasoning")
    elif effort in ("low", "medium", "high"):  # Ollama's
        given["reasoning"], given["reasoning.effort"] = True, effort
    if isinstance(thinking := given.get("thinking"), Mapping):  # Anthropic's {"type": …}
        kind = thinking.get("type")
        if not isinstance(kind, str) or kind not in _THINKING:
            msg = f"thinking={thinking!r:.100} must have a type of {', '.join(_THINKING)}."
            raise InvalidInputError(msg)
        given["thinking"] = _THINKING[kind]
        given.setdefault("thinking_budget", thinking.get("budget_tokens"))
    if values.get("num_predict") in (-1, -2):  # Ollama's words for no limit
        given["max_tokens"] = None
    if isinstance(kind := values.get("format"), str):  # Ollama's
        if kind not in ("", "json"):
            raise InvalidInputError(f"format={kind!r:.100} must be 'json' or a JSON schema.")
        given["response_format"] = {"type": "json_object"} if kind else None
    wanted = {name for name, value in given.items() if _is_wish(name, value)} - known
    for name in sorted(wanted & REFUSED.keys()):
        raise InvalidInputError(f"ChatQwenSpace does not support {name}. {REFUSED[name]}")
    ignored = wanted & (FOREIGN | {"reasoning.effort"})
    for name in (FOREIGN | REFUSED.keys() | _GRANTED | {"reasoning.effort"}) & given.keys() - known:
        del given[name]
    return given, tuple(sorted(ignored))


def for_the_class(
    values: Mapping[str, Any], known: AbstractSet[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns what the class was given as its fields, and sentences of what is left out.

    Args:
        values: The settings.
        known: The names of the fields.

    Raises:
        InvalidInputError: As for `in_own_form`, or a name is not known.
    """
    given, ignored = in_own_form(values, {*known, *IN_MODEL_KWARGS})
    notes = [no_input_for(ignored)] if ignored else []
    if given.get("max_retries", 0) is None:  # the default, as with ChatOpenAI
        del given["max_retries"]
    if callable(given.get("hf_token")):
        msg = "hf_token (api_key) must be a string, not a function: pass what the function returns."
        raise InvalidInputError(msg)
    if any(_is_key_of_openai(values.get(name)) for name in ("api_key", "openai_api_key")):
        del given["hf_token"]
        notes.append(
            'The API key starts with "sk-": it is not a Hugging Face token, and is not sent.'
        )
    bound = {name: given.pop(name) for name in IN_MODEL_KWARGS if name in given}
    bound = {name: value for name, value in bound.items() if value is not None}
    if bound and isinstance(others := given.get("model_kwargs") or {}, Mapping):
        given["model_kwargs"] = {**others, **bound}
    check_names(given, known)
    return given, tuple(notes)


def check_names(names: Iterable[str], known: AbstractSet[str]) -> None:
    """Find the names that are no setting of the class.

    Raises:
        InvalidInputError: There is one. The message names what may have been meant.
    """
    if not (unknown := sorted(set(names) - known)):
        return
    if set(unknown) <= _OF_CALLS:
        msg = f"{', '.join(unknown)} is for calls: use bind_tools([…]), or bind(tools=[…])."
        raise InvalidInputError(msg)
    hint = _did_you_mean(unknown, _with_synonyms(known))
    raise InvalidInputError(f"ChatQwenSpace has no setting {', '.join(unknown)}.{hint}")


def no_input_for(names: Sequence[str]) -> str:
    """Returns what the caller is to know of settings that no Space has."""
    return f"A Space has no input for {', '.join(names)}, which is not sent."


def with_own_names(values: Mapping[str, Any], known: AbstractSet[str]) -> dict[str, Any]:
    """Returns the settings under our names for them, where those are `known`.

    Raises:
        InvalidInputError: Two names of one setting are given.
    """
    own: dict[str, Any] = {}
    for given, value in values.items():
        synonym = SYNONYMS.get(given, given)
        name = synonym if synonym in known else given
        if name in own:
            msg = f"{name} and its other name ({_others(name)}) are both given: pass only one."
            raise InvalidInputError(msg)
        own[name] = value
    return own


def _is_wish(name: str, value: object) -> bool:
    """Whether a setting asks for anything but what happens without it."""
    if (
        value is None
        or value is False
        or (isinstance(value, str | Sequence | Mapping) and not value)
    ):
        return False
    return name not in _NO_WISH or value != _NO_WISH[name]


def _is_key_of_openai(key: object) -> bool:
    key = key.get_secret_value() if isinstance(key, SecretStr) else key
    return isinstance(key, str) and key.startswith("sk-")


def as_tools(tools: Any, *, strict: bool | None = None) -> list[dict[str, Any]]:
    """Returns tools of any kind that LangChain knows, in OpenAI's form.

    Raises:
        InvalidInputError: They are not a list, or one is not a function that a model can call: a
            Space cannot run a provider's own tools. The message says which.
    """
    if strict is not None and not isinstance(strict, bool):
        raise InvalidInputError(f"strict={strict!r:.100} must be True, False or None.")
    if tools is None:
        return []
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise InvalidInputError(f"tools={tools!r:.100} is not a list of tools.")
    converted = []
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        try:
            form = openai_tool(tool, strict)
        except Exception as error:  # LangChain reads annotations and docstrings of any kind
            raise InvalidInputError(
                f"{where}={tool!r:.100} is not a function ({str(error).partition(chr(10))[0]:.100}). "
                "Give functions, pydantic classes, LangChain tools, or "
                '{"type": "function", "function": {"name": …, "parameters": …}}.'
            ) from error
        function = form["function"]
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidInputError(f"{where} has the name {name!r:.100}. {_NAME_RULE}")
        try:
            function["parameters"] = checked(function["parameters"], patterns=False)
        except InvalidInputError as error:
            raise InvalidInputError(f"{where} ({name}) has wrong parameters. {error}") from error
        converted.append(form)
    return converted


_NAME = re.compile(r"""[^\s"'\\<>\x00-\x1f](?:[^"'\\<>\x00-\x1f]*[^\s"'\\<>\x00-\x1f])?""")
_NAME_RULE = (
    "A name is a string without quotes, angle brackets, backslashes and blanks at its ends."
)


def _tool_choice(choice: Any) -> str | dict[str, Any] | None:
    """The choice in one spelling: None, "auto", "none", "any", or OpenAI's form for one tool.

    The words always mean the choice. A tool that has such a name is chosen by a dict.
    """
    if choice is None or choice is False or (isinstance(choice, str) and not choice):
        return None
    read = "any" if choice is True else choice
    if isinstance(choice, Mapping):  # OpenAI's and Anthropic's forms
        kind, function = choice.get("type"), choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        if isinstance(name, str) and name and kind in (None, "function", "tool"):
            return choice_of(name)
        read = kind
    if not isinstance(read, str) or (read is not choice and read not in _CHOICES):
        raise InvalidInputError(
            f"tool_choice={choice!r:.200} is not valid: give 'auto', 'none', 'any' or the name "
            "of a tool."
        )
    return _CHOICES.get(read) or choice_of(read)


_CHOICES = {"auto": "auto", "none": "none", "any": "any", "required": "any"}


def _did_you_mean(names: Sequence[str], known: AbstractSet[str]) -> str:
    """A question after misspelt names, with a space before it; "" if none is close."""
    listed = sorted(known)
    close = [match for name in names for match in get_close_matches(name, listed, 1, 0.7)]
    return f" Did you mean {', '.join(close)}?" if close else ""


def _with_synonyms(known: AbstractSet[str]) -> set[str]:
    return {*known, *(name for name, own in SYNONYMS.items() if own in known)}


def _unknown(names: Sequence[str], known: AbstractSet[str]) -> str:
    listed = _with_synonyms(known)
    return (
        f"ChatQwenSpace does not take {', '.join(names)} in a call.{_did_you_mean(names, listed)} "
        f"It takes {', '.join(sorted(listed))}. Values for inputs of the Space go into "
        "model_kwargs={'label': value}."
    )


def _others(name: str) -> str:
    return ", ".join(other for other, own in SYNONYMS.items() if own == name)


def _explain(error: Any) -> str:
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInputError):
        return str(cause)
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}={error['input']!r:.100}: {error['msg']}."
