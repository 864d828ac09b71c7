"""The lines that tell how fast the server delivers."""

import pytest

from bench.fanout import table
from tests.bench.runs import heard, joined, measured


def _told(line: str) -> str:
    """Without its columns."""
    return " ".join(line.split())


def test_a_fan_out_is_told() -> None:
    """Rates and what a delivery costs, each with a ratio that is better if higher."""
    ours, its = measured(deliveries=20_000), measured()
    assert _told(table.fanout("a case", [(ours, its)], 7)) == (
        "a case 10,000/s 5,000/s 2.00 (2.00-2.00) 2.50 us 5.00 us 2.00 (2.00-2.00) "
        "lost 0; generator 25% busy; aim: at least 7, MISSED"
    )


def test_an_aim_is_met_at_its_very_bound() -> None:
    """And missed beyond it."""
    assert table.at_least(2.0, 2.0) == "aim: at least 2, met"
    assert table.at_least(1.99, 2.0) == "aim: at least 2, MISSED"
    assert table.at_most(1.5, 1.5) == "aim: at most 1.5, met"
    assert table.at_most(1.51, 1.5) == "aim: at most 1.5, MISSED"


@pytest.mark.parametrize("name", ["lost", "again", "skipped", "strange", "ended"])
def test_what_must_not_happen_is_told(name: str) -> None:
    """Whichever side it happened to, in whichever round."""
    rounds = [(measured(), measured()), (measured(), measured(**{name: 1_234}))]
    assert f"{name} 1,234" in table.fanout("a case", rounds)
    assert f"{name} 1,234" in table.latency("a case", rounds, ("a", "b"))


def test_a_generator_without_rest_is_told() -> None:
    """It was then measured itself."""
    assert "98% busy: IT WAS MEASURED" in table.fanout("x", [(measured(own_s=1.96), measured())])
    assert "IT WAS MEASURED" not in table.fanout("x", [(measured(own_s=1.9), measured())])


def test_latencies_are_told() -> None:
    """Of both sides, and how many times the one is the other's."""
    rounds = [(measured(p99_us=600), measured())]
    assert table.latency("at rest", rounds, ("Agio", "bound"), 1.5) == (
        "at rest: Agio p50 0.10 ms, p99 0.60 ms, bound p50 0.10 ms, p99 0.30 ms; "
        "p99 ratio 2.00 (2.00-2.00); lost 0; generator 25% busy; aim: at most 1.5, MISSED"
    )
    assert table.latency("at rest", rounds, ("a", "b")).endswith("aim: 1, but for noise")


def test_joins_are_told() -> None:
    """How many in a second, on the wall and for a processor."""
    told = table.joins("joins", [(joined(0.5, 0.4), joined(0.1, 0.04))], 3_000)
    assert _told(told) == (
        "joins 2,000/s 10,000/s 0.20 (0.20-0.20) 400 us 40 us 0.10 (0.10-0.10) "
        "2,500 for a processor second; aim: at least 3,000, MISSED"
    )


def test_memory_is_told() -> None:
    """The median and the extremes."""
    told = table.memory("each", [21_000, 19_000, 19_500], 20_000)
    assert told == "each: 19.5 KB (19.0-21.0); aim: at most 20, met"


def test_growth_is_told() -> None:
    """Beside the bound's, since no machine is as quick with much memory as with little."""
    told = table.flatness([100, 15_000], [(2e-6, 4e-6), (3e-6, 5e-6)])
    assert told == (
        "a delivery to 15,000 members costs 1.50 times what it costs to 100; the bound's 1.25 times"
    )


def test_figures_stand_below_their_heading() -> None:
    """The heading has a column for every figure."""
    head = table.heading("", ["rate", "processor"])
    told = table.fanout("a case", [(measured(deliveries=20_000), measured(server_s=0.04))])
    for name, figure in (("Agio rate", "10,000/s"), ("Agio processor", "2.50 us")):
        assert head.index(name) + len(name) == told.index(figure) + len(figure)
    assert head.index("bound") + 5 == told.index(" 5,000/s") + 8


def test_how_long_it_takes_to_reach_all_is_told() -> None:
    """Of each message the last generator counts, of percentiles the worst one's."""
    parts = [heard(1e6, 2e6, 1e6), heard(3e6, 1e6, 1e6, p50_us=4e5)]
    assert table.reached("to all", parts, 1.5) == (
        "to all: p50 2.00 s, p99 3.00 s, max 3.00 s of 3; "
        "a delivery p50 0.40 s, p99 0.00 s; aim: at most 1.5, MISSED"
    )


def test_the_way_between_nodes_is_told_beside_none() -> None:
    """The aim is of the p99 between them."""
    assert table.between("a case", heard(p99_us=9_000.0), heard(p99_us=99_000.0), 10) == (
        "a case: there p50 0.10 ms, p99 9.00 ms, max 0.5 ms, "
        "here p50 0.10 ms, p99 99.00 ms, max 0.5 ms; aim: at most 10, met"
    )
