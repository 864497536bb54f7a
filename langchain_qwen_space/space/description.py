"""What was understood of a Space, for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from langchain_qwen_space.space.chatbot import Form
from langchain_qwen_space.space.endpoint import Endpoint
from langchain_qwen_space.space.inputs import bounds, describe

_HISTORY = {
    Form.PAIRS: "as pairs of question and answer",
    Form.MESSAGES: "as messages",
    Form.PARTS: "as messages of typed parts",
    Form.REPLY: "kept by the Space for each session",
}


@dataclass(frozen=True, slots=True)
class SpaceDescription:
    """The endpoint of a Space as it was understood; print it to read it.

    Attributes:
        space: The Space's id or URL.
        url: Where its app runs.
        gradio: Gradio's version.
        protocol: The wire's protocol.
        function: The function's name on the Space's API page.
        fn_index: Its number on the wire.
        streams: Whether it is a generator, so that answers come in fragments.
        queues: Whether calls wait in a queue.
        history: How earlier turns are sent.
        roles: Which input, by label, is what.
        models: The models on offer; empty where the Space offers no choice.
        default_model: The one that it takes when none is asked for.
        settings: The other inputs, by label, with what they take.
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

    def __str__(self) -> str:
        models = ", ".join(
            f"{model} (default)" if model == self.default_model else model for model in self.models
        )
        streams = "streams" if self.streams else "answers whole"
        queues = "queues" if self.queues else "does not queue"
        lines = [
            f"{self.space} at {self.url}",
            f"  Gradio {self.gradio}, protocol {self.protocol}",
            f"  function  /{self.function} (fn_index {self.fn_index}), {streams}, {queues}",
            f"  history   {self.history}",
            f"  models    {models or 'no choice'}",
        ]
        lines += [f"  {role:<9} {label}" for role, label in self.roles.items()]
        if self.settings:
            lines.append("  model_kwargs")
            lines += [f"    {label}: {takes}" for label, takes in self.settings.items()]
        return "\n".join(lines)


def describe_endpoint(space: str, endpoint: Endpoint) -> SpaceDescription:
    """Put an endpoint into words."""
    roles = {
        role: describe(endpoint.inputs[index], index) + _range(endpoint, index)
        for role, index in sorted(endpoint.roles.items(), key=lambda item: item[1])
    }
    taken = set(endpoint.roles.values())
    history = _HISTORY[endpoint.form]
    if endpoint.form is Form.REPLY and endpoint.history_fn is None:
        history = "cannot be set; earlier turns are told in the question"
    return SpaceDescription(
        space=space,
        url=str(endpoint.config.base),
        gradio=endpoint.config.version,
        protocol=endpoint.config.protocol,
        function=endpoint.api_name or "",
        fn_index=endpoint.fn_index,
        streams=endpoint.streams,
        queues=endpoint.queues,
        history=history,
        roles=roles,
        models=endpoint.models,
        default_model=endpoint.default_model,
        settings={
            component.label or f"input {index}": component.type + _range(endpoint, index)
            for index, component in enumerate(endpoint.inputs)
            if index not in taken and component.type != "state"
        },
    )


def _range(endpoint: Endpoint, index: int) -> str:
    component = endpoint.inputs[index]
    low, high = bounds(component)
    if low is not None or high is not None:
        return f" ({low} to {high}, default {component.default!r})"
    if component.type in ("radio", "dropdown") and index != endpoint.roles.get("model"):
        return f" (one of {component.choices}, default {component.default!r})"
    return ""
