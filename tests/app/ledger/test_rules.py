"""The ledger's decisions, as a table of postings and what becomes of them, and as laws."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import AMOUNT_MAX, Money
from app.ledger.model import Account, Kind, Place, Posting, PostingRefused, Side, Transfer
from app.ledger.rules import (
    COMMISSION,
    COUNTER_MAX,
    AccountKey,
    Capture,
    Decision,
    capture_posting,
    clearing,
    decide,
    payable,
    places,
)

# path    kind       floor  debits               credits
ACCOUNTS = """
  bank    asset      -      1000                 0
  till    asset      0      300                  200
  anna    liability  0      0                    500
  boris   liability  -      0                    0
  fees    revenue    -      0                    0
  rent    expense    -      0                    0
  full    asset      -      9223372036854775807  0
  brim    liability  -      0                    9223372036854775807
"""

# A posting is one or more of debit>credit:amount; `!` before a path names it with another kind.
POSTINGS = """
  bank>anna:100                      bank=1100 anna=600
  bank>anna:70 bank>fees:30          bank=1100 anna=570 fees=30
  rent>bank:1000                     rent=1000 bank=0
  rent>bank:2000                     rent=2000 bank=-1000
  anna>boris:500                     anna=0 boris=500
  anna>boris:501                     below_floor
  rent>till:100                      rent=100 till=0
  rent>till:101                      below_floor
  rent>till:101 till>boris:1         rent=101 till=0 boris=1
  anna>boris:900 boris>anna:900      anna=500 boris=0
  boris>anna:1 anna>boris:502        below_floor
  -                                  empty
  bank>nobody:1                      account_unknown
  nobody>bank:1                      account_unknown
  bank>!anna:1                       account_of_other_kind
  bank>bank:1                        same_account
  bank>anna:0                        amount_not_positive
  bank>anna:-1                       amount_not_positive
  bank>anna:1 bank>fees:0            amount_not_positive
  bank>anna:1000000000000000         bank=1000000000001000 anna=1000000000000500
  full>anna:1                        overflow
  bank>brim:1                        overflow
  bank>anna:1 full>anna:1            overflow
  brim>full:1                        brim=9223372036854775806 full=9223372036854775806
"""


def parse_accounts() -> dict[AccountKey, Account]:
    """The accounts of the table, in one book and in euro."""
    rows = [line.split() for line in ACCOUNTS.split("\n") if line]
    return {
        (path, "EUR"): Account(
            number,
            "book",
            path,
            Kind(kind),
            "EUR",
            None,
            None if floor == "-" else int(floor),
            int(debits),
            int(credited),
            0,
        )
        for number, (path, kind, floor, debits, credited) in enumerate(rows, 1)
    }


def parse_place(spelled: str, accounts: dict[AccountKey, Account]) -> Place:
    """The place that a word of the table names."""
    path = spelled.removeprefix("!")
    account = accounts.get((path, "EUR"))
    kind = account.kind if account else Kind.ASSET
    return Place(path, Kind.EXPENSE if spelled.startswith("!") else kind)


def parse_transfer(spelled: str, accounts: dict[AccountKey, Account]) -> Transfer:
    """The transfer that `debit>credit:amount` spells."""
    ends, amount = spelled.split(":")
    debit, credit = (parse_place(end, accounts) for end in ends.split(">"))
    return Transfer(debit, credit, Money(int(amount), "EUR"))


def rows() -> list[tuple[str, str]]:
    """Each posting of the table and what becomes of it."""
    split = [line.strip().split("  ", 1) for line in POSTINGS.split("\n") if line]
    return [(posting, outcome.strip()) for posting, outcome in split]


@pytest.mark.parametrize(("posting", "outcome"), rows())
def test_the_table(posting: str, outcome: str) -> None:
    """Each posting of the table leaves the balances, or gets the refusal, beside it."""
    accounts = parse_accounts()
    before = dict(accounts)
    transfers = [parse_transfer(each, accounts) for each in posting.split() if each != "-"]
    decided = decide(accounts, transfers)
    touched = {place.path for each in transfers for place in (each.debit, each.credit)}
    if isinstance(decided, PostingRefused):
        said = decided.value
    else:
        after = {account.path: account.balance for account in decided.accounts}
        said = " ".join(f"{path}={after[path]}" for path in after if path in touched)
        outcome = " ".join(sorted(outcome.split()))
        said = " ".join(sorted(said.split()))
    assert said == outcome
    assert accounts == before


def test_every_refusal_is_in_the_table() -> None:
    """Each code has a row; that a key was used before is told by the database alone."""
    told = {outcome for _, outcome in rows() if "=" not in outcome}
    assert told | {PostingRefused.ALREADY_POSTED.value} == {code.value for code in PostingRefused}


PRICE = Money(10_000, "JPY")


def capture(commission: Money) -> Posting:
    """The posting of a capture of `PRICE`."""
    return capture_posting(Capture("demo", "txn_1", "test", "sam", PRICE, commission))


def test_a_capture_splits_the_buyers_money() -> None:
    """The provider owes us the price; we owe the seller what the commission leaves."""
    assert capture(Money(850, "JPY")) == Posting(
        "demo",
        "capture:txn_1",
        (
            Transfer(clearing("test"), payable("sam"), Money(9_150, "JPY")),
            Transfer(clearing("test"), COMMISSION, Money(850, "JPY")),
        ),
    )
    assert payable("sam") == Place("seller:sam:payable", Kind.LIABILITY, "sam")
    assert clearing("test") == Place("gateway:test:clearing", Kind.ASSET)


def test_a_share_of_nothing_leaves_no_transfer() -> None:
    """Without commission all goes to the seller, and a commission may be the whole."""
    assert [t.credit for t in capture(Money(0, "JPY")).transfers] == [payable("sam")]
    assert [t.credit for t in capture(PRICE).transfers] == [COMMISSION]


def test_the_accounts_of_a_posting() -> None:
    """Each account is named once, in the order in which it is opened."""
    assert list(places(capture(Money(850, "JPY")))) == [
        ("commission", "JPY"),
        ("gateway:test:clearing", "JPY"),
        ("seller:sam:payable", "JPY"),
    ]


names = st.sampled_from(["bank", "till", "anna", "boris", "fees", "rent"])
moves = st.lists(st.tuples(names, names, st.integers(-2, 700)), max_size=12)


@given(moves)
def test_what_is_decided_balances(drawn: list[tuple[str, str, int]]) -> None:
    """Whatever is posted, debits equal credits, entries chain, and floors hold at the end."""
    accounts = parse_accounts()
    transfers = [
        Transfer(parse_place(debit, accounts), parse_place(credit, accounts), Money(amount, "EUR"))
        for debit, credit, amount in drawn
    ]
    decided = decide(accounts, transfers)
    if isinstance(decided, PostingRefused):
        return
    entries = decided.entries
    debits = sum(entry.amount for entry in entries if entry.side is Side.DEBIT)
    assert debits == sum(t.amount.amount for t in transfers)
    assert 2 * debits == sum(entry.amount for entry in entries)
    for account in decided.accounts:
        own = [entry for entry in entries if entry.account == account.id]
        assert [entry.version for entry in own] == list(range(1, len(own) + 1))
        assert account.version == len(own)
        assert not own or own[-1].balance_after == account.balance
        assert account.floor is None or account.balance >= account.floor


@given(st.integers(1, AMOUNT_MAX), st.integers(0, 10_000))
def test_a_capture_is_always_taken(amount: int, basis_points: int) -> None:
    """Any price and any commission post on newly opened accounts, and sum to the price."""
    price = Money(amount, "CLF")
    posting = capture_posting(
        Capture("demo", "txn_1", "test", "sam", price, price.share(basis_points))
    )
    opened = {
        key: Account(number, "demo", key[0], place.kind, key[1], place.owner, None, 0, 0, 0)
        for number, (key, place) in enumerate(places(posting).items(), 1)
    }
    decided = decide(opened, posting.transfers)
    assert isinstance(decided, Decision)
    assert sum(account.credits for account in decided.accounts) == amount


def test_a_counter_is_filled_to_its_brim() -> None:
    """The last unit that a bigint holds may still be posted."""
    accounts = parse_accounts()
    accounts["full", "EUR"] = replace(accounts["full", "EUR"], debits=COUNTER_MAX - 1)
    decided = decide(accounts, [parse_transfer("full>anna:1", accounts)])
    assert isinstance(decided, Decision)
    assert max(account.debits for account in decided.accounts) == COUNTER_MAX
