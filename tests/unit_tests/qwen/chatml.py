"""Qwen2.5's chat template, written down a second time from its description.

It shares no code with the package, so that the two can be held against each other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_qwen_space.qwen.turns import Prompt


@dataclass(frozen=True)
class Turn:
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: Sequence[tuple[str, Mapping[str, Any]]] = field(default=())


def render(turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """The conversation as the template renders it, without the header of the answer to come."""
    system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    if turns[0].role == "system":
        system = turns[0].content
        turns = turns[1:]
    text = f"<|im_start|>system\n{system}"
    if tools:
        text += (
            "\n\n# Tools\n\nYou may call one or more functions to assist with the user query."
            "\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>"
        )
        for tool in tools:
            text += "\n" + json.dumps(tool, ensure_ascii=False)
        text += (
            "\n</tools>\n\nFor each function call, return a json object with function name and "
            "arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
            '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
        )
    text += "<|im_end|>\n"
    for number, turn in enumerate(turns):
        if turn.role == "tool":
            before = turns[number - 1].role if number else None
            after = turns[number + 1].role if number + 1 < len(turns) else None
            if before != "tool":
                text += "<|im_start|>user"
            text += f"\n<tool_response>\n{turn.content}\n</tool_response>"
            if after != "tool":
                text += "<|im_end|>\n"
            continue
        text += f"<|im_start|>{turn.role}"
        if turn.content or not turn.calls:
            text += f"\n{turn.content}"
        for name, arguments in turn.calls:
            dumped = json.dumps(arguments, ensure_ascii=False)
            text += f'\n<tool_call>\n{{"name": "{name}", "arguments": {dumped}}}\n</tool_call>'
        text += "<|im_end|>\n"
    return text


def lay_out(prompt: Prompt) -> str:
    """What the model behind a Space reads, if the Space lays its inputs out as plain turns."""
    turns = [("system", prompt.system)]
    for user, assistant in prompt.history:
        turns += [("user", user), ("assistant", assistant)]
    turns.append(("user", prompt.query))
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
