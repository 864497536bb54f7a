"""What the Spaces of these tests answer, and what they note about it."""

import time
from collections.abc import Iterator
from pathlib import Path


def answer(system: str, history: list[tuple[str, str]], query: str, model: str) -> Iterator[str]:
    """Obey `FILE COUNT PAUSE`: COUNT numbers, PAUSE seconds between them.

    FILE then says `running`, and in the end `done`, or `closed` if nobody listens any more.
    """
    name, count, pause = query.rsplit(" ", 2)
    note = Path(name)
    note.write_text("running")
    text = ""
    try:
        for number in range(int(count)):
            text += f"{number} ä🌍, "
            yield text
            time.sleep(float(pause))
    except GeneratorExit:
        note.write_text("closed")
        raise
    note.write_text("done")


def said(count: int) -> str:
    """What `answer` says in all."""
    return "".join(f"{number} ä🌍, " for number in range(count))
