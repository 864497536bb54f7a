"""What the tests of this folder ask of a failing Space."""

from dataclasses import dataclass

import pytest

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import QwenSpaceError
from tests.unit_tests.faults.server import FaultServer


def model_for(space: FaultServer | str, **settings: object) -> ChatQwenSpace:
    url = space if isinstance(space, str) else space.url
    return ChatQwenSpace(space=url, **{"max_retries": 0, "timeout": 2, **settings})


@dataclass
class Outcome:
    """What came of a streamed call: its text, and its error if it had one."""

    text: str
    error: QwenSpaceError | None
    revised: str | None


async def ask(model: ChatQwenSpace, query: str = "hi") -> Outcome:
    """Stream an answer to its end or its error; any other exception fails the test."""
    text, revised = "", None
    try:
        async for chunk in model.astream(query):
            text += chunk.content
            revised = chunk.response_metadata.get("final_text")
    except QwenSpaceError as error:
        return Outcome(text, error, revised)
    return Outcome(text, None, revised)


async def failure(
    model: ChatQwenSpace, kind: type[QwenSpaceError], words: str | None = None
) -> QwenSpaceError:
    """The error of a call that fails before its first chunk."""
    with pytest.raises(QwenSpaceError, match=words) as caught:
        await model.ainvoke("hi")
    assert type(caught.value) is kind
    return caught.value
