"""What a component of a Space takes as its value. See "Inputs" in `docs/protocol.md`."""

from typing import Any

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.config import Component


def describe(component: Component, index: int) -> str:
    """How messages name an input: its label where it has one, else its type and place."""
    return f"{component.label!r}" if component.label else f"input {index} ({component.type})"


def check(component: Component, value: Any, name: str) -> Any:
    """`value` if the component takes it.

    Raises:
        InvalidInputError: It does not; the message says what it takes.
    """
    low, high = bounds(component)
    if component.type in ("slider", "number"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            if value is None and component.type == "number":
                return value
            raise InvalidInputError(f"{name} takes a number, not {value!r}.")
        if (low is not None and value < low) or (high is not None and value > high):
            raise InvalidInputError(f"{name} takes a number from {low} to {high}, not {value!r}.")
    elif component.type in ("radio", "dropdown", "checkboxgroup"):
        choices = component.choices
        if choices and not component.props.get("allow_custom_value") and value is not None:
            for item in value if isinstance(value, list) else [value]:
                if item not in choices:
                    raise InvalidInputError(f"{name} takes one of {choices}, not {item!r}.")
    elif component.type == "checkbox":
        if not isinstance(value, bool):
            raise InvalidInputError(f"{name} takes True or False, not {value!r}.")
    elif component.type == "textbox" and not isinstance(value, str):
        raise InvalidInputError(f"{name} takes text, not {value!r}.")
    return value


def clamp(component: Component, value: float, *, up: bool = False) -> float:
    """The value nearest to `value` that the component allows; with `up`, not below it if it can."""
    low, high = bounds(component)
    step = component.props.get("step")
    if up and low is not None and isinstance(step, int | float) and step > 0:
        steps = -(-(max(value, low) - low) // step)
        value = low + steps * step
    if low is not None:
        value = max(value, low)
    if high is not None:
        value = min(value, high)
    return (
        int(value) if up or (isinstance(component.default, int) and value == int(value)) else value
    )


def bounds(component: Component) -> tuple[float | None, float | None]:
    """The least and the greatest value of a slider or a number box, None where there is none."""
    low, high = component.props.get("minimum"), component.props.get("maximum")
    return (
        low if isinstance(low, int | float) else None,
        high if isinstance(high, int | float) else None,
    )
