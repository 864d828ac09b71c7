"""What HTTP callers may send, and what becomes of it where a part is away."""

from typing import NoReturn

import pytest

from app.domain.errors import Code, Refusal
from app.sales.service import Sales
from app.socket.audience import Audience, Sent
from app.socket.messages import NewMessage
from app.storage import Annex, Database, StorageDown
from channels.broker import MemoryBroker
from channels.errors import HistoryDown
from tests.app.http.node import Deaf
from tests.app.sales.market import BUYER, OPERATOR, SELLER

# One that cannot be reached.
SALES = Sales(Database(Annex(), "postgresql://nobody@127.0.0.1:1/none"))


class Forgetful(Deaf):
    """Sockets whose histories are away."""

    async def publish(self, topic: str, event: str, payload: object) -> NoReturn:
        """Refuse."""
        raise HistoryDown


def message(topic: str = "bench:1") -> NewMessage:
    """A message that may be sent."""
    return NewMessage(topic, "announcement", {})


async def test_a_topic_of_no_sale_asks_no_database() -> None:
    """Load rooms are open, or they are not."""
    audience = Audience(Deaf(), MemoryBroker(), SALES, rooms_open=True)
    assert await audience.tell(OPERATOR, [message()]) == [Sent(None)]
    assert await audience.kick(OPERATOR, "bench:1", "bea") is None
    assert audience.everywhere


async def test_a_history_that_is_away_is_told() -> None:
    """The others are sent all the same."""
    audience = Audience(Forgetful(), MemoryBroker(), SALES, rooms_open=True)
    unavailable = Refusal(Code.UNAVAILABLE)
    assert await audience.tell(SELLER, [message(), message()]) == [unavailable] * 2


async def test_a_database_that_is_away_sends_nothing() -> None:
    """Nobody knows whose the sale is."""
    audience = Audience(Deaf(), MemoryBroker(), SALES, rooms_open=True)
    with pytest.raises(StorageDown):
        await audience.tell(SELLER, [message(), message("sale:friday")])


async def test_who_may_not_is_told_so_first() -> None:
    """Before anybody is asked for anything."""
    audience = Audience(Deaf(), MemoryBroker(), SALES, rooms_open=True)
    refused = await audience.tell(BUYER, [message("sale:friday")])
    assert isinstance(refused, Refusal)
    assert refused.code is Code.FORBIDDEN
    for who in (BUYER, SELLER):
        assert await audience.kick(who, "sale:friday", "bea") == Refusal(Code.FORBIDDEN)
        assert audience.disconnect(who, "bea") == Refusal(Code.FORBIDDEN)
