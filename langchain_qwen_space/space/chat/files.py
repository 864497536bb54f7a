"""Files laid out on a page: which of its inputs take them, what those accept, how values hold them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.media_types import type_of
from langchain_qwen_space.space.chat.inputs import describe
from langchain_qwen_space.space.page.config import Component, SpaceConfig

MULTIMODAL = (
    "multimodaltextbox",
    "modelscopemultimodalinput",
    "modelscopelegacymultimodalinput",
    "modelscopepromultimodalinput",
)
"""Boxes whose value is `{"text", "files"}`."""

_ONE = ("image", "audio", "video")  # take one file of the kind that they are named for
_SAMPLES = {
    "image": Attachment("a.png", "image/png", ""),
    "audio": Attachment("a.wav", "audio/wav", ""),
    "video": Attachment("a.mp4", "video/mp4", ""),
    "pdf": Attachment("a.pdf", "application/pdf", ""),
}
_RARE = ("image/heic", "image/avif", "image/svg+xml")
"""Types of pictures that Pillow opens in some releases only, or not at all."""
_SEVERAL = ("file", "antdxattachments", "antdupload", "antduploaddragger")


@dataclass(frozen=True, slots=True)
class FileInput:
    """An input that takes files.

    Attributes:
        index: Its place among the inputs.
        name: What messages call it.
        accepts: Kinds (`image`), suffixes (`.pdf`) and types (`image/*`); None is any file.
        room: How many it takes; None is any number.
    """

    index: int
    name: str
    accepts: tuple[str, ...] | None
    room: int | None

    def takes(self, file: Attachment) -> bool:
        """Whether the input accepts such a file; the rule is that of Gradio and of HTML's `accept`."""
        if self.accepts is None:
            return True
        known = ("file", "*", "*/*", file.kind, f"{file.kind}/*", file.mime_type)
        suffixes = tuple(item for item in self.accepts if item.startswith("."))
        return file.name.lower().endswith(suffixes) or any(item in known for item in self.accepts)

    def __str__(self) -> str:
        what = "files" if self.accepts is None else ", ".join(self.accepts)
        return f"{self.name} takes {what}" + ("" if self.room is None else f", {self.room} at most")


def file_inputs(inputs: Sequence[Component], query: int) -> list[FileInput]:
    """The inputs that take files, in the order in which they are filled: the question's box first."""
    order = [query, *(index for index in range(len(inputs)) if index != query)]
    return [box for index in order if (box := _file_input(inputs[index], index)) is not None]


def kinds(inputs: Sequence[Component], query: int) -> frozenset[str]:
    """Which of image, audio, video and PDF the inputs take."""
    known = file_inputs(inputs, query)
    return frozenset(kind for kind, file in _SAMPLES.items() if any(s.takes(file) for s in known))


def _file_input(item: Component, index: int) -> FileInput | None:
    props = item.props
    if not item.visible or props.get("interactive") is False or props.get("streaming") is True:
        return None
    accepts = props.get("file_types")
    single = props.get("file_count", "single") == "single"
    most = props.get("max_count")
    if item.type in _ONE:
        accepts, single = [item.type], True
    elif item.type.startswith("modelscope") and item.type in MULTIMODAL:
        upload = props.get("upload_config")
        upload = upload if isinstance(upload, dict) else {}
        if upload.get("allow_upload") is False or upload.get("disabled") is True:
            return None
        accepts, most, single = upload.get("accept", accepts), upload.get("max_count"), False
    elif item.type in MULTIMODAL:
        sources = props.get("sources")
        if isinstance(sources, list) and "upload" not in sources:
            accepts = ["audio"]  # what a microphone gives
    elif item.type not in _SEVERAL:
        return None
    elif item.type != "file":
        accepts, single = props.get("accept"), False
    if isinstance(accepts, str):
        accepts = accepts.split(",")
    room = 1 if single else most if isinstance(most, int) else None
    known = tuple(i.strip().lower() for i in accepts or () if isinstance(i, str) and i.strip())
    return FileInput(index, describe(item, index), known or None, room)


def lay_out(
    inputs: Sequence[Component],
    query: int,
    text: str,
    files: Sequence[Sequence[Attachment]],
    config: SpaceConfig,
) -> dict[int, Any]:
    """The values of the inputs that take the question's files, by their index.

    Args:
        inputs: The inputs of the chat.
        query: Which of them takes the question.
        text: The question.
        files: The files of each turn, the question's last.
        config: The page.

    Raises:
        InvalidInputError: No input takes one of the files, or none has room for it. The error names
            the block and what would be accepted.
    """
    known = file_inputs(inputs, query)
    for file in (file for turn in files for file in turn):
        _check(file, known, config)
    filled: dict[FileInput, list[Attachment]] = {box: [] for box in known}
    for file in files[-1]:
        taking = [box for box in known if box.takes(file)]
        free = [box for box in taking if box.room is None or len(filled[box]) < box.room]
        if not free:
            full = "; ".join(map(str, taking))
            msg = f"{file.origin}, but the Space does not accept so many files: {full}."
            raise InvalidInputError(msg)
        filled[free[0]].append(file)
    values: dict[int, Any] = {}
    for box, held in filled.items():
        item = inputs[box.index]
        if item.type in MULTIMODAL:
            values[box.index] = {"text": text, "files": held}
        elif not held:
            continue
        elif item.type in _ONE or (item.type == "file" and box.room == 1):
            wrapped = item.type == "video" and config.release < (6,)
            values[box.index] = {"video": held[0], "subtitles": None} if wrapped else held[0]
        else:
            values[box.index] = held
    return values


def _check(file: Attachment, known: Sequence[FileInput], config: SpaceConfig) -> None:
    """Refuse a file that no input of the page accepts, whatever else is to go there."""
    if not known:
        msg = (
            f"{file.origin}, but this Space accepts text only: remove the block, or describe it in "
            "text."
        )
        raise InvalidInputError(msg)
    if not any(box.takes(file) for box in known):
        accepted = "; ".join(map(str, known))
        msg = f"{file.origin} ({file.mime_type}, {file.name!r}), but this Space's {accepted}."
        raise InvalidInputError(msg)
    most, size = config.max_file_size, len(file.data or b"")
    if most is not None and size > most:
        msg = f"{file.origin} of {size:,} bytes, but this Space accepts at most {most:,}."
        raise InvalidInputError(msg)


def doubtful(files: Iterable[Attachment]) -> str:
    """Which of the files apps often fail at, and what to do, in a sentence; empty if there is none."""
    for file in files:
        if file.data is None:
            return (
                f"It had to download {file.name!r}, which works for public addresses only: "
                "fetch_files=True uploads the file instead."
            )
        if file.mime_type in _RARE:
            return f"Many apps cannot open {file.name!r}, which is {file.mime_type}: send a JPEG or PNG."
    return ""


def listed(file: Mapping[str, Any], config: SpaceConfig) -> dict[str, str]:
    """A file of an answer, for callers: its `name`, its `url`, and its `mime_type` where known.

    The name leads into no folder, whatever the Space calls the file.
    """
    url, path = file.get("url"), str(file.get("path") or "")
    if not (isinstance(url, str) and url.startswith(("http://", "https://", "data:"))):
        url = path if path.startswith(("http://", "https://")) else _file_url(path, config)
    name = str(file.get("orig_name") or path).replace("\\", "/").rpartition("/")[2]
    name = "file" if name in ("", ".", "..") else name
    mime_type = file.get("mime_type") or type_of(name)
    described = {"name": name, "url": url}
    if isinstance(mime_type, str) and mime_type:
        described["mime_type"] = mime_type
    return described


def _file_url(path: str, config: SpaceConfig) -> str:
    """Where the Space serves a file of its own."""
    return f"{config.api('file=')}{quote(path)}"


def within(value: object) -> Iterator[Attachment]:
    """The files that stand in a value, each as often as it does."""
    waiting = [value]  # a page's own values may be nested more deeply than Python calls
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, Attachment):
            yield inner
        elif isinstance(inner, dict | list | tuple):
            waiting += reversed(list(inner.values() if isinstance(inner, dict) else inner))


def filled(value: Any, sent: Mapping[Attachment, Any]) -> Any:
    """A value with each file in it replaced by what the Space knows it as."""
    if isinstance(value, Attachment):
        return sent[value]
    if isinstance(value, dict):
        return {key: filled(inner, sent) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, sent) for inner in value]
    return value


def file_data(file: Attachment, path: str | None, config: SpaceConfig) -> dict[str, Any]:
    """How a value names a file: one that is on the Space under `path`, else by its URL.

    The URL of a file that the Space itself gave in an answer stands for the file there.
    """
    if path is None:
        path, own = str(file.url), _file_url("", config)
        if path.startswith(own):
            path = unquote(path.removeprefix(own))
    data = {"path": path, "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}
    if not file.mime_type.endswith("/*"):
        data["mime_type"] = file.mime_type
    return data if file.data is None else {**data, "size": len(file.data)}
