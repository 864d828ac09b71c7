"""`kill -9` of the server at each step of a purchase: after a restart it stands once."""

from typing import Any, Final

import httpx
import pytest
import trio

from app.demo.store import load_demo
from app.ledger.service import Ledger
from app.storage import Database
from tests.e2e.server import agio_server, client
from tests.faults.proxy import Moment, Trap, trapped

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# A piece of the text of the statement that makes each step, as PostgreSQL is first told it.
ACCEPT: Final = b"insert into transaction"
CHARGE: Final = b"insert into test_gateway.charge"
SETTLE: Final = b"update log_head"

# Long enough for a restarted server to find the open purchase; it looks every few seconds.
_RESOLVED_WITHIN_SECONDS: Final = 60


async def buy(http: httpx.AsyncClient, card: str) -> httpx.Response:
    """One mug with this card, always under the same key."""
    return await http.post(
        "/v1/transactions",
        json={"sale": "demo", "listing": "demo-mug", "quantity": 1, "payment_method": card},
        headers={"Idempotency-Key": "the-key"},
    )


async def final_answer(http: httpx.AsyncClient, card: str) -> dict[str, Any]:
    """What the same request is answered once it is no longer told to ask again."""
    with trio.fail_after(_RESOLVED_WITHIN_SECONDS):
        while True:
            answer: dict[str, Any] = (await buy(http, card)).json()
            if not answer.get("retryable", False):
                return answer


async def kill_at(database_url: str, trap: Trap, card: str) -> None:
    """Start a purchase, and kill the server where the trap has stopped it."""
    async with trapped(database_url, trap) as through, agio_server(through) as server:

        async def unanswered() -> None:
            async with client(server, "buyer") as http:
                with pytest.raises(httpx.TransportError):
                    await buy(http, card)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(unanswered)
            with trio.fail_after(_RESOLVED_WITHIN_SECONDS):
                await trap.sprung.wait()
            server.kill()
            await server.wait_killed()


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("step", [ACCEPT, CHARGE, SETTLE], ids=["accept", "charge", "settle"])
@pytest.mark.parametrize("card", ["pm_card_visa", "pm_test_timeout_after"])
async def test_killed_at_a_step_of_the_purchase(
    database_url: str, database: Database, step: bytes, moment: Moment, card: str
) -> None:
    """Killed before or after the commit of any step, the purchase is captured exactly once."""
    await database.write(load_demo)
    await kill_at(database_url, Trap(step, moment), card)
    async with agio_server(database_url) as server, client(server, "buyer") as http:
        answer = await final_answer(http, card)
        assert answer["transaction"].startswith("txn_"), answer
        listings = (await http.get("/v1/sales/demo")).json()["listings"]
        assert 49 == {each["id"]: each["stock"] for each in listings}["demo-mug"]
        transactions = (await http.get("/v1/transactions")).json()["items"]
        assert ["captured"] == [each["state"] for each in transactions]
    assert [] == await Ledger(database).check()


@pytest.mark.parametrize("step", [ACCEPT, CHARGE], ids=["accept", "charge"])
async def test_a_declined_purchase_is_declined_after_the_restart(
    database_url: str, database: Database, step: bytes
) -> None:
    """A purchase that the card refuses gives its stock back, whenever the server was killed."""
    await database.write(load_demo)
    card = "pm_card_chargeDeclined"
    await kill_at(database_url, Trap(step, Moment.AFTER), card)
    async with agio_server(database_url) as server, client(server, "buyer") as http:
        assert "declined" == (await final_answer(http, card))["code"]
        listings = (await http.get("/v1/sales/demo")).json()["listings"]
        assert 50 == {each["id"]: each["stock"] for each in listings}["demo-mug"]
    assert [] == await Ledger(database).check()


async def test_a_purchase_that_never_reached_the_provider_expires(
    database_url: str, database: Database
) -> None:
    """An unknown outcome whose reservation ran out is refused as expired; its stock is back."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, AGIO_RESERVATION_SECONDS="2") as server,
        client(server, "buyer") as http,
    ):
        first = (await buy(http, "pm_test_timeout_before")).json()
        assert "outcome_unknown" == first["code"]
        assert "expired" == (await final_answer(http, "pm_test_timeout_before"))["code"]
        listings = (await http.get("/v1/sales/demo")).json()["listings"]
        assert 50 == {each["id"]: each["stock"] for each in listings}["demo-mug"]
    assert [] == await Ledger(database).check()
