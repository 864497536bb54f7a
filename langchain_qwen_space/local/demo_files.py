"""`demo_with_files`: looks at the files of a question without a model, and says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .demo import fragments, reply

_COLORS = {
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "red": (220, 30, 30),
    "orange": (255, 150, 20),
    "yellow": (250, 230, 30),
    "green": (40, 160, 60),
    "cyan": (40, 200, 220),
    "blue": (30, 70, 220),
    "purple": (140, 40, 170),
    "pink": (250, 150, 190),
    "brown": (120, 75, 35),
}
_SIDE = 32  # pixels to which a picture is shrunk before its colours are counted


def demo_with_files(
    system: str, history: list[tuple[str, str]], query: str, model: str, files: list[list[str]]
) -> Iterator[str]:
    """Describe the question's files without a model: their sizes, and a picture's main colour.

    Args:
        system: The system prompt.
        history: The earlier turns, as (user, assistant) pairs.
        query: The question. Without files it is answered as `demo` does.
        model: The name of the model that was asked for.
        files: The paths of each user turn's files, the question's last.

    Yields:
        The text so far.
    """
    looked_at = [description(Path(path)) for path in files[-1]]
    answer = (
        "I am a demo, not a vision model: I measure files.\n\n- " + "\n- ".join(looked_at)
        if looked_at
        else reply(system, history, query, model)
    )
    text = ""
    for fragment in fragments(answer):
        text += fragment
        yield text


def description(path: Path) -> str:
    """What a file is."""
    from PIL import Image  # comes with Gradio

    size = f"{path.stat().st_size:,} bytes"
    try:
        with Image.open(path) as image:
            width, height, kind = image.width, image.height, image.format
            small = image.convert("RGB").resize((_SIDE, _SIDE))
    except Exception:  # Pillow has many for what it cannot open
        return f"`{path.name}`: a file of {size}"
    return f"`{path.name}`: a {kind} picture, {width} x {height} pixels, {size}, mostly {_color(small)}"


def _color(image: Any) -> str:
    """The name of the colour that most pixels are next to."""
    counts: dict[str, int] = {}
    for count, pixel in image.getcolors(_SIDE * _SIDE):
        name = min(_COLORS, key=lambda name: _distance(_COLORS[name], pixel))
        counts[name] = counts.get(name, 0) + count
    return max(counts, key=counts.__getitem__)


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
