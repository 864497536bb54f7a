"""Prompts for Spaces that have no input for a part of them: nothing of a prompt is dropped."""

import re
from dataclasses import replace

from langchain_qwen_space.qwen.turns import Prompt

_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # as str.splitlines


def without_system(prompt: Prompt) -> Prompt:
    """The system prompt opens the first user turn, an empty line before the rest."""
    if not prompt.system:
        return prompt
    opening = prompt.system + "\n\n"
    if not prompt.history:
        return Prompt("", (), opening + prompt.query)
    (user, assistant), *rest = prompt.history
    return Prompt("", ((opening + user, assistant), *rest), prompt.query)


def without_history(prompt: Prompt) -> Prompt:
    """Earlier turns are written into the question, in order, each under the name of who spoke.

    Every line of a turn begins with "> ", so that no text of a turn can pass for another turn, or
    for the question.
    """
    if not prompt.history:
        return prompt
    turns = "".join(
        f"User:\n{_quoted(user)}\n\nAssistant:\n{_quoted(assistant)}\n\n"
        for user, assistant in prompt.history
    )
    query = f"This is our conversation so far:\n\n{turns}Now answer this:\n\n{prompt.query}"
    return replace(prompt, history=(), query=query)


def _quoted(text: str) -> str:
    """The text with "> " at the beginning of each line, whatever ends its lines."""
    return "> " + _LINE_END.sub(r"\g<0>> ", text)


def size(prompt: Prompt) -> int:
    """How many bytes the prompt is in UTF-8."""
    texts = (prompt.system, *(text for turn in prompt.history for text in turn), prompt.query)
    return sum(len(text.encode(errors="replace")) for text in texts)
