"""Who is in a topic, as the npm client's own `Presence` sees it, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from app.demo.store import load_demo
from app.storage import Database
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.testing import PATIENCE_S
from tests.channels.attendance import TOPIC, Attended, attended
from tests.e2e.node import NodeClient, node_client
from tests.e2e.server import AgioServer, agio_server, token
from tests.e2e.sockets import listening

pytestmark = pytest.mark.slow


@pytest.fixture(params=["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
def package(request: pytest.FixtureRequest) -> str:
    """The client's version, by the name of its package."""
    name: str = request.param
    return name


@pytest.fixture(params=["websocket", "longpoll"])
def transport(request: pytest.FixtureRequest) -> str:
    """What the client comes over."""
    name: str = request.param
    return name


@asynccontextmanager
async def serving(
    wire: MemoryWire, name: str, **options: int
) -> AsyncIterator[tuple[Attended, str]]:
    """A node among others, and where clients connect; killed at the end."""
    broker = RedisBroker(MemoryBus(wire), name)
    async with attended(broker, **options) as here, listening(here.node, name) as url:
        yield here, url


@asynccontextmanager
async def member(
    url: str, name: str, package: str, transport: str = "websocket"
) -> AsyncIterator[NodeClient]:
    """A client that has joined under its name."""
    async with node_client(package, driver="presence.mjs") as client:
        to = {"url": url, "token": name, "transport": transport}
        await client.do("join", **to, topic=TOPIC, params={})
        yield client


@asynccontextmanager
async def watcher(server: AgioServer, name: str) -> AsyncIterator[NodeClient]:
    """A buyer who watches the demo sale."""
    async with node_client(driver="presence.mjs") as client:
        buyer = token("buyer", name)
        await client.do("join", url=server.socket_url, token=buyer, topic="sale:demo", params={})
        yield client


async def until(client: NodeClient, field: str, value: object) -> dict[str, Any]:
    """Wait until the last line with this field has this value."""

    def last() -> dict[str, Any]:
        return next((line for line in reversed(client.lines) if field in line), {})

    async with client._arrived:
        while last().get(field) != value:
            await client._arrived.wait()
    return last()


async def until_there(people: dict[str, int], *clients: NodeClient) -> list[str]:
    """Every client sees these people, with so many metas each, and all see the same metas."""
    with trio.fail_after(PATIENCE_S):
        refs: list[str] = (await until(clients[0], "there", people))["refs"]
        for client in clients:
            await until(client, "refs", refs)
    return refs


async def test_the_clients_presence_sees_who_is_there(package: str, transport: str) -> None:
    """People come, with several devices, change, and go: all see the same, and nobody flickers."""
    async with (
        serving(MemoryWire(), "a") as (_, url),
        member(url, "ann", package, transport) as phone,
        member(url, "ann", package) as laptop,
    ):
        async with member(url, "bob", package) as bob:
            before = await until_there({"ann": 2, "bob": 1}, phone, laptop, bob)
            await bob.do("push", event="update", payload={"state": "away"})
            _, after = await phone.wait_for(2, there={"ann": 2, "bob": 1})
            assert len({*after["refs"]} - {*before}) == 1
            assert await until_there({"ann": 2, "bob": 1}, phone, laptop, bob) == after["refs"]
        await until_there({"ann": 2}, phone, laptop)
        assert [line for line in phone.lines if "left" in line] == [{"left": "bob"}]
        assert [line for line in phone.lines if line.get("joined") == "bob"] == [{"joined": "bob"}]
        await laptop.do("leave")
        await until_there({"ann": 1}, phone)


async def test_a_client_that_was_cut_off_sees_who_is_there_now(package: str) -> None:
    """It comes back with one new meta, and has the people who came, not those who went."""
    async with serving(MemoryWire(), "a") as (_, url), member(url, "ann", package) as ann:
        async with member(url, "bob", package) as bob:
            await until_there({"ann": 1, "bob": 1}, ann, bob)
            await ann.do("cut")
        async with member(url, "cid", package) as cid:
            await until_there({"ann": 1, "cid": 1}, ann, cid)


async def test_a_crowd_is_counted_and_listed_again(package: str) -> None:
    """Past the bound clients are told a number; the list replaces theirs when it comes back."""
    async with (
        serving(MemoryWire(), "a", listed_max=2) as (_, url),
        member(url, "ann", package) as ann,
    ):
        async with member(url, "bob", package), member(url, "cid", package) as cid:
            with trio.fail_after(PATIENCE_S):
                await until(cid, "counted", 3)
                await until(ann, "counted", 3)
        await until_there({"ann": 1}, ann)


@pytest.mark.servers
async def test_the_viewers_of_a_server_that_was_killed_leave(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """Of two servers one is killed: those on the other hear that they are fewer."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url) as first,
        agio_server(database_url, valkey_url) as second,
        watcher(first, "ann") as ann,
        watcher(second, "bob") as bob,
        watcher(second, "cid"),
    ):
        with trio.fail_after(PATIENCE_S):
            for client in (ann, bob):
                await until(client, "counted", 3)
        second.kill()
        with trio.fail_after(PATIENCE_S):
            await until(ann, "counted", 1)
