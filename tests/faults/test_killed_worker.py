"""A worker is killed while a sale goes on: who watched on it comes back and has missed nothing."""

import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import trio

from app.demo.store import load_demo
from app.storage import Database
from tests.e2e.node import NodeClient, node_client
from tests.e2e.server import AgioServer, agio_server, client, token
from tests.e2e.test_workers import workers_of

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one worker may get everybody"),
]

PURCHASES = 24


async def _buy(server: AgioServer, key: str) -> Any:
    """Buy once, asking again under the same key where a worker took the answer with it."""
    order = {"sale": "demo", "listing": "demo-mug", "quantity": 1, "payment_method": "pm_card_visa"}
    with trio.fail_after(60):
        while True:
            try:
                async with client(server, "buyer") as http:
                    answer = await http.post(
                        "/v1/transactions", json=order, headers={"Idempotency-Key": key}
                    )
            except httpx.TransportError:
                continue
            if answer.status_code == 201:
                return answer.json()


async def test_a_worker_killed_in_mid_broadcast_leaves_no_gap(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """Every watcher, on either worker, sees each purchase's event once and in order."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url, workers=2, AGIO_POOL_SIZE="4") as server,
        AsyncExitStack() as stack,
    ):
        watchers: list[NodeClient] = []
        for _ in range(6):
            watcher = await stack.enter_async_context(node_client())
            await watcher.do("connect", url=server.socket_url, token=token("buyer"))
            await watcher.do("watch", topic="sale:demo", recover=True)
            watchers.append(watcher)
        async with trio.open_nursery() as nursery:
            for number in range(PURCHASES):
                nursery.start_soon(_buy, server, f"k{number}")
            await watchers[0].wait_for(PURCHASES // 4, event="stock_changed")
            os.kill((await workers_of(server.process.pid))[1], signal.SIGKILL)
        seen = []
        for watcher in watchers:
            await watcher.wait_for(PURCHASES, event="stock_changed")
            seen.append((await watcher.do("view", topic="sale:demo"))["seen"])
        assert len(set(seen[0])) == PURCHASES
        assert seen == [seen[0]] * len(watchers)
