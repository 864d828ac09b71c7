"""What a node tells about itself: log lines and metrics, both fed by one function, `emit`.

Parts of the product are handed an `Emit` and call it with an event's name and flat fields. Every
name is in the table of `events`; `emit` counts it and logs it at the table's level. Metrics that
cost something to keep are read from `statistics()` when they are scraped.
"""

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self, TextIO

from app.telemetry.events import BY_NAME
from app.telemetry.log import configure, is_written, write_line
from app.telemetry.metrics import Metrics
from app.telemetry.sink import Sink

__all__ = ["Metrics", "Telemetry", "start_telemetry"]

# From this event on log lines are written; a start that fails before it is told in one line.
_STARTED: Final = "server.started"


class Telemetry:
    """One process's log and metrics. A context manager: leaving it writes the last lines.

    Attributes:
        metrics: its numbers.
    """

    def __init__(self, sink: Sink, level: str) -> None:
        self.metrics: Final = Metrics()
        self.metrics.watch("log", sink.statistics, counters=["lost"])
        self._sink = sink
        self._written = {name: is_written(it.level, level) for name, it in BY_NAME.items()}

    def emit(self, name: str, fields: Mapping[str, object]) -> None:
        """Count and log one event of the table. Never blocks."""
        assert name in self._written, f"{name} is not in the table of events"
        self.metrics.count_event(name)
        if self._written[name]:  # a line that is not written should cost nothing
            write_line(BY_NAME[name].level, name, fields)
        if name == _STARTED:
            self._sink.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sink.close()


def start_telemetry(
    level: str, stream: TextIO | None = None, *, worker: int | None = None
) -> Telemetry:
    """Begin to log, to stderr or `stream`, from `level` up; each line names the worker, if any.

    Lines are held until `server.started`, and dropped where that never comes; with level debug they
    are written as they come.
    """
    sink = configure(level, stream or sys.stderr, worker=worker)
    if level == "debug":
        sink.open()
    return Telemetry(sink, level)
