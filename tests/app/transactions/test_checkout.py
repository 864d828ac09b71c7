"""A checkout is bought once, for one answer, whoever asks and however often."""

from collections import Counter
from dataclasses import replace

import asyncpg
import pytest
import trio

from app.domain.errors import Code, Refusal
from app.domain.money import AMOUNT_MAX
from app.payments import cards
from app.payments.memory_gateway import MemoryGateway, Point
from app.payments.test_gateway import TestGateway
from app.storage import Annex, Database
from app.transactions.model import Answer
from tests.app.transactions.shop import (
    BUYER,
    LINE,
    LISTING,
    OPERATOR,
    REQUEST,
    SALE,
    SELLER,
    Node,
    Shop,
    buyer,
    open_node,
    receipt,
    refused,
    said,
)

pytestmark = pytest.mark.servers

BALANCES = {"gateway:test:clearing": 1_000, "seller:sam:payable": 900, "commission": 100}


async def test_a_purchase(shop: Shop) -> None:
    """Stock, attempt, ledger, event and answer, all of one commit."""
    async with open_node(shop.database, TestGateway(shop.database)) as node:
        answer = receipt(await node.service.checkout(BUYER, REQUEST))
    assert answer.cursor.position == 1
    assert await shop.shelf() == (49, 0)
    assert await shop.attempts() == ["succeeded"]
    assert await shop.balances() == BALANCES
    assert await shop.told() == [
        ("stock_changed", f"sale:{SALE}", {"listing": LISTING, "stock": 49})
    ]
    assert await shop.check() == []


@pytest.mark.parametrize(
    ("card", "outcome", "attempt", "shelf"),
    [
        (cards.APPROVES, "captured", "succeeded", (49, 0)),
        (cards.DECLINES, "declined", "failed", (50, 0)),
        ("nobody_knows_it", "declined", "failed", (50, 0)),
        (cards.LOST_AFTER, "captured", "succeeded", (49, 0)),
        (cards.LOST_BEFORE, "outcome_unknown", "unknown", (50, 1)),
    ],
)
async def test_every_card(
    shop: Shop, card: str, outcome: str, attempt: str, shelf: tuple[int, int]
) -> None:
    """Each card has its outcome, attempt and stock; asked again, the answer is the same."""
    request = replace(REQUEST, payment_method=card)
    async with open_node(shop.database, TestGateway(shop.database)) as node:
        first = await node.service.checkout(BUYER, request)
        again = await node.service.checkout(BUYER, request)
    assert said(first) == outcome
    assert again == first
    assert await shop.attempts() == [attempt]
    assert await shop.shelf() == shelf
    assert len(await shop.told()) == (1 if outcome == "captured" else 0)
    assert await shop.check() == []


@pytest.mark.slow
async def test_two_hundred_for_fifty(shop: Shop) -> None:
    """Exactly fifty buy; the others are refused as sold out; fifty events tell of it, in order."""
    answers: list[Answer] = []

    async def buy(number: int) -> None:
        request = replace(REQUEST, key=f"key-{number}")
        answers.append(await node.service.checkout(buyer(f"buyer-{number}"), request))

    async with (
        open_node(shop.database, TestGateway(shop.database)) as node,
        trio.open_nursery() as nursery,
    ):
        for number in range(200):
            nursery.start_soon(buy, number)
    assert Counter(map(said, answers)) == {"captured": 50, "sold_out": 150}
    assert await shop.tally() == {"captured": 50, "sold_out": 150}
    assert await shop.shelf() == (0, 0)
    assert [data["stock"] for _, _, data in await shop.told()] == list(range(49, -1, -1))
    assert await shop.balances() == {path: 50 * each for path, each in BALANCES.items()}
    assert await shop.check() == []


async def test_the_same_key_from_sixteen_callers(shop: Shop) -> None:
    """One transaction, one charge, one answer for all."""
    gateway = MemoryGateway()
    answers: list[Answer] = []

    async def buy() -> None:
        answers.append(await node.service.checkout(BUYER, REQUEST))

    async with open_node(shop.database, gateway) as node:
        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(buy)
        later = await node.service.checkout(BUYER, REQUEST)
    assert answers == [receipt(later)] * 16
    assert gateway.passed[Point.CHARGE_BEFORE] == 1
    assert await shop.tally() == {"captured": 1}
    assert await shop.check() == []


async def test_the_same_key_on_two_nodes(shop: Shop) -> None:
    """Whichever node accepts, both tell the same, and the buyer is charged once."""
    gateway = MemoryGateway()
    answers: list[Answer] = []

    async def buy(node: Node) -> None:
        answers.append(await node.service.checkout(BUYER, REQUEST))

    async with (
        open_node(shop.database, gateway) as one,
        open_node(shop.database, gateway) as two,
        trio.open_nursery() as nursery,
    ):
        for node in (one, two) * 8:
            nursery.start_soon(buy, node)
    assert answers == [receipt(answers[0])] * 16
    assert len(gateway.outcomes) == 1
    assert await shop.tally() == {"captured": 1}
    assert await shop.check() == []


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, quantity=2),
        replace(REQUEST, payment_method=cards.DECLINES),
        replace(REQUEST, listing="chair"),
        replace(REQUEST, sale="monday"),
    ],
)
async def test_a_key_stands_for_one_request(shop: Shop, other: object) -> None:
    """The same key with another body is refused, whatever else is wrong with that body."""
    async with open_node(shop.database, MemoryGateway()) as node:
        first = await node.service.checkout(BUYER, REQUEST)
        second = await node.service.checkout(BUYER, other)  # type: ignore[arg-type]  # a request
        third = await node.service.checkout(BUYER, REQUEST)
    assert refused(second).code is Code.KEY_REUSED
    assert third == receipt(first)
    assert await shop.tally() == {"captured": 1}


async def test_a_key_stands_for_one_request_while_it_is_paid(shop: Shop) -> None:
    """The same key with another body is refused at once, before the first has its answer."""
    gateway, charging, go_on = MemoryGateway(), trio.Event(), trio.Event()

    async def at(point: Point, _attempt_id: str) -> None:
        if point is Point.CHARGE_BEFORE:
            charging.set()
            await go_on.wait()

    gateway.at = at
    answers: list[Answer] = []

    async def buy() -> None:
        answers.append(await node.service.checkout(BUYER, REQUEST))

    async with open_node(shop.database, gateway) as node, trio.open_nursery() as nursery:
        nursery.start_soon(buy)
        await charging.wait()
        other = await node.service.checkout(BUYER, replace(REQUEST, quantity=2))
        assert answers == []
        go_on.set()
    assert refused(other).code is Code.KEY_REUSED
    assert [said(answer) for answer in answers] == ["captured"]


async def test_two_bodies_race_for_a_fresh_key(shop: Shop) -> None:
    """One of them is bought, and all callers of the other are refused."""
    answers: dict[int, list[str]] = {1: [], 2: []}

    async def buy(quantity: int) -> None:
        request = replace(REQUEST, quantity=quantity)
        answers[quantity].append(said(await node.service.checkout(BUYER, request)))

    async with open_node(shop.database, MemoryGateway()) as node, trio.open_nursery() as nursery:
        for quantity in (1, 2) * 8:
            nursery.start_soon(buy, quantity)
    assert sorted(answers.values()) == [["captured"] * 8, ["key_reused"] * 8]
    assert await shop.tally() == {"captured": 1}


async def test_a_refusal_that_is_not_kept_leaves_the_key_free(shop: Shop) -> None:
    """Callers of a good body are served though one of a bad body came first, at the same time."""
    answers: dict[str, list[str]] = {"nothing": [], LISTING: []}

    async def buy(listing: str) -> None:
        request = replace(REQUEST, listing=listing)
        answers[listing].append(said(await node.service.checkout(BUYER, request)))

    async with open_node(shop.database, MemoryGateway()) as node, trio.open_nursery() as nursery:
        for listing in ("nothing", LISTING) * 4:
            nursery.start_soon(buy, listing)
    assert answers[LISTING] == ["captured"] * 4
    assert set(answers["nothing"]) <= {"not_found", "key_reused"}
    assert await shop.tally() == {"captured": 1}


async def test_keys_are_each_buyers_own(shop: Shop) -> None:
    """Two buyers may use the same key for two purchases."""
    async with open_node(shop.database, MemoryGateway()) as node:
        one = await node.service.checkout(buyer("one"), REQUEST)
        two = await node.service.checkout(buyer("two"), REQUEST)
    assert receipt(one).transaction != receipt(two).transaction


async def test_sold_out_is_kept(shop: Shop) -> None:
    """A purchase refused for want of stock stays refused, though stock comes; a new key buys."""
    greedy = replace(REQUEST, quantity=51)
    async with open_node(shop.database, MemoryGateway()) as node:
        first = await node.service.checkout(BUYER, greedy)
        await shop.write("restock", LISTING, 100)
        second = await node.service.checkout(BUYER, greedy)
        third = await node.service.checkout(BUYER, replace(greedy, key="key-2"))
    assert [said(each) for each in (first, second, third)] == ["sold_out", "sold_out", "captured"]
    assert await shop.check() == []


async def test_the_last_pieces_go_together(shop: Shop) -> None:
    """A purchase of all there is empties the shelf."""
    async with open_node(shop.database, MemoryGateway()) as node:
        receipt(await node.service.checkout(BUYER, replace(REQUEST, quantity=50)))
    assert await shop.shelf() == (0, 0)


@pytest.mark.parametrize("identity", [SELLER, OPERATOR])
async def test_only_buyers_buy(shop: Shop, identity: object) -> None:
    """Sellers and operators are refused, and nothing is kept of it."""
    async with open_node(shop.database, MemoryGateway()) as node:
        answer = await node.service.checkout(identity, REQUEST)  # type: ignore[arg-type]  # either
    assert refused(answer).code is Code.FORBIDDEN
    assert await shop.tally() == {}


async def test_a_buyers_name_is_learned(shop: Shop) -> None:
    """Somebody new becomes known as a buyer with the first purchase."""
    async with open_node(shop.database, MemoryGateway()) as node:
        receipt(await node.service.checkout(BUYER, REQUEST))
    assert await shop.rows("role_of", LINE, BUYER.person) == [{"role": "buyer"}]


async def test_a_name_has_one_role(shop: Shop) -> None:
    """A token that calls a known seller a buyer is refused."""
    async with open_node(shop.database, MemoryGateway()) as node:
        answer = await node.service.checkout(buyer(SELLER.person), REQUEST)
    assert refused(answer).code is Code.FORBIDDEN
    assert await shop.tally() == {}


async def test_what_is_not_for_sale_here(shop: Shop) -> None:
    """No such listing, no such sale, a listing of another sale, a sale of another line."""
    await shop.write("open_sale", LINE, "monday")
    await shop.write("list", LINE, "monday", "chair", 500, "EUR", 5)
    wrong = [
        (BUYER, replace(REQUEST, listing="nothing")),
        (BUYER, replace(REQUEST, sale="never")),
        (BUYER, replace(REQUEST, listing="chair")),
        (replace(BUYER, line="other"), REQUEST),
    ]
    async with open_node(shop.database, MemoryGateway()) as node:
        answers = [await node.service.checkout(identity, request) for identity, request in wrong]
    assert [said(answer) for answer in answers] == ["not_found"] * 4
    assert await shop.tally() == {}
    assert await shop.rows("role_of", LINE, BUYER.person) == []


async def test_a_closed_sale_sells_nothing(shop: Shop) -> None:
    """It is refused, not kept: once the sale opens again the same key buys."""
    async with open_node(shop.database, MemoryGateway()) as node:
        await shop.write("close_sale", SALE)
        closed = await node.service.checkout(BUYER, REQUEST)
        await shop.write("reopen_sale", SALE)
        opened = await node.service.checkout(BUYER, REQUEST)
    assert [said(closed), said(opened)] == ["sale_closed", "captured"]


async def test_what_was_bought_stays_bought(shop: Shop) -> None:
    """A key that has its answer gets it though the sale has closed since."""
    async with open_node(shop.database, MemoryGateway()) as node:
        first = await node.service.checkout(BUYER, REQUEST)
        await shop.write("close_sale", SALE)
        again = await node.service.checkout(BUYER, REQUEST)
    assert again == receipt(first)


async def test_a_price_may_not_overflow(database: Database) -> None:
    """Pieces whose price together is beyond any amount are refused; one of them can be bought."""
    shop = Shop(database)
    await shop.open(price=AMOUNT_MAX, commission_bp=1)
    async with open_node(database, MemoryGateway()) as node:
        two = await node.service.checkout(BUYER, replace(REQUEST, quantity=2))
        one = await node.service.checkout(BUYER, REQUEST)
    assert refused(two).code is Code.INVALID_REQUEST
    assert "quantity" in refused(two).detail
    assert said(one) == "captured"
    assert await shop.check() == []


@pytest.mark.parametrize(("commission_bp", "accounts"), [(0, 2), (10_000, 2), (3_333, 3)])
async def test_every_commission_posts(
    database: Database, commission_bp: int, accounts: int
) -> None:
    """None, all, and a third rounded: what is nothing opens no account."""
    shop = Shop(database)
    await shop.open(price=1, commission_bp=commission_bp)
    async with open_node(database, MemoryGateway()) as node:
        receipt(await node.service.checkout(BUYER, replace(REQUEST, quantity=2)))
    assert len(await shop.balances()) == accounts
    assert await shop.check() == []


async def test_too_many_purchases_at_once(shop: Shop) -> None:
    """A full node is busy, except for what the database can answer."""
    gateway, charging = MemoryGateway(), trio.Event()

    async def at(point: Point, _attempt_id: str) -> None:
        if point is Point.CHARGE_BEFORE and charging.is_set() is False:
            charging.set()
            await trio.sleep_forever()

    async with open_node(shop.database, gateway, max_children=1) as node:
        done = await node.service.checkout(BUYER, REQUEST)
        await node.wait_idle()
        gateway.at = at
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.service.checkout, BUYER, replace(REQUEST, key="key-2"))
            await charging.wait()
            busy = await node.service.checkout(BUYER, replace(REQUEST, key="key-3"))
            again = await node.service.checkout(BUYER, REQUEST)
            nursery.cancel_scope.cancel()
    assert refused(busy).code is Code.BUSY
    assert again == receipt(done)


async def test_a_database_that_is_away(annex: Annex, database_url: str) -> None:
    """The caller is told to try again; nothing was done."""
    database = Database(annex, database_url)  # never opened
    async with open_node(database, MemoryGateway()) as node:
        answer = await node.service.checkout(BUYER, REQUEST)
    assert answer == Refusal(Code.UNAVAILABLE)


async def test_a_node_that_is_down(shop: Shop) -> None:
    """A checkout after the end is refused for now, or answered from what is kept."""
    async with open_node(shop.database, MemoryGateway()) as node:
        done = await node.service.checkout(BUYER, REQUEST)
        await node.stop()
        again = await node.service.checkout(BUYER, REQUEST)
        fresh = await node.service.checkout(BUYER, replace(REQUEST, key="key-2"))
    assert again == receipt(done)
    assert refused(fresh).code is Code.UNAVAILABLE
    assert await shop.tally() == {"captured": 1}


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("reopen_transactions", asyncpg.RestrictViolationError),
        ("delete_transactions", asyncpg.RestrictViolationError),
        ("oversell", asyncpg.CheckViolationError),
    ],
)
async def test_the_tables_refuse(
    shop: Shop, statement: str, error: type[asyncpg.PostgresError]
) -> None:
    """What ended stays so, and no more is held than there is, whoever writes."""
    async with open_node(shop.database, MemoryGateway()) as node:
        receipt(await node.service.checkout(BUYER, REQUEST))
    with pytest.raises(error):
        await shop.tamper(statement)
    assert await shop.check() == []
