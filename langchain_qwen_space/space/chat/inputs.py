"""What a component of a Space takes as its value. See "Inputs" in `docs/developers/protocol.md`."""

from typing import Any

import orjson

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.space.page.config import Component

_TOO_LARGE = 2**63  # what readers of JSON take for an integer


def describe(component: Component, index: int) -> str:
    """How messages name an input: its label where it has one, else its type and place."""
    return f"{component.label!r}" if component.label else f"input {index} ({component.type})"


def check(component: Component, value: Any, name: str) -> Any:
    """`value` if the component takes it.

    Raises:
        InvalidInputError: It does not; the message says what it takes.
    """
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise InvalidInputError(f"{name} must be a JSON value: {error}.") from None
    low, high = bounds(component)
    if component.type in ("slider", "number"):
        if value is None and component.type == "number":
            return value
        if not _is_number(value):
            raise InvalidInputError(f"{name} must be a number, not {value!r}.")
        if (low is not None and value < low) or (high is not None and value > high):
            raise InvalidInputError(f"{name} must be a number from {low} to {high}, not {value!r}.")
    elif component.type in ("radio", "dropdown", "checkboxgroup"):
        choices = component.choices
        if choices and not component.props.get("allow_custom_value") and value is not None:
            for item in value if isinstance(value, list) else [value]:
                if item not in choices:
                    raise InvalidInputError(f"{name} must be one of {choices}, not {item!r}.")
    elif component.type == "checkbox":
        if not isinstance(value, bool):
            raise InvalidInputError(f"{name} must be True or False, not {value!r}.")
    elif component.type == "textbox" and not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text, not {value!r}.")
    return value


def clamp(component: Component, value: Any, name: str, *, up: bool = False) -> float:
    """The value nearest to `value` that the component allows; with `up`, not below it if it can.

    Raises:
        InvalidInputError: It is not a number.
    """
    if not _is_number(value):
        raise InvalidInputError(f"{name} must be a number, not {value!r}.")
    low, high = bounds(component)
    step = component.props.get("step")
    nearest: float = value
    if up and low is not None and isinstance(step, int | float) and step > 0:
        stepped = low - (low - max(value, low)) // step * step  # rounded away from `low`
        nearest = max(stepped, value) if _is_number(stepped) else value
    if low is not None:
        nearest = max(nearest, low)
    if high is not None:
        nearest = min(nearest, high)
    as_int = up or isinstance(component.default, int)
    return int(nearest) if as_int and nearest == int(nearest) else nearest


def _is_number(value: object) -> bool:
    """Whether it is a number that JSON can say; neither infinities nor True and False are."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _TOO_LARGE
    )


def bounds(component: Component) -> tuple[float | None, float | None]:
    """The least and the greatest value of a slider or a number box, None where there is none."""
    low, high = component.props.get("minimum"), component.props.get("maximum")
    return (
        low if _is_number(low) else None,
        high if _is_number(high) else None,
    )
