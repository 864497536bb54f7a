"""Conversations as ChatML: as Qwen2.5's template renders them, and as a Space lays out its inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_qwen_space.qwen.turns import Prompt
from tests.unit_tests.qwen import independent_templates


@dataclass(frozen=True)
class Turn:
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: Sequence[tuple[str, Mapping[str, Any]]] = field(default=())


def render(turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """The conversation as Qwen2.5's template renders it, without the header of the answer to come."""
    messages = [
        {
            "role": turn.role,
            "content": turn.content,
            "tool_calls": [
                {"type": "function", "function": {"name": name, "arguments": arguments}}
                for name, arguments in turn.calls
            ],
        }
        for turn in turns
    ]
    return independent_templates.render(messages, tools, "qwen2.5")


def lay_out(prompt: Prompt) -> str:
    """What the model behind a Space reads, if the Space lays its inputs out as plain turns."""
    turns = [("system", prompt.system)]
    for user, assistant in prompt.history:
        turns += [("user", user), ("assistant", assistant)]
    turns.append(("user", prompt.query))
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
