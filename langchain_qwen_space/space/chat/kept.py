"""Conversations that a page keeps in the browser, and takes up again when a person picks one.

The chat pages of Qwen3 and later are built so (modelscope_studio): a `BrowserState` holds
`{"conversations": […], "conversation_contexts": {KEY: …}}`, `load` puts it into a State, and
picking a conversation (`active_change`) makes it the one that a question continues. So earlier
turns reach the model as turns, though no input of the chat holds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_qwen_space.space.chat.chatbot import History
from langchain_qwen_space.space.chat.files import MULTIMODAL
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

_KEY = "conversation"


@dataclass(frozen=True, slots=True)
class KeptConversations:
    """Where a page keeps them.

    Attributes:
        browser: The id of the component whose value the browser keeps.
        settings: The id of the form that the chat's settings stand in, if there is one.
        select: The function that makes a conversation the current one.
        files: Whether a question may hold files, and is a part of them and a part of text.
    """

    browser: int
    settings: int | None
    select: Dependency
    files: bool

    def value(
        self, history: History, values: Mapping[int, Any], thinking: bool | None
    ) -> tuple[dict[int, Any], dict[str, Any]]:
        """One conversation as the browser would have kept it, and the event that picks it.

        Args:
            history: Earlier turns.
            values: The values of the page, by id; the settings among them.
            thinking: Whether the model is to think; None is the page's own choice, to think.
        """
        messages: list[dict[str, Any]] = []
        for user, assistant in history:
            said = [{"type": "file", "content": []}, _text(user)] if self.files else user
            messages.append({"role": "user", "content": said})
            messages.append({"role": "assistant", "content": [_text(assistant)]})
        context = {
            "history": messages,
            "settings": None if self.settings is None else values[self.settings],
            "enable_thinking": thinking is not False,
        }
        kept = {
            "conversations": [{"label": _KEY, "key": _KEY}],
            "conversation_contexts": {_KEY: context},
        }
        return {self.browser: kept}, {"payload": [_KEY]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def find_kept(
    config: SpaceConfig, answer: int, inputs: Sequence[Component]
) -> KeptConversations | None:
    """The conversations that a page keeps for the chat whose answer is in `answer`, if it does.

    Args:
        config: The page.
        answer: The id of the chatbot.
        inputs: What the chat reads.
    """
    read = {item.id for item in inputs}
    forms = [item.id for item in inputs if item.form_key is not None]
    for item in config.components:
        keys = item.initial.keys() if isinstance(item.initial, dict) else ()
        if item.type != "browserstate" or not {"conversations", "conversation_contexts"} <= {*keys}:
            continue
        states = {
            number
            for load in config.on_load
            if item.id in load.inputs
            for number in load.outputs
            if number in read
        }
        for select in config.dependencies:
            if (
                states & {*select.inputs}
                and answer in select.outputs
                and any(event == "active_change" for _, event in select.events)
                and all(config.component(number).type == "state" for number in select.inputs)
            ):
                return KeptConversations(
                    item.id,
                    forms[0] if forms else None,
                    select,
                    files=any(box.type in MULTIMODAL for box in inputs),
                )
    return None
