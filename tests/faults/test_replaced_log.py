"""An event log that is not the one a node has followed ends the node, and says why."""

import pytest
import trio
import trio.testing

from app.storage import Database
from tests.app.events.log import run_sql
from tests.e2e.server import agio_server

pytestmark = [pytest.mark.servers, pytest.mark.slow]


async def test_another_log_ends_the_server_in_one_line(database_url: str, owner: Database) -> None:
    """A database put back to a backup stops `agio serve` with status 1, in order, in one line."""
    async with agio_server(database_url) as server:
        await run_sql(owner, "replace_log")
        with trio.fail_after(30):
            assert 1 == await server.process.wait()
        await trio.testing.wait_all_tasks_blocked(0.1)  # its last words are read
        told = [line["text"] for line in server.log if line["event"] == "not json"]
        assert len(told) == 1, told
        assert told[0].startswith("agio: the log is at another-"), told
