"""The Space that the snippets ask: a few real questions with fixed answers, else the demo's script.

    python -m tests.docs.answers [PORT]

serves it for a reader of the pages.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local import LocalSpace, demo_tools
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


def main() -> None:
    """Serve these answers until Ctrl-C, on the port that is given."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7860
    try:
        with LocalSpace("tests.docs.answers:answer", port=port) as space:
            address = f"Serving the answers of the documentation on {space.url} until Ctrl-C."
            print(address, flush=True)  # noqa: T201  it is a program
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
    except InvalidInputError as error:  # the port is in use
        sys.exit(str(error))


if __name__ == "__main__":
    main()
