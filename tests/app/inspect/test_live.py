"""The live tree: drawn in place, kept through trouble, and gone at Ctrl-C."""

import io
import os
import re
import signal
import termios
import tty
from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from actors.tree import Vitals
from app.inspect.client import InspectError
from app.inspect.live import watch
from app.inspect.model import Snapshot
from app.inspect.picture import ASCII, LINES, Canvas
from app.inspect.terminal import Terminal
from tests.app.inspect.trees import actor, snapshot, supervisor

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
Answer = Snapshot | InspectError


class Tty(io.StringIO):
    """A terminal that remembers what was written, and tells each picture."""

    def __init__(self, drawn: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._drawn = drawn

    def isatty(self) -> bool:
        """It is one."""
        return True

    def flush(self) -> None:
        """Tell, after each picture."""
        if self.getvalue().endswith("\x1b[J"):
            self._drawn()

    @property
    def frames(self) -> list[list[str]]:
        """Each picture's lines, without what commands the terminal."""
        whole = self.getvalue().split("\x1b[H")[1:]
        return [frame.split("\x1b[K\x1b[J")[0].split("\x1b[K\r\n") for frame in whole]


def tree(hub_age_s: float, restarts: int = 0) -> Vitals:
    """A tree with one actor."""
    return supervisor("agio", "one_for_one", actor("hub", age_s=hub_age_s, restarts=restarts))


async def show(answers: Sequence[Answer], clock: MockClock) -> Tty:
    """Watch until these answers were drawn, one a second, then Ctrl-C; what was shown."""
    left = list(answers)

    def drawn() -> None:
        if not left:
            signal.raise_signal(signal.SIGINT)

    async def fetch() -> tuple[Snapshot, bytes]:
        await trio.lowlevel.checkpoint()
        answer = left.pop(0)
        if isinstance(answer, InspectError):
            raise answer
        return answer, b""

    stream = Tty(drawn)
    with trio.fail_after(60):
        await watch(fetch, Terminal(stream, {"TERM": "xterm", "NO_COLOR": "1"}), 1.0)
    assert len(answers) - 1 == round(clock.current_time(), 3)
    return stream


async def test_the_screen_is_restored_at_ctrl_c(autojump_clock: MockClock) -> None:
    """The picture has a screen of its own, without cursor, and everything is as before after."""
    written = (await show([snapshot(tree(300.0))], autojump_clock)).getvalue()
    assert written.startswith(f"{ENTER}\x1b[?25l\x1b[?7l\x1b[H")
    assert written.endswith(f"\x1b[?7h\x1b[?25h{LEAVE}")


async def test_what_changed_since_is_marked(autojump_clock: MockClock) -> None:
    """One picture follows the other, in its place."""
    later = snapshot(tree(0.5, restarts=1), uptime_s=301.0)
    first, second = (await show([snapshot(tree(300.0)), later], autojump_clock)).frames
    assert not any(line.startswith("!") for line in first)
    assert [line for line in second if line.startswith("!")] == [
        "! └ hub  actor        running  0.5 s         1     0/64     0"
    ]


async def test_a_mark_stays_for_some_seconds(autojump_clock: MockClock) -> None:
    """Long enough to be seen, however often it is drawn; then it goes."""
    grown = [snapshot(tree(n + 0.5, restarts=1), uptime_s=301.0 + n) for n in range(9)]
    frames = (await show([snapshot(tree(300.0)), *grown], autojump_clock)).frames
    marked = [any(line.startswith("!") for line in frame) for frame in frames]
    assert marked == [False, *[True] * 5, *[False] * 4]


async def test_the_last_picture_stays_where_a_node_is_away(autojump_clock: MockClock) -> None:
    """It says so and how old it is, and goes on when the node is back."""
    away = InspectError("cannot reach it")
    answers: list[Answer] = [snapshot(tree(300.0)), away, away, snapshot(tree(1.0), uptime_s=1.5)]
    frames = (await show(answers, autojump_clock)).frames
    assert [frame[2] for frame in frames] == [
        "",
        "cannot reach it; this picture is 1.0 s old",
        "cannot reach it; this picture is 2.0 s old",
        "1 restarted (!)",
    ]


async def test_without_a_first_answer_no_screen_is_taken(autojump_clock: MockClock) -> None:
    """The reason is then the command's one line."""
    with pytest.raises(InspectError, match="cannot reach it"):
        await show([InspectError("cannot reach it")], autojump_clock)


async def test_a_fault_of_ours_restores_the_screen(autojump_clock: MockClock) -> None:
    """Whatever ends the picture, the terminal is as before."""
    stream = Tty()
    answers = iter([(snapshot(tree(300.0)), b"")])

    async def fetch() -> tuple[Snapshot, bytes]:
        await trio.lowlevel.checkpoint()
        return next(answers)

    with pytest.raises(ExceptionGroup):
        await watch(fetch, Terminal(stream, {"TERM": "xterm"}), 1.0)
    assert stream.getvalue().endswith(LEAVE)
    assert 1 == round(autojump_clock.current_time(), 3)


async def test_a_window_of_another_size_is_drawn_anew() -> None:
    """At once, not at the next answer."""
    main, window = os.openpty()
    tty.setraw(window)
    with os.fdopen(window, "w") as stream:
        terminal = Terminal(stream, {"TERM": "xterm", "NO_COLOR": "1"})

        async def fetch() -> tuple[Snapshot, bytes]:
            await trio.lowlevel.checkpoint()
            return snapshot(tree(300.0)), b""

        async with trio.open_nursery() as nursery, trio.lowlevel.FdStream(main) as screen:
            termios.tcsetwinsize(window, (24, 80))
            nursery.start_soon(watch, fetch, terminal, 3_600.0)
            await _read_until(screen, b"\x1b[J")
            termios.tcsetwinsize(window, (10, 40))
            signal.raise_signal(signal.SIGWINCH)
            drawn = await _read_until(screen, b"\x1b[J")
            signal.raise_signal(signal.SIGTERM)
            await _read_until(screen, LEAVE.encode())
    lines = re.sub(r"\x1b\[.", "", drawn.decode()).split("\r\n")
    assert 40 == max(len(line) for line in lines)


async def _read_until(screen: trio.lowlevel.FdStream, end: bytes) -> bytes:
    read = b""
    while not read.endswith(end):
        read += await screen.receive_some()
    return read


def test_a_file_is_no_terminal() -> None:
    """It gets the whole picture, without colour."""
    terminal = Terminal(io.StringIO(), {"TERM": "xterm"})
    assert not terminal.is_live
    assert terminal.canvas == Canvas(glyphs=LINES)


def test_a_terminal_that_can_do_nothing_is_written_to_as_a_file() -> None:
    """Nothing can be drawn in place there."""
    assert not Terminal(Tty(), {"TERM": "dumb"}).is_live
    assert not Terminal(Tty(), {}).is_live


def test_who_wants_no_colour_gets_none() -> None:
    """NO_COLOR, where it is not empty, is heeded."""
    assert Terminal(Tty(), {"TERM": "xterm", "NO_COLOR": ""}).canvas.colour
    assert not Terminal(Tty(), {"TERM": "xterm", "NO_COLOR": "1"}).canvas.colour


def test_a_stream_that_has_no_lines_is_given_letters() -> None:
    """What it cannot encode is not written."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert Terminal(stream, {}).canvas.glyphs is ASCII
