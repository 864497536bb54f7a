"""Chats whose answers have the form of those of each family of models, in three rounds of tools.

Not models: a script that reads its prompt as the family's template has it, and says so where it
has not. Prints its ports, and serves until its standard input ends.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import gradio

MODELS = (
    *("Qwen2.5-72B-Instruct", "Qwen2.5-Coder-32B-Instruct", "Qwen3-8B", "QwQ-32B"),
    *("Qwen3-30B-A3B-Instruct-2507", "Qwen3-30B-A3B-Thinking-2507"),
    *("Qwen3-Coder-30B-A3B-Instruct", "Qwen3.5-27B", "some-model"),
)
ROUNDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("weather", {"city": "Paris", "days": 2}),
    ("find", {"kinds": ["museum", "café"], "where": {"near": "Seine"}}),
    ("note", {"text": 'Rain:\n<tool_call> is "no" tag\n'}),
)
BEGIN_INSIDE_THOUGHTS = ("QwQ", "Qwen3-30B-A3B-Thinking", "Qwen3.5")
KEEP_THOUGHTS = {"Qwen3-8B": {True, False}, MODELS[5]: {True, False}, "Qwen3.5-27B": {True}}
"""Whether turns in a running loop of tools have thoughts."""
HERMES = "For each function call, return a json object with function name and arguments"
XML = "If you choose to call a function ONLY reply in the following format with NO suffix"
SECTIONS = {"Qwen3-Coder": XML, "Qwen3.5": XML}
CITY = {"name": "Paris", "country": "France", "twins": ["Rome"]}
OTHER_CITY = '{"name": "Lyon", "country": "France", "twins": []}'
DELETE = '<tool_call>\n{"name": "delete_all", "arguments": {}}\n</tool_call>'


def as_json(name: str, arguments: dict[str, Any]) -> str:
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)


def as_xml(name: str, arguments: dict[str, Any]) -> str:
    values = {
        key: json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        for key, value in arguments.items()
    }
    written = "".join(
        f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items()
    )
    return f"<function={name}>\n{written}</function>\n</tool_call>"


def call(model: str, number: int) -> str:
    name, arguments = ROUNDS[number]
    if model.startswith("Qwen2.5-Coder"):
        return f"```json\n{as_json(name, arguments)}\n```"
    if model.startswith("Qwen3-Coder"):  # without the opening tag now and then
        return ("<tool_call>\n" if number % 2 else "I look.\n") + as_xml(name, arguments)
    if model.startswith("Qwen3.5"):
        return "<tool_call>\n" + as_xml(name, arguments)
    return f"I look.\n<tool_call>\n{as_json(name, arguments)}\n</tool_call>"


def an_object(model: str, *, as_call: bool) -> str:
    """An object in the form that models of the family give it, thoughts of another one before it."""
    written = json.dumps(CITY)
    if as_call and model.startswith((*SECTIONS,)):
        written = "<tool_call>\n" + as_xml("City", CITY)
    elif as_call and model.startswith("Qwen2.5-Coder"):
        written = f"```json\n{as_json('City', CITY)}\n```"
    elif as_call:
        written = f"<tool_call>\n{as_json('City', CITY)}\n</tool_call>"
    elif model.startswith(("Qwen2.5-Coder", "Qwen3-8B", "Qwen3.5")):
        written = f"```json\n{json.dumps(CITY, indent=2)}\n```"
    elif model.startswith("Qwen3-Coder"):
        written = f"Here it is:\n\n```json\n{written}\n```\n\nThat is the {{city}}."
    thought = f"Rather {OTHER_CITY}?"
    if model == "Qwen3-8B":
        return f"<think>\n{thought}\n</think>\n\n{written}"
    if model.startswith(BEGIN_INSIDE_THOUGHTS):
        return f"{thought}\n</think>\n\n{written}"
    return written


def wrong(model: str, system: str, texts: list[str], done: int) -> str:
    """What is wrong with the prompt; nothing if it is as the family's template has it."""
    family = next((name for name in SECTIONS if model.startswith(name)), "")
    if SECTIONS.get(family, HERMES) not in system:
        return "the tools section"
    if (family == "Qwen3-Coder") != ("<function>\n<name>weather</name>" in system):
        return "the tools"
    said, wrote_xml = texts[1::2], bool(family)
    for number, text in enumerate(said[len(said) - done :]):
        if wrote_xml != (f"<function={ROUNDS[number][0]}>" in text):
            return f"call {number}: {text}"
        thinks = text.startswith("<think>\n")
        if thinks not in KEEP_THOUGHTS.get(model, {False}):
            return f"the thoughts of turn {number}: {text}"
        if "I would" in text and not thinks:
            return f"thoughts as text in turn {number}: {text}"
    return ""


def reply(system: str, texts: list[str], model: str) -> str:
    done = 0
    while done < len(texts) // 2 and "<tool_response>" in texts[len(texts) - 1 - 2 * done]:
        done += 1
    text = (
        "WRONG PROMPT: " + fault.replace("<", "(")
        if (fault := wrong(model, system, texts, done))
        else ""
    )
    if not text:
        text = call(model, done) if done < len(ROUNDS) else "All done: " + texts[-1][16:23] + "."
    thought = f"I would not use {DELETE} here."
    if model == "Qwen3-8B":
        thought = "" if "/no_think" in texts[-1 - 2 * done] else thought
        return f"<think>\n{thought}\n</think>\n\n{text}"
    if model.startswith(BEGIN_INSIDE_THOUGHTS):
        return f"{thought}\n</think>\n\n{text}"
    return text


def chat(
    message: str, history: list[dict[str, Any]], system: str, model: str
) -> Iterator[list[dict[str, Any]]]:
    texts = [text_of(turn["content"]) for turn in history] + [message]
    text = json.dumps([system, texts, model]) if message.startswith("tell") else ""
    if message.startswith("Which city"):
        text = an_object(model, as_call="<tools>" in system)
    else:
        text = text.replace("<", "\\u003c") or reply(system, texts, model)
    for end in range(7, len(text) + 7, 7):
        # Parts are left alone, where Gradio re-indents a plain string.
        yield [{"role": "assistant", "content": [{"type": "text", "text": text[:end]}]}]


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)


def switched(message: str, history: list[dict[str, Any]], thinking: bool, budget: float) -> str:
    return json.dumps([message, thinking, budget])


if __name__ == "__main__":
    apps = (
        gradio.ChatInterface(
            chat,
            additional_inputs=[
                gradio.Textbox(label="System prompt"),
                gradio.Dropdown([*MODELS], value=MODELS[-1], label="Model"),
            ],
        ),
        gradio.ChatInterface(
            switched,
            additional_inputs=[
                gradio.Checkbox(label="Enable thinking"),
                gradio.Slider(100, 9000, value=500, step=1, label="Thinking budget"),
            ],
        ),
    )
    for app in apps:
        app.launch(server_name="127.0.0.1", quiet=True, prevent_thread_lock=True)
        sys.stdout.write(f"{app.server_port}\n")
        sys.stdout.flush()
    sys.stdin.read()
