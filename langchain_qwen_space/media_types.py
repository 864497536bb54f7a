"""Files' types by their names, and suffixes by types, also where the system has no table of them."""

import mimetypes
from pathlib import PurePath

SUFFIXES = {  # where Python knows none without the system's table, or an unusual one first
    "audio/mpeg": ".mp3",
    "audio/mp3": ".mp3",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/webm": ".webm",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/x-icon": ".ico",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "video/3gpp": ".3gp",
    "video/3gpp2": ".3g2",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov",
    "video/x-matroska": ".mkv",
}
_TYPES = {suffix: kind for kind, suffix in SUFFIXES.items()}
_PACKED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
}


def type_of(name: str) -> str:
    """The type that a file's name says, or an empty string."""
    kind, packed = mimetypes.guess_type(name)
    if packed is not None:  # the type is that of what is inside
        return _PACKED.get(packed, "")
    return kind or _TYPES.get(PurePath(name).suffix.lower(), "")


def suffix_of(mime_type: str) -> str:
    """The suffix of files of a type, or an empty string."""
    other = ".txt" if mime_type.startswith("text/") else ""
    return SUFFIXES.get(mime_type) or mimetypes.guess_extension(mime_type) or other
