"""Random deaths under random talk: every call answered or failed, every message accounted for."""

from collections import Counter
from dataclasses import asdict

import pytest

from tests.actors.random_messages import play

SEEDS = range(100)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_message_has_one_fate(seed: int) -> None:
    """Handled once, or counted as dropped, refused, lost, quarantined, or gone with its actor."""
    ledger, system, journal = play(seed)
    told = Counter[str]()
    for ref in ledger.refs:
        told.update(asdict(ref.statistics()))
    assert [] == [ref for ref in ledger.refs if ref.alive]
    assert (0, 0) == (told["waiting"], told["writers_waiting"])
    fates = ("taken", "dropped", "refused", "lost", "quarantined")
    assert len(ledger.sent) == sum(told[fate] for fate in fates)
    unfinished = ledger.began.keys() - ledger.finished.keys()
    assert told["taken"] == len(ledger.finished) + len(unfinished - ledger.kept_by_stash)
    assert told["quarantined"] == len(journal.told("actor.quarantined"))
    for fate in fates[1:]:
        assert told[fate] == getattr(system.statistics(), fate), fate


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_handled_twice(seed: int) -> None:
    """What was finished never comes back; what crashed is tried again only where that was asked."""
    ledger, _, _ = play(seed)
    assert {1} >= set(ledger.finished.values())
    assert {1} >= {ledger.began[number] for number in ledger.began.keys() - ledger.kept_by_stash}
    assert {1, 2} >= set(ledger.began.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_is_answered_or_fails(seed: int) -> None:
    """None hangs, whoever dies when: the run ends, and each call has one outcome."""
    ledger, _, _ = play(seed)
    assert not ledger.answered & ledger.failed
    assert ledger.answered <= set(ledger.finished)


def test_the_same_seed_is_the_same_life() -> None:
    """What a seed has shown it shows again."""
    first, second = (play.__wrapped__(7)[0] for _ in range(2))
    assert (first.sent, first.began, first.answered) == (second.sent, second.began, second.answered)


def test_the_seeds_show_everything() -> None:
    """Among these lives each fate occurs: else the tests above would hold of nothing."""
    fates = dict.fromkeys(["answered", "failed", "dropped", "refused", "lost", "quarantined"], 0)
    for seed in SEEDS:
        ledger, system, _ = play(seed)
        fates["answered"] += len(ledger.answered)
        fates["failed"] += len(ledger.failed)
        told = system.statistics()
        for name in ("dropped", "refused", "lost", "quarantined"):
            fates[name] += getattr(told, name)
    assert all(fates.values()), fates
