"""The channel of an account: who may join, and what it starts from."""

from dataclasses import replace
from typing import Any

import pytest

from app.identity.model import Identity, Role, Scope
from app.ledger import tail_store, watching
from app.ledger.feed import AccountFeed
from app.ledger.model import Account
from app.ledger.poster import Posters
from app.ledger.request import Pending, Post, PostingRequest, Void
from app.socket.account_channel import AccountChannel
from app.storage import Annex, Database
from channels.broker import MemoryBroker
from channels.channel import Joined, JoinRefused, Reply
from channels.hub import Hub
from tests.app.events.log import head, running
from tests.app.socket.client import Client
from tests.app.socket.ledger import (
    CLEARING,
    PAYABLE,
    LedgerNode,
    account_at,
    ledger_node,
    sale,
    shown,
)
from tests.app.transactions.shop import BUYER, LINE, OPERATOR, SELLER, Shop

pytestmark = pytest.mark.servers

READER = replace(BUYER, scopes=frozenset({Scope.LEDGER_READ}))


@pytest.fixture
async def account(database: Database) -> Account:
    """The seller's account, with three postings."""
    await Shop(database).open()
    posters = Posters(database)
    async with running(posters.actors):
        await posters.post(LINE, [sale(f"key-{n}") for n in range(3)])
    return await account_at(database)


def feed_of(database: Database) -> AccountFeed:
    """A feed that is not running."""
    return AccountFeed(database, MemoryBroker(), Hub())


async def join(
    feed: AccountFeed, identity: Identity, topic: str, params: object
) -> tuple[Joined | JoinRefused, Client]:
    """What a join is answered."""
    client = Client(identity, topic)
    answer = await AccountChannel(feed).join(topic, params, client)
    assert isinstance(answer, Joined | JoinRefused)
    return answer, client


def refused(answer: object) -> str:
    """The code of a refusal."""
    assert isinstance(answer, JoinRefused), answer
    return str(answer.response["code"])


@pytest.mark.parametrize(
    ("identity", "may"),
    [
        (OPERATOR, True),
        (READER, True),
        (SELLER, True),
        (replace(SELLER, person="sue", scopes=frozenset({Scope.LEDGER_READ})), True),
        (BUYER, False),
        (replace(BUYER, person="sam"), False),
        (replace(SELLER, person="sue"), False),
        (replace(OPERATOR, line="other"), False),
        (replace(READER, line="other"), False),
        (replace(SELLER, line="other"), False),
    ],
)
async def test_who_may_watch(
    database: Database, account: Account, identity: Identity, *, may: bool
) -> None:
    """Those who see the account; to others it is not there. A new token is asked the same."""
    feed, topic = feed_of(database), f"account:{account.id}"
    answer, client = await join(feed, identity, topic, {})
    if not may:
        assert refused(answer) == "not_found"
    channel = AccountChannel(feed)
    joined = await channel.join(topic, {}, Client(OPERATOR, topic))
    assert isinstance(joined, Joined)
    if identity.line == LINE:
        assert may is await channel.reauthorize(client)


@pytest.mark.parametrize(
    "name", ["", "0", "-1", "x", "999", "9" * 18, "9" * 40, " 1", "\N{ARABIC-INDIC DIGIT THREE}"]
)
@pytest.mark.usefixtures("account")
async def test_what_is_no_account_is_not_found(database: Database, name: str) -> None:
    """Whatever it is called; nobody is kept who was refused."""
    feed = feed_of(database)
    answer, client = await join(feed, OPERATOR, f"account:{name}", {})
    assert refused(answer) == "not_found"
    for ending in client.endings:
        ending()
    assert feed.statistics().accounts == 0


async def test_an_account_has_one_topic(database: Database, account: Account) -> None:
    """Other spellings of its id would never be told anything."""
    answer, _ = await join(feed_of(database), OPERATOR, f"account:0{account.id}", {})
    assert refused(answer) == "not_found"


@pytest.mark.parametrize("params", [{}, {"cursor": None}, {"other": 1}])
async def test_a_first_join(database: Database, account: Account, params: object) -> None:
    """Without a cursor the answer is the account, and the place of the book's last posting."""
    answer, _ = await join(feed_of(database), SELLER, f"account:{account.id}", params)
    epoch = (await head(database)).epoch
    assert answer == Joined({"snapshot": await shown(database, account), "cursor": f"{epoch}-3"}, 3)
    assert isinstance(answer, Joined)
    assert answer.response["snapshot"] == {
        "id": str(account.id),
        "book": LINE,
        "path": PAYABLE,
        "kind": "liability",
        "currency": "EUR",
        "owner": "sam",
        "floor": None,
        "ceiling": None,
        "closed_at": None,
        "debits_posted": 0,
        "credits_posted": 300,
        "debits_pending": 0,
        "credits_pending": 0,
        "balance": 300,
        "available": 300,
        "version": 3,
    }


async def test_a_rejoin_with_a_cursor(database: Database, account: Account) -> None:
    """The postings since then follow, each with the account as it was at that moment."""
    epoch = (await head(database)).epoch
    answer, _ = await join(
        feed_of(database), SELLER, f"account:{account.id}", {"cursor": f"{epoch}-1"}
    )
    assert isinstance(answer, Joined)
    assert answer.response == {"cursor": f"{epoch}-3", "recovered": True, "missed": 2}
    assert answer.position == 3
    first, second = answer.replay
    recorded = first.payload["recorded_at"]
    assert first.payload == {
        "posting": 2,
        "key": "key-1",
        "recorded_at": recorded,
        "effective_at": recorded,
        "reverses": None,
        "entries": [
            {
                "version": 2,
                "leg": 0,
                "type": "transfer",
                "side": "credit",
                "amount": {"amount": 100, "currency": "EUR"},
                "balance_after": 200,
            }
        ],
        "account": {
            "debits_posted": 0,
            "credits_posted": 200,
            "debits_pending": 0,
            "credits_pending": 0,
            "balance": 200,
            "available": 200,
            "version": 2,
        },
        "cursor": f"{epoch}-2",
    }
    assert ("posting", 2, f"{epoch}-2") == (first.event, first.position, first.cursor)
    assert second.payload["account"]["balance"] == 300


async def test_a_cursor_that_is_no_use_gets_a_snapshot(
    database: Database, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another log, ahead of the book, unreadable, or too long ago."""
    epoch = (await head(database)).epoch
    feed, topic = feed_of(database), f"account:{account.id}"
    monkeypatch.setattr(tail_store, "ACCOUNT_REPLAY_MAX", 2)
    for cursor in ("other-1", f"{epoch}-4", "nonsense", 7, f"{epoch}-0"):
        answer, _ = await join(feed, SELLER, topic, {"cursor": cursor})
        assert isinstance(answer, Joined)
        assert answer.response == {
            "snapshot": await shown(database, account),
            "cursor": f"{epoch}-3",
            "recovered": False,
            "reload": True,
        }
        assert (3, ()) == (answer.position, answer.replay)
    answer, _ = await join(feed, SELLER, topic, {"cursor": f"{epoch}-3"})
    assert answer == Joined({"cursor": f"{epoch}-3", "recovered": True, "missed": 0}, 3)


@pytest.mark.parametrize("params", [[], "x", None])
async def test_params_are_an_object(database: Database, account: Account, params: object) -> None:
    """Anything else is refused."""
    answer, _ = await join(feed_of(database), OPERATOR, f"account:{account.id}", params)
    assert refused(answer) == "invalid_request"


async def test_nothing_is_pushed(database: Database) -> None:
    """Postings are not made here."""
    answer = await AccountChannel(feed_of(database)).handle_in("post", {}, Client(OPERATOR))
    assert isinstance(answer, Reply)
    assert isinstance(answer.response, dict)
    assert ("error", "invalid_request") == (answer.status, answer.response["code"])


async def test_beyond_the_bound_a_join_is_refused(
    database: Database, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node watches so many accounts; places of those who are gone are free."""
    monkeypatch.setattr(watching, "ACCOUNTS_WATCHED_MAX", 1)
    feed = feed_of(database)
    other = await account_at(database, CLEARING)
    _, client = await join(feed, OPERATOR, f"account:{account.id}", {})
    answer, _ = await join(feed, OPERATOR, f"account:{other.id}", {})
    assert refused(answer) == "busy"
    assert (1, 1) == (feed.statistics().accounts, feed.statistics().books)
    for ending in client.endings:
        ending()
    answer, _ = await join(feed, OPERATOR, f"account:{other.id}", {})
    assert isinstance(answer, Joined)


async def test_without_a_database_a_join_may_come_again(annex: Annex, database_url: str) -> None:
    """A pool that is not open refuses as unavailable."""
    answer, _ = await join(feed_of(Database(annex, database_url)), OPERATOR, "account:1", {})
    assert refused(answer) == "unavailable"


# A running node -----------------------------------------------------------------------------------


async def told(node: LedgerNode, account: Account, last: int) -> list[dict[str, Any]]:
    """What a client is told that joins, after the account's first posting, up to the last."""
    epoch = (await head(node.database)).epoch
    async with node.watcher(account) as watcher:
        ref = await watcher.client.send_join(watcher.topic, {"cursor": f"{epoch}-3"})
        await watcher.client.assert_reply(ref)
        events: list[dict[str, Any]] = []
        while not events or events[-1]["posting"] < last:
            envelope = await watcher.client.receive()
            assert envelope.event == "posting"
            events.append(envelope.payload)
    return events


async def test_holds_and_their_ends_are_told(database: Database, account: Account) -> None:
    """Pending, posted in part, voided: the four counters and what is available, after each."""
    hold = Pending(PAYABLE, CLEARING, 80, "EUR")
    async with ledger_node(database) as node, running(node.feed):
        await node.post(PostingRequest("hold", (hold, hold)))
        await node.post(PostingRequest("post", (Post("4.0", 50),)))
        live = await told(node, account, 5)
        await node.post(PostingRequest("void", (Void("4.1"),)))
        again = await told(node, account, 6)
    assert live == again[:2]
    after = [
        [event["account"][name] for name in ("debits_posted", "debits_pending", "balance")]
        for event in again
    ]
    assert after == [[0, 160, 300], [50, 80, 250], [50, 0, 250]]
    assert [event["account"]["available"] for event in again] == [140, 170, 250]
    assert [[entry["type"] for entry in event["entries"]] for event in again] == [
        ["pending", "pending"],
        ["post"],
        ["void"],
    ]


@pytest.mark.parametrize(("token", "stays"), [("still", True), ("no more", False)])
async def test_a_new_token_decides_anew(
    database: Database, account: Account, token: str, *, stays: bool
) -> None:
    """One that does not let its holder be here closes the topic; any other changes nothing."""
    people = {"reader": READER, "still": replace(READER, role=Role.SELLER), "no more": BUYER}
    async with (
        ledger_node(database, people=people) as node,
        running(node.feed),
        node.watcher(account, "reader") as watcher,
    ):
        await watcher.join()
        ref = await watcher.client.push("phoenix", "access_token", {"access_token": token})
        await watcher.client.assert_reply(ref)
        if stays:
            await node.post(sale("still-here"))
            await watcher.until(4)
        else:
            await watcher.client.assert_close(watcher.topic)
            assert node.feed.statistics().accounts == 0
