"""What of a page belongs to a chat besides its functions: what it opens, remembers, switches, hides."""

from collections.abc import Sequence

from langchain_qwen_space.space.chat.endpoint import ModelChoice
from langchain_qwen_space.space.chat.roles import CHOICES, means, score
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

_MEMORIES = ("state", "json", "browserstate")  # what an app may keep a conversation in
_BUTTONS = ("button", "antdbutton")
_CHOOSING = ("change", "input", "select")  # the events of a choice


def loads_of(
    config: SpaceConfig, steps: Sequence[Dependency], query: Component
) -> list[Dependency]:
    """What the page calls when it is opened, where it fills what the chain reads beside the question."""
    read = {number for step in steps for number in step.inputs} - {query.id}
    return [item for item in config.on_load if read & set(item.outputs)]


def remembers(config: SpaceConfig, steps: Sequence[Dependency], answer: Component) -> bool:
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
    # A button that asks again calls the chain's functions a second time.
    chain = [(step.inputs, step.outputs) for step in steps]
    return any(
        answer.id in item.outputs and kept & {*item.inputs, *item.outputs}
        for item in config.dependencies
        if (item.inputs, item.outputs) not in chain
        and not any(n in steps[0].inputs for n in item.inputs if n not in kept)
    )


def thinking_button(config: SpaceConfig, read: frozenset[int]) -> tuple[Dependency | None, bool]:
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


def model_choice(
    config: SpaceConfig, filled: frozenset[int], read: frozenset[int]
) -> ModelChoice | None:
    """A choice of models that the chat does not read, and whose event fills what it reads.

    Args:
        config: The page.
        filled: The ids of what the event may fill.
        read: The ids of all that the chat reads.
    """
    for step in config.dependencies:
        if not step.backend_fn or not filled & {*step.outputs}:
            continue
        for number, event in step.events:
            if number is None or number in read or event not in _CHOOSING:
                continue
            item = config.component(number)
            reads = event == "select" or number in step.inputs
            if (
                reads
                and item.type in CHOICES
                and isinstance(item.default, str)
                and score("model", item, [step], config) > 0
            ):
                return ModelChoice(item, tuple(config.chain(step)))
    return None


def in_the_browser(
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
