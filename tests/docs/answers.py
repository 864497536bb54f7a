"""The Space that the snippets ask: a few real questions with fixed answers, else the demo's script."""

from collections.abc import Iterator

from langchain_qwen_space.local import demo_tools
from langchain_qwen_space.local.demo import demo, fragments

ANSWERS = {
    "Why is the sky blue?": "Air scatters blue light more than red light.",
    "Name a prime number.": "7",
    "What is the capital of France?": "Paris",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Japan?": "Tokyo",
    "What is 17 times 3?": "51",
    "My name is Ada.": "Nice to meet you, Ada.",
    "Say hello.": "Hello!",
}


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """What a small model might say: fixed answers, the results of tools, else the demo's answers."""
    if query == "What is my name?":
        known = any("Ada" in question for question, _ in history)
        query, reply = "", "Your name is Ada." if known else "You have not told me."
    else:
        reply = "\n\n".join(demo_tools.results(query)) or ANSWERS.get(query, "")
    if not reply:
        yield from demo(system, history, query, model)
        return
    text = ""
    for fragment in fragments(reply):
        text += fragment
        yield text
