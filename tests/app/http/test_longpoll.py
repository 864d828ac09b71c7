"""Long polling over HTTP: methods, headers, bounds, and that nothing stalls a client."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import msgspec
import pytest
import trio
import trio.testing

from app.http.longpoll import LONGPOLL_PATH
from app.http.message import Request
from app.http.table import ROUTES
from app.limits import BODY_BYTES_MAX, LONGPOLL_BODY_BYTES_MAX
from channels.longpoll import LongPoll
from channels.testing import Node as ChannelNode
from channels.testing import serving as serving_channels
from tests.app.http.node import Node, Seen, bare_services, router, serving
from tests.channels.polling import long_polling
from tests.channels.rooms import Hot
from tests.support.no_tls import NO_TLS

JSON = "application/json; charset=utf-8"
NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass
class Served:
    """A node with a room.

    Attributes:
        node: its listener.
        channels: its endpoint.
        longpoll: its clients that poll.
        http: a client of it.
    """

    node: Node
    channels: ChannelNode
    longpoll: LongPoll
    http: httpx.AsyncClient

    async def begin(self) -> str:
        """Begin a session. Returns its token."""
        answer = await self.http.get(LONGPOLL_PATH, params={"vsn": "2.0.0", "token": "ann"})
        assert answer.json()["status"] == 410
        token: str = answer.json()["token"]
        return token


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A node on a port."""
    async with (
        serving_channels([("hot:*", Hot)]) as channels,
        long_polling(channels) as longpoll,
        serving(replace(bare_services(), longpoll=longpoll)) as node,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{node.port}", timeout=30, verify=NO_TLS
        ) as http,
    ):
        yield Served(node, channels, longpoll, http)


async def test_a_conversation(served: Served) -> None:
    """As an older client holds it, with the ticket in the query behind its own token."""
    url = f"{LONGPOLL_PATH}?vsn=2.0.0&token=ann&token={await served.begin()}"
    join = b'["1","1","hot:1","phx_join",{}]\n["1","2","hot:1","shout",{"n":1}]'
    posted = await served.http.post(url, content=join, headers=NDJSON)
    assert (posted.status_code, posted.json()) == (200, {"status": 200})
    polled = await served.http.get(url)
    assert polled.headers["content-type"] == JSON
    assert polled.headers["cache-control"] == "no-store"
    assert polled.headers["access-control-allow-origin"] == "*"
    body = polled.json()
    seen = [msgspec.json.decode(message) for message in body["messages"]]
    assert body["status"] == 200
    assert [event for _, _, _, event, _ in seen] == ["phx_reply", "shout"]


async def test_a_poll_waits(served: Served) -> None:
    """Until there is something; the token may come in a header."""
    token = await served.begin()
    headers = {"X-Phoenix-LongPoll-Token": token}
    join = b'["1","1","hot:1","phx_join",{}]'
    await served.http.post(LONGPOLL_PATH, content=join, headers={**NDJSON, **headers})
    body = (await served.http.get(LONGPOLL_PATH, headers=headers)).json()
    headers["X-Phoenix-LongPoll-Token"] = body["token"]
    statuses: list[int] = []

    async def poll() -> None:
        answer = await served.http.get(LONGPOLL_PATH, headers=headers)
        statuses.append(answer.json()["status"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        while served.channels.hub.statistics().queued:  # until that acknowledges the reply
            await trio.testing.wait_all_tasks_blocked(0.001)
        assert statuses == []
        served.channels.endpoint.broadcast("hot:1", "shout", {})
    assert statuses == [200]


async def test_a_poll_is_answered_when_the_node_stops(served: Served) -> None:
    """So that the stop need not wait for the window: it is told when to come back."""
    token = await served.begin()
    bodies: list[dict[str, object]] = []

    async def poll() -> None:
        answer = await served.http.get(f"{LONGPOLL_PATH}?token={token}")
        bodies.append(answer.json())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        while not served.longpoll.statistics().polls:
            await trio.testing.wait_all_tasks_blocked(0.001)
        await served.channels.endpoint.drain()
    (body,) = bodies
    assert body["status"] == 200
    assert '"drain"' in str(body["messages"])


async def test_a_browser_may_ask_from_elsewhere(served: Served) -> None:
    """The preflight is HTTP 200; who may speak is decided by `Origin`."""
    asked = {
        "Origin": f"http://127.0.0.1:{served.node.port}",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-phoenix-authtoken",
    }
    answer = await served.http.options(LONGPOLL_PATH, headers=asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "x-phoenix-authtoken"
    assert answer.headers["access-control-allow-methods"] == "get, post, options"
    assert answer.headers["access-control-max-age"] == "3600"
    theirs = await served.http.get(LONGPOLL_PATH, headers={"Origin": "https://theirs.example"})
    assert (theirs.status_code, theirs.json()) == (200, {"status": 403})


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "NONSENSE"])
async def test_other_methods_are_400(served: Served, method: str) -> None:
    """With nothing in it."""
    answer = await served.http.request(method, LONGPOLL_PATH)
    assert (answer.status_code, answer.content) == (400, b"")


async def test_bodies_have_a_bound_of_their_own(served: Served) -> None:
    """Larger than that of other requests, which stays what it is."""
    token = await served.begin()
    url = f"{LONGPOLL_PATH}?token={token}"
    whole = b"\n" * LONGPOLL_BODY_BYTES_MAX
    assert (await served.http.post(url, content=whole, headers=NDJSON)).json() == {"status": 200}
    refused = await served.http.post(url, content=whole + b"\n", headers=NDJSON)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert str(LONGPOLL_BODY_BYTES_MAX) in refused.json()["detail"]
    other = await served.http.post("/v1/sales", content=b" " * (BODY_BYTES_MAX + 1))
    assert (other.status_code, str(BODY_BYTES_MAX) in other.json()["detail"]) == (413, True)


async def test_a_fault_is_told_with_a_status_that_clients_know() -> None:
    """They try again, where other statuses would stall them."""
    seen = Seen()
    broken = replace(bare_services(), longpoll=None)  # type: ignore[arg-type] # the fault
    answer = await router(broken, seen, ROUTES).handle(Request("GET", LONGPOLL_PATH))
    assert msgspec.json.decode(answer.body)["status"] == 500
    assert len(seen.told("request.crashed")) == 1
