"""What one call was asked for: the object's settings and the call's keywords as one checked model.

A wrong value is reported here, by name, before the call joins a queue.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from langchain_qwen_space import structured
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.json_schema import whole_schema

Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False)]
TopP = Annotated[float, Field(ge=0, le=1)]
MaxTokens = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]

DialectName = Literal["hermes", "qwen3-coder", "qwen3.5"]

SYNONYMS = {
    "model_name": "model",
    "max_completion_tokens": "max_tokens",
    "stop_sequences": "stop",
    "request_timeout": "timeout",
}
"""Other chat models' names for a setting, and ours."""

# Settings of other chat models that change how an answer is sampled, billed or transported. They
# reach us through `with_fallbacks`, or in a program that ran on such a model, and no Space has an
# input for them.
_FOREIGN = frozenset(
    [
        *("audio", "cache_control", "context_management", "extra_body", "extra_headers", "format"),
        *("frequency_penalty", "include", "keep_alive", "logit_bias", "logprobs", "metadata"),
        *("mirostat", "modalities", "n", "num_ctx", "num_predict", "prediction"),
        *("presence_penalty", "previous_response_id", "prompt_cache_key", "prompt_cache_options"),
        *("reasoning_effort", "repeat_penalty", "safety_identifier", "safety_settings", "seed"),
        *("service_tier", "store", "strict", "top_k", "top_logprobs", "truncation"),
        *("use_previous_response_id", "use_responses_api", "user", "verbosity"),
    ]
)
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
        tool_choice: None, "auto", "none", "any", or the name of a tool.
        parallel_tool_calls: False ends the answer after its first call.
        response_format: The JSON schema that the answer must fit; None for plain text.
        retry_tool_choice: Whether to ask once more if the model had to make a call but did not, or
            made calls of which none can be read.
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
    timeout: Seconds | None = None
    reasoning: bool | None = None
    thinking: bool | None = None
    thinking_budget: MaxTokens | None = None
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str | None = None
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
                `model_kwargs` are added to the object's.

        Raises:
            InvalidInputError: A keyword is not known, or a value is not valid. The message names it.
        """
        given = {name: keywords[name] for name in keywords.keys() - _NOT_SENT}
        known = cls.model_fields.keys() - {"ignored"}
        given, ignored = in_own_form(given if stop is None else {**given, "stop": stop}, known)
        if unknown := sorted(given.keys() - known):
            raise InvalidInputError(_unknown(unknown, known))
        extra = given.get("model_kwargs") or {}
        if isinstance(extra, Mapping):
            given["model_kwargs"] = {**settings.get("model_kwargs", {}), **extra}
        try:
            return cls.model_validate({**settings, **given, "ignored": ignored})
        except ValidationError as error:
            raise InvalidInputError("; ".join(map(_explain, error.errors()))) from error

    @property
    def forced(self) -> str | None:
        """The tool that must be called; "" for any, None for none."""
        if self.tool_choice in (None, "auto", "none"):
            return None
        return "" if self.tool_choice == "any" else self.tool_choice

    @field_validator("stop", mode="before")
    @classmethod
    def _read_stop(cls, stop: object) -> object:
        return [stop] if isinstance(stop, str) else stop or ()

    @field_validator("tools", mode="before")
    @classmethod
    def _read_tools(cls, tools: object) -> object:
        return tuple(as_tools(tools))  # type: ignore[arg-type]

    @field_validator("tool_choice", mode="before")
    @classmethod
    def _read_tool_choice(cls, choice: object) -> str | None:
        return _tool_choice(choice)

    @field_validator("response_format", mode="before")
    @classmethod
    def _read_response_format(cls, response_format: Any) -> dict[str, Any] | None:
        return structured.wanted_schema(response_format)

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        names = [tool["function"]["name"] for tool in self.tools]
        choice = self.tool_choice
        if choice in (None, "auto", "none") or (choice == "any" and names) or choice in names:
            return self
        msg = f"tool_choice={choice!r} does not name a tool that is offered; offered are {names}."
        raise InvalidInputError(msg)


def in_own_form(
    values: Mapping[str, Any], known: AbstractSet[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns settings of any chat model as ours, and the names of those that no Space has.

    Args:
        values: The settings.
        known: The names that are ours.

    Raises:
        InvalidInputError: Two names of one setting are given.
    """
    given = with_own_names(values)
    if isinstance(given.get("reasoning"), Mapping):  # OpenAI's {"effort": …}
        given["reasoning.effort"] = given.pop("reasoning")
    if isinstance(thinking := given.get("thinking"), Mapping):  # Anthropic's {"type": …}
        given["thinking"] = _THINKING.get(str(thinking.get("type")))
        given.setdefault("thinking_budget", thinking.get("budget_tokens"))
    foreign = (_FOREIGN | {"reasoning.effort"} | _GRANTED) & given.keys() - known
    wanted = {name for name in foreign if given.pop(name) is not None}
    return given, tuple(sorted(wanted - _GRANTED))


def no_input_for(names: Sequence[str]) -> str:
    """Returns what the caller is to know of settings that no Space has."""
    return f"A Space has no input for {', '.join(names)}, which is not sent."


def with_own_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings under our names for them.

    Raises:
        InvalidInputError: Two names of one setting are given.
    """
    own: dict[str, Any] = {}
    for name, value in values.items():
        known = SYNONYMS.get(name, name)
        if known in own:
            msg = f"{known} and its other name ({_others(known)}) are both given: give one of them."
            raise InvalidInputError(msg)
        own[known] = value
    return own


def as_tools(tools: Sequence[Any] | None, *, strict: bool | None = None) -> list[dict[str, Any]]:
    """Returns tools of any kind that LangChain knows, in OpenAI's form.

    Raises:
        InvalidInputError: One is not a function: a Space cannot run a provider's own tools.
    """
    converted = []
    for number, tool in enumerate(tools or ()):
        try:
            form = convert_to_openai_tool(tool, strict=strict)
            name = form["function"]["name"]
            # A tool's own schema leaves out what LangChain injects.
            if whole := whole_schema(getattr(tool, "tool_call_schema", tool), strict):
                form["function"]["parameters"] = whole
        except (KeyError, TypeError, ValueError) as error:
            kind = tool.get("type") if isinstance(tool, Mapping) else None
            what = f"{kind!r}, which only its provider can run" if kind else f"{tool!r:.100}"
            msg = (
                f"tools[{number}] is {what}. Give functions, pydantic classes, LangChain tools, "
                'or {"type": "function", "function": {"name": …, "parameters": …}}.'
            )
            raise InvalidInputError(msg) from error
        if not isinstance(name, str) or not name:
            raise InvalidInputError(f"tools[{number}] has no name.")
        converted.append(form)
    return converted


def _tool_choice(choice: Any) -> str | None:
    """The choice in one spelling: None, "auto", "none", "any", or a tool's name."""
    read = choice
    if isinstance(choice, Mapping):  # OpenAI's and Anthropic's forms
        kind = choice.get("type")
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        read = name if isinstance(name, str) and name else kind
        if read in (None, "function", "tool") or (read == kind and kind not in _CHOICES):
            read = choice
    if read in (True, "required"):
        return "any"
    if read is None or read is False or read == "":
        return None
    if isinstance(read, str):
        return read
    msg = (
        f"tool_choice={choice!r:.200} is not valid: give 'auto', 'none', 'any' or the name "
        "of a tool."
    )
    raise InvalidInputError(msg)


_CHOICES = ("auto", "none", "any", "required")


def _unknown(names: Sequence[str], known: Sequence[str] | set[str]) -> str:
    listed = sorted({*known, *SYNONYMS})
    close = [match for name in names for match in get_close_matches(name, listed, 1)]
    hint = f" Did you mean {', '.join(close)}?" if close else ""
    return (
        f"ChatQwenSpace does not take {', '.join(names)} in a call.{hint} It takes "
        f"{', '.join(listed)}. Values for inputs of the Space go into "
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
