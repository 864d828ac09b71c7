"""Sellers see their accounts, operators those of their line, nobody else any; page by page."""

from dataclasses import replace

import pytest

from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.domain.page import Page, Paged
from app.identity.model import Identity, Scope
from app.ledger.model import Account, Side, StoredEntry
from app.ledger.seen import Entries
from app.ledger.service import AccountSeen, Ledger
from app.payments.memory_gateway import MemoryGateway
from app.storage import Database
from tests.app.transactions.shop import (
    BUYER,
    OPERATOR,
    REQUEST,
    SELLER,
    Shop,
    open_node,
    refused,
)

pytestmark = pytest.mark.servers

READER = replace(BUYER, scopes=frozenset({Scope.LEDGER_READ}))
ALL = {"commission", "gateway:test:clearing", "seller:sam:payable"}


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    """A ledger in which three pieces were sold at 10.00, one by one."""
    shop = Shop(database)
    await shop.open()
    async with open_node(database, MemoryGateway()) as node:
        for number in range(3):
            await node.service.checkout(BUYER, replace(REQUEST, key=f"key-{number}"))
    return Ledger(database)


async def accounts(ledger: Ledger, identity: Identity, page: Page | None = None) -> Paged[Account]:
    """A page of accounts that is there."""
    found = await ledger.accounts(identity, page or Page())
    assert isinstance(found, Paged)
    return found


async def entries(ledger: Ledger, account: int, page: Page | None = None) -> Paged[StoredEntry]:
    """A page of entries that is there."""
    found = await ledger.entries(OPERATOR, account, page or Page())
    assert isinstance(found, Paged)
    return found


@pytest.mark.parametrize(
    ("identity", "paths"),
    [
        (OPERATOR, ALL),
        (READER, ALL),
        (replace(READER, line="other"), set()),
        (SELLER, {"seller:sam:payable"}),
        (replace(SELLER, person="sue"), set()),
        (replace(OPERATOR, line="other"), set()),
        (replace(SELLER, line="other"), set()),
    ],
    ids=[
        "operator",
        "reader",
        "reader-elsewhere",
        "seller",
        "other-seller",
        "other-operator",
        "seller-elsewhere",
    ],
)
async def test_who_sees_what(ledger: Ledger, identity: Identity, paths: set[str]) -> None:
    """A listing, a look at each account, and a look at its entries agree."""
    listed = await accounts(ledger, identity)
    assert {account.path for account in listed.items} == paths
    everything = await accounts(ledger, OPERATOR)
    for account in everything.items:
        seen = await ledger.account(identity, account.id)
        page = await ledger.entries(identity, account.id, Page())
        if account.path in paths:
            assert seen == AccountSeen(account, everything.cursor, 3)
            assert isinstance(page, Entries)
            assert page.head == 3
            assert {entry.account for entry in page.items} == {account.id}
        else:
            assert (refused(seen).code, refused(page).code) == (Code.NOT_FOUND, Code.NOT_FOUND)


async def test_buyers_have_no_accounts(ledger: Ledger) -> None:
    """They are told so."""
    (account, *_) = (await accounts(ledger, OPERATOR)).items
    assert await ledger.accounts(BUYER, Page()) == Refusal(Code.FORBIDDEN)
    assert refused(await ledger.account(BUYER, account.id)).code is Code.NOT_FOUND


async def test_an_account_and_its_entries(ledger: Ledger) -> None:
    """Each entry shows its amount, what it records, and the balance with it."""
    (account,) = (await accounts(ledger, SELLER)).items
    shown = await entries(ledger, account.id)
    assert (account.balance, account.owner, account.version) == (2_700, "sam", 3)
    assert [entry.balance_after for entry in shown.items] == [900, 1_800, 2_700]
    assert {(entry.side, entry.amount) for entry in shown.items} == {
        (Side.CREDIT, Money(900, "EUR"))
    }
    assert all(entry.key.startswith("capture:txn_") for entry in shown.items)
    assert shown.cursor.position == 3


async def test_pages(ledger: Ledger) -> None:
    """Page after page shows each row once, in order."""
    first = await accounts(ledger, OPERATOR, Page(limit=2))
    assert first.next is not None
    second = await accounts(ledger, OPERATOR, Page(first.next, 2))
    assert {account.path for account in (*first.items, *second.items)} == ALL
    assert second.next is None
    account = second.items[0].id
    one = await entries(ledger, account, Page(limit=2))
    two = await entries(ledger, account, Page(one.next or "", 2))
    assert [entry.version for entry in (*one.items, *two.items)] == [1, 2, 3]
    assert (one.next, two.next) == ("2.1", None)


@pytest.mark.parametrize("after", ["x", "-1", "1.0", "9" * 19, "٣"])
async def test_no_place_among_accounts(ledger: Ledger, after: str) -> None:
    """A page of accounts is asked for by an account's id."""
    assert refused(await ledger.accounts(OPERATOR, Page(after))).code is Code.INVALID_REQUEST


@pytest.mark.parametrize("after", ["x", "1", "-1.0", "1.-1", "1.0.0", "9" * 19 + ".0", "٣.0"])
async def test_no_place_among_entries(ledger: Ledger, after: str) -> None:
    """A page of entries is asked for by a transfer's name."""
    assert refused(await ledger.entries(OPERATOR, 1, Page(after))).code is Code.INVALID_REQUEST


@pytest.mark.parametrize("account", [0, -1, 999, 2**63, 2**200])
async def test_no_account(ledger: Ledger, account: int) -> None:
    """A number that is no account's is not found, however large."""
    assert refused(await ledger.account(OPERATOR, account)).code is Code.NOT_FOUND
