"""What one call asks for: the caller's messages and settings, in the Space's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_qwen_space.answer import Shape
from langchain_qwen_space.errors import ContextTooLongError, UnknownModelError
from langchain_qwen_space.qwen import fold, models, tokens, turns

if TYPE_CHECKING:
    from langchain_qwen_space.space.chat.endpoint import Endpoint
    from langchain_qwen_space.space.routing.client import Ask

_INSIST = (
    "You answered without a function call. Call {function} now: answer with nothing but "
    "<tool_call>, the JSON object, and </tool_call>."
)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, checked as far as that can be done without the Space.

    Attributes:
        messages: The conversation.
        shape: What the answer is to be made into.
        model: The model asked for, by any of its names.
        max_input_tokens: The context of a model whose limit the caller has set himself.
        given: Values of the Space's settings, by role.
        extra: Values of its other inputs, by label.
        tools: Tools on offer, as OpenAI's API takes them.
        forced: The tool that must be called; "" for any, None for none.
        instruction: Goes at the end of the system prompt.
        protect_tool_results: Whether control strings in tool results are broken up.
    """

    messages: tuple[BaseMessage, ...]
    shape: Shape
    model: str | None = None
    max_input_tokens: int | None = None
    given: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    forced: str | None = None
    instruction: str = ""
    protect_tool_results: bool = True

    def prompt(self) -> turns.Prompt:
        """The conversation as system prompt, history and query."""
        parts = [self.instruction]
        if self.forced is not None:
            parts.append(f"You must call {self._function()} in your answer.")
        return turns.from_messages(
            self.messages,
            tools=self.tools,
            instruction="\n\n".join(filter(None, parts)),
            protect_tool_results=self.protect_tool_results,
        )

    def insisting(self, answer: str) -> "Request":
        """The same request, made again after an `answer` without the call that it has to hold."""
        insist = HumanMessage(_INSIST.format(function=self._function()))
        return replace(self, messages=(*self.messages, AIMessage(answer), insist))

    def _function(self) -> str:
        return f"the function {self.forced}" if self.forced else "at least one of the functions"

    def ask(
        self, prompt: turns.Prompt, counter: tokens.TokenCounter, endpoint: "Endpoint"
    ) -> "Ask":
        """The prompt and the settings, as the function that was found takes them.

        Raises:
            UnknownModelError: The Space does not offer the model.
            ContextTooLongError: The prompt is longer than the model's context.
        """
        from langchain_qwen_space.space.chat.chatbot import Form
        from langchain_qwen_space.space.routing.client import Ask

        given = dict(self.given or {})
        if endpoint.models:
            if self.model is not None:
                given["model"] = self._choice(endpoint.models)
            elif endpoint.default_model is None:
                given["model"] = endpoint.models[0]
        elif self.model is not None:
            given["model"] = self.model
        if self.shape.max_tokens is not None and "max_tokens" in endpoint.roles:
            given["max_tokens"] = self.shape.max_tokens
        self._check_length(prompt, counter, given.get("model") or endpoint.default_model)
        if "system" in endpoint.roles:
            given["system"] = prompt.system
        elif prompt.system != turns.DEFAULT_SYSTEM:
            prompt = fold.without_system(prompt)
        if endpoint.form is Form.REPLY and endpoint.history_fn is None:
            prompt = fold.without_history(prompt)
        return Ask(query=prompt.query, history=prompt.history, given=given, extra=self.extra or {})

    def _choice(self, choices: Sequence[str]) -> str:
        choice = models.match_model(self.model or "", choices)
        if choice is None:
            msg = f"The Space offers no model {self.model!r}; it offers {', '.join(choices)}."
            raise UnknownModelError(msg)
        return choice

    def _check_length(
        self, prompt: turns.Prompt, counter: tokens.TokenCounter, model: str | None
    ) -> None:
        """Refuse what no server of the model can take; only real counts are good enough for it."""
        limit = self.max_input_tokens
        if limit is None and model is not None:
            limit = (models.profile(model) or {}).get("max_input_tokens")
        if limit is None or counter.source != "tokenizer" or fold.size(prompt) <= limit:
            return  # no token is shorter than a byte
        count = tokens.count_prompt(counter, prompt.system, prompt.history, prompt.query)
        if count > limit:
            msg = (
                f"The conversation is {count:,} tokens long, {count - limit:,} more than the "
                f"{limit:,} that {model or 'the model'} can read. Shorten it."
            )
            raise ContextTooLongError(msg)
