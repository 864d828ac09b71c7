"""A drain, as the unmodified npm client takes it with the lines that the documents give for it."""

import pytest

from channels.testing import serving
from tests.channels.rooms import Script
from tests.e2e.node import node_client
from tests.e2e.sockets import listening

pytestmark = [pytest.mark.slow]

TOPIC = "room:1"


@pytest.mark.parametrize("package", ["phoenix-1.6", "phoenix-1.7", "phoenix-1.8.12", "phoenix"])
async def test_a_client_comes_back_when_it_is_told_to(package: str) -> None:
    """Its timer is set to what the event said, which is what the close frame says, too."""
    async with (
        serving([("room:*", Script().room)]) as node,
        listening(node) as url,
        node_client(package, driver="drain.mjs") as client,
    ):
        await client.do("connect", url=url, token="ann", topic=TOPIC)
        await client.wait_for(1, joined=TOPIC)
        await node.endpoint.drain()
        await client.wait_for(1, socket="closed", code=1012)
        (after_ms,) = [line["told"] for line in client.lines if "told" in line]
        await client.wait_for(1, socket="closed", reason=f"reconnect_after_ms={after_ms}")
        await client.wait_for(2, socket="open")
        closed = next(i for i, line in enumerate(client.lines) if line.get("socket") == "closed")
        opened = next(
            i for i, line in enumerate(client.lines) if i > closed and line.get("socket") == "open"
        )
        timers = [line["timer"] for line in client.lines[:opened] if "timer" in line]
        assert after_ms in timers
        await client.wait_for(2, joined=TOPIC)
