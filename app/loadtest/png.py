"""A canvas of pixels that becomes a PNG file. Pure, with nothing but zlib.

It is drawn at twice the size, so that it is sharp on the screens of today.
"""

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from app.loadtest.font import ASCENT, COLUMNS, GLYPHS, UNKNOWN
from app.loadtest.plot import HEIGHT, INKS, WIDTH, Align, Point

SCALE: Final = 2

# Letters of seven pixels, at twice the size of the twice as large picture, look like those of 13.
_LETTER: Final = 3
_ADVANCE: Final = (COLUMNS + 1) * _LETTER

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


class PngCanvas:
    """Keeps what is drawn as pixels, a byte each, which is the number of an ink."""

    def __init__(self) -> None:
        self._width = WIDTH * SCALE
        self._height = HEIGHT * SCALE
        self._rows = [bytearray(self._width) for _ in range(self._height)]
        self._inks = {ink: number for number, ink in enumerate(INKS)}

    def line(self, points: Sequence[Point], ink: str, width: int) -> None:
        """A line from point to point."""
        for (x, y), (to_x, to_y) in pairwise([points[0], *points]):
            steps = max(round(max(abs(to_x - x), abs(to_y - y)) * SCALE), 1)
            for step in range(steps + 1):
                part = step / steps
                across, down = x + (to_x - x) * part, y + (to_y - y) * part
                self._dot(across * SCALE, down * SCALE, width * SCALE, self._inks[ink])

    def bar(self, corner: Point, size: Point, ink: str) -> None:
        """A filled rectangle, from its upper left corner."""
        (x, y), (width, height) = corner, size
        self._fill(
            (round(x * SCALE), round(y * SCALE)),
            (round((x + width) * SCALE), round((y + height) * SCALE)),
            self._inks[ink],
        )

    def text(self, place: Point, said: str, ink: str, align: Align) -> None:
        """Letters that stand on this height and begin, end, or have their middle here."""
        before = {"start": 0.0, "middle": 0.5, "end": 1.0}[align]
        left = round(place[0] * SCALE - before * (len(said) * _ADVANCE - _LETTER))
        top = round(place[1] * SCALE) - ASCENT * _LETTER
        for number, letter in enumerate(said):
            for column, bits in enumerate(GLYPHS.get(letter, UNKNOWN)):
                for row in range(8):
                    if bits >> row & 1:
                        x = left + number * _ADVANCE + column * _LETTER
                        y = top + row * _LETTER
                        self._fill((x, y), (x + _LETTER, y + _LETTER), self._inks[ink])

    def finish(self) -> bytes:
        """The file."""
        size = struct.pack(">IIBBBBB", self._width, self._height, 8, 3, 0, 0, 0)
        palette = b"".join(bytes(ink) for ink in INKS.values())
        pixels = b"".join(b"\0" + row for row in self._rows)
        return b"".join(
            [
                _SIGNATURE,
                _piece(b"IHDR", size),
                _piece(b"PLTE", palette),
                _piece(b"IDAT", zlib.compress(pixels, 9)),
                _piece(b"IEND", b""),
            ]
        )

    def _dot(self, x: float, y: float, size: int, ink: int) -> None:
        left, top = round(x - size / 2), round(y - size / 2)
        self._fill((left, top), (left + size, top + size), ink)

    def _fill(self, start: tuple[int, int], end: tuple[int, int], ink: int) -> None:
        """From one place up to another, as far as there is paper."""
        left, right = max(start[0], 0), min(end[0], self._width)
        run = bytes([ink]) * (right - left)
        for row in range(max(start[1], 0), min(end[1], self._height)):
            self._rows[row][left : left + len(run)] = run


def _piece(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
