"""Callers at once, over two nodes: what they were told is what the ledger's own order comes to."""

import pytest
import trio

from app.ledger import desk, store
from app.storage import Annex, Database
from tests.simulation.callers import Conversation, judge, record, two_nodes

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("callers", [1, 4, 16])
async def test_what_callers_were_told_can_be(
    annex: Annex,
    database_url: str,
    owner: Database,
    callers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Replayed in the ledger's order, the reference gives each answer and every balance."""
    # One caller's postings are in several batches, and these are decided ahead.
    monkeypatch.setattr(desk, "POSTINGS_AHEAD_MIN", 1)
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 6)
    async with two_nodes(annex, database_url, owner) as nodes:
        conversation = Conversation(nodes, seed=callers)
        await conversation.hold(callers, requests=320)
        shown = await owner.read(record)
        told = await trio.to_thread.run_sync(judge, conversation.calls, shown)
        assert len(told) > 5
        assert await owner.read(store.check) == []
