"""`ChatQwenSpace`: LangChain's side of a call."""

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from langchain_qwen_space import _sync, settings
from langchain_qwen_space.answer import Answer
from langchain_qwen_space.errors import InvalidInputError, UnknownModelError
from langchain_qwen_space.qwen import models, turns

if TYPE_CHECKING:
    from langchain_qwen_space.space.call import Call
    from langchain_qwen_space.space.client import Ask, SpaceClient
    from langchain_qwen_space.space.endpoint import Endpoint
    from langchain_qwen_space.space.events import SpaceEvent

PROVIDER = "qwen_space"
_PER_CALL = frozenset(
    ("model", "model_name", "temperature", "top_p", "max_tokens", "model_kwargs", "stream")
)


class ChatQwenSpace(BaseChatModel):
    """A Qwen chat Space on Hugging Face as a LangChain chat model.

    ```python
    from langchain_qwen_space import ChatQwenSpace

    model = ChatQwenSpace(model="72B")
    for chunk in model.stream("Why is the sky blue?"):
        print(chunk.content, end="", flush=True)
    ```

    An object holds settings only: it pickles, copies and works in any number of threads and event
    loops. Every call raises errors of `langchain_qwen_space.errors`.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())

    space: str = Field(default_factory=settings.space_from_environment, alias="base_url")
    """Id of the Space (`Qwen/Qwen2.5`) or URL of its app; environment `QWEN_SPACE`."""

    model: str | None = Field(default=None, alias="model_name")
    """Name of the model (`qwen2.5-72b-instruct`) or the Space's own word for it (`72B`).

    None is the Space's own default. May be given per call too.
    """

    hf_token: SecretStr | None = Field(
        default_factory=settings.token_from_environment, alias="api_key"
    )
    """Hugging Face token, for private Spaces and higher quotas.

    Without one, `HF_TOKEN`, then `HUGGINGFACEHUB_API_TOKEN`, then what `hf auth login` saved. Such
    a token goes to huggingface.co and *.hf.space only; one given here goes also to the URL in
    `space`.
    """

    proxy: SecretStr | None = Field(default_factory=settings.proxy_from_environment)
    """URL of an HTTP proxy for every request; environment `QWEN_SPACE_PROXY`.

    Without one, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count as usual.
    """

    timeout: float | None = Field(default=60.0, gt=0)
    """The longest silence of the Space in seconds; its heartbeats are a sign of life."""

    max_retries: int = Field(default=2, ge=0)
    """How often a call is made again that failed before its first fragment."""

    max_concurrency: int | None = Field(default=8, ge=1)
    """How many calls of this process are on the Space at a time; others wait their turn."""

    stop: list[str] | None = None
    """Strings before the first of which answers are cut. `stop` of a call replaces it."""

    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature, where the Space has an input for it."""

    top_p: float | None = Field(default=None, ge=0, le=1)
    """Nucleus sampling, where the Space has an input for it."""

    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens an answer may have."""

    streaming: bool = False
    """Whether `invoke` streams as well, for callbacks that want every fragment.

    False is the default and changes nothing; `disable_streaming=True` makes `stream` give whole
    answers.
    """

    join_fragments: bool = True
    """Whether fragments that have arrived together come as one chunk."""

    api_name: str | None = None
    """The Space's function to call, where it has several that chat; else it is found."""

    inputs: dict[str, str | int] = Field(default_factory=dict)
    """Which input of the function is what, by label or index, where that is not found right.

    Keys: query, history, system, model, temperature, top_p, max_tokens.
    """

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Values for other inputs of the Space, by their label."""

    _warned: set[str] = PrivateAttr(default_factory=set)

    @field_validator("space")
    @classmethod
    def _check_space(cls, space: str) -> str:
        from langchain_qwen_space.space.access import parse_space

        return parse_space(space)

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        from langchain_qwen_space.space.access import parse_proxy

        if proxy is not None:
            parse_proxy(proxy.get_secret_value())
        return proxy

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
        import langchain_qwen_space.space.call  # noqa: F401  (aiohttp loads here, not in a call)

        self._add_version("langchain-qwen-space", version("langchain-qwen-space"))
        return self

    # What LangChain asks about a model

    @property
    def _llm_type(self) -> str:
        return "qwen-space"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """The settings that shape an answer; no secrets."""
        return {
            "space": self.space,
            "model": self.model,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            "api_name": self.api_name,
            "inputs": self.inputs,
            "model_kwargs": self.model_kwargs,
        }

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variables that stand for the secrets in a serialised model."""
        return {"hf_token": settings.TOKEN_VARIABLES[0], "proxy": settings.PROXY_VARIABLE}

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
        model = kwargs.get("model") or kwargs.get("model_name") or self.model
        if model:
            params["ls_model_name"] = models.canonical_name(model)
        else:
            params.pop("ls_model_name", None)
        return params

    # A call

    def _request(
        self, messages: list[BaseMessage], stop: Sequence[str] | None, kwargs: Mapping[str, Any]
    ) -> "_Request":
        unknown = sorted(kwargs.keys() - _PER_CALL)
        if unknown:
            msg = (
                f"ChatQwenSpace takes no {', '.join(unknown)} in a call; it takes "
                f"{', '.join(sorted(_PER_CALL))}. Values for inputs of the Space go into "
                "model_kwargs={'label': value}."
            )
            raise InvalidInputError(msg)
        own = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        given = {
            name: value
            for name, default in own.items()
            if (value := kwargs.get(name, default)) is not None
        }
        if isinstance(stop, str):
            stop = [stop]
        return _Request(
            prompt=turns.from_messages(messages),
            model=kwargs.get("model") or kwargs.get("model_name") or self.model,
            given=given,
            extra={**self.model_kwargs, **kwargs.get("model_kwargs", {})},
            stop=tuple(self.stop or () if stop is None else stop),
        )

    def _client(self) -> "SpaceClient":
        from langchain_qwen_space.space.access import Access
        from langchain_qwen_space.space.client import Options, SpaceClient

        token, proxy = self.hf_token, self.proxy
        access = Access(
            space=self.space,
            token=token.get_secret_value() if token else None,
            token_is_explicit=not isinstance(token, settings.EnvironmentSecret),
            proxy=proxy.get_secret_value() if proxy else None,
        )
        options = Options(
            timeout=self.timeout,
            max_retries=self.max_retries,
            max_concurrency=self.max_concurrency,
            join_fragments=self.join_fragments,
            api_name=self.api_name,
            inputs=tuple(sorted(self.inputs.items())),
        )
        return SpaceClient(access, options)

    async def _answer(
        self, request: "_Request"
    ) -> AsyncGenerator[list["ChatGenerationChunk | SpaceEvent"]]:
        """The one path of every call: what arrives, in batches of what has arrived together."""
        from langchain_qwen_space.space.call import Call, Finished
        from langchain_qwen_space.space.events import SpaceEvent

        call = Call(self._client(), request.ask)
        answer = Answer(request.stop)
        async with aclosing(call.run()) as batches:
            async for batch in batches:
                items: list[ChatGenerationChunk | SpaceEvent] = []
                for item in batch:
                    if isinstance(item, str):
                        items += answer.take(item)
                        if answer.done:
                            break
                    elif isinstance(item, SpaceEvent):
                        items.append(item)
                    elif isinstance(item, Finished):
                        items += self._last(answer, call, request)
                if items:
                    yield items
                if answer.done:
                    break
        if answer.done:
            yield [*self._last(answer, call, request)]

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        for batch in _sync.iterate(lambda: self._answer(request)):
            for item in batch:
                if not isinstance(item, ChatGenerationChunk):
                    self._tell(item)
                    continue
                if run_manager:
                    run_manager.on_llm_new_token(item.text, chunk=item)
                yield item

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        async with aclosing(self._answer(request)) as batches:
            async for batch in batches:
                for item in batch:
                    if not isinstance(item, ChatGenerationChunk):
                        self._tell(item)
                        continue
                    if run_manager:
                        await run_manager.on_llm_new_token(item.text, chunk=item)
                    yield item

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(list(self._stream(messages, stop, None, **kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result([chunk async for chunk in self._astream(messages, stop, None, **kwargs)])

    def _last(self, answer: Answer, call: "Call", request: "_Request") -> list[ChatGenerationChunk]:
        model = call.model or request.model
        metadata: dict[str, Any] = {
            "model_name": models.canonical_name(model) if model else "unknown",
            "model_provider": PROVIDER,
            "space": self.space,
            "event_id": call.event_id,
        }
        return answer.finish(metadata, revised=call.revised, text=call.text)

    def _tell(self, event: "SpaceEvent") -> None:
        """Hand an event of the call on."""
        from langchain_qwen_space.space.events import WarningEvent

        if isinstance(event, WarningEvent) and event.message not in self._warned:
            self._warned.add(event.message)
            warnings.warn(event.message, stacklevel=2)


@dataclass(frozen=True, slots=True)
class _Request:
    """What one call asks for, checked as far as that can be done without the Space."""

    prompt: turns.Prompt
    model: str | None
    given: Mapping[str, Any]
    extra: Mapping[str, Any]
    stop: tuple[str, ...] = field(default=())

    def ask(self, endpoint: "Endpoint") -> "Ask":
        """The same, in the words of the function that was found.

        Raises:
            UnknownModelError: The Space does not offer the model.
        """
        from langchain_qwen_space.space.client import Ask

        given = dict(self.given)
        model = self.model
        if endpoint.models:
            if model is not None:
                choice = models.match_model(model, endpoint.models)
                if choice is None:
                    msg = (
                        f"The Space offers no model {model!r}; it offers "
                        f"{', '.join(endpoint.models)}."
                    )
                    raise UnknownModelError(msg)
                given["model"] = choice
            elif endpoint.default_model is None:
                given["model"] = endpoint.models[0]
        elif model is not None:
            given["model"] = model
        history, query = self.prompt.history, self.prompt.query
        if "system" in endpoint.roles:
            given["system"] = self.prompt.system
        elif self.prompt.system != turns.DEFAULT_SYSTEM:
            # Without an input of its own, the system prompt opens the first human turn.
            opening = self.prompt.system + "\n\n"
            if history:
                history = ((opening + history[0][0], history[0][1]), *history[1:])
            else:
                query = opening + query
        return Ask(query=query, history=history, given=given, extra=self.extra)


def _result(chunks: list[ChatGenerationChunk]) -> ChatResult:
    """The chunks of an answer as one, with the exact text where the Space had revised it."""
    whole = merge_chat_generation_chunks(chunks)
    assert whole is not None  # noqa: S101
    message = message_chunk_to_message(whole.message)
    exact = message.response_metadata.get("final_text")
    if exact is not None:
        message.content = exact
    return ChatResult(generations=[ChatGeneration(message=message)])
