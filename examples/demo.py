#!/usr/bin/env python3
# ruff: noqa: T201  it prints, for that is what it is for
"""Streaming, a tool call and an object from a Space: the program behind `make demo`."""

import argparse
import os
import sys
import time

from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_qwen_space import ChatQwenSpace, QwenSpaceError
from langchain_qwen_space.local import LocalSpace

QUESTION = "Show me what markdown can do, on one short page."
INTERRUPTED = 130  # the exit status that shells give to a program ended by Ctrl-C


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Trip(BaseModel):
    """A trip."""

    city: str = Field(description="The city that is visited")
    days: int = Field(description="How many days it takes")


def head(title: str, question: str) -> None:
    """Print what comes next, in bold where a terminal shows it."""
    bold, plain = "\x1b[1m", "\x1b[0m"
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        bold = plain = ""
    print(f"{bold}{title}{plain}\n\nQuestion: {question}\n", flush=True)


def show_streaming(model: ChatQwenSpace, question: str) -> None:
    """Stream an answer through a chain, then print the times.

    They count from the question on, so the first call's reading of the Space's layout is in them.
    """
    prompt = ChatPromptTemplate.from_messages(
        [("system", "You answer briefly."), ("human", "{question}")]
    )
    chain = prompt | model | StrOutputParser()

    head("1. A chain that streams", question)
    began = time.perf_counter()
    times = []
    for chunk in chain.stream({"question": question}):
        if chunk:  # the last one holds no text, but what is known of the call
            times.append(time.perf_counter() - began)
            print(chunk, end="", flush=True)
    print(
        f"\n\nFirst chunk after {times[0]:.2f} s, last of {len(times)} after {times[-1]:.2f} s."
        if times
        else "(The answer is empty.)"
    )


def show_tool_call(model: ChatQwenSpace) -> None:
    """Let the model call a function, run it, and stream the answer to its result."""
    question = "What is 6 times 7? Use the tool multiply."
    head("\n2. A tool call", question)
    with_tools = model.bind_tools([multiply])
    asked = HumanMessage(question)
    answer = with_tools.invoke([asked])
    results = []
    for call in answer.tool_calls:
        results.append(multiply.invoke(call))
        arguments = ", ".join(f"{name}={value!r}" for name, value in call["args"].items())
        print(f"The model calls {call['name']}({arguments}), which returns {results[-1].content}.")
    if not results:
        print(f"The model made no call; it wrote: {answer.text}")
        return
    for chunk in with_tools.stream([asked, answer, *results]):
        print(chunk.text, end="", flush=True)
    print()


def show_object(model: ChatQwenSpace) -> None:
    """Get an answer as a checked object."""
    question = "I want to spend 3 days in Paris."
    head("\n3. An object", question)
    print(repr(model.with_structured_output(Trip).invoke(question)))


def show(space: str, question: str) -> None:
    """Show all three on one Space."""
    print(f"Space: {space}\n")
    model = ChatQwenSpace(space=space)
    show_streaming(model, question)
    show_tool_call(model)
    show_object(model)


def main() -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", help="id or URL of a Space; by default one is started here")
    parser.add_argument("--ask", default=QUESTION, metavar="QUESTION", help="what to ask first")
    arguments = parser.parse_args()
    try:
        if arguments.space:
            show(arguments.space, arguments.ask)
        else:
            print("Starting a Space on this machine (a real Gradio server) ...", flush=True)
            with LocalSpace() as local:
                print("A script answers on it, not a language model.")
                show(local.url, arguments.ask)
    except KeyboardInterrupt:
        print("\nStopped.")
        return INTERRUPTED
    except (ImportError, ValueError, QwenSpaceError) as error:  # ValueError: a setting is refused
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
