"""The two plots of a report, drawn on whatever can draw lines, bars and letters. Pure.

Latencies are on a logarithmic axis: what matters are both the usual ones and the few that are a
hundred times as long.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log2, log10
from typing import Final, Literal, Protocol

from app.loadtest.histogram import Histogram, lower_bound
from app.loadtest.model import NS, Plan
from app.loadtest.summary import QUANTILES, Summary

Point = tuple[float, float]
Align = Literal["start", "middle", "end"]

WIDTH: Final = 960
HEIGHT: Final = 720

# Red, green, blue.
INKS: Final = {
    "paper": (255, 255, 255),
    "grid": (226, 230, 235),
    "text": (55, 65, 81),
    "p50": (37, 99, 235),
    "p99": (217, 119, 6),
    "max": (156, 163, 175),
    "bar": (96, 165, 250),
}

_LINES: Final = ("max", "p99", "p50")

# What a tick is counted in.
_UNITS: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns"))

# Bars for each power of two, all equally wide on the axis.
_BARS: Final = 8

# Between the names of two percentiles, which are one below the other.
_ROW: Final = 14

# Room above the highest bar, for the names of the percentiles.
_HEADROOM: Final = 1.3

# Where the plots are, between the letters at their sides.
_LEFT: Final = 80
_RIGHT: Final = WIDTH - 48


class Canvas(Protocol):
    """What is drawn on. Places are in pixels from the upper left; inks are names of `INKS`."""

    def line(self, points: Sequence[Point], ink: str, width: int) -> None:
        """A line from point to point."""

    def bar(self, corner: Point, size: Point, ink: str) -> None:
        """A filled rectangle, from its upper left corner."""

    def text(self, place: Point, said: str, ink: str, align: Align) -> None:
        """Letters that stand on this height and begin, end, or have their middle here."""


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where a plot is, and what its edges stand for.

    Attributes:
        left, top, right, bottom: in pixels.
        x: of a value, from 0 at the left to 1 at the right.
        y: of a value, from 0 at the bottom to 1 at the top.
    """

    left: float
    top: float
    right: float
    bottom: float
    x: Callable[[float], float]
    y: Callable[[float], float]

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values is."""
        across = self.left + self.x(x) * (self.right - self.left)
        return across, self.bottom - self.y(y) * (self.bottom - self.top)


def draw(canvas: Canvas, summary: Summary) -> None:
    """Both plots, one below the other, in `WIDTH` by `HEIGHT` pixels."""
    canvas.bar((0, 0), (WIDTH, HEIGHT), "paper")
    _draw_over_time(canvas, summary, 50, 340)
    _draw_histogram(canvas, summary, 420, 670)


def _draw_over_time(canvas: Canvas, summary: Summary, top: float, bottom: float) -> None:
    plan, slots = summary.plan, summary.slots
    least = min((s.quantile(0.5) for s in slots.values()), default=1_000)
    scale, ticks = _log_scale(least, max((s.most for s in slots.values()), default=NS))
    axes = _Axes(_LEFT, top, _RIGHT, bottom, _linear_scale(plan.duration_s), scale)
    _title(canvas, axes, "latency over time")
    for tick in ticks:
        _tick_left(canvas, axes, tick, _round(tick))
    _ground(canvas, axes)
    for second in _steps(plan.duration_s, 10):
        _tick_below(canvas, axes, second, f"{second:g} s")
    for place, name in enumerate(_LINES):
        for run in _runs(slots, plan, QUANTILES[name]):
            canvas.line([axes.at(*point) for point in run], name, 2)
        end = axes.right - 70 * place
        canvas.line([(end - 56, top - 16), (end - 36, top - 16)], name, 2)
        canvas.text((end, top - 12), name, "text", "end")


def _runs(slots: Mapping[int, Histogram], plan: Plan, part: float) -> Iterator[list[Point]]:
    """The pieces of a line between points of time at which nothing was sent."""
    run: list[Point] = []
    for slot in range(ceil(plan.duration_s * NS / plan.slot_ns)):
        if slot in slots:
            middle = min((slot + 0.5) * plan.slot_ns / NS, plan.duration_s)
            run.append((middle, slots[slot].quantile(part)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _draw_histogram(canvas: Canvas, summary: Summary, top: float, bottom: float) -> None:
    latency = summary.latency
    bars = _bars(latency)
    least = lower_bound(min(latency.counts, default=0))
    scale, ticks = _log_scale(least, latency.most or NS)
    highest = max(bars.values(), default=1) / max(latency.total, 1)
    axes = _Axes(_LEFT, top, _RIGHT, bottom, scale, _linear_scale(highest * _HEADROOM))
    _title(canvas, axes, "deliveries by latency")
    for share in _steps(highest * _HEADROOM, 5):
        _tick_left(canvas, axes, share, f"{share * 100:g} %")
    _ground(canvas, axes)
    for tick in ticks:
        _tick_below(canvas, axes, tick, _round(tick))
    for bar, count in bars.items():
        left, head = axes.at(2 ** (bar / _BARS), count / latency.total)
        right, foot = axes.at(2 ** ((bar + 1) / _BARS), 0)
        left, right = max(left, axes.left), min(right, axes.right)
        canvas.bar((left, head), (max(right - left - 1, 1), foot - head), "bar")
    # Each begins in a row of its own, with its name to the right: those that begin further down are
    # not to the left of it, so no line crosses a name, however close they are.
    for place, (name, part) in enumerate(QUANTILES.items()):
        across, _ = axes.at(max(latency.quantile(part), 1), 0)
        row = top + _ROW * place
        canvas.line([(across, row + 4), (across, bottom)], "p99", 1)
        canvas.text((across + 4, row + _ROW), name, "text", "start")


def _bars(latency: Histogram) -> dict[int, float]:
    """What is in each bar, a bucket being shared out among those that it touches.

    Bars made of whole buckets would be wider at the beginning of each power of two than at its end,
    and higher for no other reason.
    """
    bars: dict[int, float] = {}
    for bucket, count in latency.counts.items():
        low = log2(max(lower_bound(bucket), 1)) * _BARS
        high = log2(max(lower_bound(bucket + 1), 2)) * _BARS
        for bar in range(floor(low), ceil(high)):
            part = (min(high, bar + 1) - max(low, bar)) / (high - low)
            bars[bar] = bars.get(bar, 0) + count * part
    return bars


def _title(canvas: Canvas, axes: _Axes, said: str) -> None:
    canvas.text((axes.left, axes.top - 12), said, "text", "start")


def _ground(canvas: Canvas, axes: _Axes) -> None:
    canvas.line([(axes.left, axes.bottom), (axes.right, axes.bottom)], "text", 1)


def _tick_left(canvas: Canvas, axes: _Axes, value: float, said: str) -> None:
    height = axes.bottom - axes.y(value) * (axes.bottom - axes.top)
    canvas.line([(axes.left, height), (axes.right, height)], "grid", 1)
    canvas.text((axes.left - 8, height + 4), said, "text", "end")


def _tick_below(canvas: Canvas, axes: _Axes, value: float, said: str) -> None:
    across = axes.left + axes.x(value) * (axes.right - axes.left)
    canvas.line([(across, axes.bottom), (across, axes.bottom + 5)], "text", 1)
    canvas.text((across, axes.bottom + 20), said, "text", "middle")


def _round(ns: float) -> str:
    """A latency at a tick, which has one digit that is not 0."""
    size, unit = next(each for each in _UNITS if ns >= each[0])
    return f"{ns / size:g} {unit}"


def _linear_scale(most: float) -> Callable[[float], float]:
    return lambda value: value / most


def _log_scale(least: float, most: float) -> tuple[Callable[[float], float], list[float]]:
    """From 0 to 1 between two of the round numbers, and those numbers: 1, 2, 5, 10 and so on."""
    low, high = max(least, 1), max(most, least + 1, 2)
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    rounds = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    below = [each for each in rounds if each <= low]
    above = [each for each in rounds if each >= high]
    first, last = below[-1], above[0]
    ticks = [each for each in rounds if first <= each <= last]
    if len(ticks) > 9:
        ticks = [each for each in ticks if round(log10(each), 6).is_integer()]
    span = log10(last / first)
    return lambda value: log10(max(value, first) / first) / span, ticks


def _steps(most: float, count: int) -> list[float]:
    """Round numbers from 0 up to this, so many or fewer, and not much fewer."""
    raw = most / count
    decade = 10.0 ** floor(log10(raw))
    step = next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= raw * 0.999)
    return [round(step * number, 9) for number in range(floor(most / step + 1e-9) + 1)]
