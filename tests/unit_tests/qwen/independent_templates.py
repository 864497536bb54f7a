"""The chat templates of the Qwen families, written again in plain Python from what they are known to produce.

`render` takes a conversation as the templates take it (OpenAI-style messages and tools) and returns it as ChatML, up to
and including its last turn. It shares no line with the package: its purpose is to disagree where one of the two is wrong.

What each family does was read off its published template: `tokenizer_config.json` of Qwen/Qwen2.5-7B-Instruct,
Qwen/QwQ-32B, Qwen/Qwen3-8B, Qwen/Qwen3-4B-Instruct-2507, Qwen/Qwen3-Coder-30B-A3B-Instruct and Qwen/Qwen3.5-4B.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

HERMES_HEAD: Final = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>"""
HERMES_TAIL: Final = """
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""
XML_HEAD: Final = """# Tools

You have access to the following functions:

<tools>"""
XML_TAIL: Final = """
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within \
<tool_call></tool_call> XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do not tell \
the user about function calls
</IMPORTANT>"""


def turn(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_value(value: object) -> str:
    return dumps(value) if isinstance(value, dict | list) else str(value)


def render(messages: Sequence[Json], tools: Sequence[Json], family: str) -> str:
    """Return what the template of `family`, a key of `FAMILIES`, makes of a conversation."""
    first = messages[0]
    system = first["content"] if first["role"] == "system" else None
    return FAMILIES[family](system, messages[1:] if system is not None else messages, tools)


def qwen25(system: str | None, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    if system is None:
        system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    text = turn("system", system + ("\n\n" + hermes_tools(tools) if tools else ""))
    return text + "".join(
        results(group)
        if role == "tool"
        else "".join(turn(role, whole_hermes_turn(message)) for message in group)
        for role, group in grouped(messages)
    )


def whole_hermes_turn(message: Json) -> str:
    calls = "\n".join(hermes_call(call) for call in message.get("tool_calls", []))
    return "\n".join(part for part in (message["content"], calls) if part)


def qwq(system: str | None, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    """As Qwen2.5, without a default system text, and each assistant turn but the very last without its thoughts."""
    text = ""
    if tools:
        text = turn("system", (system or "") + "\n\n" + hermes_tools(tools))
    elif system is not None:
        text = turn("system", system)
    last = messages[-1]
    for role, group in grouped(messages):
        if role == "tool":
            text += results(group)
            continue
        for message in group:
            content = message["content"]
            if role == "assistant" and message is not last:
                content = content.split("</think>")[-1].lstrip("\n")
            body = content
            if calls := message.get("tool_calls"):
                # A turn that had nothing but thoughts keeps the newline that would have followed its text.
                body = ("\n" if message["content"] else "").join(
                    [content, "\n".join(map(hermes_call, calls))]
                )
            text += turn(role, body)
    return text


def qwen3(system: str | None, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    text = ""
    if tools:
        text = turn("system", ("" if system is None else system + "\n\n") + hermes_tools(tools))
    elif system is not None:
        text = turn("system", system)
    last_query = place_of_last_query([message["content"] for message in messages], messages)
    index = 0
    for role, group in grouped(messages):
        if role == "tool":
            text += results(group)
            index += len(group)
            continue
        for message in group:
            content = message["content"]
            if role == "assistant":
                thoughts, content = parted(message, content)
                body = content
                if index > last_query and (thoughts or index == len(messages) - 1):
                    body = (
                        "<think>\n" + thoughts.strip("\n") + "\n</think>\n\n" + content.lstrip("\n")
                    )
                calls = "\n".join(hermes_call(call) for call in message.get("tool_calls", []))
                text += turn(role, body + ("\n" if content and calls else "") + calls)
            else:
                text += turn(role, content)
            index += 1
    return text


def qwen3_instruct(system: str | None, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    """As Qwen2.5, without a default system text."""
    if system is not None:
        return qwen25(system, messages, tools)
    text = qwen25("", messages, tools).removeprefix("<|im_start|>system\n")
    return (
        "<|im_start|>system\n" + text.removeprefix("\n\n")
        if tools
        else text.removeprefix("<|im_end|>\n")
    )


def qwen3_coder(system: str | None, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    text = ""
    if tools:
        if system is None:
            system = "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks."
        text = turn(
            "system",
            system
            + "\n\n"
            + XML_HEAD
            + "".join(xml_tool(tool["function"]) for tool in tools)
            + XML_TAIL,
        )
    elif system is not None:
        text = turn("system", system)
    for role, group in grouped(messages):
        if role == "tool":
            text += turn(
                "user",
                "".join(
                    f"<tool_response>\n{result['content']}\n</tool_response>\n" for result in group
                ),
            )
            continue
        for message in group:
            calls = message.get("tool_calls")
            if not calls:
                text += turn(role, message["content"])
                continue
            content = message["content"].strip()
            text += turn(
                role,
                (content + "\n\n" if content else "") + "\n".join(xml_call(call) for call in calls),
            )
    return text


def qwen35(system: str | None, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    own = None if system is None else system.strip()
    text = ""
    if tools:
        section = XML_HEAD + "".join("\n" + dumps(tool) for tool in tools) + XML_TAIL
        text = turn("system", section + ("\n\n" + own if own else ""))
    elif own is not None:
        text = turn("system", own)
    # Without a question this template refuses the conversation; here it is rendered as Qwen3's does.
    last_query = place_of_last_query([message["content"].strip() for message in messages], messages)
    index = 0
    for role, group in grouped(messages):
        if role == "tool":
            text += results(group, trimmed=True)
            index += len(group)
            continue
        for message in group:
            content = message["content"].strip()
            if role == "assistant":
                thoughts, content = parted(message, content)
                body = (
                    f"<think>\n{thoughts.strip()}\n</think>\n\n{content}"
                    if index > last_query
                    else content
                )
                calls = "\n".join(xml_call(call) for call in message.get("tool_calls", []))
                text += turn(role, body + ("\n\n" if content.strip() and calls else "") + calls)
            else:
                text += turn(role, content)
            index += 1
    return text


FAMILIES: Final[Mapping[str, Callable[[str | None, Sequence[Json], Sequence[Json]], str]]] = {
    "qwen2.5": qwen25,
    "qwq": qwq,
    "qwen3": qwen3,
    "qwen3-instruct": qwen3_instruct,
    "qwen3-coder": qwen3_coder,
    "qwen3.5": qwen35,
}


def grouped(messages: Sequence[Json]) -> list[tuple[str, list[Json]]]:
    """Put neighbours of one role together."""
    groups: list[tuple[str, list[Json]]] = []
    for message in messages:
        if groups and groups[-1][0] == message["role"]:
            groups[-1][1].append(message)
        else:
            groups.append((message["role"], [message]))
    return groups


def results(group: Sequence[Json], *, trimmed: bool = False) -> str:
    texts = [result["content"].strip() if trimmed else result["content"] for result in group]
    return turn("user", "\n".join(f"<tool_response>\n{text}\n</tool_response>" for text in texts))


def place_of_last_query(texts: Sequence[str], messages: Sequence[Json]) -> int:
    """The last user turn that is not wholly the result of a tool; without one, the last turn of all."""
    queries = [
        index
        for index, (text, message) in enumerate(zip(texts, messages, strict=True))
        if message["role"] == "user"
        and not (text.startswith("<tool_response>") and text.endswith("</tool_response>"))
    ]
    return queries[-1] if queries else len(messages) - 1


def parted(message: Json, content: str) -> tuple[str, str]:
    """Part an assistant's thoughts from its text, as Qwen3 and Qwen3.5 do."""
    thoughts = message.get("reasoning_content")
    if isinstance(thoughts, str):
        return thoughts, content
    if "</think>" not in content:
        return "", content
    before = content.split("</think>")[0].rstrip("\n")
    return before.split("<think>")[-1].lstrip("\n"), content.split("</think>")[-1].lstrip("\n")


def hermes_tools(tools: Sequence[Json]) -> str:
    return HERMES_HEAD + "".join("\n" + dumps(tool) for tool in tools) + HERMES_TAIL


def hermes_call(call: Json) -> str:
    function = call["function"]
    return f'<tool_call>\n{{"name": "{function["name"]}", "arguments": {dumps(function["arguments"])}}}\n</tool_call>'


def xml_call(call: Json) -> str:
    function = call["function"]
    arguments = "".join(
        f"<parameter={name}>\n{as_value(value)}\n</parameter>\n"
        for name, value in function["arguments"].items()
    )
    return f"<tool_call>\n<function={function['name']}>\n{arguments}</function>\n</tool_call>"


def xml_tool(function: Json) -> str:
    lines = ["", "<function>", f"<name>{function['name']}</name>"]
    if "description" in function:
        lines.append(f"<description>{function['description'].strip()}</description>")
    lines.append("<parameters>")
    parameters = function.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    for name, schema in (properties or {}).items():
        lines += ["<parameter>", f"<name>{name}</name>"]
        if isinstance(schema, dict):
            if "type" in schema:
                lines.append(f"<type>{schema['type']}</type>")
            if "description" in schema:
                lines.append(f"<description>{schema['description'].strip()}</description>")
            lines += xml_keys(schema, without=("name", "type", "description"))
        lines.append("</parameter>")
    lines += xml_keys(parameters, without=("type", "properties"))
    lines.append("</parameters>")
    lines += xml_keys(function, without=("type", "name", "description", "parameters"))
    lines.append("</function>")
    return "\n".join(lines)


def xml_keys(value: object, *, without: Sequence[str]) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [f"<{key}>{as_value(item)}</{key}>" for key, item in value.items() if key not in without]
