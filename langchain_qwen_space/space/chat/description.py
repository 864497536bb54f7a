"""What was detected on a Space, for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from langchain_qwen_space.space.chat.chatbot import Form
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.inputs import bounds, describe
from langchain_qwen_space.space.page.config import Component, Dependency

_MARGIN = 16  # characters before the second column of a printed description
_TAKES = {"textbox": "text", "checkbox": "True or False"}
_HISTORY = {
    Form.PAIRS: "as pairs of question and answer",
    Form.MESSAGES: "as messages",
    Form.PARTS: "as messages of typed parts",
    Form.REPLY: "as turns, set in the session that the Space keeps",
    Form.TEXT: "in a component that is no chatbot",
}


@dataclass(frozen=True, slots=True)
class SpaceDescription:
    """The endpoint of a Space as detected; print it to read it.

    Attributes:
        space: The Space's id or URL.
        url: Where its app runs.
        gradio: Gradio's version.
        protocol: Gradio's protocol.
        function: The name of the function on the Space's API page.
        fn_index: Its number in the protocol.
        streams: Whether it is a generator, so that answers stream.
        queues: Whether calls wait in a queue.
        history: How earlier turns are sent.
        roles: The label of the input for each role.
        models: The models that the Space offers; empty if there is no choice.
        default_model: The model that is used by default.
        settings: The other inputs, by label, with the values that they accept.
        chain: The functions that a call runs, in order; those that load the page come first.
        files: The inputs that take files, and which.
        dialect: How tools and thoughts are written for the model; empty if that was not looked up.
        doubts: Sentences on ambiguous roles, and on what could not be read.
    """

    space: str
    url: str
    gradio: str
    protocol: str
    function: str
    fn_index: int
    streams: bool
    queues: bool
    history: str
    roles: Mapping[str, str]
    models: tuple[str, ...]
    default_model: str | None
    settings: Mapping[str, str] = field(default_factory=dict)
    chain: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    dialect: str = ""

    def __str__(self) -> str:
        models = ", ".join(
            f"{model} (default)" if model == self.default_model else model for model in self.models
        )
        streams = "streams" if self.streams else "does not stream"
        queues = "queues" if self.queues else "does not queue"
        name = f"/{self.function}" if self.function else "no name"
        rows = {
            "Gradio": f"{self.gradio}, protocol {self.protocol}",
            "function": f"{name} (fn_index {self.fn_index}), {streams}, {queues}",
            "history": ", ".join(filter(None, [self.roles.get("history"), self.history])),
            **{role: text for role, text in self.roles.items() if role not in ("history", "model")},
            "system": self.roles.get("system", "no input; it is written into the first turn"),
            "model": ": ".join(filter(None, [self.roles.get("model", "no choice"), models])),
        }
        if self.files:
            rows["files"] = "; ".join(self.files)
        if self.dialect:
            rows["dialect"] = self.dialect
        if len(self.chain) > 1:
            rows["chain"] = ", then ".join(self.chain)
        if self.doubts:
            rows["doubtful"] = f"\n{' ' * _MARGIN}".join(self.doubts)
        others = [f"{label} {takes}" for label, takes in self.settings.items()]
        if others:
            rows["model_kwargs"] = f"\n{' ' * _MARGIN}".join(others)
        head = self.url if self.space == self.url else f"{self.space} at {self.url}"
        lines = [f"  {name} ".ljust(_MARGIN) + text for name, text in rows.items()]
        return "\n".join([head, *lines])


def describe_endpoint(space: str, endpoint: Endpoint) -> SpaceDescription:
    """Put an endpoint into words."""
    roles = {
        role: _role_text(endpoint.inputs[index], index)
        for role, index in sorted(endpoint.roles.items(), key=lambda item: item[1])
    }
    for role, control in endpoint.controls.items():
        if role not in roles:
            text = _role_text(control.item, control.item.id)
            roles[role] = f"{text}, passed on by {_name(control.steps[0])}"
    taken = {*endpoint.roles.values(), *(slot.index for slot in endpoint.file_inputs)}
    history = _HISTORY[endpoint.form]
    if endpoint.with_turns is not None:
        steps = ", then ".join(map(_name, endpoint.with_turns.steps))
        history = f"{_HISTORY[endpoint.with_turns.form]}, through the page's own chain: {steps}"
    elif endpoint.kept is not None and endpoint.turns:
        history = "as a conversation that the browser kept, which is opened again"
    elif not endpoint.turns:
        history = "as text in the question"
    chain = [f"{_name(step)} (when the page opens)" for step in endpoint.loads]
    chain += [_name(step) for step in endpoint.steps]
    return SpaceDescription(
        chain=tuple(chain),
        files=tuple(map(str, endpoint.file_inputs)),
        doubts=endpoint.doubts,
        space=space,
        url=str(endpoint.config.base),
        gradio=endpoint.config.version,
        protocol=endpoint.config.protocol,
        function=endpoint.api_name or "",
        fn_index=endpoint.steps[0].id,
        streams=endpoint.streams,
        queues=endpoint.queues,
        history=history,
        roles=roles,
        models=endpoint.models,
        default_model=endpoint.default_model,
        settings={
            component.label: _takes(component)
            for index, component in enumerate(endpoint.inputs)
            if index not in taken and component.type != "state" and component.label
        },
    )


def _name(step: Dependency) -> str:
    return f"/{step.api_name}" if step.api_name else f"function {step.id}"


def _role_text(component: Component, index: int) -> str:
    """The input of a role: its name, and its range where it has one."""
    ranged = bounds(component) != (None, None)
    return describe(component, index) + (f" {_takes(component)}" if ranged else "")


def _takes(component: Component) -> str:
    """What an input takes, in brackets."""
    low, high = bounds(component)
    if low is not None or high is not None:
        takes = f"{low} to {high}"
    elif component.type in ("radio", "dropdown"):
        takes = f"one of {', '.join(map(repr, component.choices))}"
    else:
        takes = _TAKES.get(component.type, component.type)
    return f"({takes}, default {component.default!r})"
