"""The desk where callers leave what they ask: whom it wakes, and whom it keeps. Pure."""

from app.ledger.desk import Asked, Desk
from app.ledger.limits import POSTINGS_AHEAD_MIN
from tests.app.ledger.posting_book import pay

FIRST, SECOND = object(), object()


def test_a_poster_is_told_once() -> None:
    """Until it has looked; another life of it, or none, has not heard."""
    desk = Desk()
    assert desk.needs_poster("acme", None)
    desk.woken["acme"] = FIRST
    assert not desk.needs_poster("acme", FIRST)
    assert desk.needs_poster("acme", None)
    assert desk.needs_poster("acme", SECOND)
    assert desk.needs_poster("other", FIRST)
    desk.leave("acme")
    assert desk.needs_poster("acme", FIRST)


def test_a_poster_at_work_is_told_of_many() -> None:
    """It looks by itself when it has done; it is told where it can decide ahead, and much waits."""
    desk = Desk()
    desk.served.add("acme")
    desk.put("acme", [Asked([pay("few")])])
    desk.spare.add("acme")
    assert not desk.needs_poster("acme", FIRST)
    desk.put("acme", [Asked([pay(f"{number}") for number in range(POSTINGS_AHEAD_MIN)])])
    assert desk.needs_poster("acme", FIRST)
    desk.spare.discard("acme")
    assert not desk.needs_poster("acme", FIRST)


def test_who_is_left() -> None:
    """Books for which somebody waits and nobody works."""
    desk = Desk()
    desk.put("acme", [Asked([pay("a")])])
    desk.put("other", [Asked([pay("b")])])
    desk.served.add("other")
    assert desk.left() == ["acme"]
    desk.leave("other")
    assert desk.left() == ["acme", "other"]
    assert [len(desk.take(book)) for book in ("acme", "acme", "other")] == [1, 0, 1]
    assert desk.left() == []
