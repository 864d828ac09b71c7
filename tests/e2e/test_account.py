"""A seller's account, watched by the unmodified npm `phoenix` client while purchases are made."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio

from app.demo.store import load_demo
from app.domain.ids import new_id
from app.identity.model import Role, Scope
from app.identity.tokens import Tokens
from app.storage import Database
from tests.e2e.node import NodeClient, Refused, node_client
from tests.e2e.server import TOKEN_SECRET, AgioServer, agio_server, client, token

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PURCHASE = {
    "sale": "demo",
    "listing": "demo-mug",
    "quantity": 1,
    "payment_method": "pm_card_visa",
}
SHOWN = ("debits_posted", "credits_posted", "debits_pending", "credits_pending", "balance")


async def buy(server: AgioServer, *keys: str) -> None:
    """Buy a mug under each of these keys, all at once."""
    async with client(server, "buyer") as http:

        async def one(key: str) -> None:
            answer = await http.post(
                "/v1/transactions", json=PURCHASE, headers={"Idempotency-Key": key}
            )
            assert answer.status_code == 201, answer.text

        async with trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(one, key)


async def account(server: AgioServer, number: str | None = None) -> dict[str, Any]:
    """The seller's account, as HTTP shows it."""
    async with client(server, "seller") as http:
        if number is not None:
            one: dict[str, Any] = (await http.get(f"/v1/accounts/{number}")).json()
            return one
        (found,) = (await http.get("/v1/accounts")).json()["items"]
        return dict(found)


async def follow(
    stack: AsyncExitStack, server: AgioServer, topic: str, transport: str | None = None
) -> NodeClient:
    """A Phoenix client of the seller that watches the account."""
    node = await stack.enter_async_context(node_client())
    await node.do("connect", url=server.socket_url, token=token("seller"), transport=transport)
    await node.do("follow", topic=topic, event="posting")
    await node.wait_for(1, topic=topic, joined=True)
    return node


def ends_as(node: NodeClient, postings: int, shown: dict[str, Any]) -> None:
    """The client has seen so many postings, each entry once, and holds what the database does."""
    seen = [line["payload"] for line in node.lines if line.get("event") == "posting"]
    assert len(seen) == postings
    numbers = [each["posting"] for each in seen]
    assert numbers == sorted(set(numbers))
    versions = [entry["version"] for each in seen for entry in each["entries"]]
    assert versions == list(range(versions[0], versions[0] + len(versions)))
    last = seen[-1]["account"]
    assert [last[name] for name in SHOWN] == [shown[name] for name in SHOWN]
    assert last["version"] == shown["version"] == versions[-1]


async def test_a_seller_sees_every_purchase(server: AgioServer) -> None:
    """Live, and what came while the client was cut off; it ends with the database's balance."""
    await buy(server, "first")
    before = await account(server)
    topic = f"account:{before['id']}"
    async with AsyncExitStack() as stack:
        watcher = await follow(stack, server, topic)
        (joined,) = await watcher.wait_for(1, topic=topic, joined=True)
        snapshot = joined["response"]["snapshot"]
        assert {name: snapshot[name] for name in before} == before
        await buy(server, "live-1", "live-2")
        seen = await watcher.wait_for(2, event="posting")
        assert [each["ref"] for each in seen] == [each["payload"]["cursor"] for each in seen]
        await watcher.do("cut")
        await buy(server, *[f"away-{n}" for n in range(10)])
        rejoined = (await watcher.wait_for(2, topic=topic, joined=True))[1]["response"]
        assert (rejoined["recovered"], "snapshot" in rejoined) == (True, False)
        await buy(server, "last")
        await watcher.wait_for(13, event="posting")
        ends_as(watcher, 13, await account(server, before["id"]))


async def test_postings_over_http_are_seen(server: AgioServer) -> None:
    """Hundreds in one request, a hold and its end among them, while the client is cut off once."""
    await buy(server, "first")
    before = await account(server)
    secret = Tokens(TOKEN_SECRET).issue(
        "demo-operator", Role.OPERATOR, "demo", 3_600, {Scope.LEDGER_POST}
    )
    path, clearing, currency = before["path"], "gateway:test:clearing", before["currency"]
    move = {"type": "transfer", "debit": clearing, "credit": path, "currency": currency}
    hold = {"type": "pending", "debit": path, "credit": clearing, "currency": currency}
    async with AsyncExitStack() as stack:
        watcher = await follow(stack, server, f"account:{before['id']}")
        http = await stack.enter_async_context(client(server, "operator"))
        http.headers["Authorization"] = f"Bearer {secret}"

        async def post(*transfers: dict[str, Any]) -> int:
            """One posting; its number."""
            key = new_id("key")
            answer = await http.post(
                "/v1/books/demo/postings", json={"key": key, "transfers": transfers}
            )
            assert answer.status_code == 201, answer.text
            number: int = answer.json()["number"]
            return number

        held = await post({**hold, "amount": 5})
        await watcher.wait_for(1, event="posting")
        await watcher.do("cut")
        many = [{"key": f"many-{n}", "transfers": [{**move, "amount": 1 + n}]} for n in range(400)]
        answer = await http.post("/v1/books/demo/postings", json=many)
        assert answer.status_code == 200, answer.text
        await post({"type": "void", "pending": f"{held}.0"})
        await watcher.wait_for(402, event="posting")
        ends_as(watcher, 402, await account(server, before["id"]))


async def test_a_client_that_polls_sees_the_same(server: AgioServer) -> None:
    """What holds for a socket holds for long polling."""
    await buy(server, "first")
    before = await account(server)
    async with AsyncExitStack() as stack:
        watcher = await follow(stack, server, f"account:{before['id']}", "longpoll")
        await buy(server, *[f"live-{n}" for n in range(8)])
        await watcher.wait_for(8, event="posting")
        ends_as(watcher, 8, await account(server, before["id"]))


async def test_postings_of_a_node_that_was_killed_are_seen_on_another(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """Those that it committed; the client on the other node goes on, without a gap."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url) as here,
        agio_server(database_url, valkey_url) as there,
        AsyncExitStack() as stack,
    ):
        await buy(here, "first")
        before = await account(here)
        topic = f"account:{before['id']}"
        watcher = await follow(stack, here, topic)
        await buy(there, *[f"there-{n}" for n in range(5)])
        there.kill()
        await there.wait_killed()
        await watcher.wait_for(5, event="posting")
        await buy(here, "here")
        await watcher.wait_for(6, event="posting")
        ends_as(watcher, 6, await account(here, before["id"]))


async def test_whose_account_it_is_not_cannot_watch_it(server: AgioServer) -> None:
    """A buyer is told that there is no such account, and another seller, too."""
    await buy(server, "first")
    topic = f"account:{(await account(server))['id']}"
    for role, name in (("buyer", "demo-buyer"), ("seller", "another")):
        async with node_client() as node:
            await node.do("connect", url=server.socket_url, token=token(role, name))
            with pytest.raises(Refused) as refused:
                await node.do("watch", topic=topic, recover=False)
            assert refused.value.response["code"] == "not_found"
