"""What answers the example's questions: the scripted answerer, and answers that do not end.

- `write until left: FILE`: words until the caller leaves; FILE gets a line "open" and then "closed"
- `recall`: the earlier turns as JSON, `[[user, assistant], …]`
- `break off`: some text, then an error
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration_tests import answers


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    if query == "recall":
        # Tags of earlier turns are no tags of the answer.
        yield json.dumps(history).replace("<", "\\u003c")
        return
    if query == "break off":
        yield "Half of it"
        raise RuntimeError("out of luck")
    if not query.startswith("write until left: "):
        yield from answers.answer(system, history, query, model)
        return
    with Path(query.removeprefix("write until left: ")).open("a", buffering=1) as file:
        file.write("open\n")
        text = "On and on"
        try:
            while True:
                yield text
                text += " and on"
                time.sleep(0.02)
        finally:
            file.write("closed\n")
