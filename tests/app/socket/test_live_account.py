"""An account watched over sockets: every posting once and in order, whatever happens."""

import random
from contextlib import AsyncExitStack
from typing import TypeVar, TypeVarTuple

import pytest
import trio

from app.domain.page import Page, Paged
from app.events.feed import LOG
from app.ledger import feed, posting
from app.ledger.interline import Interline
from app.ledger.interline_request import End, InterlineRequest
from app.ledger.limits import TAIL_ENTRIES_A_READ
from app.ledger.model import Accepted, Account
from app.ledger.request import Pending, PostingRequest, Transfer
from app.ledger.service import Ledger
from app.payments.memory_gateway import MemoryGateway
from app.storage import Database
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from tests.app.events.log import PATIENCE_S, running
from tests.app.socket.ledger import (
    CLEARING,
    PAYABLE,
    LedgerNode,
    Watcher,
    account_at,
    directly,
    ledger_node,
    sale,
    shown,
)
from tests.app.transactions.shop import BUYER, LINE, OPERATOR, REQUEST, SELLER, Shop, open_node

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

pytestmark = [pytest.mark.servers, pytest.mark.slow]


async def head_of(database: Database) -> int:
    """The number of the book's last posting, which this one is."""
    (result,) = await database.write(posting.post, LINE, [sale("the last one")])
    assert isinstance(result, Accepted)
    return result.posted.number


@pytest.fixture
def looks_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds look when they are woken, and never by themselves."""
    monkeypatch.setattr(feed, "BOOKS_LOOK_S", 10 * PATIENCE_S)


@pytest.mark.usefixtures("looks_never")
async def test_each_posting_is_seen_at_once(database: Database, account: Account) -> None:
    """Woken by the poster: the number, the balance after, and the cursor in the ref slot."""
    async with (
        ledger_node(database) as node,
        running(node.feed),
        node.watcher(account) as watcher,
    ):
        reply = await watcher.join(cursors=True)
        assert reply["snapshot"] == await shown(database, account)
        for number in range(2, 6):
            await node.post(sale(f"key-{number}", number))
            envelope = await watcher.client.receive()
            assert envelope.payload["account"]["balance"] == 100 + sum(range(2, number + 1))
            assert envelope.ref == envelope.payload["cursor"]
            assert envelope.ref == f"{reply['cursor'].partition('-')[0]}-{number}"


async def test_without_any_message_the_feed_looks(database: Database, account: Account) -> None:
    """Postings of which nobody told, more than one read of them, come a moment later."""
    count = TAIL_ENTRIES_A_READ + 10
    async with (
        ledger_node(database) as node,
        running(node.feed),
        node.watcher(account) as watcher,
    ):
        await watcher.join()
        await directly(database, *[sale(f"key-{n}") for n in range(count)])
        await watcher.until(count + 1)
        assert watcher.view == await shown(database, account)
        assert watcher.numbers == list(range(2, count + 2))


@pytest.mark.usefixtures("looks_never")
async def test_a_purchase_is_seen_by_its_seller(database: Database, account: Account) -> None:
    """A capture posts inside the purchase's own block; its seller sees the balance grow."""
    async with (
        ledger_node(database, people={"sam": SELLER}) as node,
        running(node.feed),
        open_node(database, MemoryGateway()) as shop,
        node.watcher(account, "sam") as watcher,
    ):
        await watcher.join()
        await shop.service.checkout(BUYER, REQUEST)
        node.node.broker.publish_raw(LOG, b"a batch, as the relay sends when it was told of")
        await watcher.until(2)
        assert watcher.view["balance"] == 100 + 900
        assert watcher.view == await shown(database, account)


async def test_a_hold_that_expires_is_seen(database: Database, account: Account) -> None:
    """Whoever ended it: here the next posting of the book."""
    hold = Pending(PAYABLE, CLEARING, 40, "EUR", expires_after_s=1)
    async with (
        ledger_node(database) as node,
        running(node.feed),
        node.watcher(account) as watcher,
    ):
        await watcher.join()
        await node.post(PostingRequest("hold", (hold,)))
        await watcher.until(2)
        assert (60, 100) == (watcher.view["available"], watcher.view["balance"])
        with trio.fail_after(PATIENCE_S):
            while watcher.view["debits_pending"]:
                await node.posters.expire(LINE)
                if (await shown(database, account))["version"] > watcher.view["version"]:
                    await watcher.until(3)
        assert (100, 100) == (watcher.view["available"], watcher.view["balance"])


@pytest.mark.usefixtures("looks_never")
async def test_what_another_node_posts_is_seen_at_once(
    database: Database, account: Account
) -> None:
    """Its posters tell all nodes, and so does a move between books."""
    wire = MemoryWire()
    async with (
        ledger_node(database, RedisBroker(MemoryBus(wire), "a")) as here,
        ledger_node(database, RedisBroker(MemoryBus(wire), "b")) as there,
        running(here.feed),
        running(there.feed),
        here.watcher(account) as watcher,
    ):
        await watcher.join()
        await there.post(sale("there"))
        await watcher.until(2)
        await Shop(database).write("open_line", "other", 0)
        move = InterlineRequest("move", "EUR", 10, End(LINE, PAYABLE), End("other", "bank:b"))
        await Interline(database, there.feed.posted).post(move)
        await watcher.until(3)
        assert watcher.view["balance"] == 100 + 100 - 10


async def test_accounts_of_one_book_are_told_of_their_own(
    database: Database, account: Account
) -> None:
    """Many accounts, one feed: each client sees what moved its account, and nothing else."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(ledger_node(database))
        await stack.enter_async_context(running(node.feed))
        await node.post(
            *[
                PostingRequest(f"open-{n}", (Transfer(CLEARING, f"bank:{n}", 1, "EUR"),))
                for n in range(5)
            ]
        )
        watchers = []
        for n in range(5):
            own = await account_at(database, f"bank:{n}")
            watchers.append(await stack.enter_async_context(node.watcher(own)))
            await watchers[-1].join()
        await node.post(
            *[
                PostingRequest(
                    f"move-{n}", (Transfer(f"bank:{n % 5}", f"bank:{(n + 1) % 5}", 1, "EUR"),)
                )
                for n in range(20)
            ]
        )
        for n, watcher in enumerate(watchers):
            numbers = [6 + k + 1 for k in range(20) if n in {k % 5, (k + 1) % 5}]
            await watcher.until(numbers[-1])
            assert watcher.numbers == numbers
        assert node.feed.statistics().accounts == len(watchers)
        assert (await shown(database, account))["version"] == account.version


class Storm:
    """Postings by two nodes' posters, and clients that come and go on both, as chance has it."""

    def __init__(self, nodes: list[LedgerNode], account: Account, seed: int) -> None:
        self.nodes = nodes
        self.account = account
        self.watchers: list[Watcher] = []
        self.chance = random.Random(seed)
        self.over = trio.Event()

    async def post(self, node: LedgerNode, name: str, batches: int) -> None:
        """Batches of several postings, some of which leave the account alone."""
        for batch in range(batches):
            requests = []
            for n in range(self.chance.randint(1, 6)):
                path = self.chance.choice([PAYABLE, PAYABLE, "commission"])
                legs = [Transfer(CLEARING, path, 1 + n, "EUR")] * self.chance.randint(1, 3)
                requests.append(PostingRequest(f"{name}-{batch}-{n}", tuple(legs)))
            await node.post(*requests)

    async def watch(self) -> None:
        """A client that is cut off again and again, and goes on by its cursor on either node."""
        before: Watcher | None = None
        while True:
            last = self.over.is_set()
            async with self.chance.choice(self.nodes).watcher(self.account) as watcher:
                if before is not None:
                    watcher.go_on_from(before)
                reply = await watcher.join()
                assert before is None or "snapshot" not in reply
                if last:
                    await watcher.until(await head_of(self.nodes[0].database))
                    self.watchers.append(watcher)
                    return
                with trio.move_on_after(self.chance.uniform(0, 0.05)):
                    await watcher.until(10**9)
            before = watcher


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_storm_on_two_nodes(database: Database, account: Account, seed: int) -> None:
    """All clients see all postings of the account once, in order, and end with its balance."""
    wire = MemoryWire()
    async with (
        ledger_node(database, RedisBroker(MemoryBus(wire), "a")) as a,
        ledger_node(database, RedisBroker(MemoryBus(wire), "b")) as b,
        running(a.feed),
        running(b.feed),
    ):
        storm = Storm([a, b], account, seed)
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(storm.watch)
            async with trio.open_nursery() as posting_nursery:
                for n, node in enumerate((a, b, a, b)):
                    posting_nursery.start_soon(storm.post, node, f"poster-{n}", 25)
            storm.over.set()
        expected = await shown(database, account)
        entries = await numbers_of(database, account)
    assert len(storm.watchers) == 6
    for watcher in storm.watchers:
        assert watcher.view == expected
        assert watcher.numbers == [each for each in entries if each >= watcher.numbers[0]]
        assert len(watcher.numbers) > 100


async def numbers_of(database: Database, account: Account) -> list[int]:
    """The postings of an account, in order, as a page after another shows them."""
    found: list[int] = []
    service, page = Ledger(database), Page()
    while True:
        entries = await service.entries(OPERATOR, account.id, page)
        assert isinstance(entries, Paged)
        found += [entry.posting for entry in entries.items]
        if entries.next is None:
            return list(dict.fromkeys(found))
        page = Page(entries.next)
