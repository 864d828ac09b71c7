"""Who watches which accounts on a node, and what they are told next."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.cursor import Cursor
from app.ledger import watching as module
from app.ledger.model import Account, Kind, Phase, Side
from app.ledger.tail import AccountJoin, Known, News, PostingSeen, Step, before, follow
from app.ledger.watching import Watching

OPEN = Account(7, "acme", "bank:a", Kind.ASSET, "EUR", None, None, None, 0, 0, 0, 0, 0, None)
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
EPOCH = "e"


def step(version: int, posting: int, amount: int = 10, leg: int = 0, **changes: Any) -> Step:
    """A debit of the account; without others before it, `amount` is its balance."""
    made = Step(
        OPEN.id,
        version,
        posting,
        leg,
        Side.DEBIT,
        Phase.TRANSFER,
        amount,
        amount,
        0,
        amount * version,
        f"key-{posting}",
        AT,
        AT,
        None,
    )
    return replace(made, **changes)


def start(head: int, version: int = 0) -> AccountJoin:
    """A snapshot with so many entries of 10."""
    return AccountJoin(
        replace(OPEN, debits_posted=10 * version, version=version), Cursor(EPOCH, head), None
    )


def told(watching: Watching, *steps: Step, whole: bool = True) -> list[PostingSeen]:
    """What members are told of these."""
    return [seen for seen, _ in watching.next_of(OPEN.id, News(steps, whole))]


def test_postings_are_told_with_the_account_after_each() -> None:
    """Entries of one posting together, in order; the account is what they add up to."""
    watching = Watching()
    assert watching.enter(OPEN.id)
    assert watching.begin(start(4))
    first, second = told(watching, step(1, 5), step(2, 5, leg=1), step(3, 9))
    assert ([1, 2], 20) == ([each.version for each in first.steps], first.account.balance)
    assert (9, 30, 3) == (second.number, second.account.balance, second.account.version)
    assert watching.reading("acme")[1] == [Known(OPEN.id, 3, 9)]


def test_what_was_told_is_not_told_again() -> None:
    """A read that began before the last one ended brings nothing twice."""
    watching = Watching()
    watching.enter(OPEN.id)
    watching.begin(start(0))
    assert len(told(watching, step(1, 5), step(2, 6))) == 2
    assert [seen.number for seen in told(watching, step(2, 6), step(3, 7))] == [7]


def test_what_was_not_told_is_told_again() -> None:
    """The account moves on after a posting was told: whoever fails in telling it tries again."""
    watching = Watching()
    watching.enter(OPEN.id)
    watching.begin(start(0))
    news = News([step(1, 5), step(2, 6)], whole=True)
    for _ in watching.next_of(OPEN.id, news):
        break  # as where the hub raises
    assert [seen.number for seen, _ in watching.next_of(OPEN.id, news)] == [5, 6]


def test_a_gap_is_an_error_of_ours() -> None:
    """An entry that does not continue the account is never told."""
    watching = Watching()
    watching.enter(OPEN.id)
    watching.begin(start(0))
    with pytest.raises(AssertionError, match="is not entry 1"):
        told(watching, step(2, 6))
    with pytest.raises(AssertionError):
        told(watching, step(1, 6, balance_after=11))


def test_a_join_behind_where_the_tail_began_is_read_again() -> None:
    """Between the two nobody was told anything; at that place or ahead of it all is well."""
    watching = Watching()
    for _ in range(4):
        assert watching.enter(OPEN.id)
    assert watching.begin(start(5, 1))
    assert not watching.begin(start(4))
    assert watching.begin(start(5, 1))
    assert watching.begin(start(6, 2))
    assert watching.reading("acme")[1] == [Known(OPEN.id, 1, 5)]


def test_a_book_is_read_when_it_moved_and_when_somebody_came() -> None:
    """And until that was done; what happens while it is read counts for the next time."""
    watching = Watching()
    watching.enter(OPEN.id)
    assert watching.behind() == []
    watching.begin(start(5))
    assert watching.behind() == watching.books == ["acme"]
    mark, _ = watching.reading("acme")
    watching.see({"acme": 6, "gone": 9})
    watching.done("acme", mark)
    assert watching.behind() == ["acme"]
    mark, _ = watching.reading("acme")
    watching.done("acme", mark)
    watching.see({"acme": 6})
    assert watching.behind() == []


def test_when_the_last_one_leaves_nothing_is_kept() -> None:
    """And what was being read for them goes nowhere."""
    watching = Watching()
    watching.enter(OPEN.id)
    watching.enter(OPEN.id)
    watching.begin(start(5))
    watching.leave(OPEN.id)
    assert (1, True) == (len(watching), watching.has("acme"))
    watching.leave(OPEN.id)
    assert (0, False) == (len(watching), watching.has("acme"))
    assert told(watching, step(1, 6)) == []
    assert watching.reading("acme") == (0, [])
    watching.done("acme", 0)
    watching.enter(OPEN.id)
    watching.leave(OPEN.id)
    assert (0, []) == (len(watching), watching.books)


def test_no_more_than_so_many_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it nobody enters but those who watch what others watch, too."""
    monkeypatch.setattr(module, "ACCOUNTS_WATCHED_MAX", 2)
    watching = Watching()
    assert [watching.enter(account) for account in (1, 2, 3, 2)] == [True, True, False, True]
    watching.leave(1)
    assert watching.enter(3)


def test_an_account_before_its_newest_entries() -> None:
    """What entries added is taken away, on both sides, posted and pending."""
    steps = [
        step(1, 5),
        step(2, 6, side=Side.CREDIT, phase=Phase.PENDING, posted=0, pending=4, balance_after=10),
        step(3, 7, side=Side.CREDIT, phase=Phase.POST, posted=3, pending=-4, balance_after=7),
    ]
    after = [seen.account for seen in follow(OPEN, steps)]
    assert [(each.balance, each.available) for each in after] == [(10, 10), (10, 6), (7, 7)]
    assert before(after[2], steps) == OPEN
    assert before(after[2], steps[1:]) == after[0]
