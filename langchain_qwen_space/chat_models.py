"""`ChatQwenSpace`: LangChain's side of a call."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    message_chunk_to_message,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_qwen_space import _sync, structured
from langchain_qwen_space.answer import Answer, Shape
from langchain_qwen_space.callbacks import adispatch, dispatch
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.events import RevisedEvent, SpaceEvent, WarningEvent
from langchain_qwen_space.qwen import models, tokens, turns
from langchain_qwen_space.request import Request
from langchain_qwen_space.settings import PROVIDER, Settings
from langchain_qwen_space.space.chat.reply import Thought

if TYPE_CHECKING:
    from langchain_qwen_space.space.chat.description import SpaceDescription
    from langchain_qwen_space.space.routing.call import Call

_SAMPLING = ("temperature", "top_p")
_PER_CALL = frozenset(
    [
        "model",
        "model_name",
        "max_tokens",
        "reasoning",
        "model_kwargs",
        "stream",
        "tools",
        "tool_choice",
        "response_format",
        "parallel_tool_calls",
        "temperature",
        "top_p",
    ]
)


class ChatQwenSpace(Settings):
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

    # What a Space offers

    def describe(self) -> "SpaceDescription":
        """The Space's endpoint as it was understood; print it to read it. Of several, the first's.

        Raises:
            QwenSpaceError: The Space cannot be reached, or has no chat.
        """
        return _sync.run(self.adescribe())

    async def adescribe(self) -> "SpaceDescription":
        """As `describe`."""
        from langchain_qwen_space.space.chat.description import describe_endpoint
        from langchain_qwen_space.space.wire.pool import current_pool

        client = self._client()
        return describe_endpoint(client.access.space, await client.endpoint(await current_pool()))

    def list_models(self) -> list[str]:
        """The models on offer, in the Space's own words; empty where it offers no choice.

        Of several Spaces, those that each of them offers, in the words of the first.

        Raises:
            QwenSpaceError: The Space cannot be reached, or has no chat.
        """
        return _sync.run(self.alist_models())

    async def alist_models(self) -> list[str]:
        """As `list_models`."""
        from langchain_qwen_space.space.wire.pool import current_pool

        pool = await current_pool()
        first, *others = [
            (await self._client(space).endpoint(pool)).models for space in self._spaces
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
        """Offer tools to the model; it calls them in `<tool_call>` tags, as it was trained to.

        Args:
            tools: Functions, pydantic classes, TypedDicts, dicts, LangChain tools.
            tool_choice: "auto", "none", "any" (also "required" or True), or a tool's name. The
                Space cannot force a call: the model is told to make one, prose before it is kept
                back, and if none comes it is asked once more (`retry_tool_choice`).
            strict: Passed on in the tools' JSON.
            parallel_tool_calls: False ends the answer after its first call.
            **kwargs: Other settings of the call.

        Raises:
            InvalidInputError: `tool_choice` names no tool that is offered.
        """
        offered = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        choice = _tool_choice(tool_choice, [tool["function"]["name"] for tool in offered])
        if choice is not None:
            kwargs["tool_choice"] = choice
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
        """Answers become objects.

        Args:
            schema: A pydantic class (v1 or v2), a TypedDict, a JSON schema, a tool in OpenAI's
                form; None, with "json_mode" only, takes any JSON object.
            method: "function_calling" offers the schema as a tool that has to be called. Both JSON
                methods put it into the system prompt, and find the JSON in fences and prose too.
            include_raw: Give `{"raw", "parsed", "parsing_error"}` and raise no parsing error.
            strict: Name additional properties as forbidden in the schema that the model reads.
            max_repairs: How often `invoke` asks again, with what is wrong with the answer. A stream
                never does.
            **kwargs: Other settings of the call.

        Returns:
            What gives objects of a pydantic class, else dicts; both are checked. A stream gives
            dicts while they grow and pydantic objects once they are valid.

        Raises:
            InvalidInputError: There is no such method, or a schema is missing.
            ValueError: LangChain does not know such a schema.
        """
        return structured.structured(
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
        """The ids of the tokens: by `custom_get_token_ids` if set, else by Qwen's vocabulary.

        Raises:
            ImportError: The vocabulary is not installed (extra `tokens`).
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return tokens.load().encode(text)

    def get_num_tokens(self, text: str) -> int:
        """How many tokens the text is; an estimate without the extra `tokens`."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return tokens.load().count(text)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """How many tokens the prompt is that the messages and tools become, system prompt included.

        After a last word of the AI's, an empty one of the user's is counted: so it would be sent.

        Raises:
            InvalidInputError: A message holds what a Space cannot take.
        """
        prompt = turns.from_messages(
            [*messages, HumanMessage("")],
            tools=[convert_to_openai_tool(tool) for tool in tools or ()],
            protect_tool_results=self.protect_tool_results,
        )
        encode = self.custom_get_token_ids
        counter = tokens.load() if encode is None else _CustomCounter(encode)
        return tokens.count_prompt(counter, prompt.system, prompt.history, prompt.query)

    # A call

    def _request(
        self, messages: list[BaseMessage], stop: Sequence[str] | None, kwargs: Mapping[str, Any]
    ) -> Request:
        unknown = sorted(kwargs.keys() - _PER_CALL)
        if unknown:
            msg = (
                f"ChatQwenSpace takes no {', '.join(unknown)} in a call; it takes "
                f"{', '.join(sorted(_PER_CALL))}. Values for inputs of the Space go into "
                "model_kwargs={'label': value}."
            )
            raise InvalidInputError(msg)
        offered = [convert_to_openai_tool(tool) for tool in kwargs.get("tools") or ()]
        names = [tool["function"]["name"] for tool in offered]
        choice = _tool_choice(kwargs.get("tool_choice"), names)
        if choice == "none":
            offered = []
        forced = None if choice in (None, "auto", "none") else "" if choice == "any" else choice
        model = kwargs.get("model") or kwargs.get("model_name")
        profile = self.profile if model is None else None
        return Request(
            messages=tuple(messages),
            shape=Shape(
                stop=tuple(self.stop or () if stop is None else _as_list(stop)),
                max_tokens=kwargs.get("max_tokens", self.max_tokens),
                reasoning=kwargs.get("reasoning", self.reasoning),
                tools=bool(offered),
                forced=forced is not None,
                single=kwargs.get("parallel_tool_calls") is False,
            ),
            model=model or self.model,
            max_input_tokens=(profile or {}).get("max_input_tokens"),
            given={
                name: value
                for name in _SAMPLING
                if (value := kwargs.get(name, getattr(self, name))) is not None
            },
            extra={**self.model_kwargs, **kwargs.get("model_kwargs", {})},
            tools=offered,
            forced=forced,
            instruction=structured.instruction(kwargs.get("response_format")),
            protect_tool_results=self.protect_tool_results,
        )

    async def _answer(
        self, request: Request, *, whole: bool = False
    ) -> AsyncGenerator[list[ChatGenerationChunk | SpaceEvent]]:
        """The one path of every call: what arrives, in batches of what has arrived together."""
        from langchain_qwen_space.space.routing.call import Call, Finished
        from langchain_qwen_space.space.routing.relay import Relay

        clients = [self._client(space) for space in self._spaces]
        counter = tokens.loaded()
        if counter is None:  # loading a vocabulary takes a while, which must not hold up the loop
            counter = await asyncio.to_thread(tokens.load)
        spent = (0, 0)
        insisted = not self.retry_tool_choice
        while True:
            prompt = request.prompt()
            ask = partial(request.ask, prompt, counter)
            way = Call(clients[0], ask) if len(clients) == 1 else Relay(clients, ask)
            answer = Answer(request.shape, counter, whole=whole)
            async with aclosing(way.run()) as batches:
                async for batch in batches:
                    items: list[ChatGenerationChunk | SpaceEvent] = []
                    for item in batch:
                        if isinstance(item, str):
                            items += answer.take(item)
                        elif isinstance(item, Thought):
                            items += answer.think(item.text)
                        elif isinstance(item, SpaceEvent):
                            items.append(item)
                        if answer.done or isinstance(item, Finished):
                            items += answer.end()
                            break
                    if items:
                        yield items
                    if answer.done:
                        break
            read = tokens.count_prompt(counter, prompt.system, prompt.history, prompt.query)
            spent = (spent[0] + read, spent[1] + answer.count())
            if answer.withheld is None or insisted:
                break
            insisted, request = True, request.insisting(answer.withheld)
        call = way if isinstance(way, Call) else way.call
        exact = call.exact
        events = [] if exact is None else [RevisedEvent()]
        yield [*events, *answer.last(self._metadata(call), spent, exact)]

    def _metadata(self, call: "Call") -> dict[str, Any]:
        space = call.client.access.space
        return {
            # A Space without a choice of models does not say which one it runs.
            "model_name": models.canonical_name(call.model) if call.model else space,
            "model_provider": PROVIDER,
            "space": space,
            "event_id": call.event_id,
        }

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._chunks(self._request(messages, stop, kwargs), run_manager)

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return self._achunks(self._request(messages, stop, kwargs), run_manager)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        return _result(list(self._chunks(request, run_manager, whole=True)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        return _result([item async for item in self._achunks(request, run_manager, whole=True)])

    def _chunks(
        self, request: Request, run_manager: CallbackManagerForLLMRun | None, *, whole: bool = False
    ) -> Iterator[ChatGenerationChunk]:
        """The chunks of an answer; its events are told on the way."""
        for batch in _sync.iterate(lambda: self._answer(request, whole=whole)):
            for item in batch:
                if isinstance(item, ChatGenerationChunk):
                    if run_manager and not whole:
                        run_manager.on_llm_new_token(item.text, chunk=item)
                    yield item
                else:
                    self._tell(item)
                    dispatch(item, run_manager)

    async def _achunks(
        self,
        request: Request,
        run_manager: AsyncCallbackManagerForLLMRun | None,
        *,
        whole: bool = False,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """As `_chunks`, in the caller's own loop."""
        async with aclosing(self._answer(request, whole=whole)) as batches:
            async for batch in batches:
                for item in batch:
                    if isinstance(item, ChatGenerationChunk):
                        if run_manager and not whole:
                            await run_manager.on_llm_new_token(item.text, chunk=item)
                        yield item
                    else:
                        self._tell(item)
                        await adispatch(item, run_manager)

    def _tell(self, event: SpaceEvent) -> None:
        """Hand an event of the call to the model's own listener."""
        if isinstance(event, WarningEvent) and event.message not in self._warned:
            self._warned.add(event.message)
            warnings.warn(event.message, stacklevel=2)
        if self.on_event is not None:
            self.on_event(event)


class _CustomCounter(tokens.Estimate):
    """Counts by a function of the caller's."""

    def __init__(self, encode: Callable[[str], list[int]]) -> None:
        self._encode = encode

    def count(self, text: str) -> int:
        return len(self._encode(text))


def _as_list(stop: Sequence[str] | str) -> list[str]:
    return [stop] if isinstance(stop, str) else list(stop)


def _tool_choice(choice: dict[str, Any] | str | bool | None, names: Sequence[str]) -> str | None:
    """The choice in one spelling: None, "auto", "none", "any", or a tool's name.

    Raises:
        InvalidInputError: It names no tool that is offered.
    """
    if isinstance(choice, dict):
        choice = choice.get("function", choice).get("name")
    if choice in (True, "required"):
        choice = "any"
    if not choice:
        return None
    if choice in ("auto", "none"):
        return str(choice)
    if not names or (choice != "any" and choice not in names):
        msg = f"tool_choice={choice!r} is no tool that is offered; offered are {list(names)}."
        raise InvalidInputError(msg)
    return str(choice)


def _result(chunks: list[ChatGenerationChunk]) -> ChatResult:
    """The chunks of an answer as one."""
    whole = merge_chat_generation_chunks(chunks)
    assert whole is not None  # noqa: S101
    return ChatResult(generations=[ChatGeneration(message=message_chunk_to_message(whole.message))])
