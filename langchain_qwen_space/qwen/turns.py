"""LangChain messages become what a Qwen chat Space takes: a system prompt, earlier turns, a query.

Laid out as ChatML, the result is what Qwen2.5's chat template renders for the same conversation.
Where the form of a Space cannot hold that, `from_messages` states what happens instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_qwen_space import attachments
from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.tools import (
    BROKEN_CALLS,
    break_control_strings,
    has_lone_surrogate,
    render_tool_calls,
    render_tool_response,
    tools_section,
)

DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

_Kind = Literal["system", "user", "assistant", "tool"]

_CHAT_ROLES: dict[str, _Kind] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}

# What an AI message holds besides its text: thoughts, which are never sent back, a provider's own
# notes, and its calls once more, which are taken from `tool_calls`.
_SKIPPED_IN_AI = frozenset(
    {
        "reasoning",
        "thinking",
        "redacted_thinking",
        "non_standard",
        "tool_call",
        "tool_call_chunk",
        "invalid_tool_call",
        "tool_use",
        "function_call",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_result",
    }
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation in the form that a Space takes."""

    system: str
    history: tuple[tuple[str, str], ...]
    """Earlier turns as pairs of what the user and the assistant said."""
    query: str
    """The last user turn, which the Space is to answer."""
    files: tuple[tuple[Attachment, ...], ...] = ()
    """The files of each turn in order, the query's last; empty where no turn has any."""


def from_messages(
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    instruction: str = "",
    protect_tool_results: bool = True,
) -> Prompt:
    r"""Returns the messages as a prompt.

    - System messages, wherever they stand, are joined with a newline. Without any, the system
      prompt is Qwen's own; an empty one stays empty.
    - Tool results become user turns; those in a row share one, joined with a newline.
    - Other neighbours of one role (two human messages, two of the AI, a human message next to a
      tool result) become one turn, joined with an empty line; empty texts are left out there.
    - If the AI speaks first, an empty user turn goes before it.
    - Calls of the AI are rendered as the model writes them, valid ones before invalid ones.
    - `name` and ids are not sent: Qwen's template has no place for them.

    Args:
        messages: The conversation. The last message that is not a system message is the query.
        tools: Tools on offer, as OpenAI's API takes them.
        instruction: A demand for this call only, such as a tool that must be called. It ends the
            system prompt, after an empty line.
        protect_tool_results: Whether control strings in tool results are broken up, so that a
            result cannot forge a turn (`tools.break_control_strings`).

    Raises:
        InvalidInputError: There is nothing to answer (no message, system messages only, the last
            message is the AI's), or a message holds what a Space cannot take: blocks that are neither
            text nor files, files in a system message, an unknown role or class, a lone surrogate.
            The error names the message.
    """
    system: list[str] = []
    turns: list[tuple[_Kind, str, list[Attachment]]] = []
    for position, message in enumerate(messages):
        where = f"messages[{position}] ({type(message).__name__})"
        kind = _kind(message, where)
        skipped = _SKIPPED_IN_AI if kind == "assistant" else frozenset()
        text, files = _read(message.content, where, skipped)
        if isinstance(message, AIMessage):
            text = render_tool_calls(text, _calls(message))
        elif kind == "tool":
            text = render_tool_response(
                break_control_strings(text) if protect_tool_results else text
            )
        _refuse_surrogates(text, where)
        if kind == "system":
            if files:
                msg = f"{files[0].origin}, but a system prompt is text: put it into a HumanMessage."
                raise InvalidInputError(msg)
            system.append(text)
        else:
            turns.append((kind, text, files))
    if not turns:
        what = "only system messages" if system else "no messages"
        raise InvalidInputError(f"There are {what}, so nothing to answer: add a HumanMessage.")
    if turns[-1][0] == "assistant":
        raise InvalidInputError(
            "The last message is from the AI, but a Space can only answer a user: "
            "end with a HumanMessage or a ToolMessage."
        )
    _refuse_surrogates(instruction, "the instruction")
    text = "\n".join(system) if system else DEFAULT_SYSTEM
    text += tools_section(tools)
    if instruction:
        text = f"{text}\n\n{instruction}" if text else instruction
    merged = _alternating(turns)
    *earlier, query = [said for said, _ in merged]
    with_files = any(files for _, files in merged)
    return Prompt(
        text,
        tuple(zip(earlier[::2], earlier[1::2], strict=True)),
        query,
        tuple(tuple(files) for _, files in merged) if with_files else (),
    )


def _calls(message: AIMessage) -> list[Mapping[str, Any] | str]:
    """The calls of a message, valid ones before invalid ones, these as the model wrote them."""
    broken = message.additional_kwargs.get(BROKEN_CALLS) or {}
    calls: list[Mapping[str, Any] | str] = [*message.tool_calls]
    for call in message.invalid_tool_calls:
        known = broken.get(call["id"])
        calls.append(known["written"] if known else call)
    return calls


def _kind(message: BaseMessage, where: str) -> _Kind:
    match message:
        case SystemMessage():
            return "system"
        case HumanMessage():
            return "user"
        case AIMessage():
            return "assistant"
        case ToolMessage() | FunctionMessage():
            return "tool"
        case ChatMessage(role=role):
            if role in _CHAT_ROLES:
                return _CHAT_ROLES[role]
            raise InvalidInputError(
                f"{where} has the role {role!r}; a Space knows {', '.join(_CHAT_ROLES)}."
            )
        case _:
            raise InvalidInputError(
                f"{where} cannot be sent to a model: send system, human, AI and tool messages."
            )


def _read(
    content: str | list[Any], where: str, skipped: frozenset[str]
) -> tuple[str, list[Attachment]]:
    """The text of a message and its files."""
    if isinstance(content, str):
        return content, []
    texts: list[str] = []
    files: list[Attachment] = []
    for number, block in enumerate(content):
        if isinstance(block, str):
            texts.append(block)
            continue
        kind, text = block.get("type"), block.get("text")
        origin = f"{where} has a content block of type {kind!r} (number {number})"
        if kind in ("text", "text-plain") and isinstance(text, str):
            texts.append(text)
        elif kind in attachments.KINDS:
            files.append(attachments.read(block, origin))
        elif kind not in skipped:
            raise InvalidInputError(
                f"{origin}, but a Space takes text and files only: leave the block out or put it "
                "into words."
            )
    return "".join(texts), files


def _refuse_surrogates(text: str, where: str) -> None:
    if has_lone_surrogate(text):
        raise InvalidInputError(
            f"{where} holds a lone surrogate (half a character), which cannot be sent as UTF-8: "
            'clean it with text.encode(errors="replace").decode().'
        )


def _alternating(
    turns: Iterable[tuple[_Kind, str, list[Attachment]]],
) -> list[tuple[str, list[Attachment]]]:
    """Returns what user and assistant said and attached in turn, the user's first."""
    said: list[tuple[str, list[Attachment]]] = []
    last: _Kind = "assistant"
    for kind, text, files in turns:
        if (kind == "assistant") == (last == "assistant") and said:
            gap = "\n" if kind == last == "tool" else "\n\n"
            before, attached = said[-1]
            said[-1] = gap.join(part for part in (before, text) if part), attached + files
        elif kind == "assistant" and not said:
            said += [("", []), (text, files)]
        else:
            said.append((text, files))
        last = kind
    return said
