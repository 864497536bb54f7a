import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_qwen_space.errors import ProtocolError
from langchain_qwen_space.space.wire.sse import SSEDecoder
from tests.replay import load, split, streamed_cases

BOM = b"\xef\xbb\xbf"
BLANK_LINES = [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\n\r", b"\r\n\r"]
TOKENS = st.sampled_from(
    [
        *(b"data:", b"data: ", b"data", b"data:  ", b"dat", b"datax:", b"Data:", b" data:"),
        *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b": a comment", b":", b" ", b"x", b"{}"),
        *(b"event: x", b"id: 1", b"retry: 10", b"\x00", b"\xef", b"\xbb", b"\xbf", BOM),
        *(
            "\u2028".encode(),
            "\u2029".encode(),
            "\x85".encode(),
            b"\x0b",
            b"\x0c",
            b"\x1c",
            b"\xff",
        ),
    ]
)
NOISE = st.lists(TOKENS | st.binary(max_size=3), max_size=40).map(b"".join)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
LINES = st.sampled_from([b"", b"data: 1", b"data:22", b"data", b": comment", b"event: x"])
STREAMS = NOISE | st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=20).map(b"".join)
CUTS = st.lists(st.integers(min_value=0), max_size=12)
NO_LIMIT = 1 << 30


def decode(*pieces, limit=NO_LIMIT):
    decoder = SSEDecoder(limit)
    return [event for piece in pieces for event in decoder.feed(piece)]


def decode_until_error(pieces, limit):
    """The events that come before the decoder gives up, and whether it did."""
    decoder = SSEDecoder(limit)
    events = []
    try:
        for piece in pieces:
            for event in decoder.feed(piece):
                events.append(event)  # noqa: PERF402  (an extend would lose those before an error)
    except ProtocolError:
        return events, True
    return events, False


def cut(stream, cuts):
    places = sorted(place % (len(stream) + 1) for place in cuts)
    return [
        stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)
    ]


def lines_of(stream):
    """The lines that have an end, one byte after the other."""
    lines, line, index = [], b"", 0
    while index < len(stream):
        byte = stream[index : index + 1]
        index += 1
        if byte == b"\r" and stream[index : index + 1] == b"\n":
            index += 1
        if byte in b"\r\n":
            lines.append(line)
            line = b""
        else:
            line += byte
    return lines


def by_the_spec(stream):
    """The spec's algorithm, word for word, over a stream that is there as a whole."""
    events, buffer = [], b""
    for line in lines_of(stream.removeprefix(BOM)):
        if not line:
            if buffer:
                events.append(buffer[:-1])
            buffer = b""
            continue
        if line[:1] == b":":
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            buffer += value.removeprefix(b" ") + b"\n"
    return events


@given(STREAMS, CUTS)
@example(BOM + b"data: 1\r\n\r\ndata: 2\r\r", [1, 2, 10, 11, 12])
def test_every_split_gives_what_the_spec_gives_for_the_whole(stream, cuts):
    assert decode(*cut(stream, cuts)) == by_the_spec(stream)


@given(STREAMS)
@example(b"data: 1\r\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\r\n")
def test_single_bytes_give_what_the_spec_gives_for_the_whole(stream):
    assert decode(*(bytes([byte]) for byte in stream)) == by_the_spec(stream)


@given(STREAMS, CUTS, st.integers(min_value=0, max_value=30))
def test_a_limit_is_met_at_the_same_place_however_the_bytes_are_split(stream, cuts, limit):
    apart = decode_until_error(cut(stream, cuts), limit)
    assert apart == decode_until_error([stream], limit)


@pytest.mark.parametrize(("folder", "name"), streamed_cases()[::9])
def test_a_recorded_stream_gives_its_events(folder, name):
    case = load(folder, name)
    events = decode(*split(case.body, seed=1))
    assert events == by_the_spec(case.body)
    assert len(events) == len(case.events())


@pytest.mark.parametrize("blank", BLANK_LINES)
def test_a_blank_line_of_any_kind_ends_an_event(blank):
    assert decode(b"data: 1" + blank + b"data: 2" + blank) == [b"1", b"2"]


def test_an_event_is_given_as_soon_as_its_blank_line_is_there():
    decoder = SSEDecoder(NO_LIMIT)
    assert list(decoder.feed(b"data: 1\r\n")) == []
    assert list(decoder.feed(b"\r")) == [b"1"]
    assert list(decoder.feed(b"\ndata: 2\n")) == []
    assert list(decoder.feed(b"\n")) == [b"2"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"data\n\n", [b""]),
        (b"data\ndata\n\n", [b"\n"]),
        (b"data:\n\n", [b""]),
        (b"data:one\n\n", [b"one"]),
        (b"data:  one \n\n", [b" one "]),
        (b"data:\tone\n\n", [b"\tone"]),
        (b"data: a: b\n\n", [b"a: b"]),
        (b": a comment\n\n", []),
        (b":\n\ndata: one\n:data: no\n\n", [b"one"]),
        (b"event: x\nid: 7\nretry: 1\ndata: one\n\n", [b"one"]),
        (b"event: x\n\n", []),
        (b"nothing known\n\ndataset: no\n\nData: no\n\n data: no\n\n", []),
        (b"data: one\n", []),
        (b"data: one\n\ndata: two", [b"one"]),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_lines_and_fields_are_read_as_the_spec_says(stream, events):
    assert decode(stream) == by_the_spec(stream) == events


def test_no_other_character_ends_a_line():
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\x00j".encode()
    assert decode(b"data: " + text + b"\n\n") == [text]


@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2], [3]])
def test_one_byte_order_mark_is_dropped_at_the_start_only(cuts):
    assert decode(*cut(BOM + b"data: 1\n\n", cuts)) == [b"1"]
    assert decode(*cut(BOM + BOM + b"data: 1\n\n", cuts)) == []
    assert decode(b"data: 1\n\n", *cut(BOM + b"data: 2\n\n", cuts)) == [b"1"]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_event_may_have_exactly_the_most_bytes_but_none_more(size):
    stream = b"data: one\ndata: two\n\n" * 2
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert decode(*pieces, limit=18) == [b"one\ntwo"] * 2
    with pytest.raises(ProtocolError, match=r"more than 17 bytes.*raise max_reply_bytes") as caught:
        decode(*pieces, limit=17)
    assert not caught.value.is_retryable


@pytest.mark.parametrize("line", [b"x" * 5000, b":" * 5000, b"data\n" * 1100, b"data:\n" * 900])
@pytest.mark.parametrize("size", [2, 5, 6, 6000])
def test_nothing_without_an_end_is_kept_beyond_the_limit(line, size):
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    with pytest.raises(ProtocolError):
        decode(*pieces, limit=4000)


def test_events_before_one_that_is_too_large_are_given():
    assert decode_until_error([b"data: 1\n\ndata: 22\n\n"], 7) == ([b"1"], True)


def cpu_seconds_for_a_line_of(size):
    rng = random.Random(0)
    block = b"x" * 65536
    decoder = SSEDecoder(size + 6)
    start = time.process_time()
    events = list(decoder.feed(b"data: "))
    while size:
        count = min(size, int(2 ** rng.uniform(0, 9 if rng.random() < 0.99 else 16)))
        size -= count
        events += decoder.feed(block[:count])
    events += decoder.feed(b"\n\n")
    return time.process_time() - start, len(events[0])


def test_a_long_line_in_many_pieces_takes_linear_time():
    small = min(cpu_seconds_for_a_line_of(1 << 20)[0] for _ in range(3))
    times, sizes = zip(*(cpu_seconds_for_a_line_of(8 << 20) for _ in range(3)), strict=True)
    assert {*sizes} == {8 << 20}
    assert min(times) < 8 * small * 3  # eight times the work, where copying all each time takes 64
