"""The chat templates of Qwen3, Qwen3-Coder and Qwen3.5, written down from their description.

They share no code with the package, so that the two can be held against each other. Each takes the
messages of OpenAI's API (`reasoning_content` among them) and returns the text before the header of
the answer to come, as `chatml.render` does for Qwen2.5.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]

HERMES_BEFORE = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
HERMES_AFTER = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
XML_RULES = (
    "\n\nIf you choose to call a function ONLY reply in the following format with NO suffix:\n\n"
    "<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n"
    "</parameter>\n<parameter=example_parameter_2>\nThis is the value for the second parameter\n"
    "that can span\nmultiple lines\n</parameter>\n</function>\n</tool_call>\n\n<IMPORTANT>\n"
    "Reminder:\n- Function calls MUST follow the specified format: an inner "
    "<function=...></function> block must be nested within <tool_call></tool_call> XML tags\n"
    "- Required parameters MUST be specified\n"
    "- You may provide optional reasoning for your function call in natural language BEFORE the "
    "function call, but NOT after\n- If there is no function call available, answer the question "
    "like normal with your current knowledge and do not tell the user about function calls\n"
    "</IMPORTANT>"
)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _turn(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def _last_query(messages: Sequence[Message], *, trimmed: bool = False) -> int:
    """The place of the last question; past the end if there is none."""
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message["role"] == "user":
            text = message["content"].strip() if trimmed else message["content"]
            if not (text.startswith("<tool_response>") and text.endswith("</tool_response>")):
                return place
    return len(messages) - 1


def _thoughts(message: Message, content: str) -> tuple[str, str]:
    thoughts = message.get("reasoning_content")
    if isinstance(thoughts, str):
        return thoughts, content
    if "</think>" not in content:
        return "", content
    before = content.split("</think>")[0].rstrip("\n").split("<think>")[-1].lstrip("\n")
    return before, content.split("</think>")[-1].lstrip("\n")


def _results(messages: Sequence[Message], place: int, text: str) -> str:
    """A tool's result: neighbours share one user turn, each begins on a line of its own."""
    first = place == 0 or messages[place - 1]["role"] != "tool"
    last = place + 1 == len(messages) or messages[place + 1]["role"] != "tool"
    head = "<|im_start|>user" if first else ""
    return f"{head}\n<tool_response>\n{text}\n</tool_response>" + "<|im_end|>\n" * last


def qwen3(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    text = ""
    has_system = messages[0]["role"] == "system"
    if tools:
        text += "<|im_start|>system\n"
        if has_system:
            text += messages[0]["content"] + "\n\n"
        text += HERMES_BEFORE + "".join("\n" + _dump(tool) for tool in tools) + HERMES_AFTER
        text += "<|im_end|>\n"
    elif has_system:
        text += _turn("system", messages[0]["content"])
    last_query = _last_query(messages)
    for place, message in enumerate(messages):
        content = message["content"]
        if message["role"] == "user":
            text += _turn("user", content)
        elif message["role"] == "tool":
            text += _results(messages, place, content)
        elif message["role"] == "assistant":
            thoughts, content = _thoughts(message, content)
            is_last = place + 1 == len(messages)
            if place > last_query and (is_last or thoughts):
                stripped = thoughts.strip("\n")
                content = f"<think>\n{stripped}\n</think>\n\n" + content.lstrip("\n")
            for number, call in enumerate(message.get("tool_calls", ())):
                if number or content:
                    content += "\n"
                content += f'<tool_call>\n{{"name": "{call["name"]}", "arguments": '
                content += _dump(call["arguments"]) + "}\n</tool_call>"
            text += _turn("assistant", content)
    return text


def _xml_call(call: Mapping[str, Any]) -> str:
    text = f"<tool_call>\n<function={call['name']}>\n"
    for key, value in call["arguments"].items():
        shown = _dump(value) if isinstance(value, dict | list) else str(value)
        text += f"<parameter={key}>\n{shown}\n</parameter>\n"
    return text + "</function>\n</tool_call>"


def _other_keys(value: Any, handled: Sequence[str]) -> str:
    text = ""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key not in handled:
                shown = _dump(one) if isinstance(one, dict | list) else str(one)
                text += f"\n<{key}>{shown}</{key}>"
    return text


def qwen3_coder(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    text = ""
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    if system is not None or tools:
        if system is None:
            system = (
                "You are Qwen, a helpful AI assistant that can interact with a computer to solve "
                "tasks."
            )
        text += "<|im_start|>system\n" + system
        if tools:
            text += "\n\n# Tools\n\nYou have access to the following functions:\n\n<tools>"
            for tool in tools:
                function = tool["function"]
                text += f"\n<function>\n<name>{function['name']}</name>"
                if "description" in function:
                    text += f"\n<description>{function['description'].strip()}</description>"
                text += "\n<parameters>"
                parameters = function.get("parameters", {})
                for name, rules in parameters.get("properties", {}).items():
                    text += f"\n<parameter>\n<name>{name}</name>"
                    if "type" in rules:
                        text += f"\n<type>{rules['type']}</type>"
                    if "description" in rules:
                        text += f"\n<description>{rules['description'].strip()}</description>"
                    text += _other_keys(rules, ["name", "type", "description"])
                    text += "\n</parameter>"
                text += _other_keys(parameters, ["type", "properties"]) + "\n</parameters>"
                text += _other_keys(function, ["type", "name", "description", "parameters"])
                text += "\n</function>"
            text += "\n</tools>" + XML_RULES
        text += "<|im_end|>\n"
    for place, message in enumerate(messages):
        content = message["content"]
        if message["role"] == "user":
            text += _turn("user", content)
        elif message["role"] == "tool":
            if place == 0 or messages[place - 1]["role"] != "tool":
                text += "<|im_start|>user\n"
            text += f"<tool_response>\n{content}\n</tool_response>\n"
            if place + 1 == len(messages) or messages[place + 1]["role"] != "tool":
                text += "<|im_end|>\n"
        elif message["role"] == "assistant":
            if message.get("tool_calls"):
                text += "<|im_start|>assistant"
                if content.strip():
                    text += f"\n{content.strip()}\n"
                for call in message["tool_calls"]:
                    text += "\n" + _xml_call(call)
                text += "<|im_end|>\n"
            else:
                text += _turn("assistant", content)
    return text


def qwen3_5(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    text = ""
    system = messages[0]["content"].strip() if messages[0]["role"] == "system" else None
    if tools:
        text += "<|im_start|>system\n# Tools\n\nYou have access to the following functions:\n\n"
        text += "<tools>" + "".join("\n" + _dump(tool) for tool in tools) + "\n</tools>"
        text += XML_RULES + (f"\n\n{system}" if system else "") + "<|im_end|>\n"
    elif system is not None:
        text += _turn("system", system)
    last_query = _last_query(messages, trimmed=True)
    for place, message in enumerate(messages):
        content = message["content"].strip()
        if message["role"] == "user":
            text += _turn("user", content)
        elif message["role"] == "tool":
            text += _results(messages, place, content)
        elif message["role"] == "assistant":
            thoughts, content = _thoughts(message, content)
            if place > last_query:
                content = f"<think>\n{thoughts.strip()}\n</think>\n\n{content}"
            for number, call in enumerate(message.get("tool_calls", ())):
                if number:
                    content += "\n"
                elif content.strip():
                    content += "\n\n"
                content += _xml_call(call)
            text += _turn("assistant", content)
    return text
