"""The chat of a page: the functions that a question goes through, and a prompt laid out on their inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.chat.chatbot import Form, History, greeting
from langchain_qwen_space.space.chat.files import MULTIMODAL, FileInput, file_inputs, kinds, lay_out
from langchain_qwen_space.space.chat.habits import Habits
from langchain_qwen_space.space.chat.input_roles import (
    CHOICES,
    NUMBERS,
    SETTINGS,
    place,
    thinking_choices,
)
from langchain_qwen_space.space.chat.inputs import check, clamp, describe
from langchain_qwen_space.space.chat.kept import KeptConversations
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig


class Opening(NamedTuple):
    """A function that is called before the question is asked.

    `values` are of those of its inputs that do not have the page's own, by id.
    """

    step: Dependency
    values: Mapping[int, Any] = {}
    event_data: Any = None


class Control(NamedTuple):
    """A part of the page that sets something: an event of its own fills what the chat reads."""

    item: Component
    steps: tuple[Dependency, ...]

    def openings(self, value: Any, values: Mapping[int, Any]) -> list[Opening]:
        """What the page calls when a person gives it that value, beside those of other parts."""
        choices = self.item.choices
        index = choices.index(value) if value in choices else None
        chosen = {"index": index, "value": value, "selected": True}  # what `select` reports
        given = {**values, self.item.id: value}
        return [Opening(step, given, chosen if choices else None) for step in self.steps]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The chat of a Space: the functions that an event of its page calls, and what they take.

    Attributes:
        steps: The functions in order, up to the last that writes the answer.
        called_by: For those of them that a change calls, by their id: the ids of the components
            whose change it is. One is left out where none of these changed.
        api_name: The name on the Space's API page of the one that answers, if it has one.
        inputs: The components that the functions' arguments come from, in order, each once if there
            are several functions; the fields of a form stand for the form.
        roles: Which input (by index) is what; keys are among `ROLES`.
        answer: The id of the component that holds the answer.
        form: How history and answer are written.
        turns: Whether earlier turns reach the model as turns; else they go into the question.
        loads: The functions that the page calls when it is opened and that the chain builds on.
        rendered: Whether the chat is there in a session only, after `loads` (`gr.render`).
        models: The values of the model input, in the order in which the page offers them.
        streams: Whether it is a generator.
        entered: Whether Enter in the question's box starts it.
        public: Whether the app's API page shows it.
        queues: Whether calls wait in a queue.
        history_fn: The number of the function that sets a `gr.ChatInterface`'s history, where there
            is one.
        history_form: The form in which that function takes it.
        kept: The conversations that the page keeps in the browser and takes up again, if it does.
        switch: The function of a button that switches thinking on and off, if there is one.
        switched_on: Whether that button looks switched on when the page is opened.
        controls: By role, the settings that an event of the page's own passes on: those that are
            none of the inputs, and those whose change fills other inputs.
        with_turns: The chat to ask where there are earlier turns, if it is another one: the page's
            own chain, beside a `gr.ChatInterface`'s function that takes none.
        habits: What the app was seen to write and take back while an answer grows, and whether
            it shows the newest turn on top.
        doubts: What else some of the roles might have been, a sentence each.
        config: The `/config` that this was read from.
    """

    steps: tuple[Dependency, ...]
    api_name: str | None
    inputs: tuple[Component, ...]
    roles: Mapping[str, int]
    answer: int
    form: Form
    turns: bool
    loads: tuple[Dependency, ...]
    rendered: bool
    models: tuple[str, ...]
    streams: bool
    entered: bool
    public: bool
    queues: bool
    history_fn: int | None
    history_form: Form
    kept: KeptConversations | None
    switch: Dependency | None
    switched_on: bool
    doubts: tuple[str, ...]
    config: SpaceConfig
    called_by: Mapping[int, frozenset[int]] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    with_turns: "Endpoint | None" = None
    habits: Habits = field(default_factory=Habits, compare=False)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"function {self.steps[0].id}" if self.api_name is None else f"/{self.api_name}"

    @property
    def has_nameless(self) -> bool:
        """Whether it has an input without any words that is nothing yet, but might be a setting."""
        taken = self.roles.values()
        return any(
            item.type in SETTINGS and not item.words and index not in taken
            for index, item in enumerate(self.inputs)
        )

    @property
    def file_inputs(self) -> list[FileInput]:
        """The inputs that take files."""
        return file_inputs(self.inputs, self.roles["query"])

    @property
    def file_kinds(self) -> frozenset[str]:
        """What those take: `image`, `audio`, `video`, `pdf`."""
        return kinds(self.inputs, self.roles["query"])

    def history_call(
        self, history: History, files: Sequence[Sequence[Attachment]]
    ) -> tuple[int, list[Any]] | None:
        """The function that sets a `gr.ChatInterface`'s history, and its arguments, if it is to be called."""
        step = next((item for item in self.config.dependencies if item.id == self.history_fn), None)
        if step is None or not history:
            return None
        first = greeting(self.config.component(step.inputs[0]).default)
        return step.id, [[*first, *self.history_form.write(history, files)]]

    @property
    def own_system(self) -> str:
        """The Space's own system prompt; empty where it has none, or no input for one."""
        item = self.setting("system")
        return item.default if item is not None and isinstance(item.default, str) else ""

    def setting(self, role: str) -> Component | None:
        """What a setting is made in: an input of the chat, or another part of its page."""
        if (index := self.roles.get(role)) is not None:
            return self.inputs[index]
        return self.controls[role].item if role in self.controls else None

    def with_history(self, history: str | None) -> "Endpoint":
        """This chat, where the caller settled how earlier turns travel: "turns" or "text".

        Raises:
            InvalidInputError: They cannot go as turns: no input of the chat holds a conversation.
        """
        if history is None:
            return self
        if history == "text":
            return replace(self, turns=False, with_turns=None)
        ways = (self.history_fn, self.kept, self.with_turns)
        if "history" not in self.roles and all(way is None for way in ways):
            msg = (
                f"history='turns': {self.title} has no input that holds a conversation. Name one by "
                "inputs={'history': …} (label or index), or leave history out."
            )
            raise InvalidInputError(msg)
        return replace(self, turns=True)

    def for_turns(self, history: History, files: Sequence[Sequence[Attachment]]) -> "Endpoint":
        """The chat that takes these earlier turns with their files, as turns or in the question."""
        if history and self.with_turns is not None:
            return self.with_turns
        if self.kept is not None and any(files):  # what the browser kept holds no files
            return self.with_history("text")
        return self

    def values(self, changed: Mapping[int, Any]) -> dict[int, Any]:
        """The values of the page's components, by id, where the inputs have these values."""
        values: dict[int, Any] = {
            number: self.config.component(number).initial
            for step in (*self.loads, *self.steps)
            for number in step.inputs
        }
        for index, value in changed.items():
            item = self.inputs[index]
            if item.form_key is None:
                values[item.id] = value
            else:
                values[item.id] = {**(values[item.id] or {}), item.form_key: value}
        return values

    @property
    def default_model(self) -> str | None:
        """The Space's own choice among `models`."""
        item = self.setting("model")
        return item.default if item is not None and isinstance(item.default, str) else None

    def lay_out(
        self,
        *,
        query: str,
        history: History,
        given: Mapping[str, Any],
        extra: Mapping[str, Any],
        files: Sequence[Sequence[Attachment]] = (),
        opened: bool = False,
    ) -> tuple[dict[int, Any], list[str]]:
        """Lay a prompt out on the page, as a person would.

        Args:
            query: The question.
            history: Earlier turns, (user, assistant) each.
            given: Values by role: `system`, `model`, `temperature`, `top_p`, `max_tokens`,
                `thinking` (True or False), `thinking_budget`.
            extra: Values of other inputs, by their label or another name (see `input_roles.place`).
            files: Those of each turn, the question's last. In the values, each stands for itself:
                see `files.filled`.
            opened: Whether the page is opened. Before, what a setting in `given` is yet to fill may
                have other bounds and choices than it will have then.

        Returns:
            The inputs that are set, by index, and a sentence for each setting that could not be
            sent as it was given.

        Raises:
            InvalidInputError: An input refuses its value, or no input has such a label.
        """
        values: dict[int, Any] = {}
        notes = []
        unsettled = frozenset(() if opened else self._filled_by(given))
        for role, value in given.items():
            component = self.setting(role)
            if component is None:
                if not self.takes(role):
                    notes.append(f"has no input for {role}={value!r}")
                continue
            sent = value if component.id in unsettled else _sent(component, role, value)
            if component.type in NUMBERS and sent != value and role != "max_tokens":
                notes.append(
                    f"does not accept {role}={value!r}; {sent!r} was sent, the nearest value"
                )
            if role in self.roles:
                values[self.roles[role]] = sent
        for label, value in extra.items():
            index = self._by_label(label)
            item = self.inputs[index]
            known = item.id not in unsettled
            values[index] = check(item, value, describe(item, index)) if known else value
        box = self.roles["query"]
        multimodal = self.inputs[box].type in MULTIMODAL
        values[box] = {"text": query, "files": []} if multimodal else query
        if files:
            values.update(lay_out(self.inputs, box, query, files, self.config))
        if "history" in self.roles and (self.turns or len(self.steps) == 1):
            studio = self.inputs[self.roles["history"]].type.startswith("modelscope")
            attached = files[:-1]
            if self.habits.newest_first:
                history = history[::-1]
                attached = [
                    side for n in range(len(attached), 0, -2) for side in attached[n - 2 : n]
                ]
            values[self.roles["history"]] = [
                *greeting(self.inputs[self.roles["history"]].default),
                *self.form.write(history, attached, studio=studio),
            ]
        return values, notes

    def opened_values(
        self, values: Mapping[int, Any], loaded: Mapping[int, Any], changed: Mapping[int, Any]
    ) -> dict[int, Any]:
        """The page's values once it was opened, with what the caller set on top.

        Args:
            values: The values of the page, by id, with the prompt laid out on it.
            loaded: What the functions gave that were called when the page was opened, by id.
            changed: The inputs that were set, by index.
        """
        given = {self.inputs[index].id for index in changed}
        opened = {**values, **{n: value for n, value in loaded.items() if n not in given}}
        number = self.inputs[self.roles["history"]].id if "history" in self.roles else None
        if number in loaded and number in given:  # the conversation follows the page's greeting
            before = len(greeting(self.config.component(number).default))
            opened[number] = [*greeting(loaded[number]), *values[number][before:]]
        return opened

    def takes(self, role: str) -> bool:
        """Whether the page has an input, a button, or a choice of its own, for a role."""
        return (
            role in self.roles
            or role in self.controls
            or (role == "thinking" and bool(self.switch or self.kept))
        )

    def openings(
        self, values: Mapping[int, Any], history: History, given: Mapping[str, Any]
    ) -> list[Opening]:
        """What is called before the question is asked: the page's `load`, then what a person does.

        Args:
            values: The values of the page, by id, with the prompt laid out on it.
            history: Earlier turns.
            given: Values by role.
        """
        opened = [Opening(step) for step in self.loads]
        thinking = given.get("thinking")
        if self.kept is not None and (history or thinking is not None):
            value, event_data = self.kept.value(history, values, thinking)
            opened = [Opening(step, value) for step in self.loads]
            opened.append(Opening(self.kept.select, event_data=event_data))
        elif (
            self.switch is not None
            and thinking not in (None, self.switched_on)
            and self.setting("thinking") is None
        ):
            opened.append(Opening(self.switch))
        changed = self._chosen(given)
        beside = {self.controls[role].item.id: sent for role, sent in changed.items()}
        for role, sent in changed.items():
            opened += self.controls[role].openings(sent, beside)
        return opened

    def _chosen(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that an event of their own passes on and that differ from the page's."""
        return {
            role: sent
            for role, control in self.controls.items()
            if role in given
            and (sent := _sent(control.item, role, given[role])) != control.item.default
        }

    def _filled_by(self, given: Mapping[str, Any]) -> list[int]:
        """The ids of what the events of these settings fill."""
        steps = [step for role in self._chosen(given) for step in self.controls[role].steps]
        return [number for step in steps for number in step.outputs]

    def output_of(self, step: Dependency) -> int | None:
        """Which output of a step holds the answer, or None."""
        return step.outputs.index(self.answer) if self.answer in step.outputs else None

    def _by_label(self, label: str) -> int:
        if (index := place(self.inputs, label)) is not None:
            return index
        labels = [component.label for component in self.inputs if component.label]
        msg = f"The Space's function {self.api_name!r} has no input {label!r}; it has {labels}."
        raise InvalidInputError(msg)


def _sent(component: Component, role: str, value: Any) -> Any:
    """A setting's value as its component takes it.

    Raises:
        InvalidInputError: The component refuses it.
    """
    if component.type in NUMBERS:
        return clamp(component, value, role, up=role == "max_tokens")
    if role == "thinking" and component.type in CHOICES:
        return (thinking_choices(component) or ("", ""))[bool(value)]
    if component.type in ("textbox", "checkbox"):
        return check(component, value, role)
    return value  # a model, which was matched with the choices
