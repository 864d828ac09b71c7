"""The metrics of several workers as one text that Prometheus reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import Metrics
from app.workers.exposition import gauge, labelled, merged


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("up 1", 'up{worker="2"} 1'),
        ('up{a="b c{",d="e"} 1.5e3', 'up{worker="2",a="b c{",d="e"} 1.5e3'),
        ("up 1 1700000000", 'up{worker="2"} 1 1700000000'),
    ],
)
def test_a_sample_gets_one_label_more(sample: str, expected: str) -> None:
    """Whatever labels it has, and whatever is in them."""
    assert expected == labelled(sample, 2)


def test_families_stay_whole() -> None:
    """Each family is told once, with the samples of all workers, and nothing is lost."""
    texts = {}
    for worker in (1, 2):
        metrics = Metrics()
        metrics.count_event("server.started")
        metrics.observe_request("/livez", "GET", 200, worker / 10)
        texts[worker] = metrics.render()[0].decode()
    families = {family.name: family for family in text_string_to_metric_families(merged(texts))}
    alone = {family.name: family for family in text_string_to_metric_families(texts[1])}
    assert families.keys() == alone.keys()
    for name, family in families.items():
        assert family.type == alone[name].type
        assert family.documentation == alone[name].documentation
        assert len(family.samples) == 2 * len(alone[name].samples)
        assert {sample.labels["worker"] for sample in family.samples} == {"1", "2"}
    seconds = [
        sample.value
        for sample in families["agio_http_request_seconds"].samples
        if sample.name.endswith("_sum")
    ]
    assert seconds == [0.1, 0.2]


def test_a_family_that_one_worker_lacks_is_told_all_the_same() -> None:
    """As one without a bus, or of a later version."""
    text = merged({1: gauge("a", "An a.", {7: 1}).replace('worker="7"', 'b="c"'), 2: "b 2\n"})
    assert text == 'b{worker="2"} 2\n# HELP a An a.\n# TYPE a gauge\na{worker="1",b="c"} 1\n'
