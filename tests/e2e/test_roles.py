"""Who serves and who owns: what `agio` says where they are one, and does where they are two."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.server import AgioServer, agio_server
from tests.e2e.up import agio, agio_up
from tests.support.databases import Databases
from tests.support.no_tls import NO_TLS

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def exposed(server: AgioServer) -> list[str]:
    """Which places it warned of."""
    return [line["place"] for line in server.log if line["event"] == "ledger.exposed"]


async def test_a_server_that_runs_as_the_owner_says_so(database_url: str, owner_url: str) -> None:
    """Once at its start, with the place and no password; one that runs as the server does not."""
    async with agio_server(owner_url) as server:
        (place,) = exposed(server)
        assert place in owner_url
        assert "@" not in place
    async with agio_server(database_url) as server:
        assert exposed(server) == []


async def test_up_migrates_as_the_owner_and_serves_as_the_server(
    state_path: Path, empty_database_url: str, databases: Databases
) -> None:
    """With both URLs an empty database becomes a shop, and the server's role serves it."""
    both = {
        "AGIO_DATABASE_URL": databases.as_server(empty_database_url),
        "AGIO_DATABASE_OWNER_URL": empty_database_url,
    }
    for arguments in ([], ["--workers", "2"]):
        async with agio_up(state_path, *arguments, **both) as up:
            headers = {"Authorization": f"Bearer {up.tokens()[0]}"}
            async with httpx.AsyncClient(headers=headers, verify=NO_TLS) as http:
                answer = await http.get(f"{up.url}/v1/sales/demo", timeout=30)
            assert answer.status_code == 200
            assert await up.interrupt() == 0


async def test_an_owner_of_no_database_is_refused(
    state_path: Path, empty_database_url: str
) -> None:
    """The owner's URL alone names a database that would not be served."""
    done = await agio("up", state=state_path, AGIO_DATABASE_OWNER_URL=empty_database_url)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "AGIO_DATABASE_URL is not" in line


async def test_a_role_without_the_group_is_told_what_it_lacks(
    state_path: Path, empty_database_url: str, databases: Databases
) -> None:
    """Where nothing was granted, the one line says what is to be done."""
    url = databases.as_server(empty_database_url)
    done = await agio("serve", state=state_path, AGIO_DATABASE_URL=url, AGIO_TOKEN_SECRET="x" * 32)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "run `agio migrate`" in line
