"""A model for jobs: it repeats its input, counts its calls, and fails on request."""

import asyncio
import json
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda


class Parrot:
    """What it was asked, in order; at most how many at a time. `broken` questions fail."""

    def __init__(self, *broken: str, pause: float = 0) -> None:
        self.broken = {*broken}
        self.asked: list[str] = []
        self.now = self.most = 0
        self._pause = pause
        self.model = RunnableLambda(lambda messages: None, self._answer)

    async def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        question = str(messages[-1].content)
        self.asked.append(question)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self._pause)
        finally:
            self.now -= 1
        if question in self.broken:
            raise RuntimeError(f"{question} is broken.")
        return AIMessage(f"It is {question}.")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
