#!/usr/bin/env python3
# ruff: noqa: T201  it prints, for that is what it is for
"""A chain that streams an answer from a Space: the program behind `make demo`."""

import argparse
import sys
import time

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_qwen_space import ChatQwenSpace, QwenSpaceError
from langchain_qwen_space.local import LocalSpace

QUESTION = "Show me what markdown can do, on one short page."
INTERRUPTED = 130  # the exit status that shells give to a program ended by Ctrl-C


def ask(space: str, question: str) -> None:
    """Stream the answer of `space` to the terminal, then print the times.

    They count from the question on, so the first call's reading of the Space's layout is in them.
    """
    prompt = ChatPromptTemplate.from_messages(
        [("system", "You answer briefly."), ("human", "{question}")]
    )
    chain = prompt | ChatQwenSpace(space=space) | StrOutputParser()

    print(f"Space:    {space}\nQuestion: {question}\n", flush=True)
    began = time.perf_counter()
    times = []
    for fragment in chain.stream({"question": question}):
        if fragment:  # the last chunk holds no text, but what is known of the call
            times.append(time.perf_counter() - began)
            print(fragment, end="", flush=True)
    print(
        f"\n\nThe first chunk came after {times[0]:.2f} s, "
        f"the last of {len(times)} after {times[-1]:.2f} s."
        if times
        else "(The answer is empty.)"
    )


def main() -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", help="id or URL of a Space; by default one is started here")
    parser.add_argument("--ask", default=QUESTION, metavar="QUESTION", help="what to ask")
    arguments = parser.parse_args()
    try:
        if arguments.space:
            ask(arguments.space, arguments.ask)
        else:
            print("Starting a Space on this machine (a real Gradio server) ...", flush=True)
            with LocalSpace() as local:
                ask(local.url, arguments.ask)
    except KeyboardInterrupt:
        print("\nStopped.")
        return INTERRUPTED
    except (ImportError, ValueError, QwenSpaceError) as error:  # ValueError: a setting is refused
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
