"""Lists of messages as other chat models take them -> lists that end in a turn a Space can answer.

A Space answers a user, and reads text and files. Everything else that a history of another model may
hold is put into that form here, by the rules of `answerable`.
"""

import json
import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

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
from langchain_qwen_space.errors import InvalidInputError

_TEXT = frozenset(["text", "text-plain", "input_text", "output_text"])


def answerable(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Returns the messages with a last turn that can be answered, and text in readable blocks.

    - After a last message of the AI, and where there are system messages only, an empty user turn
      follows.
    - A `developer` message is a system message.
    - Of an AI's blocks, text and refusals are kept; other providers' notes (searches, code that
      ran, thoughts) are left out. Calls are taken from `tool_calls`.
    - Of a tool's result, blocks that are neither text nor files are written as JSON.

    Raises:
        InvalidInputError: A content is neither a text nor a list of texts and blocks.
    """
    given = [_read(message, number) for number, message in enumerate(messages)]
    turns = [message for message in given if not _is_system(message)]
    if given and (not turns or _is_ai(turns[-1])):
        given.append(HumanMessage(""))
    return given


def for_langchain(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Returns the messages with blocks that `langchain-core` passes on.

    Raises:
        InvalidInputError: It would fail at one. The error names the block.
    """
    passed = []
    for number, message in enumerate(messages):
        if isinstance(message.content, list):
            where = f"messages[{number}] ({type(message).__name__})"
            blocks = [
                content_blocks.for_langchain(block, content_blocks.origin_of(block, place, where))
                if isinstance(block, dict)
                else block
                for place, block in enumerate(message.content)
            ]
            if any(map(operator.is_not, blocks, message.content)):
                message = message.model_copy(update={"content": blocks})
        passed.append(message)
    return passed


def _read(message: BaseMessage, number: int) -> BaseMessage:
    blocks: Any = message.content
    if not isinstance(blocks, str) and not (
        isinstance(blocks, list) and all(isinstance(block, str | Mapping) for block in blocks)
    ):
        what = f"messages[{number}] ({type(message).__name__})"
        msg = f"{what} has content that is neither text nor a list of blocks: {blocks!r:.100}."
        raise InvalidInputError(msg)
    if isinstance(message, ChatMessage) and message.role == "developer":
        message = SystemMessage(blocks, additional_kwargs=message.additional_kwargs)
    if isinstance(blocks, str):
        return message
    is_ai, is_result = _is_ai(message), isinstance(message, ToolMessage | FunctionMessage)
    content: list[Any] = []
    for block in blocks:
        read = block
        if isinstance(block, Mapping) and isinstance(kind := block.get("type"), str | None):
            if kind in _TEXT and isinstance(block.get("text"), str):
                read = {"type": "text", "text": block["text"]}
            elif is_ai and kind == "refusal" and isinstance(block.get("refusal"), str):
                read = {"type": "text", "text": block["refusal"]}
            elif kind in content_blocks.KINDS:
                pass
            elif is_ai:
                continue
            elif is_result:
                value = block["json"] if kind == "json" and "json" in block else block
                with suppress(TypeError, ValueError, RecursionError):  # it stays, and is refused
                    text = json.dumps(value, ensure_ascii=False, default=str)
                    read = {"type": "text", "text": text}
        content.append(read)
    return message.model_copy(update={"content": content})


def _is_ai(message: BaseMessage) -> bool:
    if isinstance(message, ChatMessage):
        return message.role in ("assistant", "ai")
    return isinstance(message, AIMessage)


def _is_system(message: BaseMessage) -> bool:
    if isinstance(message, ChatMessage):
        return message.role == "system"
    return isinstance(message, SystemMessage)
