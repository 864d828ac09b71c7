"""How connections end: each way with its code, none of which keeps a client away."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from wsproto.events import CloseConnection

from channels.client_limits import ClientLimits, Limit, Mode
from channels.limits import EXCESS_MAX, RATE_BURST_S, Limits
from channels.router import Route, RouteLike, Router
from channels.serializer import Envelope
from channels.testing import Client, Node, connect, serving
from channels.verdict import VERDICTS
from tests.channels.rooms import Script
from tests.channels.tickets import Tickets

# Messages a second that no other way of these comes near.
RATE = 10

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"


async def drain(node: Node, _client: Client) -> None:
    """The node stops."""
    await node.endpoint.drain()


async def disconnect(node: Node, _client: Client) -> None:
    """The application sends the client away."""
    node.endpoint.disconnect("ann")
    node.endpoint.disconnect("ann")


class Buggy(Router):
    """Fails where nothing may, for one topic."""

    def route(self, topic: str) -> Route | None:
        """As any router, but for that one."""
        if topic == "bug":
            raise RuntimeError("a bug on purpose")
        return super().route(topic)


async def meet_a_bug(_node: Node, client: Client) -> None:
    """Something that must not raise does."""
    await client.send_join("bug")


async def babble(_node: Node, client: Client) -> None:
    """The client speaks another protocol."""
    for _ in range(Limits().malformed):
        await client.send_text("nonsense")


async def fall_silent(_node: Node, _client: Client) -> None:
    """The client says nothing more."""


async def send_no_mask(_node: Node, client: Client) -> None:
    """The client breaks the WebSocket protocol."""
    await client.stream.send_all(b"\x81\x02hi")


async def send_no_text(_node: Node, client: Client) -> None:
    """The client calls something text that is none."""
    await client.stream.send_all(b"\x81\x81\0\0\0\0\xff")


async def send_too_much(_node: Node, client: Client) -> None:
    """The client sends a message beyond the bound."""
    payload = {"fill": "x" * Limits().message_bytes}
    await client.send(Envelope(None, "1", "room:1", "echo", payload))


async def outstay(_node: Node, client: Client) -> None:
    """The client's time is over."""
    await client.push("phoenix", "access_token", {"access_token": "ann 30"})


async def take_access_away(node: Node, _client: Client) -> None:
    """The application does not know the client any more."""
    assert await node.endpoint.access.cut(lambda assigns: assigns.name == "ann") == 1


async def send_too_often(_node: Node, client: Client) -> None:
    """The client goes on beyond its rate."""
    for _ in range(RATE * int(RATE_BURST_S) + EXCESS_MAX + 1):
        await client.push("room:2", "echo")


WAYS: Mapping[str, Callable[[Node, Client], Awaitable[None]]] = {
    "drained": drain,
    "disconnected": disconnect,
    "crashed": meet_a_bug,
    "malformed": babble,
    "expired": outstay,
    "revoked": take_access_away,
    "excessive": send_too_often,
    "idle": fall_silent,
    "protocol_error": send_no_mask,
    "invalid_data": send_no_text,
    "too_large": send_too_much,
}


@pytest.mark.parametrize("reason", WAYS)
async def test_each_way_has_its_code(reason: str, autojump_clock: trio.testing.MockClock) -> None:
    """And is counted under its reason; channels say goodbye."""
    script = Script()
    codes: list[int] = []
    began = autojump_clock.current_time()
    routes: list[RouteLike] = [("room:*", script.room)]
    limits = Limits(clients=ClientLimits(messages=Limit(RATE, Mode.ENFORCE)))
    served = serving(routes, handler=Tickets(), limits=limits)
    async with served as node:
        node.endpoint.around = replace(node.endpoint.around, router=Buggy(routes))
        try:
            async with connect(node.endpoint, token="ann") as client:
                await client.join("room:2")
                await WAYS[reason](node, client)
                codes.append(await client.assert_ended())
                await trio.testing.wait_all_tasks_blocked()
        except* RuntimeError:
            codes.append(0)
        assert node.endpoint.statistics().closed == {reason: 1}
    took_a_minute = autojump_clock.current_time() - began >= Limits().idle_s
    assert took_a_minute == (reason == "idle")
    (code,) = [verdict.code for verdict in VERDICTS if verdict.reason == reason]
    assert codes == ([code, 0] if reason == "crashed" else [code])
    assert ("room:2", "closed") in script.ended


async def test_a_client_that_says_goodbye_is_answered_with_its_own_code() -> None:
    """That is no verdict of ours, whatever the code."""
    async with serving([]) as node:
        async with connect(node.endpoint) as client:
            await client.send_event(CloseConnection(1000))
            assert await client.assert_ended() == 1000
            await trio.testing.wait_all_tasks_blocked()
        assert node.endpoint.statistics().closed == {"left": 1}


def test_no_code_keeps_a_client_away() -> None:
    """Each is one after which every version of the client connects again, and all were tried."""
    codes = {verdict.code for verdict in VERDICTS} - {None}
    assert 1000 not in codes
    assert set(WAYS) == {verdict.reason for verdict in VERDICTS if verdict.code is not None}
    assert len(codes) == len(WAYS)


def test_the_document_tells_them_all() -> None:
    """Each code with its reason, and no other."""
    rows = re.findall(
        r"^\| ([0-9]{4}|none) \| `([a-z_]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE
    )
    told = {reason: None if code == "none" else int(code) for code, reason in rows}
    assert told == {verdict.reason: verdict.code for verdict in VERDICTS}
