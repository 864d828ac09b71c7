"""A purchase ends once, as its provider says, whichever node crashes, whatever answer is lost."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from actors import Lifeline
from app.domain.errors import Code
from app.limits import GATEWAY_CALL_S, HOLD_FIRST_S, RECOVER_EVERY_S
from app.payments import cards
from app.payments.gateway import Approved, Cancelled, OutcomeUnknown
from app.payments.memory_gateway import MemoryGateway, Point, pass_by
from app.storage import Annex, Database
from app.transactions import service
from app.transactions.model import Answer
from tests.app.transactions.shop import (
    BUYER,
    LINE,
    REQUEST,
    Node,
    Shop,
    Watched,
    buyer,
    open_node,
    receipt,
    said,
)

pytestmark = pytest.mark.servers

At = Callable[[Point, str], Awaitable[None]]

STEPS = [
    "accept_before",
    "accept_after",
    Point.CHARGE_BEFORE,
    Point.CHARGE_AFTER,
    Point.LOOKUP_BEFORE,
    Point.LOOKUP_AFTER,
    "mark_unknown_before",
    "mark_unknown_after",
    "settle_captured_before",
    "settle_captured_after",
    "settle_refused_before",
    "settle_refused_after",
]

# What each card comes to, once nobody crashes any more and its reservation has run out.
ENDS = {
    cards.APPROVES: "captured",
    cards.DECLINES: "declined",
    cards.LOST_AFTER: "captured",
    cards.LOST_BEFORE: "expired",
}


def losing(*points: Point) -> At:
    """Loses the answer at each of these points."""

    async def at(point: Point, attempt_id: str) -> None:
        await pass_by(point, attempt_id)
        if point in points:
            raise OutcomeUnknown(attempt_id)

    return at


def holding(held: Point, reached: trio.Event, go_on: trio.Event) -> At:
    """Holds the first call that comes to this point."""

    async def at(point: Point, attempt_id: str) -> None:
        await pass_by(point, attempt_id)
        if point is held and not reached.is_set():
            reached.set()
            await go_on.wait()

    return at


async def buy_until(node: Node, reached: trio.Event) -> None:
    """Starts a purchase and leaves it, as a client does that goes away, once that is reached."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.service.checkout, BUYER, REQUEST)
        await reached.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("card", ENDS)
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_every_step(shop: Shop, step: str, card: str) -> None:
    """A node dies there, another recovers: one end, the provider's, and a sound ledger."""
    request = replace(REQUEST, payment_method=card)
    gateway = MemoryGateway()

    async def at(point: str, _attempt_id: str = "") -> None:
        if point == step:
            doomed.crash()
        await trio.lowlevel.checkpoint()

    gateway.at = at
    async with open_node(Watched(shop.database, at), gateway) as doomed:
        during = await doomed.service.checkout(BUYER, request)
    gateway.at = pass_by
    if card == cards.LOST_BEFORE:
        await shop.tamper("run_out")
    async with open_node(shop.database, gateway) as node:
        await node.recover()
        await node.wait_idle()
        if step == "accept_before":
            assert await shop.tally() == {}
        else:
            again = await node.service.checkout(BUYER, request)
            assert said(again) == ENDS[card]
            assert said(during) in {ENDS[card], "outcome_unknown"}
            assert await shop.tally() == {ENDS[card]: 1}
    assert len(gateway.outcomes) <= 1
    assert (await shop.shelf())[1] == 0
    assert await shop.check() == []


async def test_a_lost_answer_is_found_by_another_node(shop: Shop) -> None:
    """The money moved, and nobody was told: the stock stays held until it is found out."""
    gateway = MemoryGateway(losing(Point.CHARGE_AFTER, Point.LOOKUP_AFTER))
    async with open_node(shop.database, gateway) as node:
        assert said(await node.service.checkout(BUYER, REQUEST)) == "outcome_unknown"
    assert await shop.tally() == {"unknown": 1}
    assert await shop.attempts() == ["unknown"]
    assert await shop.shelf() == (50, 1)
    assert await shop.check() == []
    gateway.at = pass_by
    async with open_node(shop.database, gateway) as node:
        await node.recover()
        await node.wait_idle()
        assert said(await node.service.checkout(BUYER, REQUEST)) == "captured"
    assert await shop.attempts() == ["succeeded"]
    assert await shop.check() == []


async def test_a_lost_answer_is_found_by_the_same_node(
    shop: Shop, mock_clock: trio.testing.MockClock
) -> None:
    """The actor tells its caller, and goes on asking, less and less often, until it is answered."""
    gateway = MemoryGateway(losing(Point.CHARGE_AFTER, Point.LOOKUP_AFTER))
    async with open_node(shop.database, gateway) as node:
        assert said(await node.service.checkout(BUYER, REQUEST)) == "outcome_unknown"
        assert gateway.passed[Point.LOOKUP_BEFORE] == 1
        asked = trio.Event()

        async def at(point: Point, attempt_id: str) -> None:
            if point is Point.LOOKUP_BEFORE:
                asked.set()
            await losing(Point.LOOKUP_AFTER)(point, attempt_id)

        gateway.at = at
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(HOLD_FIRST_S)
        await asked.wait()
        assert said(await node.service.checkout(BUYER, REQUEST)) == "outcome_unknown"
        gateway.at = pass_by
        answer = "outcome_unknown"
        while answer == "outcome_unknown":  # also for a moment after the capture's commit
            mock_clock.jump(2 * HOLD_FIRST_S)
            answer = said(await node.service.checkout(BUYER, REQUEST))
        assert answer == "captured"
    assert gateway.passed[Point.CHARGE_BEFORE] == 1
    assert await shop.check() == []


async def test_a_charge_that_never_came_expires(
    shop: Shop, mock_clock: trio.testing.MockClock
) -> None:
    """Past its reservation the attempt is cancelled for good, and the stock is for sale again."""
    gateway = MemoryGateway()
    request = replace(REQUEST, payment_method=cards.LOST_BEFORE)
    async with open_node(shop.database, gateway) as node:
        assert said(await node.service.checkout(BUYER, request)) == "outcome_unknown"
        await shop.tamper("run_out")
        answer = "outcome_unknown"
        while answer == "outcome_unknown":  # also for a moment after the refusal's commit
            mock_clock.jump(HOLD_FIRST_S)
            answer = said(await node.service.checkout(BUYER, request))
        assert answer == "expired"
    assert list(gateway.outcomes.values()) == [Cancelled()]
    assert await shop.attempts() == ["cancelled"]
    assert await shop.shelf() == (50, 0)
    assert await shop.told() == []
    assert await shop.check() == []


async def test_an_approval_that_comes_late_is_captured(shop: Shop) -> None:
    """Past its reservation, a charge that turns out approved is a purchase all the same."""
    gateway = MemoryGateway(losing(Point.CHARGE_AFTER, Point.LOOKUP_AFTER))
    async with open_node(shop.database, gateway) as node:
        assert said(await node.service.checkout(BUYER, REQUEST)) == "outcome_unknown"
    await shop.tamper("run_out")
    async with open_node(shop.database, gateway) as node:
        await node.recover()
        await node.wait_idle()
    assert gateway.passed[Point.CANCEL_AFTER] == 1
    assert isinstance(next(iter(gateway.outcomes.values())), Approved)
    assert await shop.tally() == {"captured": 1}
    assert await shop.check() == []


async def test_stock_is_held_while_the_provider_is_away(shop: Shop) -> None:
    """Past its reservation, but with no word from the provider, nothing is released."""
    away = losing(Point.CHARGE_BEFORE, Point.LOOKUP_BEFORE, Point.CANCEL_BEFORE)
    gateway = MemoryGateway(away)
    async with open_node(shop.database, gateway) as node:
        assert said(await node.service.checkout(BUYER, REQUEST)) == "outcome_unknown"
    await shop.tamper("run_out")
    async with open_node(shop.database, gateway) as node:
        await node.recover()
        assert said(await node.service.checkout(BUYER, REQUEST)) == "outcome_unknown"
        assert gateway.passed[Point.CANCEL_BEFORE] == 1
    assert await shop.shelf() == (50, 1)
    gateway.at = pass_by
    async with open_node(shop.database, gateway) as node:
        await node.recover()
        await node.wait_idle()
    assert await shop.tally() == {"expired": 1}
    assert await shop.shelf() == (50, 0)


async def test_a_provider_that_does_not_answer_in_time(
    shop: Shop, mock_clock: trio.testing.MockClock
) -> None:
    """A call that takes too long counts as lost, and is looked up."""
    gateway, reached = MemoryGateway(), trio.Event()
    gateway.at = holding(Point.CHARGE_AFTER, reached, trio.Event())
    answers: list[Answer] = []

    async def buy() -> None:
        answers.append(await node.service.checkout(BUYER, REQUEST))

    async with open_node(shop.database, gateway) as node, trio.open_nursery() as nursery:
        nursery.start_soon(buy)
        await reached.wait()
        mock_clock.jump(GATEWAY_CALL_S)
    assert [said(answer) for answer in answers] == ["captured"]
    assert gateway.passed[Point.LOOKUP_AFTER] == 1


async def test_two_nodes_drive_one_purchase(shop: Shop) -> None:
    """One is slow, another takes the purchase up: it is charged, posted and told once."""
    gateway, reached, go_on = MemoryGateway(), trio.Event(), trio.Event()
    gateway.at = holding(Point.CHARGE_AFTER, reached, go_on)
    async with (
        open_node(shop.database, gateway) as slow,
        open_node(shop.database, gateway) as quick,
    ):
        await buy_until(slow, reached)
        await quick.recover()
        await quick.wait_idle()
        assert await shop.tally() == {"captured": 1}
        go_on.set()
        await slow.wait_idle()
        answers = [await node.service.checkout(BUYER, REQUEST) for node in (slow, quick)]
    assert answers == [receipt(answers[0])] * 2
    assert len(await shop.told()) == 1
    assert await shop.check() == []


async def test_a_charge_on_its_way_meets_the_fence(shop: Shop) -> None:
    """A slow node's charge that arrives after another gave the purchase up moves nothing."""
    gateway, reached, go_on = MemoryGateway(), trio.Event(), trio.Event()
    gateway.at = holding(Point.CHARGE_BEFORE, reached, go_on)
    async with (
        open_node(shop.database, gateway) as slow,
        open_node(shop.database, gateway) as quick,
    ):
        await buy_until(slow, reached)
        await shop.tamper("run_out")
        await quick.recover()
        await quick.wait_idle()
        go_on.set()
        await slow.wait_idle()
        assert said(await slow.service.checkout(BUYER, REQUEST)) == "expired"
    assert list(gateway.outcomes.values()) == [Cancelled()]
    assert await shop.shelf() == (50, 0)
    assert await shop.check() == []


async def test_a_stop_waits_for_a_charge(shop: Shop) -> None:
    """A node that stops lets a charge under way come to its end, and its caller hears of it."""
    gateway, reached, go_on = MemoryGateway(), trio.Event(), trio.Event()
    gateway.at = holding(Point.CHARGE_AFTER, reached, go_on)
    answers: list[Answer] = []

    async def buy() -> None:
        answers.append(await node.service.checkout(BUYER, REQUEST))

    async with open_node(shop.database, gateway) as node, trio.open_nursery() as nursery:
        nursery.start_soon(buy)
        await reached.wait()
        nursery.start_soon(node.stop)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
    assert [said(answer) for answer in answers] == ["captured"]


async def test_a_stop_does_not_wait_for_a_lost_answer(
    shop: Shop, mock_clock: trio.testing.MockClock
) -> None:
    """A purchase that is waiting to ask again ends at once; nothing of it is forgotten."""
    request = replace(REQUEST, payment_method=cards.LOST_BEFORE)
    async with open_node(shop.database, MemoryGateway()) as node:
        assert said(await node.service.checkout(BUYER, request)) == "outcome_unknown"
        began = mock_clock.current_time()
        await node.stop()
        assert mock_clock.current_time() == began
    assert await shop.tally() == {"unknown": 1}


async def test_recovery_goes_round(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each search takes up a bounded number and goes on where the last one ended."""
    monkeypatch.setattr(service, "RECOVER_ROWS_MAX", 2)
    gateway = MemoryGateway(losing(Point.CHARGE_AFTER, Point.LOOKUP_AFTER))
    async with open_node(shop.database, gateway) as node:
        for number in range(5):
            await node.service.checkout(buyer(f"buyer-{number}"), REQUEST)
    gateway.at = pass_by
    async with open_node(shop.database, gateway) as node:
        left = []
        for _ in range(3):
            await node.recover()
            await node.wait_idle()
            left.append((await shop.tally()).get("unknown", 0))
        told = [fields for event, fields in node.events if event == "transactions.recovered"]
    assert left == [3, 1, 0]
    assert told == [{"started": 2}, {"started": 2}, {"started": 1}]


async def test_recovery_leaves_what_is_alive(shop: Shop) -> None:
    """What has its actor here is not started twice; what was touched just now is somebody's."""
    gateway, reached, go_on = MemoryGateway(), trio.Event(), trio.Event()
    gateway.at = holding(Point.CHARGE_BEFORE, reached, go_on)
    async with (
        open_node(shop.database, gateway) as node,
        open_node(shop.database, gateway) as other,
    ):
        await buy_until(node, reached)
        await node.recover()
        await other.service._recover(30.0)
        assert (node.actors.statistics().activated, len(other.actors.keys())) == (1, 0)
        go_on.set()
        await node.wait_idle()
    assert gateway.passed[Point.LOOKUP_BEFORE] == 0


async def test_recovery_runs_and_stops(shop: Shop, mock_clock: trio.testing.MockClock) -> None:
    """It searches at once, then every so often, until it is asked to stop."""
    gateway = MemoryGateway(losing(Point.CHARGE_AFTER, Point.LOOKUP_AFTER))
    async with open_node(shop.database, gateway) as node:
        await node.service.checkout(BUYER, REQUEST)
    gateway.at = pass_by
    life = Lifeline()
    async with open_node(shop.database, gateway) as node, trio.open_nursery() as nursery:
        nursery.start_soon(node.service.run, life)
        while await shop.tally() != {"captured": 1}:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(RECOVER_EVERY_S)
        life.request_stop()


async def test_recovery_outlives_the_database(
    annex: Annex, database_url: str, mock_clock: trio.testing.MockClock
) -> None:
    """A search that the database fails is told of, and made again."""
    database = Database(annex, database_url)  # never opened
    life = Lifeline()
    async with open_node(database, MemoryGateway()) as node, trio.open_nursery() as nursery:
        nursery.start_soon(node.service.run, life)
        while len(node.events) < 2:
            await trio.lowlevel.checkpoint()
            mock_clock.jump(RECOVER_EVERY_S)
        life.request_stop()
    assert {event for event, _ in node.events} == {"transactions.recovery_failed"}


async def test_a_capture_that_the_ledger_refuses(shop: Shop) -> None:
    """The money moved, so the purchase stays open with its stock held, until it can be posted."""
    gateway = MemoryGateway()
    await shop.write("open_account", LINE)
    await shop.tamper("close_accounts")
    async with open_node(shop.database, gateway) as node:
        assert said(await node.service.checkout(BUYER, REQUEST)) == Code.OUTCOME_UNKNOWN.value
    assert await shop.tally() == {"paying": 1}
    assert await shop.shelf() == (50, 1)
    await shop.tamper("reopen_accounts")
    async with open_node(shop.database, gateway) as node:
        await node.recover()
        await node.wait_idle()
    assert await shop.tally() == {"captured": 1}
    assert await shop.check() == []
