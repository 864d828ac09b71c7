"""The sink never holds anybody up, and holds back until it is opened."""

import io
import threading

from app.telemetry.sink import LINES_MAX, Sink, SinkStatistics


class StandingStream(io.StringIO):
    """A stream whose reader stands still until `moving` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.moving = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        """Waits for the reader."""
        self.reached.set()
        self.moving.wait()
        return super().write(text)


class GoneStream(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        """Fails as a closed pipe does."""
        raise BrokenPipeError


def test_an_open_sink_writes_in_order() -> None:
    """Each line comes out whole and in its turn."""
    stream = io.StringIO()
    sink = Sink(stream)
    sink.open()
    for number in range(1_000):
        sink.write(str(number))
    sink.close()
    assert stream.getvalue().splitlines() == [str(number) for number in range(1_000)]


def test_lines_are_held_until_the_sink_is_opened() -> None:
    """What was written before comes first."""
    stream = io.StringIO()
    sink = Sink(stream)
    sink.write("before")
    assert stream.getvalue() == ""
    sink.open()
    sink.open()
    sink.write("after")
    sink.close()
    assert stream.getvalue() == "before\nafter\n"


def test_a_sink_that_was_never_opened_drops_what_it_held() -> None:
    """A start that failed leaves one line, which is not the log's."""
    stream = io.StringIO()
    sink = Sink(stream)
    sink.write("before")
    sink.close()
    sink.open()
    sink.write("after")
    assert stream.getvalue() == ""


def test_a_reader_that_stands_still_loses_lines_and_holds_nobody_up() -> None:
    """Beyond the bound lines are lost, counted; the others come when the reader moves on."""
    stream = StandingStream()
    sink = Sink(stream)
    sink.open()
    sink.write("first")
    stream.reached.wait()
    for number in range(LINES_MAX + 7):
        sink.write(str(number))
    assert sink.statistics() == SinkStatistics(waiting=LINES_MAX, lost=7)
    stream.moving.set()
    sink.close()
    assert stream.getvalue().splitlines() == ["first", *map(str, range(LINES_MAX))]


def test_a_reader_that_is_gone_ends_the_writing() -> None:
    """Nobody is told, because there is nobody; the server goes on."""
    sink = Sink(GoneStream())
    sink.open()
    sink.write("lost")
    sink.close()
    sink.write("lost, too")
