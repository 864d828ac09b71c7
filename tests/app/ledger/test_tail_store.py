"""How the tail of an account is read: along its index, whatever there is beside it."""

import pytest

from app.ledger import posting, tail_store
from app.ledger.request import PostingRequest, Transfer
from app.ledger.tail import Known
from app.storage import Database, ReadConnection
from tests.app.transactions.shop import LINE, Shop

pytestmark = pytest.mark.servers


async def test_only_what_is_asked_for_is_read(database: Database) -> None:
    """No plan looks through a table, or sorts what lies before the first entries wanted."""
    await Shop(database).open()
    request = PostingRequest("a", (Transfer("bank:a", "bank:b", 1, "EUR"),))
    await database.write(posting.post, LINE, [request])

    async def plan(conn: ReadConnection) -> str:
        rows = await conn.fetch(tail_store._SQL.by_index)
        assert len(rows) == 1
        query = f"explain (costs off) {tail_store._SQL.steps}"
        plan = await conn.fetch(query, [1], [0], [0], 200)
        return "\n".join(str(row["QUERY PLAN"]) for row in plan)

    found = await database.read(plan)
    assert "Merge Append" in found
    for index in ("transfer_debits", "transfer_credits", "account_pkey", "posting_pkey"):
        assert f"Index Scan using {index}" in found
    for word in ("Seq Scan", "Bitmap", "Hash"):
        assert word not in found
    assert found.count("Sort\n") <= 1


async def test_a_posting_is_never_cut(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a read ends in the middle of one, the rest of it comes along; then the others."""
    await Shop(database).open()
    leg = Transfer("bank:a", "bank:b", 1, "EUR")
    requests = [PostingRequest(f"key-{n}", (leg,) * 3) for n in range(3)]
    await database.write(posting.post, LINE, requests)
    monkeypatch.setattr(tail_store, "TAIL_ENTRIES_A_READ", 4)
    found = await database.read(tail_store.news, [Known(1, 0, 0), Known(2, 9, 3)])
    assert list(found) == [1]
    assert [(step.posting, step.leg) for step in found[1].steps] == [
        (posting, leg) for posting in (1, 2) for leg in range(3)
    ]
    assert not found[1].whole
    found = await database.read(tail_store.news, [Known(1, 6, 2)])
    assert [step.version for step in found[1].steps] == [7, 8, 9]
    assert found[1].whole
