"""LangChain messages become what a Qwen chat Space takes: a system prompt, earlier turns, a query.

Laid out as ChatML, the result is what the chat template of the model's family renders for the same
conversation (`dialects`).
Where the form of a Space cannot hold that, `from_messages` states what happens instead.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
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

from langchain_qwen_space import content_blocks
from langchain_qwen_space.attachments import Attachment, Files
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.qwen.dialects import QWEN2_5, Dialect
from langchain_qwen_space.qwen.tools import (
    BROKEN_CALLS,
    break_control_strings,
    has_lone_surrogate,
)

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
    files: Files = ()
    """The files of each turn in order, the query's last; empty where no turn has any."""


def from_messages(
    messages: Sequence[BaseMessage],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    instruction: str = "",
    protect_tool_results: bool = True,
    dialect: Dialect = QWEN2_5,
    own_system: str | None = None,
    decoded: dict[int, Attachment] | None = None,
) -> Prompt:
    r"""Returns the messages as a prompt.

    - System messages, wherever they stand, are joined with a newline. Without any, the system
      prompt is the Space's own or the dialect's; an empty one stays empty.
    - Tool results become user turns; those in a row share one, in the order of their calls, as the
      model has nothing else to tell them apart by.
    - Other neighbours of one role (two human messages, two of the AI, a human message next to a
      tool result) become one turn, joined with an empty line; empty texts are left out there.
    - If the AI speaks first, an empty user turn goes before it.
    - Calls of the AI are rendered as the dialect has them, valid ones before invalid ones, and
      those that could not be read as the model wrote them.
    - Results of calls that the AI only thought about are left out.
    - Thoughts of the AI are kept where the dialect keeps them: after the last question.
    - `name` and ids are not sent: Qwen's template has no place for them.

    Args:
        messages: The conversation. The last message that is not a system message is the query.
        tools: Tools on offer, as OpenAI's API takes them.
        instruction: A demand for this call only, such as a tool that must be called. It ends the
            system prompt, after an empty line.
        protect_tool_results: Whether control strings in tool results are broken up, so that a
            result cannot forge a turn (`tools.break_control_strings`).
        dialect: How the model is spoken to.
        own_system: The Space's own system prompt, for conversations without system messages; None
            is the dialect's default.
        decoded: Files that were read from these messages before, by the id of their block; those
            that are read now are added.

    Raises:
        InvalidInputError: There is nothing to answer (no message, system messages only, the last
            message is the AI's), or a message holds what a Space cannot take: blocks that are neither
            text nor files, files in a system message, an unknown role or class, a lone surrogate.
            The error names the message.
    """
    system: list[str] = []
    turns: list[tuple[_Kind, str, list[Attachment]]] = []
    last_query = _last_query(messages, dialect)
    unmade = _unmade_calls(messages)
    for position, message in _in_order_of_calls(messages):
        if isinstance(message, ToolMessage) and message.tool_call_id in unmade:
            continue
        where = f"messages[{position}] ({type(message).__name__})"
        kind = _kind(message, where)
        skipped = _SKIPPED_IN_AI if kind == "assistant" else frozenset()
        text, files = _read(message.content, where, skipped, {} if decoded is None else decoded)
        if kind == "assistant":
            text = _exact(message, text)
            text = dialect.assistant(
                text,
                _reasoning(message),
                _calls(message) if isinstance(message, AIMessage) else (),
                after_query=position > last_query,
            )
        elif kind == "tool":
            text = dialect.result(break_control_strings(text) if protect_tool_results else text)
        elif kind == "user":
            text = dialect.user(text)
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
    text = dialect.system("\n".join(system) if system else own_system, tools)
    if instruction:
        text = f"{text}\n\n{instruction}" if text else instruction
    merged = _alternating(turns, dialect.between_results)
    *earlier, query = [said for said, _ in merged]
    with_files = any(files for _, files in merged)
    return Prompt(
        text,
        tuple(zip(earlier[::2], earlier[1::2], strict=True)),
        query,
        tuple(tuple(files) for _, files in merged) if with_files else (),
    )


def _in_order_of_calls(messages: Sequence[BaseMessage]) -> Iterator[tuple[int, BaseMessage]]:
    """The messages with their places, results in a row in the order of the calls before them."""
    order: dict[str | None, int] = {}
    for is_result, group in groupby(
        enumerate(messages), lambda one: isinstance(one[1], ToolMessage)
    ):
        run = [*group]
        ids = [one.tool_call_id for _, one in run if isinstance(one, ToolMessage)]
        if is_result and len({*ids}) == len(ids) and order.keys() >= {*ids}:
            found = dict(zip(ids, run, strict=True))
            run = [found[known] for known in sorted(ids, key=order.__getitem__)]
        yield from run
        called = run[-1][1]
        if isinstance(called, AIMessage):
            calls = [*called.tool_calls, *called.invalid_tool_calls]
            order = {call["id"]: place for place, call in enumerate(calls)}


def is_user(message: BaseMessage) -> bool:
    """Whether a person said it."""
    return isinstance(message, HumanMessage) or (
        isinstance(message, ChatMessage) and _CHAT_ROLES.get(message.role) == "user"
    )


def _last_query(messages: Sequence[BaseMessage], dialect: Dialect) -> int:
    """The place of the last question; past the end if there is none."""
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if is_user(message) and dialect.is_query(message.text):
            return position
    return len(messages)


def _unmade_calls(messages: Sequence[BaseMessage]) -> set[str]:
    """The ids of calls that were only thought about, or corrected; an agent may have answered them."""
    return {
        call_id
        for message in messages
        for call_id, written in _broken(message).items()
        if not written
    }


def _broken(message: BaseMessage) -> dict[str, str]:
    """What the model wrote for the calls of a message that could not be read, by their ids."""
    noted = message.additional_kwargs.get(BROKEN_CALLS)
    return {
        call_id: call["written"]
        for call_id, call in (noted.items() if isinstance(noted, Mapping) else ())
        if isinstance(call, Mapping) and isinstance(call.get("written"), str)
    }


def _exact(message: BaseMessage, text: str) -> str:
    """The text of an answer without the thoughts that were streamed before they were known as such."""
    exact = message.response_metadata.get("final_text")
    return exact if isinstance(exact, str) and exact and text.endswith(exact) else text


def _reasoning(message: BaseMessage) -> str | None:
    """The thoughts that are apart from a message's text."""
    thoughts = message.additional_kwargs.get("reasoning_content")
    return thoughts if isinstance(thoughts, str) else None


def _calls(message: AIMessage) -> list[Mapping[str, Any] | str]:
    """The calls of a message, valid ones before invalid ones, these as the model wrote them."""
    broken = _broken(message)
    calls: list[Mapping[str, Any] | str] = [*message.tool_calls]
    for call in message.invalid_tool_calls:
        written = broken.get(str(call["id"]), call)
        calls += [written] if written else []
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
                f"{where} has the role {role!r}; roles are {', '.join(_CHAT_ROLES)}."
            )
        case _:
            raise InvalidInputError(
                f"{where} cannot be sent to a model: send system, human, AI and tool messages."
            )


def _read(
    content: str | list[Any], where: str, skipped: frozenset[str], decoded: dict[int, Attachment]
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
        origin = content_blocks.origin_of(block, number, where)
        kind = kind if isinstance(kind, str | None) else ""
        if kind in ("text", "text-plain") and isinstance(text, str):
            texts.append(text)
        elif kind in content_blocks.KINDS:
            if id(block) not in decoded:
                decoded[id(block)] = content_blocks.read(block, origin)
            files.append(decoded[id(block)])
        elif kind not in skipped:
            raise InvalidInputError(
                f"{origin}, but a Space accepts text and files only: remove the block, or describe "
                "it in text."
            )
    return "".join(texts), files


def _refuse_surrogates(text: str, where: str) -> None:
    if has_lone_surrogate(text):
        raise InvalidInputError(
            f"{where} contains a lone surrogate (half a character), which cannot be sent as UTF-8: "
            'clean it with text.encode(errors="replace").decode().'
        )


def _alternating(
    turns: Iterable[tuple[_Kind, str, list[Attachment]]], between_results: str
) -> list[tuple[str, list[Attachment]]]:
    """Returns what user and assistant said and attached in turn, the user's first."""
    said: list[tuple[str, list[Attachment]]] = []
    last: _Kind = "assistant"
    for kind, text, files in turns:
        if (kind == "assistant") == (last == "assistant") and said:
            gap = between_results if kind == last == "tool" else "\n\n"
            before, attached = said[-1]
            said[-1] = gap.join(part for part in (before, text) if part), attached + files
        elif kind == "assistant" and not said:
            said += [("", []), (text, files)]
        else:
            said.append((text, files))
        last = kind
    return said
