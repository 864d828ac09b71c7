"""Structured log lines: JSON on a pipe, readable on a terminal, without secrets on either.

A line has `timestamp` (UTC), `level`, `event` (a name of the table in `events`) and the event's
fields, flat, `trace` if it is told in the course of some work that has one, and `worker` where
several processes serve.
"""

import logging
import traceback
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any, Final, TextIO

import structlog

from actors import TRACE
from app.telemetry.redact import redact
from app.telemetry.sink import Sink

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: str, stream: TextIO, *, worker: int | None = None) -> Sink:
    """Send every log line of this process to `stream`, from `level` up.

    Args:
        level: the least serious that is told.
        stream: where to.
        worker: the number that each line carries, where several processes write to one stream.

    Returns:
        the sink, which holds all lines until it is opened.
    """
    sink = Sink(stream)
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)
    if stream.isatty():
        renderer = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
        )
    structlog.configure(
        processors=[
            partial(_add_worker, worker),
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _unfold_error,
            _redact_fields,
            _order,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _ToSink(sink),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries()
    return sink


def is_written(level: str, least: str) -> bool:
    """Whether lines of a level are, where `least` is the least serious that is told."""
    return _LEVELS[level] >= _LEVELS[least]


def write_line(level: str, event: str, fields: Mapping[str, object]) -> None:
    """Log one line."""
    structlog.get_logger().log(_LEVELS[level], event, **{_rename(k): v for k, v in fields.items()})


def _rename(name: str) -> str:
    """A field's name that does not meet those every line has."""
    return f"{name}_" if name in {"event", "level", "timestamp", "self"} else name


class _ToSink:
    """What structlog writes finished lines to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def msg(self, line: str) -> None:
        self._sink.write(line)

    debug = info = warning = error = critical = log = msg


def _add_worker(
    worker: int | None, _logger: object, _method: str, line: MutableMapping[str, Any]
) -> Any:
    if worker is not None:
        line["worker"] = worker
    return line


def _add_trace(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Any:
    trace = TRACE.get()
    if trace is not None:
        line["trace"] = trace
    return line


def _unfold_error(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Any:
    """On a line of level error, an exception in `error` brings its traceback along."""
    error = line.get("error")
    if isinstance(error, BaseException) and line["level"] == "error":
        line["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return line


def _redact_fields(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Any:
    return {name: redact(name, value) for name, value in line.items()}


def _order(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Any:
    """What one looks for first comes first; a traceback comes last."""
    first = {name: line.pop(name) for name in ("timestamp", "level", "event")}
    last = {"exception": line.pop("exception")} if "exception" in line else {}
    return {**first, **line, **last}


class _Library(logging.Handler):
    """Turns what libraries log into our event `library.warned`."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
        write_line(level, "library.warned", fields | ({"error": error} if error else {}))


def _adopt_libraries() -> None:
    """Libraries speak when something is wrong; their chatter is not ours to pass on."""
    root = logging.getLogger()
    root.handlers[:] = [_Library(logging.WARNING)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
