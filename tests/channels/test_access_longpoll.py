"""A client that polls is here as any other: until its time is over, under its newest token."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from channels.testing import Node
from tests.channels.guards import Guards, place
from tests.channels.polling import Poller, long_polling


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node with guarded rooms."""
    async with place(Guards()) as node:
        yield node


async def heard(poller: Poller, count: int) -> list[tuple[str, Any]]:
    """The next so many messages: each one's event and payload."""
    messages: list[Any] = []
    while len(messages) < count:
        messages += await poller.poll()
    return [(event, payload) for _, _, _, event, payload in messages]


async def test_a_client_that_polls_sends_a_new_token(node: Node) -> None:
    """It is taken in place, and a topic that it does not open is closed."""
    async with long_polling(node) as longpoll:
        poller = await Poller(longpoll, query="vsn=2.0.0&token=ann+1000").open()
        await poller.join("room:1")
        renewal = {"access_token": "ann 900 room:9"}
        assert await poller.post(["1", "2", "room:1", "access_token", renewal]) == 200
        (reply, answer), (close, _) = await heard(poller, 2)
        assert (reply, answer["status"], close) == ("phx_reply", "ok", "phx_close")
        assert 0 < answer["response"]["expires_in"] <= 900


async def test_a_client_that_polls_is_warned_and_ended(
    node: Node, autojump_clock: MockClock
) -> None:
    """Its session is gone when its time is over, and the next is of the token it polls with."""
    async with long_polling(node) as longpoll:
        poller = await Poller(longpoll, query="vsn=2.0.0&token=ann+30").open()
        assert await heard(poller, 1) == [("token_expiring", {"expires_in": 10})]
        while (body := await poller.get())["status"] == 204:
            poller.ticket = body["token"]
        assert body["status"] == 410
        assert autojump_clock.current_time() == pytest.approx(30, abs=0.1)
        await wait_all_tasks_blocked()
        assert node.endpoint.statistics().closed == {"expired": 1}


@pytest.mark.parametrize(("how", "reason"), [("away", "disconnected"), ("cut", "revoked")])
async def test_a_client_that_polls_is_sent_away(how: str, reason: str, node: Node) -> None:
    """By its name, or by what it is."""
    async with long_polling(node) as longpoll:
        poller = await Poller(longpoll, query="vsn=2.0.0&token=ann").open()
        if how == "away":
            node.endpoint.disconnect("ann")
        else:
            assert await node.endpoint.access.cut(lambda assigns: assigns.name == "ann") == 1
        assert (await poller.get())["status"] == 410
        await wait_all_tasks_blocked()
        assert node.endpoint.statistics().closed == {reason: 1}
