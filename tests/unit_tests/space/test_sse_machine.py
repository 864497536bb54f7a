"""Whatever a server writes and however the network cuts it, its events come out, each in time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from langchain_qwen_space.errors import ProtocolError
from langchain_qwen_space.space.wire.sse import SSEDecoder

BOM = b"\xef\xbb\xbf"
NO_LIMIT = 1 << 30
VALUES = st.lists(
    st.sampled_from(
        [b"1", b"{}", b":", b" ", b"\t", b"data:", BOM, b"\x00", b"\x0b\x0c\x1c", b"\xff"]
    ),
    max_size=3,
).map(b"".join)
OTHER_LINES = [
    b":",
    b": data: no",
    b"event: x",
    b"id: 1",
    b"dat",
    b"datax: no",
    b"Data: no",
    b" data: no",
]
LINE_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


class Stream(RuleBasedStateMachine):
    """A server that writes lines, a network that delivers them in pieces, and a reader.

    The model reads nothing: the server notes what it means, and after which byte the reader has to
    know it.
    """

    @initialize(with_bom=st.booleans(), limit=st.sampled_from([NO_LIMIT, 30, 16, 9, 0]))
    def start(self, with_bom, limit):
        self.wire = BOM if with_bom else b""
        self.delivered = 0
        self.limit = limit
        self.reader = SSEDecoder(limit)
        self.data: list[bytes] = []  # the values of the event that is being written
        self.size = 0  # what its lines have on the wire
        self.last_end = b""
        self.due: list[tuple[int, bytes]] = []  # events, each with the byte that completes it
        self.refused_at: int | None = None  # the byte that is one too many
        self.events: list[bytes] = []
        self.is_refused = False

    # What a server writes

    @rule(value=VALUES, blank=st.booleans(), end=LINE_ENDS)
    def writes_data(self, value, blank, end):
        if value.startswith(b" "):
            blank = True  # without one of the grammar's own, the value would lose its first
        line = b"data:" + b" " * blank + value
        self.write(line, end)
        self.data.append(value)
        self.size += len(line)

    @rule(end=LINE_ENDS)
    def writes_data_without_a_colon(self, end):
        self.write(b"data", end)
        self.data.append(b"")
        self.size += len(b"data")

    @rule(line=st.sampled_from(OTHER_LINES), end=LINE_ENDS)
    def writes_what_is_no_data(self, line, end):
        self.write(line, end)

    @rule(end=LINE_ENDS)
    def writes_a_blank_line(self, end):
        if (self.last_end, end) == (b"\r", b"\n"):
            self.write(b"", end)  # which makes one line end of the two
            return
        if self.data:
            self.due.append((len(self.wire) + 1, b"\n".join(self.data)))
        self.data, self.size = [], 0
        self.write(b"", end)

    def write(self, line, end):
        if self.refused_at is None and self.size + len(line) > self.limit:
            self.refused_at = len(self.wire) + self.limit - self.size + 1
        self.wire += line + end
        self.last_end = end

    # What the network does

    @rule(size=st.integers(0, 12))
    def delivers_some(self, size):
        self.deliver(self.wire[self.delivered : self.delivered + size])

    @rule()
    def delivers_all(self):
        self.deliver(self.wire[self.delivered :])

    @rule()
    def delivers_byte_by_byte(self):
        for byte in self.wire[self.delivered :]:
            self.deliver(bytes([byte]))

    def deliver(self, piece):
        self.delivered += len(piece)
        try:
            if not self.is_refused:
                for event in self.reader.feed(piece):
                    self.events.append(event)
        except ProtocolError:
            self.is_refused = True
        self.each_event_came_with_its_last_byte_and_none_after_a_refusal()
        self.what_is_too_large_is_refused_with_the_first_byte_that_is_too_much()

    # What must hold after each piece

    def each_event_came_with_its_last_byte_and_none_after_a_refusal(self):
        last = self.delivered if self.refused_at is None else min(self.delivered, self.refused_at)
        assert self.events == [event for place, event in self.due if place <= last]

    def what_is_too_large_is_refused_with_the_first_byte_that_is_too_much(self):
        assert self.is_refused == (
            self.refused_at is not None and self.refused_at <= self.delivered
        )

    def teardown(self):
        if hasattr(self, "wire"):
            self.delivers_all()


TestStream = Stream.TestCase
TestStream.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
