"""The live line of a load test: one line of a terminal, written over again and again."""

import os
from time import monotonic_ns
from types import TracebackType
from typing import Final, Self, TextIO

from app.loadtest.coordinator import Stage
from app.loadtest.histogram import Histogram
from app.loadtest.limits import PROGRESS_S
from app.loadtest.model import NS
from app.loadtest.summary import duration

_BEGIN: Final = "\r\x1b[K"


class ProgressLine:
    """Where the line goes. As a context manager it leaves nothing behind.

    Args:
        stream: a terminal; on anything else nothing is shown.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_live: Final = stream.isatty()
        self._shown_ns = 0
        self._delivered = 0

    def show(self, stage: Stage) -> None:
        """Tell how it goes, unless that was told a moment ago."""
        now = monotonic_ns()
        if not self._is_live or now - self._shown_ns < PROGRESS_S * NS:
            return
        told = list(stage.heard.values())
        delivered = sum(progress.delivered for progress in told)
        latest = Histogram({})
        for progress in told:
            latest.merge(progress.latest)
        each_second = (delivered - self._delivered) * NS / (now - self._shown_ns)
        self._shown_ns, self._delivered = now, delivered
        joined = sum(progress.joined for progress in told)
        line = line_of_progress(stage, joined, each_second, latest, now)
        columns = _columns(self._stream)
        self._write(_BEGIN + line[: columns - 1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown_ns:
            self._write(_BEGIN)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def line_of_progress(
    stage: Stage, joined: int, each_second: float, latest: Histogram, now_ns: int
) -> str:
    """One line on how it goes.

    Args:
        stage: how far it is.
        joined: connections.
        each_second: deliveries of late.
        latest: their latencies; empty while nothing is measured.
        now_ns: the moment.
    """
    plan = stage.plan
    if stage.began_ns is None:
        return f"{joined:,} of {plan.connections:,} connections joined"
    gone_s = max(now_ns - stage.began_ns, 0) / NS
    if gone_s < plan.warm_up_s:
        step = f"warm-up {gone_s:.0f}/{plan.warm_up_s:g} s"
    elif gone_s < plan.warm_up_s + plan.duration_s:
        step = f"{gone_s - plan.warm_up_s:.0f}/{plan.duration_s:g} s"
    else:
        step = "waiting for what is on its way"
    sent = sum(progress.sent for progress in stage.heard.values())
    line = f"{step}  {sent:,} sent  {each_second:,.0f} deliveries/s"
    if latest.counts:
        p50, p99 = (duration(latest.quantile(part)) for part in (0.5, 0.99))
        line += f"  p50 {p50}  p99 {p99}  max {duration(latest.most)}"
    return line


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
