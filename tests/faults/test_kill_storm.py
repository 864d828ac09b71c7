"""Part after part of a running node is ended, while a sale goes on: everything adds up in the end.

A seed decides which parts, and after how many events each. Three watch, eight buy, half of them
over HTTP and half over sockets, and ask again for what they were not told.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

import pytest
import trio

from app.demo.store import load_demo
from app.identity.model import Identity, Role
from app.storage import Database
from app.transactions import store
from tests.faults.live import PATIENCE_S, Live, live, violations
from tests.faults.members import STOCK, Member, buy, nothing_waits, stock_left

pytestmark = [pytest.mark.servers, pytest.mark.slow]

KILLS: Final = 30
BUYERS: Final = 8
WATCHERS: Final = 3
# More than any seed sells.
PURCHASES_MAX: Final = 400
# At most so many events are told between two kills: a purchase is some ten of them.
EVENTS_BETWEEN: Final = 80

# What takes everything with it, and is ended once at most: more often is no accident, and the tree
# gives up as it should.
WHOLE: Final = ("", "storage", "schema", "service")
PARTS: Final = (
    "storage/annex",
    "storage/drivers",
    "storage/drivers/database",
    "storage/drivers/bus",
    "service/broker",
    "service/hub",
    "service/reader",
    "service/events",
    "service/events/feed",
    "service/events/relay",
    "service/events/accounts",
    "service/events/revocations",
    "service/transactions",
    "service/transactions/*",
    "service/recovery",
    "service/checkouts",
    "service/checkouts/*",
    "service/connections",
    "service/connections/connection-*",
    "service/longpoll",
    "service/longpoll/sessions",
    "service/longpoll/relayed",
    "service/listener",
)


class Sale:
    """A sale that goes on until it is over.

    Attributes:
        over: whether no new purchase is begun.
        bought: the transactions that were acknowledged, by key.
    """

    def __init__(self, node: Live) -> None:
        self.node = node
        self.over = False
        self.bought: dict[str, str] = {}

    async def shop_by_http(self, name: str) -> None:
        """Buy over HTTP, one after another."""
        with self.node.client("buyer") as http:
            for key in self._keys(name):
                await self._see_through(key, partial(buy, http))

    async def shop_by_socket(self, name: str) -> None:
        """Buy over a socket, one after another."""
        member = Member(self.node, "buyer")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(member.run)
            for key in self._keys(name):
                await self._see_through(key, member.buy)
            nursery.cancel_scope.cancel()

    def _keys(self, name: str) -> Iterator[str]:
        number = 0
        while not self.over and len(self.bought) < PURCHASES_MAX:
            number += 1
            yield f"{name}-{number}"

    async def _see_through(self, key: str, ask: Callable[[str], Awaitable[dict[str, Any]]]) -> None:
        """Ask until it is answered for good."""
        told: Counter[str] = Counter()
        with trio.move_on_after(PATIENCE_S):
            while True:
                answer = await ask(key)
                if "transaction" in answer:
                    self.bought[key] = answer["transaction"]
                    return
                assert answer["retryable"], answer
                told[answer["code"]] += 1
                if answer["code"] == "lost":
                    await self.node.listens()
        raise AssertionError(f"{key} was told {dict(told)}; at rest: {self.node.resting()}")


async def storm(node: Live, chance: random.Random) -> None:
    """End one part after another."""
    parts = [*PARTS * 2, *WHOLE]
    for _ in range(KILLS):
        await node.more_events(chance.randrange(EVENTS_BETWEEN))
        await node.until(lambda: any(map(node.places, parts)), "anything to live")
        part = chance.choice([part for part in parts if node.places(part)])
        if part in WHOLE:
            parts.remove(part)
        node.crash(part)


@pytest.mark.parametrize("seed", range(4))
async def test_a_storm_of_crashes_costs_nobody_a_purchase(
    seed: int, database_url: str, valkey_url: str, database: Database
) -> None:
    """Each acknowledged purchase stands once, each event was seen once by all, in order."""
    await database.write(load_demo)
    async with live(database_url, valkey_url) as node, trio.open_nursery() as nursery:
        watchers = [Member(node, "seller") for _ in range(WATCHERS)]
        for watcher in watchers:
            nursery.start_soon(watcher.run)
            await watcher.joined()
        sale = Sale(node)
        async with trio.open_nursery() as shoppers:
            for number in range(BUYERS // 2):
                shoppers.start_soon(sale.shop_by_http, f"http-{number}")
                shoppers.start_soon(sale.shop_by_socket, f"socket-{number}")
            await storm(node, random.Random(seed))
            sale.over = True
        await node.until(lambda: not node.resting(), "everything to run")
        for watcher in watchers:
            await watcher.saw_it_all(len(sale.bought))
        await nothing_waits(node)
        nursery.cancel_scope.cancel()
    assert await stock_left(database) == STOCK - len(sale.bought)
    assert await captured(database) == sorted(sale.bought.values())
    assert [] == await violations(database)
    assert [] == node.names_of("request.crashed")


async def captured(database: Database) -> list[str]:
    """The transactions that stand."""
    buyer = Identity("demo-buyer", Role.BUYER, "demo", 0, "")
    found = await database.read(store.of_buyer, buyer, "", PURCHASES_MAX + BUYERS)
    assert {"captured"} == {each.state.value for each in found}
    return sorted(each.id for each in found)
