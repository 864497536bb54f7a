"""A file that goes with a message, as both sides of the package know it."""

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """A file of a message. Each is equal to itself only.

    Attributes:
        name: The file's name, with a suffix that goes with its type (`content_blocks.py` makes it).
        mime_type: Its type: the one that its bytes show, else the one that was stated.
        origin: The block that it came from, as errors begin: "messages[0] … has a content block …".
        data: Its bytes; None for a file that is named by its URL.
        url: Where it is, `http` or `https`.
    """

    name: str
    mime_type: str
    origin: str
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None

    @property
    def kind(self) -> str:
        """`image`, `audio`, `video`, `text`, or `file` for any other."""
        kind = self.mime_type.partition("/")[0]
        return kind if kind in ("image", "audio", "video", "text") else "file"


Files: TypeAlias = tuple[tuple[Attachment, ...], ...]
"""The files of each turn, the user's first; empty where no turn has any."""
