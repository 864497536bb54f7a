"""What of a page belongs to a chat besides its functions: what it opens, remembers, switches, hides."""

import re
from collections.abc import Mapping, Sequence

from langchain_qwen_space.space.chat.endpoint import Control
from langchain_qwen_space.space.chat.input_roles import CHOICES, ROLES, means, score
from langchain_qwen_space.space.page.config import Component, Dependency, SpaceConfig

_MEMORIES = ("state", "json", "browserstate")  # what an app may keep a conversation in
_BUTTONS = ("button", "antdbutton")
_CLEARS = re.compile(  # the words of a button that begins a new conversation
    r"\b(clear|reset|empty)|\bnew (chat|conversation|session|topic)|清(空|除|理|屏)|重置"
    r"|新(建|对话|對話|会话|聊天)"
    r"|초기화|지우|비우|クリア|リセット|effacer|réinitialis|lösch|leeren|zurücksetz|borrar|limpiar|limpar|apagar"
    r"|очист|сброс|\U0001f9f9|\U0001f5d1",
    re.IGNORECASE,
)
_SETTING = ("change", "input", "select", "release", "blur", "submit")  # the events of a setting


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
        and (
            _clears(config, item)
            or not any(n in steps[0].inputs for n in item.inputs if n not in kept)
        )
    )


def _clears(config: SpaceConfig, item: Dependency) -> bool:
    """Whether a function is that of a button whose words say that it clears something."""
    buttons = (config.component(number) for number, _ in item.events if number is not None)
    return any(
        button.type in _BUTTONS and _CLEARS.search(f"{button.default} | {button.words}")
        for button in buttons
    )


def thinking_button(config: SpaceConfig, read: frozenset[int]) -> tuple[Dependency | None, bool]:
    """A button that flips a State which the chat reads, and whether it looks pressed."""
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


def controls_of(
    config: SpaceConfig,
    inputs_by_role: Mapping[str, Component],
    filled: frozenset[int],
    read: frozenset[int],
) -> dict[str, Control]:
    """The settings whose own event, or whose button, fills what the chat reads, by role.

    Args:
        config: The page.
        inputs_by_role: The inputs that have roles.
        filled: The ids of what such an event may fill.
        read: The ids of all that the chat reads.
    """
    found: dict[str, Control] = {}
    for step in config.dependencies:
        if not step.backend_fn or not filled & {*step.outputs}:
            continue
        for item in _set_by(config, step):
            if item.id in read:
                known = (role for role, taken in inputs_by_role.items() if taken == item)
                # One that reads other inputs as well hands their values on, as on Qwen/Qwen2.5.
                alone = {*step.inputs} <= {item.id}
                fills = filled & {*step.outputs} - {item.id} if alone else frozenset()
            else:
                taken = {"query", "history", *inputs_by_role}
                known = (role for role in ROLES if role not in taken and _sets(role, item, config))
                fills = filled & {*step.outputs}
            for role in known if fills else ():
                if role not in ("query", "history"):
                    found.setdefault(role, Control(item, tuple(config.chain(step))))
    return found


def _set_by(config: SpaceConfig, step: Dependency) -> list[Component]:
    """The components that a person sets to have a function called."""
    found = []
    for number, event in step.events:
        item = config.component(-1 if number is None else number)
        if event in _SETTING and (event == "select" or item.id in step.inputs):
            found.append(item)
        elif event == "click" and item.type in _BUTTONS:
            given = [config.component(n) for n in step.inputs]
            shown = [part for part in given if part.type not in _MEMORIES]
            found += shown if len(shown) == 1 else []
    return found


def _sets(role: str, item: Component, config: SpaceConfig) -> bool:
    """Whether a component is seen to be a setting, and a choice to have a value of its own."""
    named = role == "model" or (item.visible and means(role, item.words))
    has_value = item.type not in CHOICES or isinstance(item.default, str)
    return named and has_value and score(role, item, [], config) > 0


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
