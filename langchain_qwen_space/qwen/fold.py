"""Prompts for Spaces that have no input for a part of them: nothing of a prompt is dropped."""

from dataclasses import replace

from langchain_qwen_space.qwen.turns import Prompt


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
    """Earlier turns are told in the question, in order, each under the name of who spoke."""
    if not prompt.history:
        return prompt
    told = "".join(
        f"User: {user}\n\nAssistant: {assistant}\n\n" for user, assistant in prompt.history
    )
    query = f"This is our conversation so far:\n\n{told}Now answer this:\n\n{prompt.query}"
    return replace(prompt, history=(), query=query)


def size(prompt: Prompt) -> int:
    """How many bytes the prompt is in UTF-8."""
    texts = (prompt.system, *(text for turn in prompt.history for text in turn), prompt.query)
    return sum(len(text.encode(errors="replace")) for text in texts)
