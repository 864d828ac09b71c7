"""Any part of a running node is ended as by a crash: what stands on it restarts, and no more.

Each test ends one part while two purchases are with the provider, one over HTTP and one over a
socket, and two others watch. The table says what may come of that.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

import pytest
import trio

from app.demo.store import load_demo
from app.storage import Annex, Database
from tests.faults.http import Http
from tests.faults.live import PATIENCE_S, Live, charges_held, live, until_charging, violations
from tests.faults.members import STOCK, Member, buy, nothing_waits, stock_left

pytestmark = [pytest.mark.servers, pytest.mark.slow]


class Lose(Enum):
    """Who loses the connection."""

    NOBODY = auto()
    VICTIM = auto()  # the one whose connection it is
    EVERYBODY = auto()


# How often the victim, the watcher and the buyer have connected in all.
CONNECTIONS = {Lose.NOBODY: [1, 1, 1], Lose.VICTIM: [2, 1, 1], Lose.EVERYBODY: [2, 2, 2]}


@dataclass(frozen=True)
class Part:
    """A part, and what its end may bring about.

    Attributes:
        path: where it is, below `agio/node`.
        restarts: what starts again, each once, in any order: `supervisor/child`.
        may: what starts again where it was at work with that part just then, and as often as it
            tries before that is back.
        lose: who loses the connection.
        repeats: which of the purchases under way may have to be asked for again.
    """

    path: str
    restarts: str
    may: str = ""
    lose: Lose = Lose.NOBODY
    repeats: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.path or "node"


SOCKET = frozenset({"socket"})
BOTH = frozenset({"http", "socket"})

LOG = """events/feed events/relay events/accounts events/revocations events/expiries
    events/sealer"""
SERVICE = f"""node/service service/broker service/hub service/reader service/viewers
    service/histories service/events {LOG} service/posters service/transactions service/recovery
    service/checkouts service/connections service/longpoll longpoll/sessions longpoll/relayed
    service/listener"""
DRIVERS = "storage/drivers drivers/database drivers/bus drivers/history"
STORAGE = f"node/storage storage/annex {DRIVERS}"
NODE = f"agio/node {STORAGE} node/schema {SERVICE}"

PARTS = [
    Part("storage/annex", f"storage/annex {DRIVERS} events/relay", LOG, repeats=BOTH),
    Part("storage/drivers", DRIVERS, LOG, repeats=BOTH),
    Part("storage/drivers/database", "drivers/database", LOG, repeats=BOTH),
    Part("storage/drivers/bus", "drivers/bus"),
    Part("storage/drivers/history", "drivers/history"),
    Part("service/broker", "service/broker"),
    Part("service/hub", "service/hub"),
    Part("service/reader", "service/reader"),
    Part("service/viewers", "service/viewers"),
    Part("service/histories", "service/histories"),
    Part("service/events", f"service/events {LOG}"),
    Part("service/events/feed", "events/feed"),
    Part("service/events/relay", "events/relay"),
    Part("service/events/accounts", "events/accounts"),
    Part("service/events/revocations", "events/revocations"),
    Part("service/events/expiries", "events/expiries"),
    Part("service/events/sealer", "events/sealer"),
    Part("service/posters", "service/posters"),
    Part("service/transactions", "service/transactions", repeats=BOTH),
    Part("service/transactions/*", "", repeats=BOTH),
    Part("service/recovery", "service/recovery"),
    Part("service/checkouts", "service/checkouts", repeats=SOCKET),
    Part("service/connections", "service/connections", lose=Lose.EVERYBODY, repeats=BOTH),
    Part("service/connections/connection-1", "", lose=Lose.VICTIM),
    Part("service/connections/connection-1/channels/channel-1", ""),
    Part("service/longpoll", "service/longpoll longpoll/sessions longpoll/relayed"),
    Part("service/longpoll/sessions", "longpoll/sessions"),
    Part("service/longpoll/relayed", "longpoll/relayed"),
    Part("service/listener", "service/listener"),
    Part("service", SERVICE, lose=Lose.EVERYBODY, repeats=BOTH),
    Part("schema", f"node/schema {SERVICE}", lose=Lose.EVERYBODY, repeats=BOTH),
    Part("storage", f"{STORAGE} node/schema {SERVICE}", LOG, lose=Lose.EVERYBODY, repeats=BOTH),
    Part("", NODE, lose=Lose.EVERYBODY, repeats=BOTH),
]


@dataclass
class Crowd:
    """Who is there when a part ends.

    Attributes:
        victim: the first who connected; watches.
        watcher: another who watches.
        buyer: buys over a socket.
        http: buys over HTTP.
    """

    victim: Member
    watcher: Member
    buyer: Member
    http: Http

    @property
    def members(self) -> list[Member]:
        """Those with a socket."""
        return [self.victim, self.watcher, self.buyer]


@asynccontextmanager
async def crowd(node: Live) -> AsyncIterator[Crowd]:
    """Everybody is there and has joined."""
    victim, watcher = Member(node, "seller"), Member(node, "operator")
    buyer = Member(node, "buyer")
    with node.client("buyer") as http:
        async with trio.open_nursery() as nursery:
            for member in (victim, watcher, buyer):
                nursery.start_soon(member.run)
                await member.joined()
            yield Crowd(victim, watcher, buyer, http)
            nursery.cancel_scope.cancel()


async def answers(crowd: Crowd, way: str, tries: list[str]) -> None:
    """Buy by this way under one key until it is answered for good; keeps what it was told."""
    with trio.fail_after(PATIENCE_S):
        while not tries or tries[-1] != "bought":
            if way == "http":
                answer = await buy(crowd.http, "the-key-http")
            else:
                answer = await crowd.buyer.buy("the-key-socket")
            assert "transaction" in answer or answer["retryable"], answer
            tries.append("bought" if "transaction" in answer else answer["code"])


async def end(
    node: Live, crowd: Crowd, part: Part, annex: Annex, owner: Database
) -> tuple[int, dict[str, list[str]]]:
    """End a part while two purchases are with the provider, and see both through."""
    tries: dict[str, list[str]] = {"http": [], "socket": []}
    async with trio.open_nursery() as nursery:
        async with charges_held(annex, owner) as release:
            for way, told in tries.items():
                nursery.start_soon(answers, crowd, way, told)
            await until_charging(owner, len(tries))
            mark = node.crash(part.path)
            release()
        due = Counter(part.restarts.split())
        await node.until(lambda: not due - node.starts_since(mark), f"the restarts of {part}")
    return mark, tries


@pytest.mark.parametrize("part", PARTS, ids=str)
async def test_only_what_must_restarts(
    part: Part, database_url: str, valkey_url: str, annex: Annex, owner: Database
) -> None:
    """Nobody is disconnected who need not be; every purchase stands once; all is told, in order."""
    await owner.write(load_demo)
    async with live(database_url, valkey_url) as node, crowd(node) as there:
        mark, tries = await end(node, there, part, annex, owner)
        if part.lose is Lose.EVERYBODY:
            there.http.close()
        await everything_works(node, there)
        sold = 3
        for each in there.members:
            await each.saw_it_all(sold)
        starts = node.starts_since(mark)
        told_to_ask_again = {way for way, told in tries.items() if len(told) > 1}
        connections = [each.connections for each in there.members]
        reconnected = there.http.connections > 1
        await nothing_waits(node)
    must = Counter(part.restarts.split())
    for name in part.may.split():
        assert starts.pop(name, 0) >= must.pop(name, 0)
    assert must == starts
    assert told_to_ask_again <= part.repeats, tries
    assert len(told_to_ask_again) < 2 or not part.path.endswith("/*"), tries
    assert CONNECTIONS[part.lose] == connections
    assert (part.lose is Lose.EVERYBODY) == reconnected
    assert await stock_left(owner) == STOCK - sold
    assert [] == await violations(owner)
    assert [] == node.names_of("request.crashed")


async def test_a_node_that_comes_after_another_has_its_port(database_url: str) -> None:
    """Also where the system chose it: clients know it by now."""
    async with live(database_url, None, port=0) as node:
        node.crash("")
        await node.until(lambda: len(node.urls) == 2, "another node")
        assert node.urls[0] == node.urls[1]


async def everything_works(node: Live, there: Crowd) -> None:
    """What has restarted works at once: nobody has to ask twice any more."""
    for each in there.members:
        await each.joined()
    answer = await buy(there.http, "afterwards")
    assert "transaction" in answer, answer
    await node.until(lambda: not node.resting(), "everything to run")
    ready = await there.http.get("/readyz")
    assert 200 == ready.status, ready.body
