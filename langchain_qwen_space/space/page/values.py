"""What a function's outputs make of the values of a page's components."""

from collections.abc import Sequence
from typing import Any

from langchain_qwen_space.space.page.config import Dependency, SpaceConfig


def new_values(config: SpaceConfig, step: Dependency, data: object) -> dict[int, Any]:
    """The values that a completed function gave, by the id of the component.

    An update (`{"__type__": "update"}`) without a value leaves its component as it is; a State stays
    on the server.
    """
    values: dict[int, Any] = {}
    outputs: Sequence[Any] = data if isinstance(data, list) else ()
    for number, value in zip(step.outputs, outputs, strict=False):
        component = config.component(number)
        if component.type == "state":
            continue
        if isinstance(value, dict) and value.get("__type__") == "update":
            if "value" not in value:
                continue
            value = value["value"]
        empty = {"textbox": "", "antdxsender": ""}.get(component.type)
        values[number] = empty if value is None else value
    return values
