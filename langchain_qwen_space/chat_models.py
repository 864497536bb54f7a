"""`ChatQwenSpace`: its settings and their checks, and LangChain's methods."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from copy import deepcopy
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.load.serializable import SerializedConstructor, SerializedNotImplemented
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import Runnable
from langchain_core.runnables.utils import AnyConfigurableField
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from langchain_qwen_space import _sync, environment, structured
from langchain_qwen_space.callbacks import adispatch, dispatch, warn
from langchain_qwen_space.configurable import ConfigurableModel
from langchain_qwen_space.events import SpaceEvent, WarningEvent
from langchain_qwen_space.messages import answerable, for_langchain
from langchain_qwen_space.options import (
    PROVIDER,
    CallOptions,
    DialectName,
    MaxTokens,
    NoBool,
    Seconds,
    Temperature,
    Timeout,
    TopP,
    as_tools,
    for_the_class,
    with_own_names,
)
from langchain_qwen_space.qwen import dialects, models, tokens, turns, vision
from langchain_qwen_space.qwen.tools import BROKEN_CALLS
from langchain_qwen_space.transport import Transport

if TYPE_CHECKING:
    from langchain_qwen_space.call import ModelCall
    from langchain_qwen_space.space.chat.description import SpaceDescription
    from langchain_qwen_space.space.routing.target import SpaceTarget

logger = logging.getLogger(__name__)


class ChatQwenSpace(BaseChatModel):
    """A Qwen chat Space on Hugging Face as a LangChain chat model.

    ```python
    from langchain_qwen_space import ChatQwenSpace

    model = ChatQwenSpace(model="72B")
    for chunk in model.stream("Why is the sky blue?"):
        print(chunk.content, end="", flush=True)
    ```

    An object holds settings only: it can be pickled, copied, and used in any number of threads and
    event loops. Deep copies share its handlers, caches, rate limiter and functions. `on_event` is
    not pickled, and a pickled `InMemoryRateLimiter` starts from scratch. A call that fails raises an
    error of `langchain_qwen_space.errors`.

    The names that `ChatOpenAI` and `ChatOllama` use for a setting, such as `model_name` and
    `max_completion_tokens`, work too, here and in a call. Their other settings, such as `seed`,
    are reported in a warning and not sent.
    """

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # a URL that is refused may hold a password
    )

    space: str | list[str] = Field(
        default_factory=environment.space_from_environment, alias="base_url", validate_default=True
    )
    """Id of the Space (`Qwen/Qwen2.5`) or URL of its app.

    With a list of them, each call goes to the one that is expected to answer it soonest. All of
    them must accept the same arguments. One that fails is skipped for a while.
    """

    model: str | None = Field(default=None, alias="model_name")
    """The model: its name (`qwen2.5-72b-instruct`), or the Space's name for it (`72B`).

    None is the Space's default.
    """

    dialect: DialectName | None = None
    """How tools, calls, results and thoughts are written in a prompt for this model.

    "hermes" for Qwen2.5, Qwen3 and QwQ, "qwen3-coder" for Qwen3-Coder, "qwen3.5" for Qwen3.5 and
    later. By default it follows the model's name: that of the call, of the setting `model`, of the
    Space's default, or of the Space's id. "hermes" is used for models that are not known.
    What a model writes is read in every form.
    """

    hf_token: SecretStr | None = Field(
        default_factory=environment.token_from_environment, alias="api_key"
    )
    """Hugging Face token, for private Spaces and higher quotas.

    A token from the environment is sent to huggingface.co and `*.hf.space` only. One that you pass
    here is also sent to the URL in `space`.
    """

    proxy: SecretStr | None = Field(
        default_factory=environment.proxy_from_environment, validate_default=True
    )
    """URL of an HTTP proxy for every request.

    Without one, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are used as in other programs. SOCKS is
    not supported.
    """

    timeout: Timeout = 60.0
    """Longest time without data from the Space, in seconds. Its heartbeats count as data.

    From an `httpx.Timeout`, or a tuple as httpx accepts it, only the read timeout is used.
    """

    max_retries: Annotated[int, NoBool] = Field(default=2, ge=0)
    """How often a call that failed before its first text is retried.

    Switching to another Space in the list does not count.
    """

    queue_timeout: Seconds | None = None
    """Longest wait for a slot (`max_concurrency`) and in the Space's queue, in seconds."""

    total_timeout: Seconds | None = None
    """Time limit for a whole call in seconds, including retries and repeated requests for one answer.

    A stream still yields what has arrived by then.
    """

    wake_timeout: Annotated[float, NoBool] = Field(default=120.0, ge=0)
    """Longest wait for a Space that is asleep or starting, in seconds."""

    max_concurrency: Annotated[int | None, NoBool] = Field(default=8, ge=1)
    """How many calls this process makes to the Space at the same time; further calls wait.

    Models with the same limit share it. With several Spaces, the limit applies to each. A waiting
    call goes to the first with room.
    """

    stop: list[str] | None = None
    """Strings at which an answer is cut; the string itself is removed."""

    temperature: Temperature | None = None
    """Sampling temperature, where the Space has an input for it."""

    top_p: TopP | None = None
    """Nucleus sampling, where the Space has an input for it."""

    max_tokens: MaxTokens | None = None
    """Longest answer, in tokens.

    The Space's own limit is set, if it has one; a longer answer is cut client-side, and the call is
    cancelled.
    """

    streaming: bool = False
    """Whether `invoke` streams too, for callbacks that need every chunk.

    To make `stream` return whole answers, use `disable_streaming=True`.
    """

    join_fragments: bool = True
    """Whether text that arrives together is returned as one chunk."""

    reasoning: bool | None = None
    """What happens to the model's thoughts (`<think>` tags, or thought messages of the Space).

    True returns them as `additional_kwargs["reasoning_content"]`, False drops them, None keeps tags
    in the text and drops thought messages. Tool calls, stop
    strings and JSON in thoughts are ignored.
    """

    thinking: bool | None = None
    """Whether the model thinks before it answers; None leaves it to the Space.

    If the Space has a switch for it, the switch is set. Otherwise `/think` or `/no_think` is added
    to the question for the first Qwen3 models, which follow it; other models give a warning.
    """

    thinking_budget: MaxTokens | None = None
    """Longest thoughts, in tokens, where the Space has an input for it."""

    retry_tool_choice: bool = True
    """Whether the model is asked once more if it had to call a tool but did not, or if none of its
    calls can be parsed."""

    protect_tool_results: bool = True
    """Whether control strings in tool results are broken up, so that they cannot forge a turn."""

    on_event: Callable[[SpaceEvent], None] | None = Field(default=None, exclude=True, repr=False)
    """Function that receives each event of a call: queue position, notices, retries."""

    transport: Transport | None = Field(default=None, exclude=True, repr=False)
    """Function that answers every request instead of the network, for tests and unusual transports.

    It takes a `Request` and returns a `Response` of `langchain_qwen_space.transport`. Files that
    `fetch_files` downloads do not pass through it.
    """

    auth: tuple[str, SecretStr] | None = Field(default=None, exclude=True)
    """User name and password, for a Space with a login."""

    max_reply_bytes: Annotated[int, NoBool] = Field(default=16 * 2**20, ge=1)
    """Largest size of one event, in bytes, and of one answer, in characters."""

    max_config_bytes: Annotated[int, NoBool] = Field(default=16 * 2**20, ge=1)
    """Largest size of the Space's configuration, in bytes."""

    start: Annotated[str | int | None, NoBool] = None
    """The function that the page calls first, by name or number. Detected by default.

    A function named here may return its answer as text instead of in a chatbot.
    """

    api_name: str | None = None
    """The function that answers, by its API name, if several look like a chat."""

    inputs: dict[str, Annotated[str | int, NoBool]] = Field(default_factory=dict)
    """Which input has which role, where detection is wrong.

    Keys: query, history, system, model, temperature, top_p, max_tokens, thinking, thinking_budget.
    Values: the label, the index, `FORM.KEY` for a field of a form, the `elem_id`, or the name of
    the function's parameter.
    """

    history: Literal["turns", "text"] | None = None
    """How earlier turns are sent.

    `"turns"`: as the app's conversation. `"text"`: inside the question, each line prefixed with
    `> `. By default as turns if the app accepts them from a client, otherwise as text with a
    `WarningEvent`. `describe()` shows which.
    """

    fetch_files: bool = False
    """Whether files that messages name by URL are downloaded here and uploaded to the Space.

    By default the Space gets the URL and downloads the file itself. Only public addresses are
    allowed, no proxy is used, and a file may be up to 64 MiB.
    """

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Values for other inputs of the Space, by their label."""

    _warned: set[str] = PrivateAttr(default_factory=set)

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, values: Any) -> Any:
        """Put settings under their names; leave out what no Space has, and another model's profile."""
        if not isinstance(values, dict):
            return values
        values, notes = for_the_class(values, cls.model_fields.keys())
        for note in notes:
            warn(note)
        if _is_derived(values.get("profile")):
            del values["profile"]
        return values

    @field_validator("space", mode="before")
    @classmethod
    def _check_space(cls, space: object) -> str | list[str]:
        """The Spaces in one spelling; a list of one is that one."""
        from langchain_qwen_space.space.wire.access import parse_space

        listed = space if isinstance(space, list | tuple) else [space]
        spaces = [parse_space(one) for one in listed if isinstance(one, str)]
        if not listed or len(spaces) < len(listed):
            raise ValueError(
                "space must be the id of a Space or the URL of its app, as a string, or a list of "
                "at least one of them."
            )
        if len(set(spaces)) < len(spaces):
            raise ValueError("space contains the same Space twice.")
        return spaces if len(spaces) > 1 else spaces[0]

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        from langchain_qwen_space.space.wire.access import parse_proxy

        if proxy is not None:
            parse_proxy(proxy.get_secret_value())
        return proxy

    @field_validator("on_event")
    @classmethod
    def _check_on_event(cls, listener: Any) -> Any:
        if iscoroutinefunction(listener) or iscoroutinefunction(type(listener).__call__):
            raise ValueError(
                "on_event must be a plain function; an async one would not be awaited."
            )
        return listener

    @field_validator("output_version")
    @classmethod
    def _check_output_version(cls, name: str | None) -> str | None:
        if name not in (None, "v0", "v1"):
            raise ValueError(
                "output_version must be 'v0' (text) or 'v1' (standard content blocks)."
            )
        return name

    @field_validator("stop", mode="before")
    @classmethod
    def _check_stop(cls, stop: object) -> object:
        return [stop] if isinstance(stop, str) else stop

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        # LangChain takes a `streaming` that was set to False for a wish that `stream` does not
        # stream, and what rebuilds a model (configurable_fields, loads) sets every field.
        if not self.streaming:
            self.__pydantic_fields_set__.discard("streaming")
        if self.auth is not None and isinstance(self.space, list):
            raise ValueError("auth cannot be used with several Spaces: each would receive it.")
        import langchain_qwen_space.space.routing.space_call  # noqa: F401  (aiohttp loads here, not in a call)

        self._add_version("langchain-qwen-space", version("langchain-qwen-space"))
        return self

    @property
    def model_name(self) -> str | None:
        """`model`, under the name that other chat models have for it."""
        return self.model

    # What a Space offers

    def describe(self) -> "SpaceDescription":
        """The Space's endpoint as detected; print it to read it. With several Spaces, that of the first.

        Raises:
            QwenSpaceError: The Space cannot be reached, or has no chat.
        """
        return _sync.run(self.adescribe())

    async def adescribe(self) -> "SpaceDescription":
        """As `describe`."""
        from langchain_qwen_space.space.chat.description import describe_endpoint
        from langchain_qwen_space.space.wire.pool import current_pool

        target = self._target()
        endpoint, _ = await target.visit(await current_pool())
        space = target.access.space
        family = models.family_of_space(space, endpoint.models)
        default = endpoint.default_model and models.canonical_name(endpoint.default_model, family)
        self._learn_profile(default, endpoint.file_kinds)
        model = models.in_use(self.model, endpoint.default_model, space, family)
        dialect = models.dialect(model, self.dialect)
        assumed = dialect is dialects.UNKNOWN and self.dialect is None
        name = f"{dialect.name} (assumed: the model is not known)" if assumed else dialect.name
        return target.access.redacted(replace(describe_endpoint(space, endpoint), dialect=name))

    def list_models(self) -> list[str]:
        """The models that the Space offers, by its own names; empty if it offers no choice.

        With several Spaces, the models that all of them offer, by the names of the first.

        Raises:
            QwenSpaceError: The Space cannot be reached, or has no chat.
        """
        return _sync.run(self.alist_models())

    async def alist_models(self) -> list[str]:
        """As `list_models`."""
        from langchain_qwen_space.space.wire.pool import current_pool

        pool = await current_pool()
        first, *others = [
            (await self._target(space).visit(pool))[0].models for space in self._spaces
        ]
        return [model for model in first if all(models.match_model(model, o) for o in others)]

    # Tools

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model, in the form that it was trained on.

        Args:
            tools: Functions, pydantic classes, TypedDicts, dicts, LangChain tools.
            tool_choice: "auto", "none", "any" (also "required" or True), or a tool's name; if the
                name is one of these words, pass it in OpenAI's dict. A Space cannot force a call:
                the prompt demands one, text before it is withheld, and if the model does not make
                one, it is asked once more (`retry_tool_choice`).
            strict: Passed on in the tools' JSON.
            parallel_tool_calls: False ends the answer after its first call.
            **kwargs: Other settings of the call.

        Raises:
            InvalidInputError: `tool_choice` does not name one of the tools, a tool can be run by its
                provider only, or its parameters are not a JSON schema of an object.
        """
        if isinstance(tools, Iterator):
            tools = list(tools)
        offered = as_tools(tools, strict=strict)
        if choice := CallOptions.of(
            {}, None, {"tools": offered, "tool_choice": tool_choice}
        ).tool_choice:
            kwargs["tool_choice"] = choice
        # A tool without a function cannot run: agents offer the form of their answer so.
        if schemas := [
            tool.name
            for tool in tools or ()
            if isinstance(tool, StructuredTool) and tool.func is None and tool.coroutine is None
        ]:
            kwargs.setdefault("schema_tools", schemas)
        if parallel_tool_calls is not None:
            kwargs["parallel_tool_calls"] = parallel_tool_calls
        return self.bind(tools=offered, **kwargs)

    # Structured output

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: structured.Method = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        max_repairs: int = 1,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return answers as objects that fit a schema.

        Args:
            schema: A pydantic class (v1 or v2), a TypedDict, a JSON schema, a tool in OpenAI's
                form; None, with "json_mode" only, accepts any JSON object.
            method: "function_calling" offers the schema as a tool that has to be called. Both JSON
                methods put it into the system prompt, and find the JSON in fences and prose too.
            include_raw: Return `{"raw", "parsed", "parsing_error"}` instead of raising parsing errors.
            strict: Forbid additional properties in the schema that the model reads.
            max_repairs: How often `invoke` asks the model again with a description of what is wrong
                with its answer. A stream never does.
            **kwargs: Other settings of the call. With a JSON method, the model may be offered
                `tools` too.

        Returns:
            A Runnable that returns instances of a pydantic class, otherwise dicts; both are
            validated. A stream yields dicts while they grow, and pydantic objects once they are
            valid. If the model calls one of the `tools`, the object is None.

        Raises:
            InvalidInputError: The method is unknown, or the schema is missing or not of an object.
        """
        return structured.structured_output(
            self,
            schema,
            method=method,
            include_raw=include_raw,
            strict=strict,
            max_repairs=max_repairs,
            **kwargs,
        )

    # Token counts

    def get_token_ids(self, text: str) -> list[int]:
        """The token ids of a text, by `custom_get_token_ids` if set, else by Qwen's vocabulary.

        Raises:
            ImportError: The vocabulary is not installed (extra `tokens`).
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return tokens.load().encode(text)

    def get_num_tokens(self, text: str) -> int:
        """The number of tokens in a text; an estimate without the extra `tokens`."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return tokens.load().count(text)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """The number of tokens of messages and tools in a prompt.

        It counts what would be sent, including the empty user turn after a final AI message, but not
        the system prompt that a Space uses by default. An empty list has no tokens.

        Raises:
            InvalidInputError: A message contains something that cannot be sent to a Space.
        """
        if not messages:
            return 0
        prompt = turns.from_messages(
            answerable(convert_to_messages(messages)),
            tools=as_tools(tools),
            protect_tool_results=self.protect_tool_results,
            dialect=models.dialect(self.model, self.dialect),
            own_system="",
        )
        counter = self._counter() or tokens.load()
        count = tokens.count_prompt(counter, prompt.system, prompt.history, prompt.query)
        return count + vision.count_all(prompt.files, self.model)

    def _counter(self) -> tokens.TokenCounter | None:
        """What counts by the caller's own function, if there is one."""
        encode = self.custom_get_token_ids
        return None if encode is None else _CustomCounter(encode)

    # A call

    def _convert_input(self, model_input: LanguageModelInput) -> PromptValue:
        prompt = super()._convert_input(model_input)
        return ChatPromptValue(messages=for_langchain(prompt.to_messages()))

    def generate(self, messages: list[list[BaseMessage]], *args: Any, **kwargs: Any) -> LLMResult:
        """As LangChain's; content blocks are read as in `invoke`."""
        return super().generate([for_langchain(each) for each in messages], *args, **kwargs)

    async def agenerate(
        self, messages: list[list[BaseMessage]], *args: Any, **kwargs: Any
    ) -> LLMResult:
        """As `generate`."""
        return await super().agenerate([for_langchain(each) for each in messages], *args, **kwargs)

    def _model_call(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        keywords: Mapping[str, Any],
        before_request: Callable[[], Awaitable[object]] | None,
        *,
        whole: bool,
    ) -> "ModelCall":
        from langchain_qwen_space.call import ModelCall

        settings = {
            name: getattr(self, name) for name in CallOptions.model_fields if hasattr(self, name)
        }
        options = CallOptions.of(settings, stop, keywords)
        options.check_tool_names()
        return ModelCall(
            messages,
            options,
            [self._target(space, timeout=options.timeout) for space in self._spaces],
            whole=whole,
            counter=self._counter(),
            protect_tool_results=self.protect_tool_results,
            content_blocks=self.output_version == "v1",
            max_input_tokens=self._given_profile().get("max_input_tokens"),
            before_request=before_request,
        )

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._chunks(messages, stop, run_manager, kwargs)

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return self._achunks(messages, stop, run_manager, kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(list(self._chunks(messages, stop, run_manager, kwargs, whole=True)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = self._achunks(messages, stop, run_manager, kwargs, whole=True)
        return _result([chunk async for chunk in chunks])

    def _chunks(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        run_manager: CallbackManagerForLLMRun | None,
        keywords: Mapping[str, Any],
        *,
        whole: bool = False,
    ) -> Iterator[ChatGenerationChunk]:
        """The chunks of an answer; its events go to callbacks on the way."""
        limiter = self.rate_limiter  # waits in a thread: the private loop runs no user code
        turn = partial(_sync.in_thread, limiter.acquire) if limiter else None
        call = self._model_call(messages, stop, keywords, turn, whole=whole)
        for batch in _sync.iterate(call.run):
            for item in batch:
                if isinstance(item, ChatGenerationChunk):
                    if run_manager and not whole:
                        run_manager.on_llm_new_token(item.text, chunk=item)
                    yield item
                else:
                    self._report(item)
                    dispatch(item, run_manager)
        self._learn_profile(call.default_model, call.file_kinds)

    async def _achunks(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        run_manager: AsyncCallbackManagerForLLMRun | None,
        keywords: Mapping[str, Any],
        *,
        whole: bool = False,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """As `_chunks`, in the caller's own loop."""
        limiter = self.rate_limiter
        turn = limiter.aacquire if limiter else None
        call = self._model_call(messages, stop, keywords, turn, whole=whole)
        async with aclosing(call.run()) as batches:
            async for batch in batches:
                for item in batch:
                    if isinstance(item, ChatGenerationChunk):
                        if run_manager and not whole:
                            await run_manager.on_llm_new_token(item.text, chunk=item)
                        yield item
                    else:
                        self._report(item)
                        await adispatch(item, run_manager)
        self._learn_profile(call.default_model, call.file_kinds)

    def _report(self, event: SpaceEvent) -> None:
        """Hand an event of the call to the model's own listener.

        As with LangChain's handlers, an error of the listener is logged and the call continues.
        """
        if isinstance(event, WarningEvent) and event.message not in self._warned:
            self._warned.add(event.message)
            warn(event.message)
        if self.on_event is not None:
            try:
                self.on_event(event)
            except Exception:
                logger.exception("on_event failed at %s", event.name)

    # What LangChain asks of a model

    @property
    def _llm_type(self) -> str:
        return "qwen-space"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """The settings that shape an answer; no secrets."""
        return {
            "space": self.space,
            "model": self.model,
            "dialect": self.dialect,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "thinking": self.thinking,
            "thinking_budget": self.thinking_budget,
            "reasoning": self.reasoning,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            "start": self.start,
            "api_name": self.api_name,
            "inputs": self.inputs,
            "history": self.history,
            "model_kwargs": self.model_kwargs,
        }

    def _resolve_model_profile(self) -> ModelProfile | None:
        model = self.model
        if model is None and self.space == environment.DEFAULT_SPACE:
            model = "72B"  # what its page has chosen
        return models.profile(model, self._family) if model else None

    def _given_profile(self) -> ModelProfile:
        """The profile that the caller gave; empty where it is only what is known of the model."""
        return {} if self.profile is None or _is_derived(self.profile) else self.profile

    def _learn_profile(self, default_model: str | None, file_kinds: frozenset[str]) -> None:
        """Take the profile of the Space's own default, and the files that its page takes."""
        if self._given_profile():
            return
        known: ModelProfile | None = self.profile
        if known is None and self.model is None and default_model:
            known = models.profile(default_model)
        if file_kinds and not (known and models.reads_text_only(str(known.get("name")))):
            name = models.canonical_name(self.model or default_model or self._spaces[0])
            known = {
                "name": name,
                **(known or {}),
                "image_inputs": "image" in file_kinds,
                "pdf_inputs": "pdf" in file_kinds,
                "audio_inputs": "audio" in file_kinds,
                "video_inputs": "video" in file_kinds,
            }
        self.profile = known

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's; other names of settings are known, and the profile follows the model.

        Raises:
            InvalidInputError: There is no setting of a name in `update`.
        """
        fields = type(self).model_fields
        update, notes = for_the_class(update or {}, fields.keys())
        for note in notes:
            warn(note)
        if isinstance(token := update.get("hf_token"), str):
            update["hf_token"] = SecretStr(token)
        copy = super(ChatQwenSpace, deepcopy(self) if deep else self).model_copy(update=update)
        if update.keys() & {"model", "space"} and "profile" not in update:
            copy.profile = self._given_profile() or copy._resolve_model_profile()  # noqa: SLF001
        return copy

    def configurable_fields(self, **kwargs: AnyConfigurableField) -> ConfigurableModel:
        """As LangChain's; other names of settings are known, and tools and schemas can be bound."""
        fields = with_own_names(kwargs, type(self).model_fields.keys())
        super().configurable_fields(**fields)  # checks the names
        return ConfigurableModel(default=self, fields=fields)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy of the settings. What works for the model is shared: functions, handlers, caches."""
        memo = {} if memo is None else memo
        handlers = self.callbacks if isinstance(self.callbacks, list) else [self.callbacks]
        own = (self.on_event, self.transport, self.custom_get_token_ids)
        for shared in (*own, self.cache, self.rate_limiter, *handlers):
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled: all settings but `on_event`, which may be any function.

        Of an `InMemoryRateLimiter`, its settings: its bucket is one of this process.
        """
        state = super().__getstate__()
        state["__dict__"] = {**state["__dict__"], "on_event": None}
        if type(limiter := self.rate_limiter) is InMemoryRateLimiter:
            names = ("requests_per_second", "check_every_n_seconds", "max_bucket_size")
            state["__dict__"]["rate_limiter"] = {name: getattr(limiter, name) for name in names}
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Take what was pickled."""
        super().__setstate__(state)
        if isinstance(limiter := self.__dict__["rate_limiter"], dict):
            self.__dict__["rate_limiter"] = InMemoryRateLimiter(**limiter)

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variables that stand for the secrets in a serialised model."""
        return {"hf_token": environment.TOKEN_VARIABLES[0], "proxy": environment.PROXY_VARIABLE}

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """What `dumps` saves. A token of the environment is not named in it.

        `loads` would give it back as one that the caller gave, which more hosts may see.
        """
        saved = super().to_json()
        if isinstance(self.hf_token, environment.EnvironmentSecret):
            cast("SerializedConstructor", saved)["kwargs"].pop("hf_token", None)
        return saved

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Models can be saved by `langchain_core.load.dumps`."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where `langchain_core.load.loads` finds the class."""
        return ["langchain_qwen_space", "chat_models"]

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        kwargs = with_own_names(kwargs, CallOptions.model_fields.keys())
        if stop is None and (stops := kwargs.get("stop") or self.stop):
            params["ls_stop"] = [stops] if isinstance(stops, str) else list(stops)
        if kwargs.get("max_tokens"):
            params["ls_max_tokens"] = kwargs["max_tokens"]
        model = kwargs.get("model") or self.model
        if isinstance(model, str) and model:
            params["ls_model_name"] = models.canonical_name(model, self._family)
        else:
            params.pop("ls_model_name", None)
        return params

    @property
    def _family(self) -> str | None:
        """The family of models that the Space's id speaks of."""
        return models.family_of_space(self._spaces[0], ())

    @property
    def _spaces(self) -> list[str]:
        """The Spaces, also where there is one."""
        return self.space if isinstance(self.space, list) else [self.space]

    def _target(self, space: str | None = None, **changed: Any) -> "SpaceTarget":
        """The target that is one of the Spaces, by default of the first, with options of a call."""
        from langchain_qwen_space.space.routing.options import SpaceOptions
        from langchain_qwen_space.space.routing.target import SpaceTarget
        from langchain_qwen_space.space.wire.access import Access

        token, proxy, auth = self.hf_token, self.proxy, self.auth
        access = Access(
            space=space or self._spaces[0],
            token=token.get_secret_value() if token else None,
            token_is_explicit=not isinstance(token, environment.EnvironmentSecret),
            proxy=proxy.get_secret_value() if proxy else None,
            auth=(auth[0], auth[1].get_secret_value()) if auth else None,
            transport=self.transport,
        )
        options = SpaceOptions(
            timeout=self.timeout,
            queue_timeout=self.queue_timeout,
            total_timeout=self.total_timeout,
            wake_timeout=self.wake_timeout,
            max_retries=self.max_retries,
            max_concurrency=self.max_concurrency,
            join_fragments=self.join_fragments,
            max_reply_bytes=self.max_reply_bytes,
            max_config_bytes=self.max_config_bytes,
            start=self.start,
            api_name=self.api_name,
            inputs=tuple(sorted(self.inputs.items())),
            history=self.history,
        )
        return SpaceTarget(access, replace(options, **changed))


class _CustomCounter(tokens.Estimate):
    """Counts by a function of the caller's."""

    def __init__(self, encode: Callable[[str], list[int]]) -> None:
        self._encode = encode

    def count(self, text: str) -> int:
        return len(self._encode(text))


def _is_derived(profile: Any) -> bool:
    """Whether a profile is what is known of a model or its Space, and not the caller's own."""
    name = profile.get("name") if isinstance(profile, Mapping) else None
    if not isinstance(name, str):
        return False
    own, known = (
        {key: value for key, value in one.items() if not key.endswith("_inputs")}
        for one in (profile, models.profile(name) or {"name": name})
    )
    return own == known


def _result(chunks: list[ChatGenerationChunk]) -> ChatResult:
    """The chunks of an answer as one."""
    whole = merge_chat_generation_chunks(chunks)
    assert whole is not None  # noqa: S101
    message = message_chunk_to_message(whole.message)
    if isinstance(message, AIMessage):
        broken = message.additional_kwargs.get(BROKEN_CALLS, {})
        for call in message.invalid_tool_calls:
            call["error"] = broken.get(call["id"], {}).get("error")
    return ChatResult(generations=[ChatGeneration(message=message)])
