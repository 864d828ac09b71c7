"""Which batches may be decided on what is remembered, and that they come to the same. Pure."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Final

import pytest

from app.ledger import assuming
from app.ledger.assuming import decide, may_assume, unknown
from app.ledger.book import BookState
from app.ledger.limits import TRANSFERS_A_BATCH_MAX
from app.ledger.model import Mode
from app.ledger.recording import arguments_if_so
from app.ledger.request import Convert, Pending, Post, PostingRequest, Rate, Transfer, Void
from tests.app.ledger.memory_book import START, MemoryBook

BANK: Final = "bank:main"
SAM: Final = "seller:sam:payable"
MOVE: Final = Transfer(BANK, SAM, 5, "EUR")
BACK: Final = Transfer(SAM, BANK, 5, "EUR")
SECOND: Final = timedelta(seconds=1)

# What has to be read under the lock, or depends on the time, beside what does not.
LOCKING: Final = {
    "nothing": (),
    "empty": (PostingRequest("key"),),
    "reverses": (PostingRequest("key", reverses=1),),
    "effective": (PostingRequest("key", (MOVE,), effective_at=START),),
    "pending": (PostingRequest("key", (MOVE, Pending(BANK, SAM, 5, "EUR"))),),
    "post": (PostingRequest("key", (MOVE, Post("1.0"))),),
    "void": (PostingRequest("key", (Void("1.0"),)),),
    "convert": (PostingRequest("key", (Convert(BANK, SAM, 5, "EUR", "USD", Rate(1, 2)),)),),
    "another": (PostingRequest("key", (MOVE,)), PostingRequest("hold", reverses=1)),
    "many": (PostingRequest("key", (MOVE,) * TRANSFERS_A_BATCH_MAX), PostingRequest("k", (MOVE,))),
}


@pytest.fixture
def book() -> MemoryBook:
    """Sam and the bank have an account, Sam one without debts."""
    book = MemoryBook()
    book.open(BANK)
    book.open(SAM).floor = 0
    return book


def plain(*transfers: Transfer, key: str = "key") -> PostingRequest:
    """A posting of transfers alone."""
    return PostingRequest(key, transfers)


def test_plain_transfers_may(book: MemoryBook) -> None:
    """As many as fit a batch, with whatever is meant by them, also beside an empty posting."""
    assert may_assume(book.state, [plain(*[MOVE] * TRANSFERS_A_BATCH_MAX)])
    assert may_assume(book.state, [PostingRequest("key", (MOVE,), meta={"order": 7})])
    assert may_assume(book.state, [plain(), plain(MOVE)])


@pytest.mark.parametrize("name", LOCKING)
def test_others_lock_the_book(book: MemoryBook, name: str) -> None:
    """One of them is enough."""
    assert not may_assume(book.state, LOCKING[name])


@pytest.mark.parametrize(
    ("changed", "may"),
    [
        ({"locked_before": START}, True),
        ({"locked_before": START + SECOND}, False),
        ({"recorded_at": None}, False),
        ({"mode": Mode.CLOSED}, False),
        ({"mode": Mode.IMPORTING}, False),
    ],
    ids=["locked-until-then", "locked-beyond", "no-posting", "closed", "importing"],
)
def test_the_book_has_a_say(book: MemoryBook, changed: dict[str, object], may: bool) -> None:  # noqa: FBT001 - a case
    """Where it is not live, or the time says whether its period is locked, it is locked first."""
    assert may_assume(replace(book.state, **changed), [plain(MOVE)]) == may  # type: ignore[arg-type] # as named above


def test_no_more_is_remembered_than_may_be(
    book: MemoryBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that is too large is not decided on, so that the next one is new."""
    monkeypatch.setattr(assuming, "ACCOUNTS_REMEMBERED_MAX", 2)
    assert may_assume(book.state, [plain(MOVE)])
    book.open("bank:other")
    assert not may_assume(book.state, [plain(MOVE)])


def test_what_is_not_known_to_be_open(book: MemoryBook) -> None:
    """Each by its path and currency; one of the chart that was only asked for is not open."""
    assert unknown(book.state, [plain(MOVE, BACK)]) == set()
    book.state.find("seller:sue:payable", "EUR")
    asked = [
        plain(MOVE, Transfer(BANK, "seller:sue:payable", 1, "EUR")),
        plain(Transfer("nowhere", SAM, 1, "EUR"), Transfer(BANK, SAM, 1, "USD")),
    ]
    assert unknown(book.state, asked) == {
        ("seller:sue:payable", "EUR"),
        ("nowhere", "EUR"),
        (BANK, "USD"),
        (SAM, "USD"),
    }


def _batches() -> list[list[PostingRequest]]:
    return [
        [plain(MOVE, MOVE, key="a"), plain(BACK, key="b"), plain(Transfer(SAM, BANK, 6, "EUR"))],
        [plain(BACK, key="c"), plain(BACK, key="d"), plain(BACK, key="c"), plain(MOVE, key="c")],
        [plain(MOVE, BACK, MOVE, key="e"), plain(key="f"), plain(MOVE, key="expire:1.0")],
    ]


def test_it_comes_to_what_a_locked_book_would(book: MemoryBook) -> None:
    """Batch after batch, each decided on what those before it left, answered afterwards."""
    expected = [book.post(requests) for requests in _batches()]
    remembered = MemoryBook()
    remembered.open(BANK)
    remembered.open(SAM).floor = 0
    decided = [decide(remembered.state, requests) for requests in _batches()]
    assert [batch.answers(each, START) for batch, each in decided] == expected
    assert [each.balance for each in remembered.accounts()] == [
        each.balance for each in book.accounts()
    ]
    assert remembered.state.head == book.state.head > len(expected)


def test_each_batch_is_recorded_where_it_was_decided(book: MemoryBook) -> None:
    """The head that it assumes is the one before leaves; keys are those of all that was asked."""
    state: BookState = book.state
    sent = []
    for requests in _batches():
        batch, _ = decide(state, requests)
        arguments = arguments_if_so(state, batch, requests)
        head, others, keys = arguments[1], arguments[4], arguments[8]
        sent.append((head, head + len(keys)))
        assert {*keys, *others} == {request.key for request in requests}
        assert not {*keys} & {*others}
    assert sent[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(sent))
