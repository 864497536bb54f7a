"""`demo`: answers without a model. Read it to see how to write a function of your own.

A function that answers takes the system prompt, the earlier turns, the question and the model's
name, and yields the text so far, again and again. With a real model it would look like this:

```python
def answer(system, history, query, model):
    text = ""
    for token in my_model.stream(system, history, query):
        text += token
        yield text
```
"""

import re
from collections.abc import Iterator

from . import demo_tools

# Seconds between two chunks. About 40 a second: as fast as a good Space, slow enough to be seen.
PACE = 0.025

HELP = """\
This demo knows these words:

- `code`, `list`, `markdown`: an answer that shows how such things stream
- `count to 100`: a long answer
- `echo: some words`: these words and nothing else
- a question that suits a tool, where your prompt offers tools: a call of that tool"""

CODE = """\
A demo wrote this, not a language model. Python indents with spaces:

```python
def fibonacci(count: int) -> list[int]:
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:count]


print(fibonacci(10))
```

and Go with tabs:

```go
func main() {
\tfor i := range 3 {
\t\tfmt.Println("Hello", i)
\t}
}
```"""

LIST = """\
A demo wrote this, not a language model. A list in a list:

1. **Fruit**
   - apples
     - red
     - green
   - pears
2. **Vegetables**
   - carrots
   - peas"""

MARKDOWN = """\
# A heading

A demo wrote this, not a language model. Some words are **bold**, some are *slanted*, some \
are `code`.

| planet | moons |
| ------ | ----: |
| Earth  |     1 |
| Mars   |     2 |

> A quotation, and a formula: $$E = mc^2$$

Other scripts stream as well: 你好, привет, שלום, 🙂."""


def demo(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """Answer with a script instead of a model, and say so. The same question gets the same answer.

    Args:
        system: The system prompt; tools that it offers in the form of Qwen2.5 are called.
        history: The earlier turns, as (user, assistant) pairs.
        query: The question, or the results of tools.
        model: The name of the model that was asked for.

    Yields:
        The text so far.
    """
    text = ""
    for fragment in fragments(reply(system, history, query, model)):
        text += fragment
        yield text


def fragments(text: str) -> list[str]:
    """Cut `text` into pieces of at most six letters, about as a model's tokens would be."""
    return re.findall(r"\s*\S{1,6}|\s+", text)


def reply(system: str, history: list[tuple[str, str]], query: str, model: str) -> str:
    """The whole answer."""
    if query.startswith("echo:"):
        return query.removeprefix("echo:").strip()
    results, question = demo_tools.results(query), demo_tools.asked(history, query)
    said = "\n".join([*results, question])
    called = demo_tools.called(history, query)
    if tools := [tool for tool in demo_tools.demanded(system) if tool["name"] not in called]:
        return demo_tools.call(said, tools, must=True) or ""
    if not results and (call := demo_tools.call(query, demo_tools.offered(system))):
        return call
    if (wanted := demo_tools.wanted_object(system, said)) is not None:
        return wanted
    if results:
        return "This demo, not a language model, read the results of the tools:\n\n" + "\n\n".join(
            results
        )
    if count := re.search(r"\bcount to (\d{1,6})\b", query, re.IGNORECASE):
        return "\n".join(str(number) for number in range(1, int(count[1]) + 1))
    for word, text in (("code", CODE), ("list", LIST), ("markdown", MARKDOWN)):
        if re.search(rf"\b{word}\b", query, re.IGNORECASE):
            return text
    return introduction(history, query, model)


def introduction(history: list[tuple[str, str]], query: str, model: str) -> str:
    """Say what this is, and what came in."""
    said = "\n".join(f"> {line}" for line in query.splitlines())
    before = f" Before, you said: “{history[-1][0]}”" if history else ""
    return (
        f"I am a demo, not a language model: there is no {model} behind this page. You said:\n\n"
        f"{said}\n\n"
        f"This is turn {len(history) + 1} of our conversation.{before}\n\n{HELP}"
    )
