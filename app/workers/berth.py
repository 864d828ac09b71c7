"""A worker's place among its siblings: its number, and what the parent tells it.

Theory of operation. The parent writes to the worker's standard input who is there, and reads its
standard output, on which it says that it serves, or why it cannot. The end of the standard input is
the end of the parent, and so of the worker: where the kernel does not see to that, this does.
"""

import os
import sys
from contextlib import aclosing
from typing import Final

import msgspec
import trio

from app.lines import line_of, read_lines
from app.workers.model import Crew, Failed, Up

_READ: Final = msgspec.json.Decoder(Crew)


class Berth:
    """One worker's place.

    Attributes:
        number: the worker's, from 1.
        count: how many workers there are to be.
        crew: who serves now, as far as it was told.
    """

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self.count = count
        self.crew = Crew({}, {})

    @property
    def name(self) -> str:
        """As in the supervision tree."""
        return name_of(self.number)

    def say_up(self, port: int, local_port: int) -> None:
        """Tell the parent that this worker serves."""
        _say(Up(port, local_port))

    def say_failed(self, reason: str) -> None:
        """Tell the parent why it cannot."""
        _say(Failed(reason))

    async def listen(self, everything: trio.CancelScope) -> None:
        """Take in what the parent says; cut everything down when the parent is gone."""
        # Of its own descriptor, since closing the stream closes that.
        async with (
            trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream,
            aclosing(read_lines(stream)) as lines,
        ):
            async for line in lines:
                self.crew = _READ.decode(line)
        everything.cancel()


def name_of(number: int) -> str:
    """A worker's name, such as `worker-2`."""
    return f"worker-{number}"


def _say(message: Up | Failed) -> None:
    """Write one line. It is short, the parent reads, and nothing else is written there."""
    try:
        os.write(sys.stdout.fileno(), line_of(message))
    except OSError:
        return  # the parent is gone, and so are we
