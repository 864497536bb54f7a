"""Files sent to a Space as its page does: `POST …/upload`, one multipart request a file."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

from yarl import URL

from langchain_qwen_space.attachments import Attachment
from langchain_qwen_space.errors import InvalidInputError, ProtocolError, SpaceTimeoutError
from langchain_qwen_space.events import UploadEvent
from langchain_qwen_space.space.wire.client import ERROR_BYTES, SpaceClient, decoded, text_of
from langchain_qwen_space.space.wire.faults import from_status

_PIECE = 256 * 1024  # bytes that are handed to the connection at a time
_LOOK = 0.1  # seconds between two looks at how much was sent
_ESCAPED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do in a file's name


class Body:
    """A form with one file, read again by each request that it is the body of.

    Attributes:
        sent: How many bytes of the file were taken by the connection.
        headers: What the request says of it.
    """

    def __init__(self, file: Attachment, data: bytes) -> None:
        boundary = secrets.token_hex(16)
        name = file.name.translate(_ESCAPED)
        is_header = file.mime_type.isascii() and file.mime_type.isprintable()
        mime_type = file.mime_type if is_header else "application/octet-stream"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
            f"Content-Type: {mime_type}\r\n\r\n"
        )
        self._head = head.encode(errors="replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._data = memoryview(data)
        self.sent = 0
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + len(data) + len(self._tail)),
        }

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        """The pieces; each is asked for when the one before was written."""
        yield self._head
        for at in range(0, len(self._data), _PIECE):
            self.sent = at
            yield self._data[at : at + _PIECE]
        self.sent = len(self._data)
        yield self._tail


class Upload:
    """Sends files, one after another. `end()` stops it at any time, at once.

    Args:
        client: Who sends them.
        url: Where to.
        files: What is sent.
        timeout: Seconds in which the Space has to take more.

    Attributes:
        paths: Where the Space keeps each file that was sent.
    """

    def __init__(
        self, client: SpaceClient, url: URL, files: Sequence[Attachment], timeout: float | None
    ) -> None:
        self.paths: dict[Attachment, str] = {}
        self._client, self._url, self._timeout = client, url, timeout
        self._files = list(files)
        self._body: Body | None = None
        self._task: asyncio.Task[str] | None = None

    async def progress(self) -> UploadEvent | None:
        """Wait until more was sent, and return how much; None when all files are on the Space.

        Raises:
            QwenSpaceError: The Space refuses a file, or takes nothing more for `timeout` seconds.
        """
        if not self._files:
            return None
        file = self._files[0]
        data = file.data or b""
        if self._body is None:
            self._body = Body(file, data)
            self._task = asyncio.get_running_loop().create_task(self._send(file, self._body))
            return UploadEvent(file.name, 0, len(data))
        assert self._task is not None  # noqa: S101
        before, patience = self._body.sent, self._timeout
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not self._task.done():
            await asyncio.wait([self._task], timeout=_LOOK)
            if self._body.sent != before and not self._task.done():
                return UploadEvent(file.name, self._body.sent, len(data))
            if patience is not None and loop.time() > start + patience:
                self.end()
                msg = f"{self._client.where} stopped reading {file.name!r} for {patience} seconds."
                raise SpaceTimeoutError(msg)
        self.paths[file] = self._task.result()
        self._files.pop(0)
        self._body = self._task = None
        return UploadEvent(file.name, len(data), len(data))

    def end(self) -> None:
        """Stop sending; the connection closes."""
        if self._task is not None and not self._task.cancel() and not self._task.cancelled():
            self._task.exception()  # nobody asks for it any more

    async def _send(self, file: Attachment, body: Body) -> str:
        # Only `progress` can tell a slow upload from one that stalls.
        status, headers, answer = await self._client.fetch(
            "POST", self._url, ERROR_BYTES, None, data=body, headers=body.headers
        )
        said, where = text_of(answer), self._client.where
        if status == 413:
            msg = f"{file.origin} that is too large for {where}: {said:.300}"
            raise InvalidInputError(msg, status=status)
        if status != 200:
            raise from_status(status, headers, said, where, "POST upload")
        match decoded(answer):
            case [str(path)] if path:
                return path
        raise ProtocolError(f"{where} accepted a file, but did not return its path.")
