"""A run in numbers: what its processes counted, added up, judged, and as lines of text. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.loadtest.histogram import Histogram
from app.loadtest.limits import BUSY_MAX, LAG_PART_MAX, RATE_KEPT, STARVED_MAX
from app.loadtest.model import NS, Joined, Plan, Result

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
"""Those that are told, by name."""


class Summary(msgspec.Struct, frozen=True):
    """What a run found.

    Attributes:
        url: where it was.
        plan: what was measured.
        join: from the first packet to the join's answer.
        join_s: how long it took all to come in.
        latency: from when a message was meant to be sent to each of its deliveries.
        slots: the same, by point of the plot over time.
        lag: how much later than intended messages were sent.
        results: what each process counted.
    """

    url: str
    plan: Plan
    join: Histogram
    join_s: float
    latency: Histogram
    slots: dict[int, Histogram]
    lag: Histogram
    results: tuple[Result, ...]

    def sum_of(self, name: str) -> int:
        """What a count of the results comes to."""
        return sum(getattr(result, name) for result in self.results)

    @property
    def on_time(self) -> int:
        """Deliveries that were not late."""
        return self.sum_of("delivered") - self.sum_of("late")

    @property
    def lost(self) -> int:
        """Deliveries that never came."""
        return self.sum_of("expected") - self.sum_of("delivered")

    @property
    def busy(self) -> float:
        """Part of its time in which the busiest process did not wait."""
        return max(result.busy for result in self.results)

    def each_second(self, name: str) -> float:
        """What a count of the results comes to, a second."""
        return self.sum_of(name) / self.plan.duration_s


def summarise(url: str, plan: Plan, joined: Sequence[Joined], results: Sequence[Result]) -> Summary:
    """Add up what the processes told."""
    slots: dict[int, Histogram] = {}
    for result in results:
        for slot, histogram in result.slots.items():
            slots.setdefault(slot, Histogram({})).merge(histogram)
    taken_ns = max(j.ended_ns for j in joined) - min(j.began_ns for j in joined)
    return Summary(
        url=url,
        plan=plan,
        join=_merged([j.latency for j in joined]),
        join_s=taken_ns / NS,
        latency=_merged(list(slots.values())),
        slots=slots,
        lag=_merged([result.lag for result in results]),
        results=tuple(results),
    )


def text(summary: Summary) -> list[str]:
    """The summary as lines for a terminal; what is to be doubted comes last."""
    rows = [f"  {name:<18}{told}" for name, told in facts(summary).items()]
    doubts = [f"  ! {doubt}" for doubt in warnings(summary)]
    return [*head(summary), "", *rows, *([""] if doubts else []), *doubts]


def head(summary: Summary) -> list[str]:
    """What was measured, in two lines."""
    plan = summary.plan
    if plan.rate is not None:
        load = f"{plan.rate:,g} messages/s in all, open loop"
    else:
        load = f"{plan.window} in flight in each room, closed loop"
    what = (
        f"{_count(plan.connections, 'connection')} in {_count(plan.rooms, 'room')}, "
        f"{plan.payload_bytes:,} bytes of payload, {load}, "
        f"{plan.duration_s:g} s after {plan.warm_up_s:g} s of warm-up"
    )
    return [summary.url, what]


def facts(summary: Summary) -> dict[str, str]:
    """What was found, by name."""
    plan, total = summary.plan, summary.sum_of
    since = "when it was meant to be sent" if plan.rate is not None else "when it was sent"
    lag = f", sends late by {duration(summary.lag.quantile(0.99))} (p99)" if plan.rate else ""
    cpu = max(result.cpu for result in summary.results)
    return {
        "connect and join": f"{plan.connections / summary.join_s:,.0f}/s, {_told(summary.join)}",
        "sent": f"{_count(total('sent'), 'message')}, {summary.each_second('sent'):,.1f}/s",
        "deliveries": f"{summary.each_second('delivered'):,.0f}/s, "
        f"{summary.each_second('bytes_in') / 1e6:,.1f} MB/s",
        "latency": f"{_told(summary.latency)}, since {since}",
        "account": f"{total('expected'):,} expected = {summary.on_time:,} on time "
        f"+ {total('late'):,} late (over {plan.late_s:g} s) + {summary.lost:,} lost",
        "also": f"{total('duplicates'):,} came again, {total('reordered'):,} out of order, "
        f"{_count(total('gone'), 'connection')} lost",
        "load generator": f"{_count(plan.processes, 'process')}, the busiest {summary.busy:.0%} "
        f"busy, {cpu:.0%} of a processor{lag}",
    }


def warnings(summary: Summary) -> list[str]:
    """Why the numbers may be about something else than the server."""
    plan, total = summary.plan, summary.sum_of
    found = []
    if summary.busy > BUSY_MAX:
        found.append(
            f"the load generator was {summary.busy:.0%} busy: its own limit is in the numbers; "
            "try more --processes, on processors of their own"
        )
    if plan.rate is not None and total("sent") < plan.rate * plan.duration_s * RATE_KEPT:
        found.append(f"only {summary.each_second('sent'):,.1f} messages/s could be sent")
    lag, latency = summary.lag.quantile(0.99), summary.latency.quantile(0.99)
    if latency and lag > latency * LAG_PART_MAX:
        found.append(f"our own sends were late by {duration(lag)} (p99), which is in the latencies")
    starved = max(result.busy - result.cpu for result in summary.results)
    if starved > STARVED_MAX:
        found.append(
            f"the load generator waited for a processor {starved:.0%} of the time: whatever else "
            "runs on this machine is in the numbers"
        )
    if total("unsent"):
        found.append(f"{_count(total('unsent'), 'message')} could not be sent")
    if total("refused"):
        refusal = next(result.refusal for result in summary.results if result.refused)
        found.append(f"{_count(total('refused'), 'push')} refused: {refusal}")
    if total("stalls"):
        found.append(f"{total('stalls'):,} times a room stood still and its window was given up")
    if total("sent") and not total("delivered"):
        found.append("nothing came back: does the channel broadcast what is pushed to it?")
    return found


def as_json(summary: Summary) -> Mapping[str, Any]:
    """The summary for programs: counts, rates a second, and latencies in milliseconds."""
    counts = ("sent", "unsent", "expected", "delivered", "late")
    more = ("duplicates", "reordered", "refused", "gone", "stalls")
    return {
        "url": summary.url,
        "plan": summary.plan,
        **{name: summary.sum_of(name) for name in (*counts, *more)},
        "on_time": summary.on_time,
        "lost": summary.lost,
        "deliveries_per_second": summary.each_second("delivered"),
        "messages_per_second": summary.each_second("sent"),
        "bytes_per_second": summary.each_second("bytes_in"),
        "joins_per_second": summary.plan.connections / summary.join_s,
        "latency_ms": _milliseconds(summary.latency),
        "join_ms": _milliseconds(summary.join),
        "send_lag_ms": _milliseconds(summary.lag),
        "busy": [round(result.busy, 3) for result in summary.results],
        "cpu": [round(result.cpu, 3) for result in summary.results],
        "warnings": warnings(summary),
    }


def duration(ns: float) -> str:
    """Nanoseconds as people read them: three digits and a unit."""
    for unit, size in (("s", NS), ("ms", 1_000_000)):
        if ns >= size:
            return f"{_three(ns / size)} {unit}"
    return f"{_three(ns / 1_000)} us"


def _three(number: float) -> str:
    places = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{places}f}"


def _told(histogram: Histogram) -> str:
    return ", ".join(f"{n} {duration(histogram.quantile(q))}" for n, q in QUANTILES.items())


def _milliseconds(histogram: Histogram) -> dict[str, float]:
    return {name: histogram.quantile(part) / 1e6 for name, part in QUANTILES.items()}


def _merged(histograms: Sequence[Histogram]) -> Histogram:
    merged = Histogram({})
    for histogram in histograms:
        merged.merge(histogram)
    return merged


def _count(number: int, word: str) -> str:
    plural = f"{word}es" if word.endswith(("s", "h")) else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"
