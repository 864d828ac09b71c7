"""A node on which accounts are watched, and clients that keep a view of one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio

from actors import System
from app.domain.page import Page, Paged
from app.identity.model import Identity
from app.ledger import posting
from app.ledger.feed import AccountFeed
from app.ledger.model import Accepted, Account
from app.ledger.poster import Posters
from app.ledger.request import PostingRequest, Transfer
from app.ledger.service import AccountSeen, Ledger
from app.ledger.tail import POSTING, snapshot
from app.socket.account_channel import AccountChannel
from app.storage import Database
from channels.broker import Broker
from channels.delivery import DISCONNECT
from channels.limits import Limits
from channels.protocol import CLOSE, REPLY
from channels.reception import SocketHandler
from channels.router import Route
from channels.serializer import Envelope
from channels.testing import Client, Node, connect, serving
from tests.app.events.log import PATIENCE_S, running
from tests.app.transactions.shop import LINE, OPERATOR

PAYABLE: Final = "seller:sam:payable"
CLEARING: Final = "gateway:test:clearing"


def sale(key: str, amount: int = 100) -> PostingRequest:
    """What a buyer paid, to the seller."""
    return PostingRequest(key, (Transfer(CLEARING, PAYABLE, amount, "EUR"),))


async def directly(database: Database, *requests: PostingRequest) -> None:
    """Post in a block of one's own, of which no poster and no feed knows."""
    results = await database.write(posting.post, LINE, requests)
    assert all(isinstance(result, Accepted) for result in results), results


async def account_at(database: Database, path: str = PAYABLE) -> Account:
    """The account of this path, as the database has it."""
    page = await Ledger(database).accounts(OPERATOR, Page())
    assert isinstance(page, Paged)
    (account,) = [each for each in page.items if each.path == path]
    return account


async def shown(database: Database, account: Account) -> dict[str, Any]:
    """What a newcomer to the account's topic sees."""
    seen = await Ledger(database).account(OPERATOR, account.id)
    assert isinstance(seen, AccountSeen)
    return snapshot(seen.account)


class Doorman(SocketHandler):
    """Lets people in who are told to it, under the names of their tokens."""

    def __init__(self, people: Mapping[str, Identity]) -> None:
        self._people = people

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> Identity:
        """Who has this token."""
        assert token is not None
        return self._people[token]

    def who(self, assigns: Identity) -> str:
        """Their name."""
        return assigns.name

    def renew(self, assigns: Identity, token: str) -> Identity:
        """Who has this token."""
        return self._people[token]


@dataclass
class LedgerNode:
    """A node: its endpoint, its feed, and its posters."""

    node: Node
    feed: AccountFeed
    posters: Posters
    database: Database

    async def post(self, *requests: PostingRequest) -> None:
        """Post to the line's book; all must be taken."""
        results = await self.posters.post(LINE, requests)
        assert isinstance(results, list), results
        assert all(isinstance(result, Accepted) for result in results), results

    @asynccontextmanager
    async def watcher(self, account: Account, who: str = "ola") -> AsyncIterator["Watcher"]:
        """A connected client of this account's topic."""
        async with connect(self.node.endpoint, token=who) as client:
            yield Watcher(client, account)


@asynccontextmanager
async def ledger_node(
    database: Database,
    broker: Broker | None = None,
    *,
    people: Mapping[str, Identity] | None = None,
    limits: Limits | None = None,
    feed_database: Database | None = None,
    system: System | None = None,
) -> AsyncIterator[LedgerNode]:
    """A node on the database, for as long as the block; its feed is not running yet.

    Args:
        database: with the line's book in it.
        broker: of a lone node if left out.
        people: who may connect, by their tokens.
        limits: of the endpoint and the hub.
        feed_database: of the feed, where it has one of its own.
        system: of the posters.
    """
    feeds: list[AccountFeed] = []
    route = Route("account:*", lambda: AccountChannel(feeds[0]), delivery=DISCONNECT)
    handler = Doorman({"ola": OPERATOR, **(people or {})})
    async with serving([route], handler=handler, broker=broker, limits=limits) as node:
        feed = AccountFeed(feed_database or database, node.broker, node.hub)
        feeds.append(feed)
        posters = Posters(database, feed.posted)
        async with running(posters.actors, system):
            yield LedgerNode(node, feed, posters, database)


class Watcher:
    """A client with a view of one account, kept as `docs/protocol.md` tells it to.

    Attributes:
        view: the account as this client sees it.
        cursor: the last one seen.
        numbers: of the postings applied, since it was made.
        replies: to its joins.
    """

    def __init__(self, client: Client, account: Account) -> None:
        self.client = client
        self.topic = f"account:{account.id}"
        self.view: dict[str, Any] = {}
        self.cursor: str | None = None
        self.numbers: list[int] = []
        self.replies: list[dict[str, Any]] = []

    def go_on_from(self, other: "Watcher") -> None:
        """Have the view of another, as a client that connects again."""
        self.view, self.cursor, self.numbers = other.view, other.cursor, other.numbers

    async def join(self, **params: Any) -> dict[str, Any]:
        """Join, with the cursor where there is one, and take in the answer."""
        wanted = {"cursor": self.cursor} if self.cursor else {}
        ref = await self.client.send_join(self.topic, {**wanted, **params})
        while not self._take(await self.client.receive(), ref):
            pass
        return self.replies[-1]

    async def until(self, number: int) -> None:
        """Take what comes until this posting was seen."""
        with trio.fail_after(PATIENCE_S):
            while self.cursor is None or _position(self.cursor) < number:
                self._take(await self.client.receive())

    def _take(self, envelope: Envelope, ref: str | None = None) -> bool:
        """Take in a message; whether it is the answer to the push of this ref."""
        payload = envelope.payload
        if envelope.event == POSTING:
            self._apply(payload)
        elif envelope.event == REPLY:
            assert payload["status"] == "ok", payload
            assert envelope.ref == ref
            self._joined(payload["response"])
            return True
        else:
            assert envelope.event == CLOSE, envelope
        return False

    def _joined(self, response: dict[str, Any]) -> None:
        self.replies.append(response)
        if "snapshot" in response:
            self.view, self.cursor = response["snapshot"], response["cursor"]

    def _apply(self, payload: dict[str, Any]) -> None:
        """Apply a posting: the entries one by one, which must lead to what it says."""
        assert self.cursor is not None, "a posting came before the join's answer"
        number = payload["posting"]
        assert _position(self.cursor) < number, f"{number} came twice, or out of order"
        assert _position(payload["cursor"]) == number
        versions = [entry["version"] for entry in payload["entries"]]
        first = self.view["version"] + 1
        assert versions == list(range(first, first + len(versions))), "an entry is missing"
        after = payload["account"]
        assert payload["entries"][-1]["balance_after"] == after["balance"]
        assert versions[-1] == after["version"]
        self.view = {**self.view, **after}
        self.cursor = payload["cursor"]
        self.numbers.append(number)


def _position(cursor: str) -> int:
    return int(cursor.partition("-")[2])
