"""Everyone sees the transactions that are theirs to see, newest first, page by page."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.domain.errors import Code
from app.domain.money import Money
from app.domain.page import Page, Paged
from app.identity.model import Identity
from app.payments import cards
from app.payments.memory_gateway import MemoryGateway
from app.transactions.model import State, Transaction
from app.transactions.service import TransactionSeen
from tests.app.transactions.shop import (
    BUYER,
    OPERATOR,
    REQUEST,
    SELLER,
    Node,
    Shop,
    buyer,
    open_node,
    receipt,
    refused,
)

pytestmark = pytest.mark.servers

# Who looks, and whose purchases they see.
SEEN = [
    (buyer("ann"), {"ann"}),
    (buyer("bob"), {"bob"}),
    (buyer("nobody"), set()),
    (SELLER, {"ann", "bob"}),
    (replace(SELLER, person="sue"), set()),
    (OPERATOR, {"ann", "bob"}),
    (replace(OPERATOR, line="other"), set()),
]


@pytest.fixture
async def node(shop: Shop) -> AsyncIterator[Node]:
    """A node on which two people have bought, three times each."""
    async with open_node(shop.database, MemoryGateway()) as opened:
        for number in range(3):
            for name in ("ann", "bob"):
                await opened.service.checkout(buyer(name), replace(REQUEST, key=f"key-{number}"))
        yield opened


async def page(node: Node, identity: Identity, wanted: Page) -> Paged[Transaction]:
    """A page that is there."""
    found = await node.service.list(identity, wanted)
    assert isinstance(found, Paged)
    return found


@pytest.mark.parametrize(("identity", "buyers"), SEEN, ids=range(len(SEEN)))
async def test_who_sees_what(node: Node, identity: Identity, buyers: set[str]) -> None:
    """A listing and a look at each one agree; what is not theirs to see is not found."""
    listed = await page(node, identity, Page())
    assert {transaction.buyer for transaction in listed.items} == buyers
    assert len(listed.items) == 3 * len(buyers)
    everything = await page(node, OPERATOR, Page())
    assert len(everything.items) == 6
    for transaction in everything.items:
        found = await node.service.get(identity, transaction.id)
        if transaction.buyer in buyers:
            assert found == TransactionSeen(transaction, everything.cursor)
        else:
            assert refused(found).code is Code.NOT_FOUND


async def test_pages(node: Node) -> None:
    """Page after page shows each transaction once, newest first."""
    whole = await page(node, OPERATOR, Page())
    assert whole.next is None
    assert [each.id for each in whole.items] == sorted((t.id for t in whole.items), reverse=True)
    walked: list[Transaction] = []
    wanted: str | None = ""
    while wanted is not None:
        part = await page(node, OPERATOR, Page(wanted, 2))
        assert len(part.items) == 2
        walked += part.items
        wanted = part.next
    assert walked == list(whole.items)


@pytest.mark.parametrize("after", ["x", "txn_", "0", "txn_" + "a" * 27, "txn_\x00"])
async def test_no_place_is_refused(node: Node, after: str) -> None:
    """A page is asked for by what the page before said."""
    assert refused(await node.service.list(BUYER, Page(after))).code is Code.INVALID_REQUEST


@pytest.mark.parametrize("name", ["", "x", "txn_" + "0" * 26, "txn_\ud800", "txn_\x00"])
async def test_no_transaction(node: Node, name: str) -> None:
    """What is no id is not found, as what is none of a transaction."""
    assert refused(await node.service.get(OPERATOR, name)).code is Code.NOT_FOUND


async def test_what_a_transaction_says(shop: Shop) -> None:
    """A capture shows its price, its commission and its place in the log; a refusal says why."""
    async with open_node(shop.database, MemoryGateway()) as node:
        bought = receipt(await node.service.checkout(BUYER, replace(REQUEST, quantity=3)))
        refusal = replace(REQUEST, key="key-2", payment_method=cards.DECLINES)
        await node.service.checkout(BUYER, refusal)
        declined, captured = (await page(node, BUYER, Page())).items
    assert (captured.id, captured.cursor) == (bought.transaction, bought.cursor)
    assert (captured.price, captured.commission) == (Money(3_000, "EUR"), Money(300, "EUR"))
    assert (captured.state, captured.refusal) == (State.CAPTURED, None)
    assert (declined.state, declined.refusal) == (State.REFUSED, Code.DECLINED)
    assert (declined.cursor, declined.overdue) == (None, False)
    assert captured.updated_at >= captured.created_at
