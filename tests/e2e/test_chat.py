"""The npm `phoenix` client in a chat: what it missed it gets, once, in order, by its cursor."""

import itertools
from typing import Any

import pytest

from app.demo.store import load_demo
from app.storage import Database
from tests.e2e.node import NodeClient, Refused, node_client
from tests.e2e.server import AgioServer, agio_server, token

pytestmark = [pytest.mark.servers, pytest.mark.slow]

CHAT = "chat:demo"
_NUMBERS = itertools.count(1)


@pytest.fixture
def history_url(valkey_url: str) -> str:
    """A Redis whose chats are empty: a database of the server that no other test uses."""
    return f"{valkey_url.rpartition('/')[0]}/{next(_NUMBERS)}"


async def join(node: AgioServer, phoenix: NodeClient, who: str = "buyer") -> dict[str, Any]:
    """Connect to this node and join the chat; the answer."""
    await phoenix.do("connect", url=node.socket_url, token=token(who))
    await phoenix.do("follow", topic=CHAT, event="message")
    [joined] = await phoenix.wait_for(1, topic=CHAT, joined=True)
    return dict(joined["response"])


async def say(phoenix: NodeClient, text: str) -> dict[str, Any]:
    """Say it; the answer."""
    return dict(await phoenix.do("push", topic=CHAT, event="say", payload={"text": text}))


def told(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What was said, each with its cursor."""
    return [(line["payload"]["text"], line["ref"]) for line in lines]


@pytest.mark.parametrize("package", ["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
async def test_who_was_cut_off_misses_nothing(
    package: str, database_url: str, history_url: str, database: Database
) -> None:
    """Cut off, it comes back with the newest cursor that it saw, and gets the rest from there."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, history_url) as first,
        agio_server(database_url, history_url) as second,
        node_client(package) as reader,
        node_client() as speaker,
    ):
        assert (await join(first, reader))["snapshot"] == {"messages": []}
        await join(second, speaker, "seller")
        said = [("one", (await say(speaker, "one"))["cursor"])]
        await reader.wait_for(1, event="message")
        await reader.do("cut")
        await reader.wait_for(1, topic=CHAT, joined=False)
        said += [(text, (await say(speaker, text))["cursor"]) for text in ("two", "three")]
        [_, again] = await reader.wait_for(2, topic=CHAT, joined=True)
        response = again["response"]
        assert response["recovered"] is True
        assert response["missed"] <= 2  # it may be back before they are said: then they are live
        said.append(("four", (await say(speaker, "four"))["cursor"]))
        assert told(await reader.wait_for(4, event="message")) == said


async def test_a_newcomer_reads_what_was_not_removed(
    database_url: str, history_url: str, database: Database
) -> None:
    """On another node, too; a buyer removes nothing."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, history_url) as first,
        agio_server(database_url, history_url) as second,
        node_client() as buyer,
        node_client() as seller,
    ):
        await join(first, buyer)
        first_id = (await say(buyer, "nonsense"))["id"]
        await say(buyer, "is it red?")
        with pytest.raises(Refused) as refused:
            await buyer.do("push", topic=CHAT, event="remove", payload={"id": first_id})
        assert refused.value.response["code"] == "forbidden"
        await join(second, seller, "seller")
        removed = await seller.do("push", topic=CHAT, event="remove", payload={"id": first_id})
        async with node_client() as late:
            answer = await join(second, late)
            assert answer["cursor"] == removed["cursor"]
            [left] = answer["snapshot"]["messages"]
            assert (left["text"], left["role"]) == ("is it red?", "buyer")


@pytest.mark.parametrize("package", ["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
async def test_events_of_the_log_have_their_cursors_in_the_ref_too(
    package: str, database_url: str, database: Database
) -> None:
    """As its payload has, where the client asked for it."""
    await database.write(load_demo)
    buy = {"listing": "demo-mug", "quantity": 1, "payment_method": "pm_card_visa"}
    async with agio_server(database_url) as server, node_client(package) as client:
        await client.do("connect", url=server.socket_url, token=token("buyer"))
        await client.do("follow", topic="sale:demo", event="stock_changed")
        await client.wait_for(1, topic="sale:demo", joined=True)
        for number in range(2):
            payload = {**buy, "idempotency_key": f"k{number}"}
            await client.do("push", topic="sale:demo", event="checkout", payload=payload)
        lines = await client.wait_for(2, event="stock_changed")
        assert [line["ref"] for line in lines] == [line["payload"]["cursor"] for line in lines]
