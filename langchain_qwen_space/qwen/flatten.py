"""Prompts for Spaces that have no input for a part of them: nothing of a prompt is dropped."""

import re
from collections.abc import Sequence
from dataclasses import replace

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.qwen.turns import Prompt

_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # as str.splitlines


def without_system(prompt: Prompt) -> Prompt:
    """The system prompt opens the first user turn, an empty line before the rest."""
    if not prompt.system:
        return prompt
    opening = prompt.system + "\n\n"
    if not prompt.history:
        return replace(prompt, system="", query=opening + prompt.query)
    (user, assistant), *rest = prompt.history
    return replace(prompt, system="", history=((opening + user, assistant), *rest))


def without_history(prompt: Prompt) -> Prompt:
    """Earlier turns are written into the question, in order, each under the name of who spoke.

    Every line of a turn begins with "> ", so that no text of a turn can pass for another turn, or
    for the question. Files of earlier turns go with the question, and the turn names them.
    """
    if not prompt.history:
        return prompt
    said = [text for turn in prompt.history for text in turn]
    turns = "".join(
        f"{role}{_named(files)}:\n{_quoted(text)}\n\n"
        for role, text, files in zip(
            ("User", "Assistant") * len(prompt.history),
            said,
            prompt.files[:-1] or [()] * len(said),
            strict=True,
        )
    )
    query = f"This is our conversation so far:\n\n{turns}Now answer this:\n\n{prompt.query}"
    files = tuple(file for turn in prompt.files for file in turn)
    return replace(prompt, history=(), query=query, files=(files,) if files else ())


def _named(files: Sequence[Attachment]) -> str:
    """Which files a turn came with, behind the name of who spoke."""
    names = ", ".join(_LINE_END.sub(" ", file.name) for file in files)
    return f" (with the file{'s' * (len(files) > 1)} {names})" if files else ""


def _quoted(text: str) -> str:
    """The text with "> " at the beginning of each line, whatever ends its lines."""
    return "> " + _LINE_END.sub(r"\g<0>> ", text)


def size(prompt: Prompt) -> int:
    """How many bytes the prompt is in UTF-8."""
    texts = (prompt.system, *(text for turn in prompt.history for text in turn), prompt.query)
    return sum(len(text.encode(errors="replace")) for text in texts)
