"""Where log lines go: to a stream that may block, from a loop that may not.

Theory of operation. `write` appends to a bounded queue and returns; a thread takes lines from it
and writes them. A reader that stands still therefore fills the queue and loses lines, counted, and
never holds up the server. Until `open` is called nothing is written and the queue keeps the lines:
a start that fails is told in one line, and what led there is thrown away with the sink, unless
somebody asks for it.
"""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final, TextIO

# Lines waiting to be written: some megabytes, a few seconds of the worst storm.
LINES_MAX: Final = 10_000

# How long a stop waits for the last lines to be taken. The stop as a whole has 5 s.
CLOSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """The log's way out, now.

    Attributes:
        waiting: lines not yet written.
        lost: lines given up because too many waited.
    """

    waiting: int
    lost: int


class Sink:
    """A bounded queue of lines in front of a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._lost = 0
        self._stream = stream
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._writer: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Take one line, without its end. Never blocks, never raises."""
        with self._changed:
            if len(self._lines) >= LINES_MAX:
                self._lost += 1
                return
            self._lines.append(line)
            self._changed.notify()

    def open(self) -> None:
        """Write what is held, and from now on each line as it comes. May be called again."""
        with self._changed:
            if self._writer is None and not self._closing:
                self._writer = threading.Thread(target=self._run, name="log", daemon=True)
                self._writer.start()

    def close(self) -> None:
        """Write what is left, for `CLOSE_S` at most; what is still held is dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._writer is not None:
            self._writer.join(CLOSE_S)

    def statistics(self) -> SinkStatistics:
        """What waits and what was lost."""
        return SinkStatistics(len(self._lines), self._lost)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines and not self._closing:
                    self._changed.wait()
                if not self._lines:
                    return
                batch = "".join(f"{line}\n" for line in self._lines)
                self._lines.clear()
            try:
                self._stream.write(batch)
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads any more, and there is no one left to tell.
                return
