"""`/config` -> which function of a Space chats, and which of its inputs is what.

Nothing is assumed of names and positions. Each input is judged by its type, label, visibility and
default value; where two fit a role, the one with the higher score wins, then the first.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_qwen_space.errors import InvalidInputError, UnsupportedSpaceError
from langchain_qwen_space.space.chat.chatbot import Form, History, form_of
from langchain_qwen_space.space.chat.inputs import check, clamp, describe
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

logger = logging.getLogger(__name__)

ROLES = ("query", "history", "system", "model", "temperature", "top_p", "max_tokens")
"""What an input of the endpoint may be. Any other gets its own default."""

_CHATBOTS = ("chatbot", "modelscopechatbot")
_TEXTS = ("textbox", "multimodaltextbox")
_NUMBERS = ("slider", "number")
_LABELS = {
    "query": r"\b(input|query|question|message|prompt|ask|user)\b|输入|问题|提问",
    "system": r"\bsystem|系统",
    "model": r"\bmodels?\b|模型",
    "temperature": r"temperature|温度",
    "top_p": r"top[\s_-]?p\b",
    "max_tokens": r"max.*(token|length)|(token|length).*max|最大.*(长度|令牌|token)",
}
_MOST_INPUTS = 100  # of a function that may be a chat
_PROMPT = re.compile(r"\byou are\b|\bassistant\b|你是|助手", re.IGNORECASE)
_MODEL_NAME = re.compile(r"\b\d+(\.\d+)?[bm]\b|qwen|llama|gpt|mistral|deepseek", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The function of a Space that chats.

    Attributes:
        fn_index: Its number on the wire.
        api_name: Its name on the Space's API page, if it has one.
        inputs: The components that its arguments come from, in order.
        roles: Which input (by index) is what; keys are among `ROLES`.
        output: Which of its outputs holds the answer.
        form: How history and answer are written.
        models: The values of the model input, in the order in which the page offers them.
        streams: Whether it is a generator.
        public: Whether the app's API page shows it.
        queues: Whether calls wait in a queue.
        history_fn: The number of the function that sets a `gr.ChatInterface`'s history, where there
            is one.
        history_form: The form in which that function takes it.
        doubts: What else some of the roles might have been, a sentence each.
        config: The `/config` that this was read from.
    """

    fn_index: int
    api_name: str | None
    inputs: tuple[Component, ...]
    roles: Mapping[str, int]
    output: int
    form: Form
    models: tuple[str, ...]
    streams: bool
    public: bool
    queues: bool
    history_fn: int | None
    history_form: Form
    doubts: tuple[str, ...]
    config: SpaceConfig

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"function {self.fn_index}" if self.api_name is None else f"/{self.api_name}"

    @property
    def default_model(self) -> str | None:
        """The Space's own choice among `models`."""
        index = self.roles.get("model")
        default = None if index is None else self.inputs[index].default
        return default if isinstance(default, str) else None

    def arguments(
        self, *, query: str, history: History, given: Mapping[str, Any], extra: Mapping[str, Any]
    ) -> tuple[list[Any], list[str]]:
        """Lay a prompt out as the function's arguments.

        Args:
            query: The question.
            history: Earlier turns, (user, assistant) each.
            given: Values by role: `system`, `model`, `temperature`, `top_p`, `max_tokens`.
            extra: Values of other inputs, by their label.

        Returns:
            The arguments, and a sentence for each setting that could not be sent as it was given.

        Raises:
            InvalidInputError: An input refuses its value, or no input has such a label.
        """
        values = [None if item.type == "state" else item.default for item in self.inputs]
        notes = []
        for role, value in given.items():
            index = self.roles.get(role)
            if index is None:
                notes.append(f"has no input for {role}={value!r}")
                continue
            component = self.inputs[index]
            if component.type in _NUMBERS:
                sent = clamp(component, value, role, up=role == "max_tokens")
                if sent != value and role != "max_tokens":
                    notes.append(f"takes no {role}={value!r}: {sent!r} was sent, the nearest")
                values[index] = sent
            elif component.type == "textbox":
                values[index] = check(component, value, role)
            else:
                values[index] = value  # a model, which was matched with the choices
        for label, value in extra.items():
            index = self._by_label(label)
            values[index] = check(self.inputs[index], value, describe(self.inputs[index], index))
        query_input = self.inputs[self.roles["query"]]
        values[self.roles["query"]] = (
            {"text": query, "files": []} if query_input.type == "multimodaltextbox" else query
        )
        if "history" in self.roles:
            values[self.roles["history"]] = self.form.write(history)
        return values, notes

    def _by_label(self, label: str) -> int:
        for index, component in enumerate(self.inputs):
            if component.label == label:
                return index
        labels = [component.label for component in self.inputs if component.label]
        msg = f"The Space's function {self.api_name!r} has no input {label!r}; it has {labels}."
        raise InvalidInputError(msg)


def find_endpoint(
    config: SpaceConfig,
    where: str,
    api_name: str | None = None,
    inputs: Mapping[str, str | int] | None = None,
) -> Endpoint:
    """Find the function that chats.

    Candidates have a chatbot among inputs and outputs and a box for the question, or are those of a
    `gr.ChatInterface`. Generators go before plain functions, those that the app's API page shows
    before others, then the one with the most inputs recognised, then the first. What was chosen is
    logged where there was a choice.

    Args:
        config: The Space's `/config`.
        where: The Space, for messages.
        api_name: Take this function, by its name on the Space's API page.
        inputs: Take these inputs, by label or index, for these roles.

    Raises:
        UnsupportedSpaceError: The Space has no such function.
        InvalidInputError: `api_name` or `inputs` name something that is not there.
    """
    wanted = None if api_name is None else api_name.removeprefix("/")
    settled = inputs or {}
    if unknown := settled.keys() - set(ROLES):
        raise InvalidInputError(f"inputs={{…}}: there is no role {unknown}; choose of {ROLES}.")
    named = [
        dependency
        for dependency in config.dependencies
        if dependency.backend_fn and wanted in (None, dependency.api_name)
    ]
    if wanted is not None and not named:
        names = [f"/{item.api_name}" for item in config.dependencies if item.api_name]
        raise InvalidInputError(f"{where} has no function {api_name!r}; it has {names}.")
    found = [
        endpoint
        for dependency in named
        if (endpoint := _read(config, dependency, settled)) is not None
    ]
    if not found:
        _check_settled(config, named, settled, where)
        subject = f"The function {api_name!r} of {where}" if wanted else f"No function of {where}"
        msg = (
            f"{subject} {'is no' if wanted else 'is a'} chat that this package recognises: one with "
            "a chatbot among its inputs and outputs and a text box for the question, or a "
            "gr.ChatInterface. If the Space does chat, name its function by api_name=… and its "
            "inputs by inputs={'query': …, 'history': …} (label or index)."
        )
        raise UnsupportedSpaceError(msg)
    best = max(found, key=lambda item: (item.streams, item.public, len(item.roles)))
    others = [item for item in found if item.inputs != best.inputs]
    if others:
        logger.info(
            "%s has several functions that chat. Taking %s, not %s; settle it with api_name=…",
            where,
            best.title,
            ", ".join(dict.fromkeys(item.title for item in others)),
        )
    for doubt in best.doubts:
        logger.info("%s: %s", where, doubt)
    return best


def _read(
    config: SpaceConfig, dependency: Dependency, settled: Mapping[str, str | int]
) -> Endpoint | None:
    """The dependency as an endpoint, or None where it is no chat."""
    if len(dependency.inputs) > _MOST_INPUTS:
        return None
    inputs = tuple(config.component(number) for number in dependency.inputs)
    outputs = [config.component(number) for number in dependency.outputs]
    roles = {}
    for role, place in settled.items():
        if (index := _place(inputs, place)) is None:
            return None
        roles[role] = index
    chatbots = [index for index, item in enumerate(inputs) if item.type in _CHATBOTS]
    setter = None
    if "history" not in roles and chatbots:
        roles["history"] = chatbots[0]
    if "history" in roles:
        chatbot = inputs[roles["history"]]
        places = [index for index, item in enumerate(outputs) if item.id == chatbot.id] or [
            index for index, item in enumerate(outputs) if item.type in _CHATBOTS
        ]
        form = _form(chatbot, config)
    elif _is_chat_interface(inputs, outputs):
        places, form = [0], Form.REPLY
        setter = _history_function(config, outputs[1].id)
    else:
        return None
    if not places:
        return None
    taken = set(roles.values())
    doubts = []
    for role in ROLES:
        if role in roles or role == "history":
            continue
        scores = {
            index: score
            for index, item in enumerate(inputs)
            if index not in taken and (score := _score(role, item, dependency, config)) > 0
        }
        if scores:
            best, *rivals = [index for index in scores if scores[index] == max(scores.values())]
            roles[role] = best
            taken.add(best)
            if rivals:
                names = ", ".join(describe(inputs[index], index) for index in rivals)
                doubts.append(
                    f"{describe(inputs[best], best)} is taken for the {role}, though it might be "
                    f"{names}; settle it with inputs={{{role!r}: …}} (label or index)."
                )
    if "query" not in roles:
        return None
    model = inputs[roles["model"]] if "model" in roles else None
    return Endpoint(
        fn_index=dependency.id,
        api_name=dependency.api_name,
        inputs=inputs,
        roles=roles,
        output=places[0],
        form=form,
        models=tuple(_models(model, config)) if model else (),
        streams=dependency.types.generator,
        public=dependency.public,
        queues=config.enable_queue if dependency.queue is None else dependency.queue,
        history_fn=setter.id if setter else None,
        history_form=_form(config.component(setter.inputs[0]), config) if setter else form,
        doubts=tuple(doubts),
        config=config,
    )


def _form(chatbot: Component, config: SpaceConfig) -> Form:
    return form_of(chatbot.type, chatbot.props.get("type"), config.release)


def _place(inputs: Sequence[Component], place: str | int) -> int | None:
    """The index of the input that the user named, by label or index."""
    if isinstance(place, int):
        return place if 0 <= place < len(inputs) else None
    return next((index for index, item in enumerate(inputs) if item.label == place), None)


def _check_settled(
    config: SpaceConfig,
    functions: Sequence[Dependency],
    settled: Mapping[str, str | int],
    where: str,
) -> None:
    """Say which of the inputs that the user named is in none of `functions`."""
    lists = [[config.component(number) for number in item.inputs] for item in functions]
    for role, place in settled.items():
        if all(_place(inputs, place) is None for inputs in lists):
            known = {
                describe(item, index): 0 for inputs in lists for index, item in enumerate(inputs)
            }
            msg = f"{where} has no input {place!r} to be its {role}; it has {', '.join(known)}."
            raise InvalidInputError(msg)


def _score(role: str, item: Component, dependency: Dependency, config: SpaceConfig) -> int:
    """How well an input fits a role; 0 or less is not at all."""
    labelled = bool(re.search(_LABELS[role], item.label, re.IGNORECASE))
    default = item.default if isinstance(item.default, str) else ""
    if role == "query":
        if item.type not in _TEXTS or re.search(_LABELS["system"], item.label, re.IGNORECASE):
            return 0
        submits = item.id in config.submitted
        cleared = item.id in dependency.outputs
        return 1 + 4 * submits + 2 * cleared + 2 * item.visible + 2 * labelled - 4 * bool(default)
    if role == "system":
        if item.type != "textbox":
            return 0
        # A hidden box also carries what the page needs to know: a name, a language, an id.
        hidden = not item.visible and not item.label and (not default or " " in default)
        return 4 * labelled + 3 * bool(_PROMPT.search(default)) + 2 * (hidden and not labelled)
    if role == "model":
        if item.type not in ("radio", "dropdown"):
            return 0
        names = [choice for choice in _models(item, config) if isinstance(choice, str)]
        return 2 * labelled + 2 * bool(_MODEL_NAME.search(" ".join(names)))
    return 2 * labelled if item.type in _NUMBERS else 0


def _models(item: Component, config: SpaceConfig) -> list[str]:
    """What a radio or dropdown of models offers.

    One without choices of its own is fed by others (on Qwen/Qwen2.5, three visible radios write
    their value into the hidden one that the function reads): then their choices count.
    """
    choices = item.choices
    if not choices:
        feeders = {
            number: None
            for dependency in config.dependencies
            if item.id in dependency.outputs
            for number in dependency.inputs
        }
        for component in config.components:
            if component.id in feeders:
                choices = choices + component.choices
    return [choice for choice in dict.fromkeys(choices) if isinstance(choice, str)]


def _is_chat_interface(inputs: Sequence[Component], outputs: Sequence[Component]) -> bool:
    """Whether these are the inputs and outputs of a `gr.ChatInterface`'s own API function."""
    return (
        len(inputs) >= 2
        and inputs[0].type in _TEXTS
        and inputs[1].type == "state"
        and len(outputs) >= 2
        and outputs[0].type in ("json", "textbox")
        and not outputs[0].visible
        and outputs[1].type == "state"
    )


def _history_function(config: SpaceConfig, state: int) -> Dependency | None:
    """The function that writes a chatbot's value into the state that keeps the history."""
    for dependency in config.dependencies:
        if (
            dependency.backend_fn
            and state in dependency.outputs
            and len(dependency.inputs) == 1
            and config.component(dependency.inputs[0]).type in _CHATBOTS
        ):
            return dependency
    return None
