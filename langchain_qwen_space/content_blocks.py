"""Files that go with a message: content blocks of LangChain, OpenAI and others -> `Attachment`."""

import errno
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.media_types import suffix_of, type_of

KINDS = frozenset(
    [
        *("image", "image_url", "input_image", "audio", "audio_url", "input_audio", "video"),
        *("video_url", "media", "file", "input_file", "document", "text-plain"),
    ]
)
"""The types of content blocks that may hold a file."""

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {  # of ISO media files, by their first three bytes; any other is MP4
    b"avi": "image/avif",
    b"hei": "image/heic",
    b"hev": "image/heic",
    b"mif": "image/heic",
    b"msf": "image/heic",
    b"M4A": "audio/mp4",
    b"M4B": "audio/mp4",
    b"3gp": "video/3gpp",
    b"3g2": "video/3gpp2",
    b"qt ": "video/quicktime",
}
_ATOMS = (  # that QuickTime files without a brand begin with
    b"moov",
    b"mdat",
    b"wide",
    b"free",
    b"skip",
)
_UNKNOWN = "application/octet-stream"
_MAIN = ("image", "audio", "video")
_URLS = ("image_url", "audio_url", "video_url", "file_url")
_EITHER = (  # containers of sound as well as of video, and of each other's names
    "audio/ogg",
    "video/webm",
    "video/mp4",
    "video/quicktime",
    "video/3gpp",
    "video/3gpp2",
)
_FORMATS = {kind for _, kind in _STARTS} | {*_RIFF.values(), *_BRANDS.values(), "video/mp4"}
_FORMATS -= {"audio/mpeg"}  # which may begin with anything
_PDF_HEAD = 1024  # bytes in which a PDF may begin
_TEXT_HEAD = 512  # bytes that tell whether a text is one
_MIME_TYPE = re.compile(r"[a-z]+/[\w.+*-]+", re.ASCII)
# Quotes may hold a comma.
_DATA_URL_HEAD = re.compile(r'data:((?:[^",]++|"[^"]*+")*+),', re.IGNORECASE)
_LONGEST_NAME = 200  # bytes, as Gradio keeps


def file_block(path: str | Path) -> dict[str, Any]:
    """The content block of a file on this machine, for a message.

    Returns:
        A standard block of LangChain: `image`, `audio`, `video` or `file`, with the bytes as base64.

    Raises:
        OSError: The file cannot be read.
    """
    path = Path(path)
    if not (path.is_file() or path.is_dir()) and path.exists():  # a device may have no end
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    data = path.read_bytes()
    stated = type_of(path.name)
    mime_type = _sniff(data, stated) or stated or _UNKNOWN
    kind = mime_type.partition("/")[0]
    return {
        "type": kind if kind in ("image", "audio", "video") else "file",
        "base64": b64encode(data).decode(),
        "mime_type": mime_type,
        "extras": {"filename": path.name},
    }


def read(block: Mapping[str, Any], origin: str) -> Attachment:
    """The file that a content block holds.

    Understood are LangChain's standard blocks of both versions, OpenAI's (`image_url`,
    `input_audio`, `file`, and those of its Responses API), Anthropic's and Google's. Data URLs are
    taken for the bytes that they hold.

    Args:
        block: A block whose type is among `KINDS`.
        origin: As `Attachment.origin`.

    Raises:
        InvalidInputError: It holds an id, or no bytes and no URL, or bytes of another type.
    """
    kind = str(block.get("type"))
    given = _flat(block)
    data, url = _first(given, "base64", "data", "file_data"), _first(given, "url", "file_uri")
    mime_type = (
        str(_first(given, "mime_type", "media_type") or "").partition(";")[0].strip().lower()
    )
    if (text := _document(block, given)) is not None:
        data, mime_type = _encoded(text, origin), mime_type or "text/plain"
    for value in (data, url):
        if isinstance(value, str) and value.lstrip()[:5].lower() == "data:":
            data, stated = _data_url(value.lstrip(), origin)
            mime_type, url = mime_type or stated, None
    if data is None and url is None:
        if any(given.get(key) in ("", b"") for key in ("base64", "data", "file_data")):
            raise InvalidInputError(f"{origin} that is empty.")
        what = "the id of a file" if _first(given, "file_id", "id") else "no bytes and no URL"
        raise InvalidInputError(
            f"{origin} with {what}, which a Space cannot read: give the file as base64 or by its URL."
        )
    name = _first(given, "filename", "file_name", "title")
    name = name if isinstance(name, str) else ""
    if not mime_type and isinstance(given.get("format"), str):
        mime_type = f"{_main(kind) or 'application'}/{given['format'].lower()}"
    if data is None:
        url = _checked_url(url, origin)
        name = name or unquote(Path(urlsplit(url).path).name)
        mime_type = mime_type or type_of(name)
    else:
        url = None
        is_binary = isinstance(data, bytes | bytearray | memoryview)
        data = bytes(data) if is_binary else _decoded(data, origin)
        mime_type = _real_type(data, mime_type or type_of(name), kind, origin)
    if mime_type and not _MIME_TYPE.fullmatch(mime_type):
        raise InvalidInputError(
            f"{origin} with the type {mime_type[:100]!r}, which is not a MIME type such as image/png."
        )
    if not mime_type:
        mime_type = f"{main}/*" if (main := _main(kind)) else _UNKNOWN
    return Attachment(_named(name, mime_type), mime_type, origin, data, url)


def origin_of(block: Mapping[str, Any], number: int, where: str) -> str:
    """How errors name a block: its message, its type, and its place among the message's blocks."""
    kind = block.get("type")
    kind = kind if isinstance(kind, str | None) else repr(kind)[:100]
    return f"{where} has a content block of type {kind!r} (number {number})"


def for_langchain(block: dict[str, Any], origin: str) -> dict[str, Any]:
    """The block in a form that `langchain-core` passes on as it is.

    It fails at many blocks of its own older form, which are read here without their `source_type`.

    Args:
        block: A block of any type.
        origin: As `Attachment.origin`.

    Raises:
        InvalidInputError: `langchain-core` would fail at it.
    """
    kind = block.get("type")
    if not isinstance(kind, str | None):
        raise InvalidInputError(f'{origin}, but a type is a text, such as "text" or "image".')
    if kind in ("image", "audio", "file") and "source_type" in block:
        block = {key: value for key, value in block.items() if key != "source_type"}
    if kind == "image" and not block.keys() & {"url", "file_id"}:
        if "base64" not in block and "text" in block:
            msg = f'{origin} that holds a text: give it as {{"type": "text", "text": "…"}}.'
            raise InvalidInputError(msg)
        if "base64" in block and "mime_type" not in block:
            raise InvalidInputError(
                f'{origin} in base64 without its "mime_type": add it, such as "image/png", or read a '
                "file on this machine with file_block(path)."
            )
    return block


def with_data(file: Attachment, data: bytes, mime_type: str) -> Attachment:
    """A file that was named by its URL, with its bytes.

    Args:
        file: The file.
        data: Its bytes.
        mime_type: Its type by the server that gave it, which counts where nothing else is known.

    Raises:
        InvalidInputError: It is empty, or of another kind than its block says.
    """
    kind, stated = "file", file.mime_type
    mime_type = mime_type if _MIME_TYPE.fullmatch(mime_type) else ""
    if stated == _UNKNOWN:
        stated = mime_type
    elif stated.endswith("/*"):
        kind = stated.removesuffix("/*")
        stated = mime_type if mime_type.startswith(f"{kind}/") else ""
    real = _real_type(data, stated, kind, file.origin) or mime_type or _UNKNOWN
    if kind in _MAIN and not real.startswith(f"{kind}/"):
        raise InvalidInputError(f"{file.origin} that is labelled {kind}, but it is {real}.")
    return replace(file, name=_named(file.name, real), mime_type=real, data=data)


def sniff(data: bytes) -> str | None:
    """The type that a file's first bytes show, or None."""
    for start, mime_type in _STARTS:
        if data.startswith(start):
            return mime_type
    if data[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:11], "video/mp4")
    if data[:1] == b"\0" and data[4:8] in _ATOMS:  # behind its length, so that no text is one
        return "video/quicktime"
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE6 == 0xE2:
        return "audio/mpeg"  # a frame of layer III without tags before it
    return None


def _sniff(data: bytes, stated: str) -> str | None:
    """As `sniff`, with the stated type where the first bytes alone would mislead."""
    if stated.startswith("text/") and _is_text(data[:_TEXT_HEAD]):
        return stated  # a text may begin with GIF89a, or with ID3
    if stated == "application/pdf" and b"%PDF-" in data[:_PDF_HEAD]:
        return stated
    return sniff(data)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a character that was cut
            return False
        text = head[: error.start].decode()
    return not any(character < " " and character not in "\t\n\v\f\r\x1b" for character in text)


def _flat(block: Mapping[str, Any]) -> dict[str, Any]:
    """What a block says, wherever in it that stands."""
    given: dict[str, Any] = dict(block)
    for key in ("metadata", "extras", "source", "file", "input_audio", *_URLS):
        inner = block.get(key)
        if isinstance(inner, Mapping):
            given.update({name: value for name, value in inner.items() if name != "type"})
        elif isinstance(inner, str) and key in _URLS:
            given["url"] = inner
    return given


def _document(block: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """The text of a document that Anthropic's block holds as it is, or None."""
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") == "text":
        text = source.get("data", source.get("text"))
    else:
        text = given.get("text") if _first(given, "base64", "data", "file_data") is None else None
    return text if isinstance(text, str) else None


def _first(given: Mapping[str, Any], *names: str) -> Any:
    return next((given[name] for name in names if given.get(name)), None)


def _data_url(url: str, origin: str) -> tuple[bytes, str]:
    head = _DATA_URL_HEAD.match(url)
    if head is None:
        raise InvalidInputError(f"{origin} with a data URL that has no comma and so no data.")
    mime_type, *parameters = head[1].lower().split(";")
    body = url[head.end() :]
    if "base64" in (parameter.strip() for parameter in parameters):
        # A URL may escape base64, and may end with "#" and a name.
        return _decoded(unquote(body.partition("#")[0]), origin), mime_type.strip()
    return unquote_to_bytes(_encoded(body, origin)), mime_type.strip()


def _encoded(text: str, origin: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        msg = f"{origin} that contains a lone surrogate (half a character), which cannot be sent as UTF-8."
        raise InvalidInputError(msg) from None


def _decoded(data: object, origin: str) -> bytes:
    """The bytes of base64, in either alphabet, with or without blanks and padding."""
    if isinstance(data, str):
        with suppress(ValueError):
            return a2b_base64(data, strict_mode=True)  # without a copy of the text
        text = re.sub(r"\s", "", data).rstrip("=").replace("-", "+").replace("_", "/")
        with suppress(ValueError):
            return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    raise InvalidInputError(f"{origin} whose data is not valid base64.")


def _checked_url(url: object, origin: str) -> str:
    """The URL, without blanks around it."""
    text = str(url).strip()
    with suppress(ValueError):  # of a port, an address, or half a character
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if isinstance(url, str) and is_web and text.encode() and text.isprintable():
            return text
    shown = re.sub(r"(?<=//)[^/@]*@", "", text)[:100]  # without a password
    raise InvalidInputError(
        f"{origin} with {shown!r}, which is not an http or https URL. Read a file on this machine with "
        "file_block(path)."
    )


def _real_type(data: bytes, stated: str, kind: str, origin: str) -> str:
    """The type of the bytes, which is the stated one where they do not show it.

    Raises:
        InvalidInputError: There are none, or they are not of the kind that was stated.
    """
    if not data:
        raise InvalidInputError(f"{origin} that is empty.")
    found = _sniff(data, stated)
    main = stated.partition("/")[0] or _main(kind)
    if found is None:
        if stated in _FORMATS:
            msg = (
                f"{origin} that is labelled {stated}, but its bytes are not. Is the file complete?"
            )
            raise InvalidInputError(msg)
        return stated
    if found in _EITHER and main in ("audio", "video"):
        return stated or f"{main}/{found.partition('/')[2]}"
    if main in _MAIN and main != found.partition("/")[0]:
        msg = f"{origin} that is labelled {stated or main}, but its bytes are {found}."
        raise InvalidInputError(msg)
    return found


def _main(kind: str) -> str:
    """The first part of the type that a block's type promises, or an empty string."""
    return next((main for main in _MAIN if kind.removeprefix("input_").startswith(main)), "")


def _named(name: str, mime_type: str) -> str:
    """The name, with a suffix of the type's kind: Gradio judges files by it."""
    name = name.replace("\\", "/").rpartition("/")[2].strip() or "file"
    name = name.encode(errors="replace").decode()  # half a character cannot be sent
    # Older releases of Gradio drop signs, and a suffix needs a stem.
    stem, dot, suffix = name.rpartition(".")
    if not any(map(str.isalnum, stem if dot else suffix)):
        end = f"{dot}{suffix}".rstrip(".")
        name = f"file{stem.strip('. ')}{end}"
    guessed = type_of(name)
    if mime_type != _UNKNOWN and guessed.partition("/")[0] != mime_type.partition("/")[0]:
        suffix = suffix_of(mime_type)
        name = name if name.lower().endswith(suffix) else name + suffix
    if len(name.encode()) > _LONGEST_NAME:
        stem, suffix = Path(name).stem, Path(name).suffix[:20]
        room = _LONGEST_NAME - len(suffix.encode())
        name = stem.encode()[:room].decode(errors="ignore") + suffix
    return name
