"""The table of events is what the code tells, no more and no less."""

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.telemetry import start_telemetry
from app.telemetry.events import BY_NAME, TABLE, markdown
from tests.tidy.source import ROOT, Source, read_tree

DOCS = Path(__file__).parents[3] / "docs"
NAME = re.compile(r"[a-z_]+\.[a-z_]+")


def _told() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the code that tells an event by a literal name: name, where, call."""
    for source in read_tree(ROOT):
        if source.path.parts[0] in {"actors", "channels", "app"} and source.is_python:
            yield from _told_in(source)


def _told_in(source: Source) -> Iterator[tuple[str, str, ast.Call]]:
    for called, call in source.calls:
        if called.split(".")[-1].lstrip("_") in {"emit", "tell", "write_line"}:
            for name in _names(call):
                yield name, f"{source.name}:{call.lineno}", call


def _names(call: ast.Call) -> Iterator[str]:
    """The names of events among a call's arguments, also where one of two is told."""
    for argument in call.args:
        either = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        for each in either:
            name = str(each.value) if isinstance(each, ast.Constant) else ""
            if NAME.fullmatch(name):
                yield name


def test_every_event_told_is_in_the_table() -> None:
    """A name in the code that the table does not know would fail where it is told."""
    assert [(name, where) for name, where, _ in _told() if name not in BY_NAME] == []


def test_every_event_in_the_table_is_told() -> None:
    """The table promises nothing that never comes."""
    assert set(BY_NAME) - {name for name, _, _ in _told()} == set()


def test_the_fields_told_are_those_in_the_table() -> None:
    """Where the fields stand beside the name they are the table's."""
    wrong = [
        (name, where)
        for name, where, call in _told()
        for fields in [argument for argument in call.args if isinstance(argument, ast.Dict)]
        if tuple(ast.literal_eval(key) for key in fields.keys if key) != BY_NAME[name].fields
    ]
    assert wrong == []


def test_the_table_is_well_formed() -> None:
    """Names are noun.verb_past and unique, levels are known, meanings are sentences."""
    assert len(BY_NAME) == len(TABLE)
    for event in TABLE:
        assert NAME.fullmatch(event.name), event
        assert event.level in {"debug", "info", "warning", "error"}, event
        assert event.meaning.endswith("."), event


def test_the_page_is_current() -> None:
    """docs/events.md is what the table prints: `make docs` writes it anew."""
    assert (DOCS / "events.md").read_text("utf-8") == markdown()


def test_an_event_is_counted_and_logged() -> None:
    """One call feeds the log, at the table's level, and the metric."""
    stream = io.StringIO()
    with start_telemetry("debug", stream) as telemetry:
        telemetry.emit("server.started", {"url": "http://h", "port": 1})
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"], found["port"]) == ("server.started", "info", 1)
    assert b'agio_events_total{event="server.started"} 1.0' in telemetry.metrics.render()[0]


def test_lines_wait_for_the_start() -> None:
    """What led to a start that succeeds is written with it."""
    stream = io.StringIO()
    with start_telemetry("info", stream) as telemetry:
        telemetry.emit("supervisor.restarted", {"supervisor": "s", "child": "c", "restarts": 1})
        telemetry.emit("server.started", {"url": "http://h", "port": 1})
    names = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert names == ["supervisor.restarted", "server.started"]


@pytest.mark.parametrize(("level", "lines"), [("info", 0), ("debug", 1)])
def test_a_start_that_fails_leaves_no_lines_unless_asked(level: str, lines: int) -> None:
    """The one line that the command prints is all, except at level debug."""
    stream = io.StringIO()
    with start_telemetry(level, stream) as telemetry:
        telemetry.emit("listener.starved", {"error": OSError()})
    assert len(stream.getvalue().splitlines()) == lines


def test_an_event_that_is_not_in_the_table_is_our_bug() -> None:
    """A name nobody documented is not told."""
    with start_telemetry("info", io.StringIO()) as telemetry, pytest.raises(AssertionError):
        telemetry.emit("nobody.knew", {})
