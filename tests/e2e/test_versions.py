"""Four generations of the npm `phoenix` client, unmodified, against the channels' endpoint."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import trio

from channels.channel import ChannelSocket, Joined, Message
from channels.router import Route, RouteLike, Router
from channels.testing import Node, serving
from tests.channels.rooms import Hot, Script
from tests.e2e.node import NodeClient, Refused, node_client
from tests.e2e.sockets import NoWebSockets, listening

pytestmark = [pytest.mark.slow]

TOPIC = "room:1"
DATA = bytes(range(256))
BYTES = {"bytes": b64encode(DATA).decode()}


@pytest.fixture(params=["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
def package(request: pytest.FixtureRequest) -> str:
    """The client's version, by the name of its package."""
    name: str = request.param
    return name


@pytest.fixture
def script() -> Script:
    """What the rooms do."""
    return Script()


@pytest.fixture(params=["websocket", "longpoll"])
def transport(request: pytest.FixtureRequest) -> str:
    """What the client comes over."""
    name: str = request.param
    return name


class Buggy(Router):
    """Fails where nothing may, for one topic."""

    def route(self, topic: str) -> Route | None:
        """As any router, but for that one."""
        if topic == "bug":
            raise RuntimeError(topic)
        return super().route(topic)


@pytest.fixture
async def node(script: Script) -> AsyncIterator[Node]:
    """A node with rooms."""
    routes: list[RouteLike] = [("room:*", script.room), ("hot:*", Hot)]
    async with serving(routes) as node:
        node.endpoint.around = replace(node.endpoint.around, router=Buggy(routes))
        yield node


@pytest.fixture
async def client(node: Node, package: str, transport: str) -> AsyncIterator[NodeClient]:
    """A client of that version, connected."""
    async with listening(node) as url, node_client(package) as client:
        options = {"heartbeatIntervalMs": 200}
        await client.do("connect", url=url, token="ann", transport=transport, options=options)
        yield client


async def join(client: NodeClient, topic: str = TOPIC, **params: Any) -> Any:
    """Join and be let in; returns the answer."""
    await client.do("join", topic=topic, params=params)
    (joined,) = await client.wait_for(1, topic=topic, joined=True)
    return joined["response"]


async def test_joins_are_answered(client: NodeClient, script: Script) -> None:
    """Granted with what the channel says, refused with its reason, or unmatched."""
    script.on_join = lambda _topic, params, _socket: Joined({"you": params})
    assert await join(client, a=[1, None, "é"]) == {"you": {"a": [1, None, "é"]}}
    await client.do("join", topic="room:2", params={"do": "refuse"})
    (refused,) = await client.wait_for(1, topic="room:2", refused=True)
    assert refused["response"] == {"reason": "unauthorized"}
    await client.do("join", topic="nowhere", params={})
    (unmatched,) = await client.wait_for(1, topic="nowhere", refused=True)
    assert unmatched["response"] == {"reason": "unmatched topic"}


async def test_pushes_are_answered(client: NodeClient) -> None:
    """With the status and the response of the channel."""
    await join(client)
    echoed = await client.do("push", topic=TOPIC, event="echo", payload={"n": "1"})
    assert echoed == {"n": "1"}
    with pytest.raises(Refused) as refused:
        await client.do("push", topic=TOPIC, event="deny", payload={})
    assert refused.value.response == {"code": "denied"}
    other = await client.do("push", topic=TOPIC, event="other", payload={"a": 1}, status="maybe")
    assert other == {"a": 1}


async def test_broadcasts_and_pushes_arrive(client: NodeClient, node: Node) -> None:
    """To all, and to one."""
    await join(client)
    await client.do("cast", topic=TOPIC, event="shout", payload={"a": 1})
    node.endpoint.broadcast(TOPIC, "shout", {"a": 2})
    heard = await client.wait_for(2, event="shout")
    assert {each["payload"]["a"] for each in heard} == {1, 2}
    await client.do("push", topic=TOPIC, event="whisper", payload={"a": 3})
    (whispered,) = await client.wait_for(1, event="whisper")
    assert whispered["payload"] == {"a": 3}


@pytest.mark.parametrize("transport", ["websocket"])
@pytest.mark.parametrize("topic", [TOPIC, "hot:1"])
async def test_bytes_go_both_ways(client: NodeClient, topic: str) -> None:
    """An ArrayBuffer out is one in: as reply, as broadcast, as push."""
    await join(client, topic)
    assert await client.do("push", topic=topic, event="echo", payload=BYTES) == BYTES
    await client.do("cast", topic=topic, event="shout", payload=BYTES)
    (heard,) = await client.wait_for(1, event="shout")
    assert b64decode(heard["payload"]["bytes"]) == DATA
    if topic == TOPIC:
        await client.do("push", topic=topic, event="whisper", payload=BYTES)
        (whispered,) = await client.wait_for(1, event="whisper")
        assert whispered["payload"] == BYTES


async def test_bytes_go_up(client: NodeClient, node: Node, package: str) -> None:
    """Over any transport; they come down over WebSocket alone, and others are told nothing."""
    await join(client)
    async with listening(node, "b") as url, node_client(package) as other:
        await other.do("connect", url=url, token="bob")
        await join(other)
        await client.do("cast", topic=TOPIC, event="shout", payload=BYTES)
        (heard,) = await other.wait_for(1, event="shout")
    assert b64decode(heard["payload"]["bytes"]) == DATA


async def test_a_crashed_channel_is_joined_again(client: NodeClient, script: Script) -> None:
    """By the client itself; its other channels do not notice."""
    await join(client)
    await join(client, "room:2")
    await client.do("cast", topic=TOPIC, event="crash", payload={})
    await client.wait_for(1, topic=TOPIC, joined=False)
    await client.wait_for(2, topic=TOPIC, joined=True)
    for topic in (TOPIC, "room:2"):
        assert await client.do("push", topic=topic, event="echo", payload={"a": 1}) == {"a": 1}
    assert len(await client.wait_for(1, topic="room:2", joined=True)) == 1
    assert script.made == 3


async def test_a_kicked_client_stays_away(client: NodeClient, node: Node) -> None:
    """Until it asks by itself."""
    await join(client)
    node.endpoint.kick(TOPIC, "ann")
    await client.wait_for(1, topic=TOPIC, left=True)
    assert node.endpoint.statistics().channels == 0
    await client.do("join", topic=TOPIC, params={})
    await client.wait_for(2, topic=TOPIC, joined=True)


async def test_a_topic_can_be_left_and_joined_again(client: NodeClient) -> None:
    """By its own wish."""
    await join(client)
    await client.do("leave", topic=TOPIC)
    await client.wait_for(1, topic=TOPIC, left=True)
    await client.do("join", topic=TOPIC, params={})
    await client.wait_for(2, topic=TOPIC, joined=True)
    assert await client.do("push", topic=TOPIC, event="echo", payload={}) == {}


async def test_a_second_join_replaces_the_first(client: NodeClient, node: Node) -> None:
    """The close of the first does not close the second."""
    await join(client)
    await client.do("join", topic=TOPIC, params={})
    await client.wait_for(2, topic=TOPIC, joined=True)
    assert await client.do("push", topic=TOPIC, event="echo", payload={"a": 1}) == {"a": 1}
    assert node.endpoint.statistics().channels == 1


@pytest.mark.parametrize("transport", ["websocket"])  # who polls sends none
async def test_heartbeats_pass_a_slow_join(client: NodeClient, node: Node, script: Script) -> None:
    """A client whose heartbeat is not answered within its interval would cut the connection."""
    script.joins[TOPIC] = trio.Event()
    await client.do("join", topic=TOPIC, params={})
    await join(client, "room:2")
    others = 2
    while node.endpoint.statistics().received - others < 3:  # until so many heartbeats came
        await client.do("push", topic="room:2", event="echo", payload={})
        others += 1
    script.joins[TOPIC].set()
    await client.wait_for(1, topic=TOPIC, joined=True)
    assert [line for line in client.lines if line.get("socket") == "closed"] == []


class Feed:
    """A durable topic: numbered events, all of them kept."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.last = 0

    def publish(self, count: int) -> None:
        """So many more."""
        for _ in range(count):
            self.last += 1
            self.node.hub.publish(TOPIC, "moved", {"n": self.last}, self.last)

    def join(self, _topic: str, params: Any, _socket: ChannelSocket) -> Joined:
        """With what was missed."""
        after = params.get("after", self.last)
        missed = range(after + 1, self.last + 1)
        replay = [Message("moved", {"n": n}, n) for n in missed]
        return Joined({"missed": len(replay)}, self.last, replay)


async def test_a_client_that_was_cut_off_recovers(
    client: NodeClient, node: Node, script: Script
) -> None:
    """Everything missed, once and in order: params are asked for anew at every join."""
    feed = Feed(node)
    script.on_join = feed.join
    await join(client)
    feed.publish(3)
    await client.wait_for(3, event="moved")
    await client.do("cut")
    feed.publish(40)
    rejoined = (await client.wait_for(2, topic=TOPIC, joined=True))[1]
    feed.publish(5)
    moved = await client.wait_for(48, event="moved")
    assert [each["payload"]["n"] for each in moved] == list(range(1, 49))
    assert rejoined["response"] == {"missed": 40}


@pytest.mark.parametrize("code", [1001, 1011, 1012])
async def test_a_client_comes_back_whatever_it_is_told(
    client: NodeClient, node: Node, package: str, transport: str, code: int
) -> None:
    """Sent away, by a bug, or elsewhere: none is the code after which older clients stay away."""
    await join(client)
    if code == 1001:
        node.endpoint.disconnect("ann")
    elif code == 1012:
        await node.endpoint.drain()
    else:
        await client.do("join", topic="bug", params={})
    (closed, *_) = await client.wait_for(1, socket="closed")
    # Who polls is told that the session is gone, by its poll or by the POST of its join, for that
    # one's reply may come before its answer. The latter is a failure to it; before 1.8 both are.
    if transport == "websocket":
        assert closed["code"] == code
    elif package in {"phoenix-1.6", "phoenix-1.7"}:
        assert closed["code"] == 1011
    else:
        assert closed["code"] in {3410, 1011}
    await client.wait_for(2, socket="open")
    if code == 1011:
        return  # it joins that topic again, and again
    await client.wait_for(2, topic=TOPIC, joined=True)
    assert await client.do("push", topic=TOPIC, event="echo", payload={"a": 1}) == {"a": 1}


async def test_a_token_comes_beside_the_url(node: Node, transport: str) -> None:
    """As a subprotocol or in a header, of the clients that can do that."""
    for package in ("phoenix-1.8.12", "phoenix"):
        async with listening(node) as url, node_client(package) as client:
            await client.do(
                "connect", url=url, token="ann?>", subprotocol=True, transport=transport
            )
            await join(client)
            node.endpoint.kick(TOPIC, "ann?>")
            await client.wait_for(1, topic=TOPIC, left=True)


@pytest.mark.parametrize("package", ["phoenix-1.7", "phoenix-1.8.12", "phoenix"])
async def test_a_client_whose_websocket_does_not_get_through_polls(
    node: Node, package: str
) -> None:
    """By itself, where it was told that it may."""
    async with (
        listening(node, endpoint=NoWebSockets()) as url,
        node_client(package) as client,
    ):
        options = {"longPollFallbackMs": 500}
        await client.do("connect", url=url, token="ann", options=options)
        await join(client)
        assert await client.do("push", topic=TOPIC, event="echo", payload={"a": 1}) == {"a": 1}
