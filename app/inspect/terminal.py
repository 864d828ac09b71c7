"""A terminal: its size, what it can show, and a picture that stays in its place."""

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TextIO

from app.inspect.picture import ASCII, LINES, Canvas

# What terminals of the last forty years have, where one does not tell its size.
_USUAL: Final = (80, 24)

# The alternate screen, without cursor and without wrapping; and back.
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class Terminal:
    """Where pictures go. As a context manager it is a screen of its own, restored at the end.

    Args:
        stream: where to write.
        environment: of the process: `TERM` and `NO_COLOR`.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self._has_colour = not environment.get("NO_COLOR")
        self.is_live: Final = stream.isatty() and environment.get("TERM", "dumb") != "dumb"

    @property
    def canvas(self) -> Canvas:
        """What there is to draw on now, for one picture after the other."""
        glyphs = LINES if _can_show(self._stream, LINES.child + LINES.cut) else ASCII
        if not self.is_live:
            return Canvas(glyphs=glyphs)
        width, height = _size(self._stream)
        return Canvas(width, height, colour=self._has_colour, glyphs=glyphs)

    def draw(self, lines: Sequence[str]) -> None:
        """Put these lines in the place of what is there."""
        shown = f"{_END_OF_LINE}\r\n".join(lines)
        self._write(f"{_HOME}{shown}{_END_OF_LINE}{_END_OF_SCREEN}")

    def __enter__(self) -> Self:
        self._write(_ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write(_LEAVE)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines. A terminal that nobody told its size has none of either."""
    try:
        width, height = os.get_terminal_size(stream.fileno())
    except OSError:
        return _USUAL
    return width or _USUAL[0], height or _USUAL[1]


def _can_show(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
