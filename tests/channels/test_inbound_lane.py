"""The inbound lane: with it or without it, the same messages in the same order."""

from dataclasses import dataclass, field
from itertools import pairwise, takewhile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from channels.frames import BINARY, TEXT
from channels.inbound_lane import InboundLane
from tests.channels.raw_frames import KEY
from tests.channels.raw_frames import masked as frame

MESSAGE_MAX = 200


@dataclass
class Reader:
    """What a connection makes of bytes: its messages, its pings, and how it ended."""

    seen: list[tuple[str, object]] = field(default_factory=list)
    parts: list[str | bytes] = field(default_factory=list)
    library: Connection = field(default_factory=lambda: Connection(ConnectionType.SERVER))
    ended: bool = False

    def pass_on(self, data: bytes) -> None:
        """Give bytes to the library, as trio-websocket does."""
        if self.ended:
            return
        self.library.receive_data(data)
        for event in takewhile(lambda _: not self.ended, self.library.events()):
            self.see(event)

    def see(self, event: object) -> None:
        """Note what the library saw; a message when it is whole."""
        if isinstance(event, TextMessage | BytesMessage):
            self.parts.append(bytes(event.data) if isinstance(event, BytesMessage) else event.data)
            if event.message_finished:
                self.seen.append(("message", join(self.parts)))
                self.parts = []
        elif isinstance(event, CloseConnection):
            self.seen.append(("close", int(event.code)))
            self.ended = True
        else:
            assert isinstance(event, Ping | Pong)
            self.seen.append((type(event).__name__, bytes(event.payload)))

    def lift(self, payload: bytes, opcode: int) -> None:
        """Note a message that the lane lifted."""
        if not self.ended:
            assert self.library.state is ConnectionState.OPEN
            assert self.parts == [], "lifted into a fragmented message"
            self.seen.append(("message", payload.decode() if opcode == TEXT else payload))


def join(parts: list[str | bytes]) -> str | bytes:
    """The parts of one message, all of one kind."""
    first = parts[0]
    return first[:0].join(parts)  # type: ignore[arg-type] # text and bytes do not mix in a message


def through_lane(pieces: list[bytes]) -> tuple[list[tuple[str, object]], int]:
    """What is seen through the lane, and how many messages it says it passed."""
    reader, lane = Reader(), InboundLane(MESSAGE_MAX)
    for piece in pieces:
        lane.feed(piece)
        while passed := lane.walk(reader.lift):
            reader.pass_on(passed)
    return reader.seen, lane.passed


def alone(data: bytes) -> list[tuple[str, object]]:
    """What the library sees by itself."""
    reader = Reader()
    reader.pass_on(data)
    return reader.seen


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=90).map(str.encode)
BYTES = st.binary(max_size=MESSAGE_MAX)
KEYS = st.sampled_from([b"\0\0\0\0", KEY])
PLAIN = st.builds(lambda text, key: frame(0x81, text, key=key), TEXTS, KEYS) | st.builds(
    lambda data, key: frame(0x82, data, key=key), BYTES, KEYS
)
ANY_FRAME = st.builds(
    lambda first, payload, key: frame(first, payload, key=key),
    st.sampled_from([0x81, 0x01, 0x80, 0x00, 0x82, 0x89, 0x8A, 0x88, 0xC1, 0x83, 0x09]),
    TEXTS | st.binary(max_size=260),
    KEYS,
)
ODD = st.sampled_from(
    [
        frame(0x81, b"short", extra=2),
        frame(0x81, b"short", extra=8),
        frame(0x81, b"x" * 130, extra=8),
        frame(0x81, b"\xff"),
        frame(0x81, b"x" * (MESSAGE_MAX + 1)),
        frame(0x81, b"x" * 66_000),
        b"\x81\x05plain",
        b"\x88\x80" + KEY,
        frame(0x89, b"x" * 126),
    ]
)


@pytest.mark.slow
@given(st.lists(PLAIN | ANY_FRAME | ODD, max_size=8), st.lists(st.integers(0, 5000), max_size=8))
@settings(max_examples=400, deadline=None)
def test_frames_mean_the_same_through_the_lane(frames: list[bytes], places: list[int]) -> None:
    """Whatever the frames, and however they are cut into pieces."""
    data = b"".join(frames)
    assert alone(data) == through_lane(cut(data, places))[0]


@pytest.mark.slow
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
@example(b"\x81\x82\0\0\0\0\x80", [])
@settings(max_examples=300, deadline=None)
def test_any_bytes_mean_the_same_through_the_lane(data: bytes, places: list[int]) -> None:
    """Also those that are no frames."""
    # Completes a frame that was cut: the library sees at once that text is none, the lane then.
    data += bytes(MESSAGE_MAX + 14)
    assert alone(data) == through_lane(cut(data, places))[0]


def test_byte_by_byte_nothing_changes() -> None:
    """Plain, fragmented, control and binary frames in one stream."""
    data = b"".join(
        [
            frame(0x81, b"one"),
            frame(0x89, b"ping"),
            frame(0x01, b"two-"),
            frame(0x89, b"within"),
            frame(0x80, b"parts"),
            frame(0x81, b"three" * 30),
            frame(0x82, b"\x00\xff"),
            frame(0x81, b""),
            frame(0x88, b"\x03\xe8bye"),
            frame(0x81, b"after the end"),
        ]
    )
    seen, passed = through_lane([data[n : n + 1] for n in range(len(data))])
    assert seen == alone(data)
    assert [what for what, _ in seen].count("message") == 5
    assert passed == 1, "the fragmented one"


@dataclass
class Lifted:
    """What a lane lifted."""

    messages: list[tuple[bytes, int]] = field(default_factory=list)

    def lift(self, payload: bytes, opcode: int) -> None:
        """Note a message."""
        self.messages.append((payload, opcode))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_plain_frames_are_lifted_without_the_library(opcode: int) -> None:
    """That is what the lane is for."""
    lane, lifted = InboundLane(MESSAGE_MAX), Lifted()
    payloads = [b"a", b"b" * 150, "é".encode(), b""]
    lane.feed(b"".join(frame(0x80 | opcode, payload) for payload in payloads))
    assert lane.walk(lifted.lift) == b""
    assert lifted.messages == [(payload, opcode) for payload in payloads]


def test_bytes_need_not_be_text() -> None:
    """Only what says that it is text is looked at."""
    lane, lifted = InboundLane(MESSAGE_MAX), Lifted()
    lane.feed(frame(0x82, b"\xff" * 20) + frame(0x82, b"\xff") + frame(0x81, b"\xff" * 20))
    assert lane.walk(lifted.lift) == frame(0x81, b"\xff" * 20)
    assert lifted.messages == [(b"\xff" * 20, BINARY), (b"\xff", BINARY)]


@pytest.mark.parametrize("size", [MESSAGE_MAX, MESSAGE_MAX + 1])
def test_a_message_is_lifted_up_to_the_bound(size: int) -> None:
    """A larger one is left to the library, which ends the connection."""
    lane, lifted = InboundLane(MESSAGE_MAX), Lifted()
    lane.feed(frame(0x81, b"x" * size))
    assert (lane.walk(lifted.lift) == b"") == (size <= MESSAGE_MAX)
    assert len(lifted.messages) == (size <= MESSAGE_MAX)


def test_half_a_large_frame_is_not_kept() -> None:
    """A client cannot make the lane hold more than one message of allowed size."""
    lane = InboundLane(MESSAGE_MAX)
    half = frame(0x81, b"x" * 60_000)[:30_000]
    lane.feed(half)
    assert lane.walk(Lifted().lift) == half


def test_one_frame_is_passed_at_a_time() -> None:
    """So that the library answers a ping before what follows it is acted upon."""
    lane, lifted = InboundLane(MESSAGE_MAX), Lifted()
    ping, pong = frame(0x89, b"1"), frame(0x8A, b"2")
    lane.feed(frame(0x81, b"a") + ping + pong + frame(0x81, b"b"))
    walked = [(lane.walk(lifted.lift), len(lifted.messages)) for _ in range(3)]
    assert walked == [(ping, 1), (pong, 1), (b"", 2)]
