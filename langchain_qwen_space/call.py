"""One call from messages to chunks: the prompt, the Space, its answer, and asking once more.

Sync and async calls, streams and whole answers, one Space and several all go through `ModelCall`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk

from langchain_qwen_space import _sync, clock, json_schema, structured
from langchain_qwen_space.attachments import Attachment, Files
from langchain_qwen_space.chunks import AnswerChunks, Usage
from langchain_qwen_space.errors import (
    ContextTooLongError,
    SpaceTimeoutError,
    UnknownModelError,
)
from langchain_qwen_space.events import (
    CorrectionEvent,
    RetryEvent,
    RevisedEvent,
    SpaceEvent,
    WarningEvent,
)
from langchain_qwen_space.messages import answerable
from langchain_qwen_space.options import FOREIGN, PROVIDER, CallOptions, no_input_for
from langchain_qwen_space.pieces import Shape
from langchain_qwen_space.qwen import (
    dialects,
    flatten,
    json_objects,
    models,
    tokens,
    turns,
    vision,
)
from langchain_qwen_space.qwen.dialects import Dialect
from langchain_qwen_space.space.chat import input_roles
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.reply import Thought
from langchain_qwen_space.space.routing.answer import Finished
from langchain_qwen_space.space.routing.attempt import Attempt
from langchain_qwen_space.space.routing.options import Question
from langchain_qwen_space.space.routing.space_call import SpaceCall
from langchain_qwen_space.space.routing.target import SpaceTarget

# With content blocks, LangChain numbers text, calls and files in one row; so high, they stay apart.
_FIRST_TOOL_CALL = 1000
_FIRST_FILE = 2000
_LONG = 2**17  # bytes of a prompt; counting its tokens would block the event loop

_IN_THE_QUESTION = (
    "takes no earlier turns from a client, so they are written into the question; history='text' "
    "says that this is wanted"
)
_INSIST = (
    "You answered without a function call. Call {function} now: answer with nothing but the call, "
    "from <tool_call> to </tool_call>."
)
_CORRECT = (
    "The function call in your answer cannot be used. {errors} Answer with the corrected call."
)


class ModelCall:
    """One answer: a `SpaceCall`, or a second one that asks for a correction. Iterate over `run()`.

    Args:
        messages: The conversation.
        options: What was asked for.
        targets: The Spaces that may answer, with the same options.
        whole: Keep the answer back until its end, and then give the exact text.
        counter: What counts tokens for `usage_metadata`; None is Qwen's vocabulary, or an estimate.
        protect_tool_results: Whether control strings in tool results are broken up.
        content_blocks: Whether LangChain makes content blocks of the answer (`output_version="v1"`):
            its files are given as blocks too, and the indices of its calls and files stay apart.
        max_input_tokens: The context that the caller's own profile of the model states, if any.
        before_request: Awaited before each request but the first: a rate limiter waits.

    Raises:
        InvalidInputError: The messages cannot be sent to a Space.

    Attributes:
        default_model: The model that the Space runs where none is named, once that is known.
        file_kinds: Which of image, audio, video and PDF its page takes, likewise.
    """

    def __init__(
        self,
        messages: Sequence[BaseMessage],
        options: CallOptions,
        targets: Sequence[SpaceTarget],
        *,
        whole: bool = False,
        counter: tokens.TokenCounter | None = None,
        protect_tool_results: bool = True,
        content_blocks: bool = False,
        max_input_tokens: int | None = None,
        before_request: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.default_model: str | None = None
        self.file_kinds: frozenset[str] = frozenset()
        self._thinks_untagged = True
        self._family: str | None = None
        self._asked = turns.Prompt("", (), "")  # as it was sent last
        self._messages = messages
        self._decoded: dict[int, Attachment] = {}  # the files in the messages, by their block
        self._options = options
        self._targets = targets
        self._whole = whole
        self._counter = counter
        self._protect_tool_results = protect_tool_results
        self._content_blocks = content_blocks
        self._max_input_tokens = max_input_tokens
        self._before_request = before_request
        # A choice of "none" keeps the tools out of the prompt.
        self._tools = () if options.tool_choice == "none" else options.tools
        self._shape = Shape(
            stop=options.stop,
            max_tokens=options.max_tokens,
            reasoning=options.reasoning,
            tools=self._tools,
            forced=options.forced is not None,
            single=options.parallel_tool_calls is False,
            schema=options.response_format,
        )

    async def run(self) -> AsyncGenerator[list[ChatGenerationChunk | SpaceEvent]]:
        """Make the call and yield what arrives, in batches of what has arrived together.

        Raises:
            QwenSpaceError: See `errors`.
        """
        if self._options.ignored:
            yield [WarningEvent(no_input_for(self._options.ignored))]
        counter = tokens.loaded()
        if counter is None:  # loading a vocabulary takes a while, which must not hold up the loop
            counter = await asyncio.to_thread(tokens.load)
        end = self._end()
        spent = Usage()
        messages: Sequence[BaseMessage] = answerable(self._messages)
        first = True
        may_ask_again = self._options.retry_tool_choice
        first_tool_call = _FIRST_TOOL_CALL if self._content_blocks else 0
        answer = AnswerChunks(
            self._shape, counter, whole=self._whole, first_tool_call_index=first_tool_call
        )
        while True:
            files = await self._files(self._prompt(messages), end)
            prepare = partial(self._question, messages, files, counter)
            request = SpaceCall(self._targets, prepare, end)
            async with aclosing(request.run()) as batches:
                async for batch in batches:
                    items: list[ChatGenerationChunk | SpaceEvent] = []
                    answer.thinks_untagged = self._thinks_untagged
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
                        first = first and not _mark_first(items)
                        yield items
                    if answer.done:
                        break
                    if isinstance(batch[-1], RetryEvent):
                        await self._wait_for_limiter(end)
            answer.settle(request.attempt.exact)
            count_tokens = partial(self._usage, answer, counter, request.attempt.model)
            is_slow = self._counter is not None or flatten.size(self._asked) > _LONG
            spent += await _sync.in_thread(count_tokens) if is_slow else count_tokens()
            answer.accept(self._call_in)
            problem = self._problem(answer)
            if not may_ask_again or problem is None:
                break
            may_ask_again = False
            yield [*answer.abandon(), CorrectionEvent(problem)]
            said = answer.written if answer.withheld is None else answer.withheld
            messages = [*messages, AIMessage(said), HumanMessage(problem)]
            answer = answer.again()
            await self._wait_for_limiter(end)
        attempt = request.attempt
        events = [] if attempt.exact is None else [RevisedEvent()]
        estimated = self._asked.files or models.has_another_vocabulary(attempt.model or "")
        source = "estimate" if estimated else (self._counter or counter).source
        metadata = {**_metadata(attempt, self._family), "usage_source": source}
        items = [*events, *answer.last(metadata, spent, attempt.files)]
        if attempt.files and self._content_blocks:
            items.insert(-1, _file_blocks(attempt.files))
        if first:
            _mark_first(items)
        yield items

    def _usage(
        self, answer: AnswerChunks, counter: tokens.TokenCounter, model: str | None
    ) -> Usage:
        """The tokens of the prompt as it was sent last, and of its answer."""
        count, asked = self._counter or counter, self._asked
        read = tokens.count_prompt(count, asked.system, asked.history, asked.query)
        return Usage(read + vision.count_all(asked.files, model), *answer.count(count))

    def _end(self) -> float | None:
        """The loop's time at which `total_timeout` is up."""
        total = self._targets[0].options.total_timeout
        if total is None:
            return None
        return asyncio.get_running_loop().time() + total - (time.monotonic() - clock.began())

    async def _wait_for_limiter(self, end: float | None) -> None:
        """Wait until the rate limiter allows a further request, within the time of the whole call."""
        if self._before_request is None:
            return
        try:
            async with asyncio.timeout_at(end) as limit:
                await self._before_request()
        except TimeoutError:
            if not limit.expired():  # the limiter's own
                raise
            msg = (
                f"The rate limiter did not allow the call within total_timeout="
                f"{self._targets[0].options.total_timeout} seconds."
            )
            raise SpaceTimeoutError(msg) from None

    async def _files(self, prompt: turns.Prompt, end: float | None) -> Files:
        """The files of a prompt; those named by URL are fetched where that is wanted."""
        if not self._options.fetch_files or not prompt.files:
            return prompt.files
        from langchain_qwen_space.fetching import fetched

        try:
            async with asyncio.timeout_at(end):
                return await fetched(prompt.files)
        except TimeoutError:
            msg = "The files in the messages were not downloaded within total_timeout."
            raise SpaceTimeoutError(msg) from None

    def _prompt(
        self,
        messages: Sequence[BaseMessage],
        dialect: Dialect = dialects.UNKNOWN,
        own_system: str | None = None,
    ) -> turns.Prompt:
        """The conversation as system prompt, history and query."""
        parts = [structured.instruction(self._options.response_format)]
        if self._options.forced is not None:
            parts.append(f"You must call {self._function()} in your answer.")
        return turns.from_messages(
            messages,
            tools=self._tools,
            instruction="\n\n".join(filter(None, parts)),
            protect_tool_results=self._protect_tool_results,
            dialect=dialect,
            own_system=own_system,
            decoded=self._decoded,
        )

    def _call_in(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The call in an answer that had to make one and wrote JSON without its tags.

        The object names the function, or is its arguments where only one may be called. It is the
        whole answer, as in prose it may be an example; only a tool that runs nothing is also called
        by the one object that stands anywhere.
        """
        forced = self._options.forced
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in self._tools}
        alone = json_objects.whole(text)
        try:
            values = list(json_objects.find(text)) if alone is None else [alone]
        except json_objects.BrokenJSONError:
            return None
        if len(values) != 1:  # it could be read in more ways than one
            return None
        (value,) = values
        called = json_objects.as_call(value)
        named = called is not None and called[0] in offered
        if called is not None and named:
            name, args = called
        elif forced or len(offered) == 1:
            name, args = forced or next(iter(offered)), value
            fields = offered[name].get("properties", {})
            if called is not None and name in self._options.schema_tools:
                args = value if value.keys() <= fields.keys() else called[1]
        else:
            suited = [
                name
                for name, rules in offered.items()
                if json_schema.suits(value, rules, self._shape.allowance)
            ]
            if len(suited) != 1 or suited[0] not in self._options.schema_tools:
                return None
            name, args = suited[0], value
        if name != (forced or name) or not isinstance(args, dict):
            return None
        rules = offered[name]
        if name in self._options.schema_tools or (named and alone is not None):
            return (name, args) if json_schema.fits(args, rules, self._shape.allowance) else None
        suits = alone is not None and json_schema.suits(args, rules, self._shape.allowance)
        return (name, args) if suits else None

    def _problem(self, answer: AnswerChunks) -> str | None:
        """What is wrong with an ended answer, in words for the model; None if it can be used."""
        if answer.withheld is not None:
            return _INSIST.format(function=self._function())
        if not (broken := answer.unreadable):
            return None
        return _CORRECT.format(errors=" ".join(call.error for call in broken))

    def _function(self) -> str:
        forced = self._options.forced
        return f"the function {forced}" if forced else "at least one of the functions"

    def _question(
        self,
        messages: Sequence[BaseMessage],
        files: Files,
        counter: tokens.TokenCounter,
        space: str,
        endpoint: Endpoint,
    ) -> Question:
        """The prompt and the settings, as the function that was found takes them.

        Raises:
            UnknownModelError: The Space does not offer the model.
            ContextTooLongError: The prompt is longer than the model's context.
        """
        options = self._options
        family = self._family = models.family_of_space(space, endpoint.models)
        given = _settings(options, endpoint, family)
        self.file_kinds = endpoint.file_kinds
        if endpoint.default_model is not None:
            self.default_model = models.canonical_name(endpoint.default_model, family)
        model = models.in_use(given.get("model"), endpoint.default_model, space, family)
        self._thinks_untagged = model is None or models.may_think_untagged(model)
        if options.thinking is not None:
            if endpoint.takes("thinking") or model is None:
                given["thinking"] = options.thinking
            elif models.switches_in_the_prompt(model):
                messages = _switched(messages, thinking=options.thinking)
            elif models.always_thinks(model) is not options.thinking:
                given["thinking"] = options.thinking  # a note says that the Space does not take it
        prompt = replace(self._prompt_on(endpoint, messages, model), files=files)
        check = partial(self._check_length, prompt, counter, model)
        is_long = flatten.size(prompt) > _LONG
        if not is_long:
            check()
        self._asked = prompt
        system_in_question = not endpoint.takes("system") and bool(prompt.system)
        if system_in_question:
            prompt = flatten.without_system(prompt)
        elif prompt.system != endpoint.own_system:
            given["system"] = prompt.system
        extra = dict(options.model_kwargs)
        notes = [
            f"has no input for {name}={extra.pop(name)!r}"
            for name in sorted(FOREIGN & extra.keys())
            if input_roles.place(endpoint.inputs, name) is None
        ]
        if prompt.files and model is not None and models.reads_text_only(model):
            notes.append(f"runs {model} for this, which reads text only and will not see the files")
        if not endpoint.turns:
            if prompt.history and self._targets[0].options.history is None:
                notes.append(_IN_THE_QUESTION)
            prompt = flatten.without_history(prompt)
        return Question(
            query=prompt.query,
            history=prompt.history,
            given=given,
            extra=extra,
            notes=notes,
            system_in_question=system_in_question,
            files=prompt.files,
            check=check if is_long else None,
        )

    def _prompt_on(
        self, endpoint: Endpoint, messages: Sequence[BaseMessage], model: str | None
    ) -> turns.Prompt:
        """The conversation as the model is spoken to, with the page's own system prompt if need be."""
        has_input, own = endpoint.takes("system"), endpoint.own_system
        dialect = models.dialect(model, self._options.dialect)
        prompt = self._prompt(messages, dialect, None if has_input and not own else own)
        if not has_input and not any(message.type == "system" for message in messages):
            prompt = replace(prompt, system=prompt.system.lstrip("\n"))
        return prompt

    def _check_length(
        self, prompt: turns.Prompt, counter: tokens.TokenCounter, model: str | None
    ) -> None:
        """Refuse what no server of the model can take; only real counts are good enough for it."""
        limit = self._max_input_tokens
        if limit is None and model is not None and not models.has_another_vocabulary(model):
            limit = (models.profile(model) or {}).get("max_input_tokens")
        if limit is None or counter.source != "tokenizer" or flatten.size(prompt) <= limit:
            return  # no token is shorter than a byte
        count = tokens.count_prompt(counter, prompt.system, prompt.history, prompt.query)
        if count > limit:
            msg = (
                f"The conversation is {count:,} tokens long, {count - limit:,} more than the "
                f"{limit:,} that {model or 'the model'} can read. Shorten it."
            )
            raise ContextTooLongError(msg)


def _settings(options: CallOptions, endpoint: Endpoint, family: str | None) -> dict[str, Any]:
    """The settings that do not depend on the prompt, by role, where the caller or the page has them.

    Raises:
        UnknownModelError: The Space does not offer the model.
    """
    given: dict[str, Any] = {"temperature": options.temperature, "top_p": options.top_p}
    if not endpoint.models:
        given["model"] = options.model
    elif options.model is not None:
        default = endpoint.default_model
        given["model"] = _offered(options.model, endpoint.models, default, family)
    elif endpoint.default_model is None:
        given["model"] = endpoint.models[0]
    if endpoint.takes("max_tokens"):
        given["max_tokens"] = options.max_tokens
    given["thinking_budget"] = options.thinking_budget
    return {role: value for role, value in given.items() if value is not None}


def _switched(messages: Sequence[BaseMessage], *, thinking: bool) -> list[BaseMessage]:
    """The messages with the word that switches the thoughts of Qwen3 at the end of the question."""
    changed = list(messages)
    word = " /think" if thinking else " /no_think"
    for place in reversed(range(len(changed))):
        message = changed[place]
        if turns.is_user(message):
            content = message.content
            said = content + word if isinstance(content, str) else [*content, word]
            changed[place] = message.model_copy(update={"content": said})
            break
    return changed


def _offered(model: str, choices: Sequence[str], default: str | None, family: str | None) -> str:
    choice = models.match_model(model, choices, family)
    if choice is None and default is not None and models.names_only_the_family(model):
        known = models.family_of([models.canonical_name(default, family)])
        choice = default if known == models.family_of([model]) else None
    if choice is None:
        msg = f"The Space does not offer the model {model!r}; it offers {', '.join(choices)}."
        raise UnknownModelError(msg)
    return choice


def _mark_first(items: Sequence[ChatGenerationChunk | SpaceEvent]) -> bool:
    """Name the provider on the first chunk, as streams of other chat models do."""
    for item in items:
        if isinstance(item, ChatGenerationChunk):
            item.message.response_metadata["model_provider"] = PROVIDER
            return True
    return False


def _file_blocks(files: Sequence[Mapping[str, str]]) -> ChatGenerationChunk:
    """The files of an answer as standard content blocks."""
    content: list[str | dict[Any, Any]] = []
    for number, file in enumerate(files):
        kind = file.get("mime_type", "").partition("/")[0]
        block = {
            "type": kind if kind in ("image", "audio", "video") else "file",
            "url": file["url"],
            "extras": {"filename": file["name"]},
            "index": _FIRST_FILE + number,
        }
        if "mime_type" in file:
            block["mime_type"] = file["mime_type"]
        content.append(block)
    return ChatGenerationChunk(message=AIMessageChunk(content=content))


def _metadata(attempt: Attempt, family: str | None) -> dict[str, Any]:
    access, model = attempt.target.access, attempt.model
    metadata = {
        # A Space without a choice of models does not say which one it runs.
        "model_name": models.canonical_name(model, family) if model else access.space,
        "model_provider": PROVIDER,
        "space": access.space,
        "event_id": attempt.event_id,
    }
    return access.redacted(metadata)
