"""`/config` -> which event of a page is its chat, and which inputs of its chain are what.

A *start* is an event of the page, or a function of its API. Its *chain* is the functions that follow
it. A chain chats if it takes a question from a box and writes a chatbot, or is the function of a
`gr.ChatInterface`. Nothing is assumed of names and positions: `_rank` says which of several chats is
taken, `roles` what each input is.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from langchain_qwen_space.errors import InvalidInputError, UnsupportedSpaceError
from langchain_qwen_space.space.chat.chatbot import Form, form_of
from langchain_qwen_space.space.chat.endpoint import Endpoint
from langchain_qwen_space.space.chat.files import MULTIMODAL
from langchain_qwen_space.space.chat.inputs import describe
from langchain_qwen_space.space.chat.kept import find_kept
from langchain_qwen_space.space.chat.roles import ROLES, means, models, place, score
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

logger = logging.getLogger(__name__)

_CHATBOTS = (
    "chatbot",
    "modelscopechatbot",
    "modelscopelegacychatbot",
    "modelscopeprochatbot",
)
_TEXT_ANSWERS = ("textbox", "markdown", "json", "html", "code")  # of a function that is named
_MEMORIES = ("state", "json", "browserstate")  # what an app may keep a conversation in
_BUTTONS = ("button", "antdbutton")
_MOST_INPUTS = 100  # of a function that may be a chat
_MOST_LISTED = 6  # functions that a message names


class Wanted(NamedTuple):
    """What the caller settled.

    Attributes:
        start: The function that the page's event calls, by name or number.
        api_name: The function that answers, by its name on the Space's API page.
        inputs: Which input is what, as `roles.place` reads it.
    """

    start: str | int | None = None
    api_name: str | None = None
    inputs: Mapping[str, str | int] = {}


def find_endpoint(config: SpaceConfig, where: str, wanted: Wanted | None = None) -> Endpoint:
    """Find the event whose chain chats.

    Candidates take a question from a box and write a chatbot, or are the function of a
    `gr.ChatInterface`; a function that the caller names may write a text instead. That there was a
    choice is logged.

    Args:
        config: The Space's `/config`.
        where: The Space, for messages.
        wanted: What the caller settled.

    Raises:
        UnsupportedSpaceError: The Space has no such function.
        InvalidInputError: What the caller named is not there.
    """
    wanted = wanted or Wanted()
    if unknown := wanted.inputs.keys() - set(ROLES):
        raise InvalidInputError(f"inputs={{…}}: there is no role {unknown}; choose of {ROLES}.")
    starts = _starts(config, where, wanted)
    named = wanted.start is not None or wanted.api_name is not None
    found = [
        endpoint
        for start in starts
        if (endpoint := _read(config, start, wanted.inputs, named=named)) is not None
    ]
    if not found:
        _check_settled(config, starts, wanted.inputs, where)
        raise UnsupportedSpaceError(_no_chat(config, where, named=named))
    best = max(found, key=_rank)
    # The page's own chain beside the function of a `gr.ChatInterface` is no other chat.
    others = [
        item for item in found if item.inputs != best.inputs and _rank(item)[0] == _rank(best)[0]
    ]
    if others:
        logger.info(
            "%s has several functions that chat. Taking %s, not %s; settle it with start=…",
            where,
            best.title,
            ", ".join(dict.fromkeys(item.title for item in others)),
        )
    for doubt in best.doubts:
        logger.info("%s: %s", where, doubt)
    if best.form is Form.REPLY and not best.turns:
        box = best.inputs[best.roles["query"]]
        chains = [item for item in found if item.turns and item.inputs[item.roles["query"]] == box]
        if chains:
            return replace(best, turns=True, with_turns=max(chains, key=_rank))
    return best


def _starts(config: SpaceConfig, where: str, wanted: Wanted) -> list[Dependency]:
    """The functions that may begin a chat.

    Raises:
        InvalidInputError: There is none of the name.
    """
    functions = config.dependencies
    if wanted.start is not None:
        name = wanted.start.removeprefix("/") if isinstance(wanted.start, str) else wanted.start
        functions = [item for item in functions if name in (item.api_name, item.id)]
        if not functions:
            raise InvalidInputError(_no_function(config, where, wanted.start))
    follows = {item.id for item in config.dependencies if item.trigger_after is not None}
    if wanted.api_name is None:
        return (
            functions if wanted.start is not None else [i for i in functions if i.id not in follows]
        )
    name = wanted.api_name.removeprefix("/")
    starts = [item for item in functions if item.api_name == name]
    # A function in the midst of a chain is reached from the chain's start.
    starts += [
        start
        for start in functions
        if start.id not in follows
        and start not in starts
        and any(step.api_name == name for step in config.chain(start))
    ]
    if not starts:
        raise InvalidInputError(_no_function(config, where, wanted.api_name))
    return starts


def _no_function(config: SpaceConfig, where: str, name: str | int) -> str:
    known = [f"/{item.api_name}" if item.api_name else item.id for item in config.dependencies]
    return f"{where} has no function {name!r}; it has {', '.join(map(str, known[:30]))}."


def _no_chat(config: SpaceConfig, where: str, *, named: bool) -> str:
    """Why no function is a chat, and what to set: the functions that take and give text, by name."""
    listed: dict[str, int] = {}
    for start in _starts(config, where, Wanted()):
        chain = config.chain(start)
        inputs = _inputs(config, chain)
        written = {number for step in chain for number in step.outputs}
        if not any(config.component(number).type in _TEXT_ANSWERS for number in written):
            continue
        boxes = {
            index: points
            for index, item in enumerate(inputs)
            if (points := score("query", item, chain, config)) > 0
        }
        if boxes:
            best = max(boxes, key=lambda index: boxes[index])
            label = inputs[best].label
            box = repr(label) if label and place(inputs, label) == best else best
            listed[f"start={start.api_name or start.id!r}, inputs={{'query': {box}}}"] = boxes[best]
    what = (
        f"The function that was named on {where} takes no text from a box, or gives no text"
        if named
        else f"No function of {where} takes text from a box and writes a chatbot, itself or in a "
        "later step"
    )
    if not listed:
        return f"{what}, and no other gives a text for a text. Choose another Space."
    best_first = sorted(listed, key=lambda text: -listed[text])[:_MOST_LISTED]
    return (
        f"{what}. If the Space answers questions with a text, name the function that the page calls "
        f"first and its input for the question. It has: {'; '.join(best_first)}."
    )


def _rank(endpoint: Endpoint) -> tuple[int | bool, ...]:
    """How good a chat it is, the first figures first."""
    return (
        endpoint.form is Form.REPLY and len(endpoint.steps) == 1,  # gr.ChatInterface's own function
        endpoint.streams,
        endpoint.turns,
        endpoint.public,
        len(endpoint.roles),
    )


def _read(
    config: SpaceConfig, start: Dependency, settled: Mapping[str, str | int], *, named: bool
) -> Endpoint | None:
    """The chain of an event as a chat, or None where it is none.

    Args:
        config: The page.
        start: The function that the event calls.
        settled: Inputs that the user named, by role.
        named: Whether the user named the function, so that a text may be its answer.
    """
    chain = config.chain(start)
    if not chain or any(len(step.inputs) > _MOST_INPUTS for step in chain):
        return None
    written = [config.component(number) for step in chain for number in step.outputs]
    answers = [item for item in written if item.type in _CHATBOTS]
    setter = None
    form = Form.REPLY
    if answers:
        form = _form(answers[0], config)
    elif _is_chat_interface([config.component(n) for n in chain[0].inputs], written):
        setter = _history_function(config, written[1].id)
        answers = [written[0]]
    elif named:
        answers = [item for item in written if item.type in _TEXT_ANSWERS]
    if not answers:
        return None
    answer = _answer(config, chain, answers, settled.get("history"))
    # What follows the last function that writes the answer has nothing to do with it.
    last = max(index for index, step in enumerate(chain) if answer.id in step.outputs)
    steps = chain[: last + 1]
    inputs = _inputs(config, steps)
    roles: dict[str, int] = {}
    for role, name in settled.items():
        if (index := place(inputs, name)) is None:
            return None
        roles[role] = index
    if "history" not in roles:
        chatbots = [index for index, item in enumerate(inputs) if item.id == answer.id]
        chatbots += [index for index, item in enumerate(inputs) if item.type in _CHATBOTS]
        if chatbots and form is not Form.REPLY:
            roles["history"] = chatbots[0]
    elif form is not Form.REPLY:
        form = _form(inputs[roles["history"]], config)
    doubts = _settle(roles, inputs, steps, config)
    if "query" not in roles:
        return None
    model = inputs[roles["model"]] if "model" in roles else None
    answering = steps[-1]
    loads = _loads(config, steps)
    read = frozenset(item.id for item in inputs)
    kept = find_kept(config, answer.id, inputs)
    switch, switched_on = (None, False) if kept else _thinking_button(config, read)
    if switch is not None:
        state = "on" if switched_on else "off"
        doubts.append(f"the button for thinking (function {switch.id}) looks switched {state}")
    return Endpoint(
        steps=tuple(steps),
        api_name=answering.api_name,
        inputs=inputs,
        roles=roles,
        answer=answer.id,
        form=form,
        turns=bool(setter or kept)
        or ("history" in roles and not _remembers(config, steps, answer)),
        loads=tuple(loads),
        rendered=False,
        models=tuple(models(model, config)) if model else (),
        streams=any(step.types.generator for step in steps if answer.id in step.outputs),
        public=any(step.public for step in steps),
        queues=config.enable_queue if answering.queue is None else answering.queue,
        history_fn=setter.id if setter else None,
        history_form=_form(config.component(setter.inputs[0]), config) if setter else form,
        kept=kept,
        switch=switch,
        switched_on=switched_on,
        doubts=(*doubts, *_in_the_browser(config, start, steps, loads)),
        config=config,
    )


def _answer(
    config: SpaceConfig,
    chain: Sequence[Dependency],
    answers: Sequence[Component],
    history: str | int | None,
) -> Component:
    """The component that holds the answer.

    A chatbot that is read as well is the conversation; the one that the user named comes first.
    """
    read = list(dict.fromkeys(number for step in chain for number in step.inputs))
    components = [config.component(number) for number in read]
    index = None if history is None else place(components, history)
    first = [] if index is None else [components[index]]
    return next((item for item in [*first, *components] if item in answers), answers[0])


def _inputs(config: SpaceConfig, steps: Sequence[Dependency]) -> tuple[Component, ...]:
    """The components that the functions read, each once; the fields of a form stand for the form."""
    numbers = [number for step in steps for number in step.inputs]
    if len(steps) > 1:
        numbers = list(dict.fromkeys(numbers))
    return tuple(
        field
        for component in map(config.component, numbers)
        for field in (config.fields(component) if component.type == "antdform" else [component])
    )


def _settle(
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
                f"{describe(inputs[best], best)} is taken for the {role}, though it might be "
                f"{names}; settle it with inputs={{{role!r}: …}} (label or index)."
            )
    return doubts


def _in_the_browser(
    config: SpaceConfig,
    start: Dependency,
    steps: Sequence[Dependency],
    loads: Sequence[Dependency],
) -> list[str]:
    """What only javascript in a browser would do for this chat, a sentence each."""
    read = {number for step in steps for number in step.inputs}
    event = {*start.events}
    said = [
        f"function {step.id} runs javascript in the browser first, which is left out"
        for step in (*loads, *steps)
        if step.js and step.inputs
    ]
    said += [
        f"javascript in the browser sets {', '.join(names)} ({occasion}), which is left out"
        for item in config.dependencies
        if item.js and not item.backend_fn
        if (occasion := _occasion(item, event))
        if (names := [_name(config.component(n)) for n in item.outputs if n in read])
    ]
    return said


def _occasion(item: Dependency, event: set[tuple[int | None, str]]) -> str:
    """When a function of the browser runs, if it is on the chat's way; else nothing."""
    if item.on_load:
        return "when the page is opened"
    return "when the question is sent" if event & {*item.events} else ""


def _name(component: Component) -> str:
    return repr(component.label) if component.label else f"a {component.type}"


def _remembers(config: SpaceConfig, steps: Sequence[Dependency], answer: Component) -> bool:
    """Whether something else holds the conversation, so that the chatbot's value does not count.

    A State of the server, a JSON component, or what the browser keeps. It is read before it is
    written in the chain and written there too, or is emptied together with the chatbot. One that an
    earlier step of the chain fills only carries the question.
    """
    filled: set[int] = set()
    kept: set[int] = set()  # what the chain reads before it writes it
    for step in steps:
        states = {n for n in step.inputs if config.component(n).type in _MEMORIES}
        kept |= states - filled
        filled |= set(step.outputs)
    if kept & filled:
        return True
    if not kept:
        return False
    chain = {step.id for step in steps}
    return any(
        answer.id in item.outputs and kept & {*item.inputs, *item.outputs}
        for item in config.dependencies
        if item.id not in chain
        and not any(n in steps[0].inputs for n in item.inputs if n not in kept)
    )


def _loads(config: SpaceConfig, steps: Sequence[Dependency]) -> list[Dependency]:
    """What the page calls when it is opened, where it fills what the chain reads."""
    filled = {
        item.id
        for item in (config.component(number) for step in steps for number in step.inputs)
        if item.type == "state" or item.filled_on_load
    }
    return [item for item in config.on_load if filled & set(item.outputs)]


def _thinking_button(config: SpaceConfig, read: frozenset[int]) -> tuple[Dependency | None, bool]:
    """A button that turns a State which the chat reads around, and whether it looks pressed."""
    for item in config.dependencies:
        if (
            not item.backend_fn
            or not item.inputs
            or not set(item.inputs) <= read & set(item.outputs)
        ):
            continue
        if any(config.component(number).type != "state" for number in item.inputs):
            continue
        for number, event in item.events:
            button = config.component(-1 if number is None else number)
            words = f"{button.default} | {button.words}"
            if event == "click" and button.type in _BUTTONS and means("thinking", words):
                looks = (button.props.get(name) for name in ("variant", "color", "type"))
                return item, "primary" in looks
    return None, False


def _form(chatbot: Component, config: SpaceConfig) -> Form:
    return form_of(chatbot.type, chatbot.props.get("type"), config.release)


def _check_settled(
    config: SpaceConfig,
    starts: Sequence[Dependency],
    settled: Mapping[str, str | int],
    where: str,
) -> None:
    """Say which of the inputs that the user named is in none of the chains.

    Raises:
        InvalidInputError: One is in none.
    """
    lists = [_inputs(config, config.chain(start)) for start in starts]
    for role, name in settled.items():
        if all(place(inputs, name) is None for inputs in lists):
            known = {
                describe(item, index): 0 for inputs in lists for index, item in enumerate(inputs)
            }
            msg = f"{where} has no input {name!r} to be its {role}; it has {', '.join(known)}."
            raise InvalidInputError(msg)


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
