"""The live tree: asked for again and again, drawn in place, until Ctrl-C.

Theory of operation. One task asks and draws, another hears signals: it draws anew when the window
has another size, and ends everything at Ctrl-C. A request under way is left alone then, so the end
is a matter of moments. What fails before there is a picture ends the command; what fails later is
told above the last picture, since a node that is restarted is just what one wants to watch.
"""

import signal
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from app.inspect.client import InspectError
from app.inspect.limits import INSPECT_MARK_S
from app.inspect.model import Snapshot
from app.inspect.picture import age, render
from app.inspect.terminal import Terminal

Fetch = Callable[[], Awaitable[tuple[Snapshot, bytes]]]

_ENDS: Final = frozenset({signal.SIGINT, signal.SIGTERM})


async def watch(fetch: Fetch, terminal: Terminal, every_s: float) -> None:
    """Show the tree until SIGINT or SIGTERM.

    Args:
        fetch: the tree now.
        terminal: where it is shown.
        every_s: seconds between an answer and the next question.

    Raises:
        InspectError: there was not even a first answer.
    """
    first, _ = await fetch()
    film = _Film(terminal, first)
    with trio.open_signal_receiver(*_ENDS, signal.SIGWINCH) as signals, terminal:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_go_on, fetch, film, every_s)
            async for number in signals:
                if number in _ENDS:
                    break
                film.draw()
            nursery.cancel_scope.cancel()


async def _go_on(fetch: Fetch, film: "_Film", every_s: float) -> None:
    while True:
        film.draw()
        await trio.sleep(every_s)
        try:
            snapshot, _ = await fetch()
        except InspectError as error:
            film.trouble = str(error)
        else:
            film.add(snapshot)


class _Film:
    """The last pictures: the one that is shown, and the one that it is compared with.

    Attributes:
        trouble: why there is no newer picture; "" where that is the newest.
    """

    def __init__(self, terminal: Terminal, first: Snapshot) -> None:
        self.trouble = ""
        self._terminal = terminal
        self._taken = deque([(trio.current_time(), first)])

    def add(self, snapshot: Snapshot) -> None:
        """Go on to this one."""
        now = trio.current_time()
        self.trouble = ""
        self._taken.append((now, snapshot))
        # What is shown is compared with the picture before it, or with the first of the last few.
        while len(self._taken) > 2 and self._taken[0][0] < now - INSPECT_MARK_S:
            self._taken.popleft()

    def draw(self) -> None:
        """Show the newest, in the terminal's size of now."""
        taken, newest = self._taken[-1]
        before = self._taken[0][1] if len(self._taken) > 1 else None
        late = age(trio.current_time() - taken)
        trouble = f"{self.trouble}; this picture is {late} old" if self.trouble else ""
        canvas = self._terminal.canvas
        self._terminal.draw(render(newest, canvas, before=before, trouble=trouble))
