"""The servers that a node brings itself are ended: they come back beneath a node that goes on."""

from collections import Counter

import pytest
import trio

from actors.testing import crash
from app.storage.embedded import StateFolder, find_valkey
from tests.faults.live import PATIENCE_S, Boom, Live, live_with_servers
from tests.faults.members import Member, buy

pytestmark = [pytest.mark.servers, pytest.mark.slow]


async def bought(node: Live, key: str) -> None:
    """Ask under one key until it is bought."""
    with trio.fail_after(PATIENCE_S), node.client("buyer") as http:
        while "transaction" not in (answer := await buy(http, key)):
            assert answer["retryable"], answer


async def test_servers_come_back_beneath_a_node_that_goes_on(state: StateFolder) -> None:
    """Nobody is disconnected; what was bought stands, and what is bought meanwhile too."""
    async with live_with_servers(state) as node, trio.open_nursery() as nursery:
        watcher = Member(node, "seller")
        nursery.start_soon(watcher.run)
        await watcher.joined()
        await bought(node, "before")
        servers = ["postgres", "valkey"] if find_valkey() is not None else ["postgres"]
        mark = len(node.telemetry.told)
        for server in servers:
            crash(node.system, f"agio/servers/{server}", Boom(server))
            await bought(node, f"without-{server}")
        due = Counter(f"servers/{server}" for server in servers)
        await node.until(lambda: not due - node.starts_since(mark), "the servers to come back")
        await bought(node, "afterwards")
        await watcher.saw_it_all(2 + len(servers))
        starts = node.starts_since(mark)
        assert due == Counter({each: starts[each] for each in due})
        # These go and come with PostgreSQL.
        assert starts.keys() - due.keys() <= {
            "events/feed",
            "events/relay",
            "events/revocations",
            "events/expiries",
            "events/sealer",
        }
        assert 1 == watcher.connections
        nursery.cancel_scope.cancel()
