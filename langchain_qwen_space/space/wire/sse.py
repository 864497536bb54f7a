"""Bytes of a server-sent event stream -> the data of its events.

The grammar is WHATWG's:
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from collections.abc import Iterator

from langchain_qwen_space.errors import ProtocolError

_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Finds the events in a stream of bytes, however the network split it.

    Only `data` is kept: a Space names no events and gives them no ids.

    Args:
        max_event_bytes: The most that one event, or one line, may hold before the stream is given
            up. The ends of lines do not count.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        self._line = bytearray()  # a line whose end has not come
        self._data: list[bytes] = []  # the data lines of an event whose end has not come
        self._size = 0  # what those lines had on the wire
        self._after_cr = False
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes and give the data of each event that they complete.

        The bytes are read while the events are taken, so take them all.

        Raises:
            ProtocolError: An event is larger than `max_event_bytes`.
        """
        if not self._started:
            chunk = self._skip_bom(chunk)
        if self._after_cr and chunk:
            # The CR at the end of the last chunk was a line's end by itself; a LF that
            # follows it belongs to the same end.
            self._after_cr = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if not chunk:
            return
        lines = chunk.splitlines()  # for bytes these are CR, LF and CRLF, as the grammar has it
        last = chunk[-1]
        rest = lines.pop() if last not in (0x0A, 0x0D) else b""
        self._after_cr = last == 0x0D
        if self._line and lines:
            lines[0] = bytes(self._line + lines[0])
            self._line.clear()
        data, most = self._data, self._max
        for line in lines:
            if not line:
                if data:
                    event = data[0] if len(data) == 1 else b"\n".join(data)
                    data.clear()
                    self._size = 0
                    yield event
                continue
            if self._size + len(line) > most:
                raise self._too_large()
            if line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._size += len(line)
            elif line == b"data":
                data.append(b"")
                self._size += len(line)
        if rest:
            if self._size + len(self._line) + len(rest) > most:
                raise self._too_large()
            self._line += rest

    def _too_large(self) -> ProtocolError:
        msg = (
            f"The Space sent an event of more than {self._max:,} bytes, and the call was "
            "cancelled. If you expect answers of this size, raise max_reply_bytes."
        )
        return ProtocolError(msg, is_retryable=False)

    def _skip_bom(self, chunk: bytes) -> bytes:
        """Drop one byte order mark at the very start, even if it comes in pieces."""
        head = bytes(self._line) + chunk
        self._line.clear()
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._line += head
            return b""
        self._started = True
        return head.removeprefix(_BOM)
