"""Many at once on the same few things: as many succeed as may, and nobody waits in a circle.

The callers are spread over two nodes. Each test runs the same storm at one book that is new.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

import pytest
import trio

from app.domain.errors import Refusal
from app.ledger import store
from app.ledger.interline import Interline
from app.ledger.interline_request import End, InterlinePosted, InterlineRequest
from app.ledger.model import Accepted
from app.ledger.poster import Posters
from app.payments.memory_gateway import MemoryGateway
from app.storage import Annex, Database
from tests.app.transactions.shop import LINE, REQUEST, Shop, buyer, open_node, said
from tests.simulation.books import SQL, to_answer, to_request
from tests.simulation.callers import BOOK, record, two_nodes
from tests.simulation.reference import Answer, Body

pytestmark = pytest.mark.servers

AT_ONCE: Final = 16


def transfer(debit: str, credit: str, amount: int, **more: Any) -> Body:
    """One transfer in euros."""
    return {
        "type": "transfer",
        "debit": debit,
        "credit": credit,
        "amount": amount,
        "currency": "EUR",
        **more,
    }


class Storm:
    """Two nodes, and callers that ask all at once."""

    def __init__(self, nodes: Sequence[Posters]) -> None:
        self._nodes = nodes

    async def one(self, key: str, *transfers: Body, **more: Any) -> Answer:
        """One posting."""
        (answer,) = await self.all_at_once([{"key": key, "transfers": list(transfers), **more}])
        return answer

    async def all_at_once(self, bodies: Sequence[Body], book: str = BOOK) -> list[Answer]:
        """Every posting by a caller of its own."""
        answers: list[Answer] = []

        async def ask(node: Posters, body: Body) -> None:
            results = await node.post(book, [to_request(body)])
            assert not isinstance(results, Refusal), results
            (result,) = results
            fresh = isinstance(result, Accepted) and result.fresh
            answers.append((*to_answer(result), fresh))

        async with trio.open_nursery() as nursery:
            for place, body in enumerate(bodies):
                nursery.start_soon(ask, self._nodes[place % len(self._nodes)], body)
        return answers


@pytest.fixture
async def storm(annex: Annex, database_url: str, owner: Database) -> AsyncIterator[Storm]:
    """Two nodes on one book."""
    async with two_nodes(annex, database_url, owner) as nodes:
        yield Storm(nodes)
    assert await owner.read(store.check) == []


def told(answers: Sequence[Answer]) -> Counter[str]:
    """How often each kind of answer was."""
    return Counter(str(each[1]) if each[0] == "refused" else "accepted" for each in answers)


@pytest.mark.parametrize(("balance", "amount"), [(1_000, 100), (1_099, 100), (99, 100), (1, 1)])
async def test_overdrafts_at_once(storm: Storm, balance: int, amount: int) -> None:
    """Exactly as many succeed as the balance has room for."""
    await storm.one("open", transfer("bank:a", "wallet:ann", balance))
    spend = transfer("wallet:ann", "wallet:bob", amount)
    answers = await storm.all_at_once(
        [{"key": f"k{n}", "transfers": [spend]} for n in range(AT_ONCE)]
    )
    room = min(balance // amount, AT_ONCE)
    expected = Counter({"accepted": room, "below_floor": AT_ONCE - room})
    assert told(answers) == +expected


async def test_holds_at_once(storm: Storm) -> None:
    """What is held is not there for the next one."""
    await storm.one("open", transfer("bank:a", "wallet:ann", 1_000))
    hold = {**transfer("wallet:ann", "wallet:bob", 300), "type": "pending"}
    answers = await storm.all_at_once(
        [{"key": f"k{n}", "transfers": [hold]} for n in range(AT_ONCE)]
    )
    assert told(answers) == {"accepted": 3, "below_floor": AT_ONCE - 3}


async def test_one_hold_ended_by_all_at_once(storm: Storm) -> None:
    """One of them ends it; the others are told how."""
    await storm.one("open", transfer("bank:a", "wallet:ann", 100))
    hold = await storm.one("hold", {**transfer("wallet:ann", "wallet:bob", 60), "type": "pending"})
    name = f"{hold[1]['number']}.0"
    ends: list[Body] = [{"type": "post"}, {"type": "void"}, {"type": "post", "amount": 7}]
    answers = await storm.all_at_once(
        [{"key": f"k{n}", "transfers": [{**ends[n % 3], "pending": name}]} for n in range(AT_ONCE)]
    )
    counted = told(answers)
    assert counted.pop("accepted") == 1
    assert set(counted) < {"pending_already_posted", "pending_already_voided"}
    assert len(counted) == 1


async def test_one_posting_reversed_by_all_at_once(storm: Storm) -> None:
    """It is reversed once."""
    sale = await storm.one("sale", transfer("bank:a", "wallet:ann", 100))
    answers = await storm.all_at_once(
        [{"key": f"k{n}", "reverses": sale[1]["number"]} for n in range(AT_ONCE)]
    )
    assert told(answers) == {"accepted": 1, "already_reversed": AT_ONCE - 1}


async def test_one_quote_used_by_all_at_once(storm: Storm) -> None:
    """It is used once."""
    change = transfer("bank:a", "bank:b", 100, target_currency="USD", rate=[11, 10], quote="q")
    change["type"] = "convert"
    answers = await storm.all_at_once(
        [{"key": f"k{n}", "transfers": [change]} for n in range(AT_ONCE)]
    )
    assert told(answers) == {"accepted": 1, "quote_used": AT_ONCE - 1}


async def test_one_key_used_by_all_at_once(storm: Storm, owner: Database) -> None:
    """It is recorded once, everybody is told the same, and another body is refused."""
    body: Body = {"key": "k", "transfers": [transfer("bank:a", "wallet:ann", 5)]}
    answers = await storm.all_at_once([body] * AT_ONCE)
    assert [fresh for *_, fresh in answers].count(True) == 1
    assert len({str(answer[1]) for answer in answers}) == 1
    other = {**body, "transfers": [transfer("bank:a", "wallet:ann", 6)]}
    assert told(await storm.all_at_once([other] * AT_ONCE)) == {"key_reused": AT_ONCE}
    assert len((await owner.read(record)).postings) == 1


async def test_opposite_storms(storm: Storm, database: Database, owner: Database) -> None:
    """There and back, within books and between them, while purchases are captured: no deadlock."""
    shop = Shop(database, owner)
    await shop.open()
    interline = Interline(database)
    there, back = End(LINE, "bank:a"), End(BOOK, "bank:a")
    between = [InterlineRequest(f"m{n}", "EUR", 5, *_turned(n, there, back)) for n in range(40)]
    within = [
        {"key": f"w{n}", "transfers": [transfer(*_turned(n, "bank:a", "bank:b"), 1)] * 3}
        for n in range(80)
    ]
    moved: list[object] = []
    bought: list[str] = []

    async def move(asked: InterlineRequest) -> None:
        moved.append(await interline.post(asked))

    async with open_node(database, MemoryGateway()) as node, trio.open_nursery() as nursery:

        async def buy(number: int) -> None:
            bought.append(said(await node.service.checkout(buyer(f"b{number}"), REQUEST)))

        for asked in between:
            nursery.start_soon(move, asked)
        for book in (BOOK, LINE):
            nursery.start_soon(partial(storm.all_at_once, within, book))
        for number in range(20):
            nursery.start_soon(buy, number)
    assert [type(each) for each in moved] == [InterlinePosted] * len(between)
    assert bought == ["captured"] * 20
    assert database.statistics().blocks_retried == 0
    assert await owner.read(lambda conn: conn.fetchval(SQL.deadlocks)) == 0


def _turned(number: int, one: Any, other: Any) -> tuple[Any, Any]:
    return (one, other) if number % 2 else (other, one)
