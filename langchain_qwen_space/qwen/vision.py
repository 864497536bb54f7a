"""How many tokens a picture is to Qwen's models that see: an estimate from its size in pixels.

The models see a picture in squares of 28 pixels (Qwen2-VL, Qwen2.5-VL) or 32 (Qwen3-VL and later),
one token each, after its sides were rounded to whole squares and it was shrunk or enlarged to within
limits. The rule is `smart_resize` of `qwen_vl_utils`, the limits are those of the models'
`preprocessor_config.json` on Hugging Face; a Space may set others.
"""

import math
import re
from collections.abc import Iterable
from struct import error, unpack_from

from langchain_qwen_space.attachments import Attachment

_SQUARES = {28: (56 * 56, 12_845_056), 32: (65_536, 16_777_216)}  # side: least, most pixels
_LONGEST = 200  # times as long as wide
_MARKS = 2  # tokens before and after each picture
_MOST_MARKERS = 10_000  # that are read of a JPEG; it may be padded without end
_JPEG_SIZE = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # the markers that hold it


def count(file: Attachment, model: str | None = None) -> int:
    """The tokens of a picture; 0 for other files, and for those that the models do not see.

    Nothing is counted where the size is not known, or one side is more than 200 times the other, which
    the models refuse.

    Args:
        file: The file.
        model: The model's name; one that says nothing counts as one with squares of 28 pixels.
    """
    size = _size(file.data) if file.kind == "image" and file.data is not None else None
    if size is None or max(size) > _LONGEST * min(size):
        return 0
    later = re.search(r"qwen-?([3-9])", model or "", re.IGNORECASE)
    side = 32 if later else 28
    least, most = _SQUARES[side]
    height, width = size
    rows, columns = (max(1, round(length / side)) for length in size)
    pixels = rows * columns * side * side
    if pixels > most:
        shrink = math.sqrt(height * width / most)
        rows, columns = (max(1, math.floor(length / shrink / side)) for length in size)
    elif pixels < least:
        grow = math.sqrt(least / (height * width))
        rows, columns = (math.ceil(length * grow / side) for length in size)
    return rows * columns + _MARKS


def count_all(files: Iterable[Iterable[Attachment]], model: str | None = None) -> int:
    """The tokens of the pictures of all turns, as `count`."""
    return sum(count(file, model) for turn in files for file in turn)


def _size(data: bytes) -> tuple[int, int] | None:
    """The height and width of a picture in pixels, or None where its head does not say."""
    try:
        found = _read_size(data)
    except error:  # it ends too soon
        return None
    return found if found is not None and min(found) > 0 else None


def _read_size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG"):
        width, height = unpack_from(">II", data, 16)
    elif data.startswith(b"GIF8"):
        width, height = unpack_from("<HH", data, 6)
    elif data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    elif data[8:15] == b"WEBPVP8" and data[15:16] == b" ":
        width, height = (side & 0x3FFF for side in unpack_from("<HH", data, 26))
    elif data[8:16] == b"WEBPVP8L":
        (bits,) = unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif data[8:16] == b"WEBPVP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    else:
        return None
    return height, width


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_MOST_MARKERS):
        mark, kind, length = unpack_from(">BBH", data, at)
        if mark != 0xFF:
            return None
        if kind in _JPEG_SIZE:
            height, width = unpack_from(">HH", data, at + 5)
            return height, width
        at += 1 if kind == 0xFF else 2 + length
    return None
