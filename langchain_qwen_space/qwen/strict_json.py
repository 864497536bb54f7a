"""JSON that can be read in one way only."""

import math
from collections.abc import Collection, Mapping
from typing import Any


class BrokenCallError(ValueError):
    """A call cannot be read. The message says what is wrong, in words for the model."""


def listed(keys: Collection[str]) -> str:
    """Returns keys in quotes, with "and" between them."""
    return " and ".join(f'"{key}"' for key in sorted(keys))


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object with these members, for `json`.

    Raises:
        BrokenCallError: A key is given twice.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = {key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number])}
        raise BrokenCallError(f"{listed(twice)} is given twice in one object.")
    return value


def number_of(text: str) -> float:
    """Returns the number that a text stands for, for `json`.

    Raises:
        BrokenCallError: It is `NaN`, an infinity, or too large: JSON has no such number, so a receiver
            of the arguments may read another value or none.
    """
    value = float(text)
    if not math.isfinite(value):
        raise BrokenCallError(f"{text:.30} is not a number that JSON can hold.")
    return value


READ: Mapping[str, Any] = {
    "object_pairs_hook": object_of,
    "parse_constant": number_of,
    "parse_float": number_of,
}
"""Arguments for `json.loads`."""
