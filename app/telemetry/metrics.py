"""Metrics for Prometheus, in a registry of our own.

Two are counted as things happen, requests and events; all others are read when they are scraped,
from the frozen dataclass that an object's `statistics()` returns. Its docstring's `Attributes` are
the help texts, so that a number is explained in one place.
"""

import platform
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.docstrings import attributes_of

# From what a cached read takes to what a lost payment's look-up takes.
_BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
)

Statistics = Callable[[], object]


class Metrics:
    """The numbers of one node."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._watched: dict[str, _Watched] = {}
        self._requests = Histogram(
            "agio_http_request_seconds",
            "Time from a request's head to its response.",
            ["route", "method", "status"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._events = _Events()
        self._registry.register(self._events)
        build = Gauge(
            "agio_build_info",
            "Always 1; the labels say what runs.",
            ["version", "python"],
            registry=self._registry,
        )
        build.labels(version("agio"), platform.python_version()).set(1)
        ProcessCollector(registry=self._registry)

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one HTTP request. `route` is the pattern, never the path."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def count_event(self, name: str) -> None:
        """Count one event."""
        self._events.counts[name] += 1

    def watch(self, subject: str, statistics: Statistics, *, counters: Iterable[str] = ()) -> None:
        """Export `statistics()` at each scrape, as `agio_<subject>_<field>`.

        A subject watched again, as when a node's parts are made anew, replaces the earlier one.

        Args:
            subject: what the numbers are of, such as "database".
            statistics: returns a dataclass. A field that maps names to numbers gets the label
                `name`; one that is neither a number nor such a mapping is left out.
            counters: the fields that only ever grow.
        """
        watched = _Watched(subject, statistics, frozenset(counters))
        if subject in self._watched:
            self._registry.unregister(self._watched[subject])
        self._registry.register(watched)
        self._watched[subject] = watched

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Events(Collector):
    """How many events of each name were told. Counted by the one thread that tells them.

    Several are told for each client that comes, and a counter of the library's takes a lock.
    """

    def __init__(self) -> None:
        self.counts: defaultdict[str, int] = defaultdict(int)

    def collect(self) -> Iterator[Metric]:
        """One family."""
        told = "Events told, by name (docs/events.md)."
        family = CounterMetricFamily("agio_events", told, labels=["event"])
        for name, count in self.counts.items():
            family.add_metric([name], count)
        yield family


class _Watched(Collector):
    """One subject's numbers, read when asked for."""

    def __init__(self, subject: str, statistics: Statistics, counters: frozenset[str]) -> None:
        self._subject = subject
        self._statistics = statistics
        self._counters = counters

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read the statistics yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One family for each field."""
        statistics = self._statistics()
        assert is_dataclass(statistics), f"statistics() returned {statistics!r}, no dataclass"
        for field in fields(statistics):
            value = getattr(statistics, field.name)
            if isinstance(value, int | float | Mapping):
                yield self._family(field.name, value, _help(type(statistics), field.name))

    def _family(self, field: str, value: Any, told: str) -> Metric:
        make = CounterMetricFamily if field in self._counters else GaugeMetricFamily
        name = f"agio_{self._subject}_{re.sub('_s$', '_seconds', field)}"
        if not isinstance(value, Mapping):
            return make(name, told, value=value)
        family = make(name, told, labels=["name"])
        for label, number in value.items():
            family.add_metric([str(label)], number)
        return family


def _help(kind: type, field: str) -> str:
    """The field's line in the docstring of its class."""
    return attributes_of(kind.__doc__ or "").get(field, field.replace("_", " "))
