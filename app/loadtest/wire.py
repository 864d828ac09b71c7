"""A WebSocket client's frames: those we send, masked, and those that come, walked over. Pure.

All our frames have the same mask, drawn once for a run. What it is for, keeping a page from writing
bytes of its choice to a proxy, does not concern us; the server has to unmask either way.
"""

from typing import Final, NamedTuple

from app.loadtest.errors import LoadTestError
from app.loadtest.limits import MESSAGE_BYTES_MAX
from channels.frames import CLOSE, FIN, LENGTH, MASKED, OPCODE, TEXT, unmask

CONTINUATION: Final = 0x0
PING: Final = 0x9
PONG: Final = 0xA


class Frame(NamedTuple):
    """One frame that came.

    Attributes:
        first: its first byte: whether it ends its message, and its opcode.
        payload: its bytes.
    """

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        """What it is."""
        return self.first & OPCODE

    @property
    def is_last(self) -> bool:
        """Whether it ends its message."""
        return bool(self.first & FIN)


def read_frames(data: bytes) -> tuple[list[Frame], int]:
    """The whole frames at the beginning of what came, and how many bytes they take.

    Raises:
        LoadTestError: a frame is larger than any of ours.
    """
    frames: list[Frame] = []
    at, have = 0, len(data)
    while have - at >= 2:
        first, size = data[at], data[at + 1] & LENGTH
        head = 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if have - at < head:
                break
            size = int.from_bytes(data[at + 2 : at + head], "big")
            if size > MESSAGE_BYTES_MAX:
                raise LoadTestError(f"the server sends a message of {size} bytes")
        end = at + head + size
        if end > have:
            break
        frames.append(Frame(first, data[at + head : end]))
        at = end
    return frames, at


class Masker:
    """Makes a client's frames.

    Args:
        key: the mask, four bytes.
        filler: what text frames may end with, masked once for each place where it may begin.
    """

    def __init__(self, key: bytes, filler: bytes = b"") -> None:
        self._key = key
        self._filler_bytes = len(filler)
        self._fillers = [self._mask(filler, offset) for offset in range(4)]

    def frame(self, payload: bytes, opcode: int = TEXT) -> bytes:
        """One whole frame."""
        return self._head(opcode, len(payload)) + unmask(payload, self._key)

    def filled(self, before: bytes) -> bytes:
        """One whole text frame of this and the filler."""
        head = self._head(TEXT, len(before) + self._filler_bytes)
        return head + unmask(before, self._key) + self._fillers[len(before) % 4]

    def close(self) -> bytes:
        """The frame with which a client goes."""
        return self.frame((1000).to_bytes(2, "big"), CLOSE)

    def _mask(self, payload: bytes, offset: int) -> bytes:
        return unmask(payload, self._key[offset:] + self._key[:offset])

    def _head(self, opcode: int, size: int) -> bytes:
        if size < 126:
            return bytes((FIN | opcode, MASKED | size)) + self._key
        if size < 65_536:
            return bytes((FIN | opcode, MASKED | 126)) + size.to_bytes(2, "big") + self._key
        return bytes((FIN | opcode, MASKED | 127)) + size.to_bytes(8, "big") + self._key
