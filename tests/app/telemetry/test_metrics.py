"""Metrics: what is counted, what is read when scraped, and under which names."""

from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class PoolStatistics:
    """A pool, now.

    Attributes:
        place: where it is.
        in_use: connections that work, or that
            wait for their answer.
        served: blocks served.
        waited_s: how long they waited.
        connected: whether it is.
        closed: connections closed, by reason.
    """

    place: str = "db"
    in_use: int = 3
    served: int = 10
    waited_s: float = 0.5
    connected: bool = True
    closed: dict[str, int] = field(default_factory=dict)


def _samples(metrics: Metrics) -> dict[str, float]:
    body, _ = metrics.render()
    return {
        sample.name + "".join(f",{k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_a_request_is_timed_by_route_method_and_status() -> None:
    """The histogram counts a request once, under the route's pattern."""
    metrics = Metrics()
    metrics.observe_request("/v1/sales/{sale}", "GET", 200, 0.02)
    samples = _samples(metrics)
    labels = "method=GET,route=/v1/sales/{sale},status=200"
    assert samples[f"agio_http_request_seconds_count,{labels}"] == 1
    assert samples[f"agio_http_request_seconds_bucket,le=0.025,{labels}"] == 1
    assert samples[f"agio_http_request_seconds_bucket,le=0.01,{labels}"] == 0


def test_events_are_counted_by_name() -> None:
    """Each event counts, logged or not."""
    metrics = Metrics()
    for _ in range(3):
        metrics.count_event("actor.crashed")
    assert _samples(metrics)["agio_events_total,event=actor.crashed"] == 3


def test_statistics_are_read_when_scraped() -> None:
    """Numbers of a dataclass become metrics, in units that Prometheus knows; texts do not."""
    metrics = Metrics()
    reads = []

    def statistics() -> PoolStatistics:
        reads.append(1)
        return PoolStatistics(in_use=len(reads))

    metrics.watch("pool", statistics, counters=["served"])
    assert reads == []
    _samples(metrics)
    samples = _samples(metrics)
    assert {name: value for name, value in samples.items() if name.startswith("agio_pool")} == {
        "agio_pool_in_use": 2,
        "agio_pool_served_total": 10,
        "agio_pool_waited_seconds": 0.5,
        "agio_pool_connected": 1,
    }


def test_the_docstring_explains_a_number() -> None:
    """The help text is the attribute's line, also where it takes two."""
    metrics = Metrics()
    metrics.watch("pool", PoolStatistics)
    text = metrics.render()[0].decode()
    assert "# HELP agio_pool_in_use connections that work, or that wait for their answer." in text


def test_a_field_of_several_numbers_tells_them_apart_by_name() -> None:
    """A mapping of names to numbers becomes one metric with a label."""
    metrics = Metrics()
    metrics.watch("pool", lambda: PoolStatistics(closed={"idle": 1, "broken": 2}))
    samples = _samples(metrics)
    closed = (samples["agio_pool_closed,name=idle"], samples["agio_pool_closed,name=broken"])
    assert closed == (1, 2)


def test_a_subject_watched_again_replaces_the_first() -> None:
    """A node made anew is told once, not twice."""
    metrics = Metrics()
    metrics.watch("pool", lambda: PoolStatistics(in_use=1))
    metrics.watch("pool", lambda: PoolStatistics(in_use=2))
    assert metrics.render()[0].decode().count("\nagio_pool_in_use ") == 1
    assert _samples(metrics)["agio_pool_in_use"] == 2


def test_two_nodes_of_one_process_share_nothing() -> None:
    """The registry is the node's own."""
    first, second = Metrics(), Metrics()
    first.count_event("x.done")
    assert "agio_events_total,event=x.done" not in _samples(second)


def test_the_exposition_says_what_it_is() -> None:
    """Build, process and content type are there."""
    body, content_type = Metrics().render()
    assert content_type.startswith("text/plain; version=")
    assert b"agio_build_info{" in body
    assert b"process_resident_memory_bytes" in body
