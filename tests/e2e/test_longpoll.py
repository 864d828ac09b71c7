"""Long polling where nothing sticks: requests reach any of two nodes, and answers are lost."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import h11
import httpx
import msgspec
import pytest

from app.demo.store import load_demo
from app.storage import Database
from tests.e2e.node import NodeClient, node_client
from tests.e2e.server import AgioServer, agio_server, client, token
from tests.support.http_proxy import Proxy, proxying
from tests.support.no_tls import NO_TLS

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TOPIC = "sale:demo"
MUG = {"listing": "demo-mug", "quantity": 1, "payment_method": "pm_card_visa"}


@dataclass
class Two:
    """Two servers on one database and one Valkey.

    Attributes:
        first: one.
        second: the other.
        proxy: before both; each request reaches the next.
    """

    first: AgioServer
    second: AgioServer
    proxy: Proxy


@pytest.fixture
async def two(database_url: str, valkey_url: str, database: Database) -> AsyncIterator[Two]:
    """Two servers with the demo sale."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url, AGIO_BENCH_ROOMS="1") as first,
        agio_server(database_url, valkey_url, AGIO_BENCH_ROOMS="1") as second,
        proxying(first.port, second.port) as proxy,
    ):
        yield Two(first, second, proxy)


async def watch(phoenix: NodeClient, url: str, *, transport: str = "longpoll") -> Any:
    """Connect and watch the demo sale."""
    await phoenix.do("connect", url=url, token=token("buyer"), transport=transport)
    return await phoenix.do("watch", topic=TOPIC, recover=True)


async def buy(server: AgioServer, *keys: str) -> None:
    """Buy a mug under each key."""
    async with client(server, "buyer") as http:
        for key in keys:
            answer = await http.post(
                "/v1/transactions",
                json={"sale": "demo", **MUG},
                headers={"Idempotency-Key": key},
            )
            assert 201 == answer.status_code, answer.text


async def seen_by(phoenix: NodeClient) -> list[str]:
    """The cursors of what this client saw, in its order."""
    cursors: list[str] = (await phoenix.do("view", topic=TOPIC))["seen"]
    return cursors


@pytest.mark.parametrize("package", ["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
async def test_two_nodes_serve_a_client_between_them(two: Two, package: str) -> None:
    """Each of its requests reaches the next: it buys, and sees what is bought on either."""
    async with node_client(package) as phoenix, node_client() as other:
        await watch(phoenix, two.proxy.socket_url)
        await watch(other, two.second.socket_url, transport="websocket")
        for n, server in enumerate([two.first, two.second] * 2):
            await buy(server, f"http-{n}")
            key = {**MUG, "idempotency_key": f"socket-{n}"}
            await phoenix.do("push", topic=TOPIC, event="checkout", payload=key)
        for each in (phoenix, other):
            await each.wait_for(8, event="stock_changed")
        assert await seen_by(phoenix) == await seen_by(other)
        assert [line for line in phoenix.lines if line.get("socket") == "closed"] == []
    assert min(two.proxy.passed) > 8


async def test_a_client_goes_on_when_one_of_two_nodes_is_killed(two: Two) -> None:
    """Its session was there: it begins anew on the other, and has missed nothing."""
    async with node_client() as phoenix, node_client() as other:
        await watch(phoenix, two.proxy.socket_url)
        await watch(other, two.second.socket_url, transport="websocket")
        await buy(two.second, "before")
        await phoenix.wait_for(1, event="stock_changed")
        two.first.kill()
        two.proxy.servers[0] = two.second.port
        await buy(two.second, "meanwhile", "after")
        for each in (phoenix, other):
            await each.wait_for(3, event="stock_changed")
        assert await seen_by(phoenix) == await seen_by(other)


async def test_a_node_that_stops_sends_who_polls_elsewhere(two: Two) -> None:
    """A poll that waits does not hold up the stop; the client goes on where it is sent."""
    async with node_client() as phoenix:
        await watch(phoenix, two.proxy.socket_url)
        two.proxy.servers[0] = two.second.port
        assert await two.first.terminate() == 0
        drained = [line for line in two.first.log if line["event"] == "socket.drained"]
        assert [(line["connections"], line["left"]) for line in drained] == [(1, 0)]
        await buy(two.second, "after")
        await phoenix.wait_for(1, event="stock_changed")


@pytest.mark.parametrize("package", ["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
async def test_a_lost_response_leaves_no_gap(two: Two, package: str) -> None:
    """The client takes it for the end of the connection, comes back, and recovers by its cursor."""

    def carries_the_second(_request: h11.Request, body: bytes) -> bool:
        return two.proxy.lost == 0 and b"stock_changed" in body and b":48" in body

    two.proxy.lose = carries_the_second
    async with node_client(package) as phoenix, node_client() as other:
        await watch(phoenix, two.proxy.socket_url)
        await watch(other, two.second.socket_url, transport="websocket")
        await buy(two.first, *(f"key-{n}" for n in range(5)))
        for each in (phoenix, other):
            await each.wait_for(5, event="stock_changed")
        assert await seen_by(phoenix) == await seen_by(other)
        assert two.proxy.lost == 1
        assert len(await phoenix.wait_for(2, topic=TOPIC, joined=True)) == 2


@dataclass
class Raw:
    """A client that sends a request again until it is answered, as HTTP libraries do.

    Attributes:
        http: to the proxy.
        token: the session's.
        repeated: how often a request was sent again.
    """

    http: httpx.AsyncClient
    token: str = ""
    repeated: int = 0
    messages: list[Any] = field(default_factory=list)

    async def send(self, method: str, *lines: object) -> dict[str, Any]:
        """One request, as often as it takes."""
        params = {"vsn": "2.0.0", "token": token("buyer")}
        headers = {"x-phoenix-longpoll-token": self.token, "content-type": "application/x-ndjson"}
        body = b"\n".join(msgspec.json.encode(line) for line in lines)
        if method == "GET":
            del headers["content-type"]
        while True:
            try:
                answer = await self.http.request(
                    method, "/socket/longpoll", params=params, headers=headers, content=body
                )
            except httpx.RemoteProtocolError:
                self.repeated += 1
            else:
                told: dict[str, Any] = answer.json()
                return told

    async def poll(self, *, status: int = 200) -> None:
        """Poll once, and take what comes."""
        told = await self.send("GET")
        assert told["status"] == status
        self.token = told["token"]
        self.messages += [msgspec.json.decode(message) for message in told["messages"]]


async def test_a_poll_that_is_sent_again_is_given_what_was_lost(two: Two) -> None:
    """Every answer is lost once, or twice: all messages come in order, each once."""
    asked = 0

    def two_of_three(request: h11.Request, _body: bytes) -> bool:
        nonlocal asked
        asked += request.method == b"GET"
        return request.method == b"GET" and asked % 3 != 0

    async with httpx.AsyncClient(base_url=two.proxy.url, timeout=30, verify=NO_TLS) as http:
        raw = Raw(http)
        await raw.poll(status=410)
        two.proxy.lose = two_of_three
        assert await raw.send("POST", ["1", "1", "bench:1", "phx_join", {}]) == {"status": 200}
        await raw.poll()
        for n in range(10):
            shout = ["1", str(n), "bench:1", "shout", {"n": n}]
            assert await raw.send("POST", shout) == {"status": 200}
            if n % 3:
                await raw.poll()
        while len(raw.messages) < 11:
            await raw.poll()
    assert [payload["n"] for *_, payload in raw.messages[1:]] == list(range(10))
    assert raw.repeated >= 2 * 6
