"""What a key was used for is read where it is needed, and nowhere else."""

import pytest

from app.ledger import posting
from app.ledger.book import Facts
from app.ledger.codes import LedgerCode
from app.ledger.request import PostingRequest, Transfer
from app.storage import Database, WriteConnection
from tests.app.ledger.posting_book import BANK, SAM, Bank, accepted, ask, pay, refusal, wire

pytestmark = pytest.mark.servers


@pytest.fixture
async def bank(database: Database) -> Bank:
    """A book without accounts."""
    bank = Bank(database)
    await bank.open()
    return bank


async def test_a_key_of_something_large(bank: Bank) -> None:
    """What it was used for is not read to refuse another body; it is where it is asked again."""
    large = ask("large", *[Transfer(BANK, SAM, 1, "EUR")] * 50)
    (first,) = await bank.post(large)
    back = PostingRequest("back", reverses=1)

    async def read(conn: WriteConnection) -> Facts:
        found = await posting.lock(conn, (bank.name,))
        return await posting.read_facts(conn, found[bank.name], [pay("large")])

    assert (await bank.database.write(read)).postings["large"].transfers == ()
    results = await bank.post(pay("large"), large, pay("large", 6), back)
    assert wire(results[1]) == wire(first)
    assert [refusal(results[each]) for each in (0, 2)] == [(LedgerCode.KEY_REUSED, None)] * 2
    assert len(accepted(results[3]).transfers) == 50
    results = await bank.post(pay("large"), pay("back"))
    assert [refusal(each)[0] for each in results] == [LedgerCode.KEY_REUSED] * 2
    await bank.check()
