"""What a person is told of a posting that was refused."""

from app.ledger.codes import LEDGER_MEANINGS, LedgerCode
from app.ledger.model import PostingRefused
from app.ledger.request import PostingRequest, Transfer
from tests.app.ledger.memory_book import MemoryBook


def test_a_limit_names_its_account() -> None:
    """All of a posting comes to it, so no transfer says which; the first reason has its own."""
    book = MemoryBook()
    book.open("bank:main").ceiling = 5
    book.open("seller:sam:payable").floor = 0
    transfers = (
        Transfer("bank:main", "commission", 6, "EUR"),
        Transfer("seller:sam:payable", "commission", 1, "EUR"),
    )
    (refused,) = book.post([PostingRequest("both", transfers)])
    assert isinstance(refused, PostingRefused)
    meaning = LEDGER_MEANINGS[LedgerCode.BELOW_FLOOR].message
    assert (refused.code, refused.leg) == (LedgerCode.BELOW_FLOOR, None)
    assert refused.message == f"{meaning} (seller:sam:payable in EUR)"
