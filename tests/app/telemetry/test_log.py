"""Log lines: their form, their order, their errors, and whose context they carry."""

import io
import json
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from app.telemetry.log import configure, write_line
from app.telemetry.trace import trace_of, traced


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Always."""
        return True


def _written(level: str, work: Callable[[], object], stream: io.StringIO | None = None) -> str:
    """What is on the stream after `work`."""
    stream = stream or io.StringIO()
    sink = configure(level, stream)
    sink.open()
    work()
    sink.close()
    return stream.getvalue()


def _lines(level: str, work: Callable[[], object]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _written(level, work).splitlines()]


def _raised(error: Exception) -> Exception:
    """The error with a traceback, as an `except` finds it."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_a_line_is_one_json_object() -> None:
    """Time, level and name come first, then the fields, flat."""
    (line,) = _lines("info", lambda: write_line("info", "sale.opened", {"sale": "demo", "n": 3}))
    assert list(line) == ["timestamp", "level", "event", "sale", "n"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["sale"], line["n"]) == (
        "info",
        "sale.opened",
        "demo",
        3,
    )


def test_less_serious_lines_are_left_out() -> None:
    """The level is the least that is written."""

    def work() -> None:
        for level in ("debug", "info", "warning", "error"):
            write_line(level, "x.done", {})

    assert [line["level"] for line in _lines("warning", work)] == ["warning", "error"]


def test_an_error_brings_its_traceback_on_level_error_only() -> None:
    """A crash can be found in the code; a refusal of the world needs no more than its text."""

    def work() -> None:
        write_line("error", "x.crashed", {"error": _raised(KeyError("x"))})
        write_line("warning", "x.failed", {"error": _raised(KeyError("x"))})

    crashed, failed = _lines("info", work)
    assert crashed["error"] == failed["error"] == "KeyError: 'x'"
    assert crashed["exception"].startswith("Traceback")
    assert "exception" not in failed


def test_secrets_are_taken_out_of_every_part() -> None:
    """Fields and tracebacks pass the same filter."""
    error = _raised(ConnectionError("no answer from postgresql://agio:hush@db/agio"))
    fields = {"error": error, "password": "hush"}
    text = _written("info", lambda: write_line("error", "x.crashed", fields))
    assert "Traceback" in text
    assert "hush" not in text


def test_a_field_cannot_take_the_place_of_a_line_s_own() -> None:
    """A field named like a line's own is renamed, not lost and not obeyed."""
    fields = {"event": "forged", "level": "forged"}
    (line,) = _lines("info", lambda: write_line("info", "x.done", fields))
    assert (line["event"], line["level"]) == ("x.done", "info")
    assert (line["event_"], line["level_"]) == ("forged", "forged")


def test_a_line_break_in_a_field_starts_no_line() -> None:
    """Nobody can forge a line of the log."""
    fields = {"name": 'x\n{"event": "forged"}'}
    assert _written("info", lambda: write_line("info", "x.done", fields)).count("\n") == 1


def test_a_terminal_gets_readable_lines() -> None:
    """A person is not shown JSON."""
    text = _written("info", lambda: write_line("info", "x.done", {"n": 1}), Terminal())
    assert "x.done" in text
    assert not text.startswith("{")


def test_a_trace_is_on_every_line_of_its_block() -> None:
    """Within the block its own, and not the one outside; after it as before."""

    def work() -> None:
        with traced("a"):
            write_line("info", "x.done", {})
            with traced("b"):
                write_line("info", "x.done", {})
            write_line("info", "x.done", {})
        write_line("info", "x.done", {})

    assert ["a", "b", "a", None] == [line.get("trace") for line in _lines("info", work)]


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736", None),
        ("", None),
    ],
)
def test_a_caller_may_bring_its_trace(traceparent: str, trace: str | None) -> None:
    """By the W3C's header; what is none gives a trace of our own."""
    found = trace_of(traceparent)
    assert trace == found or (trace is None and found.startswith("req_"))


@pytest.mark.parametrize("level", ["warning", "error"])
def test_a_library_s_warning_is_an_event(level: str) -> None:
    """What libraries log from warning up becomes our event."""
    (line,) = _lines("info", lambda: getattr(logging.getLogger("lib"), level)("it %s", "creaks"))
    told = (line["event"], line["level"], line["logger"], line["message"])
    assert told == ("library.warned", level, "lib", "it creaks")


def test_a_library_s_chatter_is_left_out() -> None:
    """Their info is not passed on, not even at our debug."""
    assert _lines("debug", lambda: logging.getLogger("lib").info("hello")) == []


def test_a_python_warning_is_an_event() -> None:
    """`warnings.warn` reaches the log, too."""

    def work() -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        (line,) = _lines("info", work)
    assert "DeprecationWarning: old" in line["message"]
