"""The inbound lane: tells frames that are plainly whole messages from all other bytes.

Pure. What it lifts are complete, unfragmented, masked frames of allowed size: binary ones, and text
that is valid UTF-8. All else is passed on, byte for byte and in order, to the WebSocket library,
which alone knows what is allowed, what is answered and what ends the connection.

The lane follows the frames it passes, so it knows at every byte whether the next one begins a frame
and whether a fragmented message is open; only at such a beginning, with none open, does it lift.
After a close frame, or a head that breaks the rules, it passes everything for good.

It yields at most one passed frame at a time. Its user lets the library finish with that before
asking for more, so nothing lifted overtakes anything passed.

A frame that can be lifted but is not complete is kept: at most `message_max` bytes and its header.
It is looked at again only when all of it is there, however small the pieces it comes in.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from channels.frames import BINARY, FIN, LENGTH, MASKED, OPCODE, TEXT, unmask

Lift: TypeAlias = Callable[[bytes, int], None]
"""Takes one message: its payload, and TEXT or BINARY."""

_TEXT: Final = FIN | TEXT
_BINARY: Final = FIN | BINARY
_LIFTABLE: Final = frozenset({_TEXT, _BINARY})
_CONTINUATION: Final = 0x0
_DATA: Final = frozenset({0x0, 0x1, 0x2})
_PING_PONG: Final = frozenset({0x9, 0xA})  # close is the end: nothing is followed behind it
_CONTROL_MAX: Final = 125
_RESERVED_BITS: Final = 0x70
_MASK_BYTES: Final = 4
# Bytes of the length that follow the second byte, and how long the head then is without its mask.
_LENGTH_BYTES: Final = {126: 2, 127: 8}
_HEAD_STEPS: Final = {126: 4, 127: 10}


class InboundLane:
    """One connection's lane. Feed it bytes, walk until the walk returns nothing, feed it more."""

    __slots__ = (
        "_at",
        "_completes",
        "_data",
        "_fragmented",
        "_kept",
        "_message_max",
        "_passing",
        "_wanted",
        "blind",
        "passed",
    )

    def __init__(self, message_max: int) -> None:
        """A lane at the first byte after the handshake.

        Args:
            message_max: bytes of the largest message that is lifted.
        """
        self.passed = 0
        """Messages that were passed on whole, so far."""
        self.blind = False
        """A close frame came, or one that breaks the rules: all is passed, and nothing followed."""
        self._message_max = message_max
        self._data = b""
        self._at = 0  # where in `_data` the walk stands
        self._kept = bytearray()  # the beginning of a frame, until `_wanted` bytes of it are there
        self._wanted = 0
        self._passing = 0  # bytes to come of a frame whose beginning was passed
        self._completes = False  # that frame ends a message
        self._fragmented = False  # a fragmented message is open

    def feed(self, data: bytes) -> None:
        """Add what was received, after the walk returned nothing."""
        assert self._at == len(self._data), "walk to the end first"
        if not self._kept:
            self._data, self._at = data, 0
            return
        self._kept += data
        if len(self._kept) >= self._wanted:
            self._data, self._at = bytes(self._kept), 0
            self._kept = bytearray()

    def walk(self, lift: Lift) -> bytes:
        """Lift what can be lifted, up to the first byte that cannot.

        Args:
            lift: called with each message, in order.

        Returns:
            Bytes to pass on, of one frame at most; empty when more must be received.
        """
        while True:
            if self.blind:
                return self._take(len(self._data) - self._at)
            if self._passing:
                return self._pass_on(self._passing)
            if not self._fragmented and self._lift_plain(lift):
                return b""
            head = _read_head(self._data, self._at)
            if head is None:
                return self._keep(2)
            if self._offends(head):
                self.blind = True
            elif head.size < 0:
                return self._keep(_HEAD_STEPS[-head.size])
            elif self._fragmented or head.first not in _LIFTABLE or head.size > self._message_max:
                return self._pass_frame(head)
            elif self._at + head.whole > len(self._data):
                return self._keep(head.whole)
            else:
                self._lift_one(head, lift)

    def _lift_plain(self, lift: Lift) -> bool:
        """Lift plain frames of up to 64 KB from here on, up to anything else. True at the end."""
        data, at, have = self._data, self._at, len(self._data)
        while have - at >= 8:
            first = data[at]
            if first != _TEXT and first != _BINARY:  # noqa: PLR1714 - the quickest way to ask
                return False
            size = data[at + 1] - MASKED
            begin = at + 6
            if size == 126:
                size = (data[at + 2] << 8) | data[at + 3]
                begin = at + 8
                if size < 126:
                    return False
            elif not 0 <= size < 126:
                return False
            end = begin + size
            if end > have or size > self._message_max:
                return False
            payload = unmask(data[begin:end], data[begin - 4 : begin])
            if first == _TEXT and not payload.isascii() and not _is_utf8(payload):
                return False
            self._at = at = end
            lift(payload, first & OPCODE)
        return at == have

    def _lift_one(self, head: "_Head", lift: Lift) -> None:
        """Lift the one frame here, unless its text is none."""
        end = self._at + head.whole
        begin = end - head.size
        payload = unmask(self._data[begin:end], self._data[begin - 4 : begin])
        if head.first == _BINARY or _is_utf8(payload):
            self._at = end
            lift(payload, head.first & OPCODE)
        else:
            self.blind = True

    def _offends(self, head: "_Head") -> bool:
        """Whether the connection ends with this frame, so that following it is of no use."""
        opcode = head.first & OPCODE
        if opcode in _DATA:
            wrong = (opcode == _CONTINUATION) != self._fragmented
        else:
            short = abs(head.size) <= _CONTROL_MAX
            wrong = opcode not in _PING_PONG or not head.first & FIN or not short
        return wrong or bool(head.first & _RESERVED_BITS) or not head.sound

    def _pass_frame(self, head: "_Head") -> bytes:
        """Pass what is there of the frame here, and remember what is to come."""
        ends = bool(head.first & FIN)
        if head.first & OPCODE in _DATA:
            self._fragmented = not ends
            self._completes = ends
        else:
            self._completes = False
        return self._pass_on(head.whole)

    def _pass_on(self, wanted: int) -> bytes:
        taken = self._take(min(wanted, len(self._data) - self._at))
        self._passing = wanted - len(taken)
        if not self._passing and self._completes:
            self.passed += 1
        return taken

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def _keep(self, wanted: int) -> bytes:
        """Keep what is there until `wanted` bytes are; returns nothing to pass."""
        self._kept += self._take(len(self._data) - self._at)
        self._wanted = wanted
        return b""


class _Head(NamedTuple):
    """The head of a frame.

    Attributes:
        first: its first byte: FIN, reserved bits, opcode.
        size: bytes of its payload; where that is not all there, the length's first byte, negated.
        whole: bytes of the frame, head and mask included.
        sound: masked, and its length spelt in the fewest bytes.
    """

    first: int
    size: int
    whole: int
    sound: bool


def _read_head(data: bytes, at: int) -> _Head | None:
    """The head of the frame at a place, mask aside; None if not even two bytes are there."""
    have = len(data) - at
    if have < 2:
        return None
    first, second = data[at], data[at + 1]
    size = second & LENGTH
    extra = _LENGTH_BYTES.get(size, 0)
    if have < 2 + extra:
        return _Head(first, -size, 0, sound=bool(second & MASKED))
    minimal = True
    if extra:
        size = int.from_bytes(data[at + 2 : at + 2 + extra], "big")
        minimal = size < 2**63 and size > (125 if extra == 2 else 65_535)
    return _Head(first, size, 2 + extra + _MASK_BYTES + size, bool(second & MASKED) and minimal)


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
