"""The SSE reader: however the network splits a stream, its events are those of the whole.

Checked besides: they are the events that the grammar of the spec gives, what does not fit the limit
is refused and nothing larger is ever kept, and no other error comes out.
"""

import re

import atheris

with atheris.instrument_imports(include=["langchain_qwen_space"]):
    from langchain_qwen_space.space.wire.sse import SSEDecoder

from langchain_qwen_space.errors import ProtocolError
from tests.fuzz.runner import fuzz

BOM = b"\xef\xbb\xbf"
LINE_END = re.compile(rb"\r\n|\r|\n")
LIMITS = (1 << 30, 64, 16, 5, 0)
CUTS = 3  # the bytes of an input that say where to cut the rest


def by_the_spec(stream: bytes) -> list[bytes]:
    """The spec's own algorithm over a stream that is there as a whole."""
    events: list[bytes] = []
    buffer = b""
    for line in LINE_END.split(stream.removeprefix(BOM))[:-1]:
        if not line:
            if buffer:
                events.append(buffer[:-1])
            buffer = b""
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            buffer += value.removeprefix(b" ") + b"\n"
    return events


def decode(pieces: list[bytes], limit: int) -> tuple[list[bytes], bool]:
    """The events that come before the decoder gives up, and whether it did."""
    decoder = SSEDecoder(limit)
    events: list[bytes] = []
    try:
        for piece in pieces:
            for event in decoder.feed(piece):
                events.append(event)  # noqa: PERF402  (an extend would lose those before an error)
            kept = len(decoder._line) + sum(map(len, decoder._data))
            assert kept <= max(limit, len(BOM)), (pieces, limit)
    except ProtocolError:
        return events, True
    return events, False


def check(data: bytes) -> None:
    if len(data) <= CUTS:
        return
    limit = LIMITS[data[0] % len(LIMITS)]
    stream = data[1 + CUTS :]
    a, b, c = sorted(byte % (len(stream) + 1) for byte in data[1 : 1 + CUTS])
    whole = decode([stream], limit)
    for pieces in ([stream[:a], stream[a:b], stream[b:c], stream[c:]], [stream[:b], stream[b:]]):
        assert decode(pieces, limit) == whole, (pieces, limit)
    events, refused = whole
    expected = by_the_spec(stream)
    assert events == (expected[: len(events)] if refused else expected), (stream, limit)
    assert all(len(event) <= limit for event in events)


if __name__ == "__main__":
    fuzz(check)
