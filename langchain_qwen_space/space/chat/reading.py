"""A chain of a page's functions -> the chat that it is: its answer, its inputs, and their roles."""

from collections.abc import Mapping, Sequence

from langchain_qwen_space.space.chat.chatbot import Form, form_of
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.files import MULTIMODAL
from langchain_qwen_space.space.chat.input_roles import (
    ROLES,
    calls_itself_answer,
    models,
    place,
    score,
)
from langchain_qwen_space.space.chat.inputs import describe
from langchain_qwen_space.space.chat.kept import find_kept
from langchain_qwen_space.space.chat.surroundings import (
    controls_of,
    in_the_browser,
    loads_of,
    remembers,
    thinking_button,
)
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

TEXT_ANSWERS = ("textbox", "markdown", "json", "html", "code")
"""What may hold the answer of a function that the caller named."""

_CHATBOTS = (
    "chatbot",
    "modelscopechatbot",
    "modelscopelegacychatbot",
    "modelscopeprochatbot",
)
_MOST_INPUTS = 100  # of a function that may be a chat


def read_chat(
    config: SpaceConfig, start: Dependency, given: Mapping[str, str | int], *, named: bool
) -> Endpoint | None:
    """The chain of an event as a chat, or None where it is none.

    Args:
        config: The page.
        start: The function that the event calls.
        given: Inputs that the user named, by role.
        named: Whether the user named the function, so that a text may be its answer.
    """
    chain, called_by = _with_changes(config, config.chain(start))
    if not chain or any(len(step.inputs) > _MOST_INPUTS for step in chain):
        return None
    written = [config.component(number) for step in chain for number in step.outputs]
    answers = [item for item in written if item.type in _CHATBOTS]
    setter = None
    form = Form.REPLY
    if answers:
        answer = _answer(config, chain, answers, given.get("history"))
        form = _form(answer, config)
    elif _is_chat_interface([config.component(n) for n in chain[0].inputs], written):
        setter = _history_function(config, written[1].id)
        answer = written[0]
    elif named and (texts := _texts(config, chain, written, given.get("query"))):
        answer, form = texts[0], Form.TEXT
    else:
        return None
    # What follows the last function that writes the answer has nothing to do with it.
    last = max(index for index, step in enumerate(chain) if answer.id in step.outputs)
    steps = chain[: last + 1]
    inputs = inputs_of(config, steps)
    roles: dict[str, int] = {}
    for role, name in given.items():
        if (index := place(inputs, name)) is None:
            return None
        roles[role] = index
    if "history" not in roles:
        chatbots = [index for index, item in enumerate(inputs) if item.id == answer.id]
        chatbots += [index for index, item in enumerate(inputs) if item.type in _CHATBOTS]
        if chatbots and form not in (Form.REPLY, Form.TEXT):
            roles["history"] = chatbots[0]
    elif form not in (Form.REPLY, Form.TEXT):
        told = inputs[roles["history"]]
        if told.type in _CHATBOTS:
            form = _form(told, config)
        elif form is Form.PARTS:  # which Gradio makes of a chatbot's messages, and of no others
            form = Form.MESSAGES
    doubts = _assign_roles(roles, inputs, steps, config)
    if "query" not in roles:
        return None
    answering = steps[-1]
    loads = loads_of(config, steps, inputs[roles["query"]])
    read = frozenset(item.id for item in inputs)
    kept = find_kept(config, answer.id, inputs)
    inputs_by_role = {role: inputs[index] for role, index in roles.items()}
    controls = controls_of(
        config, inputs_by_role, read - {answer.id, inputs[roles["query"]].id}, read
    )
    model = inputs_by_role.get("model")
    if model is None and "model" in controls:
        model = controls["model"].item
    switch, switched_on = (None, False) if kept else thinking_button(config, read)
    if switch is not None:
        state = "on" if switched_on else "off"
        doubts.append(f"the button for thinking (function {switch.id}) looks switched {state}")
    return Endpoint(
        steps=tuple(steps),
        called_by=called_by,
        api_name=answering.api_name,
        inputs=inputs,
        roles=roles,
        answer=answer.id,
        form=form,
        turns=bool(setter or kept) or ("history" in roles and not remembers(config, steps, answer)),
        loads=tuple(loads),
        rendered=False,
        models=tuple(models(model, config)) if model else (),
        streams=any(step.types.generator for step in steps if answer.id in step.outputs),
        entered=(inputs[roles["query"]].id, "submit") in start.events,
        public=any(step.public for step in steps),
        queues=config.enable_queue if answering.queue is None else answering.queue,
        history_fn=setter.id if setter else None,
        history_form=_form(config.component(setter.inputs[0]), config) if setter else form,
        kept=kept,
        switch=switch,
        switched_on=switched_on,
        controls=controls,
        doubts=(*doubts, *in_the_browser(config, start, steps, loads)),
        config=config,
    )


def _texts(
    config: SpaceConfig,
    chain: Sequence[Dependency],
    written: Sequence[Component],
    query: str | int | None,
) -> list[Component]:
    """The text that holds the answer of a function that the user named, if it writes any.

    It is not the question's own box, where there is another; and rather one that a person sees, and
    that is called an answer, than one for thoughts.
    """
    inputs = inputs_of(config, chain)
    index = None if query is None else place(inputs, query)
    asked = None if index is None else inputs[index].id
    texts = [item for item in written if item.type in TEXT_ANSWERS]
    texts = [item for item in texts if item.id != asked] or texts
    return sorted(texts, key=lambda item: (item.visible, calls_itself_answer(item)), reverse=True)[
        :1
    ]


def _answer(
    config: SpaceConfig,
    chain: Sequence[Dependency],
    answers: Sequence[Component],
    history: str | int | None,
) -> Component:
    """The component that holds the answer.

    A chatbot that is read as well is the conversation; the one that the user named comes first. Of
    several, it is rather one that is called the answer than one for tools or thoughts.
    """
    read = list(dict.fromkeys(number for step in chain for number in step.inputs))
    components = [config.component(number) for number in read]
    index = None if history is None else place(components, history)
    if index is not None and components[index] in answers:
        return components[index]
    seen = [item for item in components if item in answers] or answers
    return max(seen, key=calls_itself_answer)


def _with_changes(
    config: SpaceConfig, chain: list[Dependency]
) -> tuple[list[Dependency], dict[int, frozenset[int]]]:
    """The functions of a chain, and those that write a chatbot because the chain changed something.

    A page calls the functions of a component's `change` after a person or a function changed it.
    Beside the functions come the ids of the components whose change calls one, by its id.
    """
    steps, known = list(chain), {step.id for step in chain}
    looked_at = set(known)
    called_by: dict[int, frozenset[int]] = {}
    for step in steps:
        for item in map(config.component, step.outputs):
            for other in () if item.type in _CHATBOTS else config.changes(item.id):
                if other.id in called_by:
                    called_by[other.id] |= {item.id}
                elif other.id not in looked_at:
                    looked_at.add(other.id)
                    follow = config.chain(other)
                    written = {number for each in follow for number in each.outputs}
                    if any(config.component(number).type in _CHATBOTS for number in written):
                        steps += [each for each in follow if each.id not in known]
                        known |= {each.id for each in follow}
                        called_by[other.id] = frozenset({item.id})
    return steps, called_by


def inputs_of(config: SpaceConfig, steps: Sequence[Dependency]) -> tuple[Component, ...]:
    """The components that the functions read, in order, each once if there are several functions; the fields of a form stand for the form."""
    numbers = [number for step in steps for number in step.inputs]
    if len(steps) > 1:
        numbers = list(dict.fromkeys(numbers))
    return tuple(
        field
        for component in map(config.component, numbers)
        for field in (config.fields(component) if component.type == "antdform" else [component])
    )


def _assign_roles(
    roles: dict[str, int],
    inputs: Sequence[Component],
    steps: Sequence[Dependency],
    config: SpaceConfig,
) -> list[str]:
    """Give the roles that are open to the inputs with the most points; what is doubtful of it."""
    taken = set(roles.values())
    doubts = []
    for role in ROLES:
        if role in roles or role == "history":
            continue
        scores = {
            index: points
            for index, item in enumerate(inputs)
            if index not in taken and (points := score(role, item, steps, config)) > 0
        }
        if not scores:
            continue
        best, *rivals = [index for index in scores if scores[index] == max(scores.values())]
        roles[role] = best
        taken.add(best)
        if rivals:
            names = ", ".join(describe(inputs[index], index) for index in rivals)
            doubts.append(
                f"{describe(inputs[best], best)} is used as the {role}, but it might be "
                f"{names}; choose one with inputs={{{role!r}: …}} (label or index)."
            )
    return doubts


def _form(chatbot: Component, config: SpaceConfig) -> Form:
    return form_of(chatbot.type, chatbot.props.get("type"), config.release)


def _is_chat_interface(inputs: Sequence[Component], outputs: Sequence[Component]) -> bool:
    """Whether these are the inputs and outputs of a `gr.ChatInterface`'s own API function."""
    return (
        len(inputs) >= 2
        and inputs[0].type in ("textbox", *MULTIMODAL)
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
