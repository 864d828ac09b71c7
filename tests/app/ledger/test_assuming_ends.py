"""Two batches of a book under way at once: keys that were used, holds that are over, what fails."""

import random
from datetime import timedelta
from functools import partial

import pytest
import trio

from actors import run_root
from app.domain.errors import Code, Refusal
from app.ledger import desk
from app.ledger.codes import LedgerCode
from app.ledger.model import Accepted, Result
from app.ledger.poster import Posters
from app.ledger.request import Pending
from app.storage import Database, StorageDown
from tests.app.ledger.posting_book import BANK, SAM, SUE, Bank, accepted, ask, pay, refusal
from tests.app.ledger.two_nodes import Pair, three_accounts, two_nodes
from tests.app.ledger.watched_node import Watched, post, settle, told

pytestmark = pytest.mark.servers


@pytest.fixture
async def bank(database: Database, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """A book in which Sam, Sue and the bank have an account, Sam one without debts."""
    monkeypatch.setattr(desk, "POSTINGS_AHEAD_MIN", 1)
    bank = Bank(database)
    await three_accounts(bank)
    return bank


# Keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["same", "other"])
async def test_a_key_of_the_batch_before(bank: Bank, again: str) -> None:
    """Its posting is not recorded yet: the same gets its answer, something else is refused."""
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("key", 7))
        await pair.ask(pay("new"), pay("key", 7 if again == "same" else 8))
        pair.release()
    assert pair.node.ways == ["assumed", "assumed", "locked"]
    assert pair.numbers("key") == [3]
    new, key = pair.of("new")
    assert accepted(new).number == 4
    if again == "same":
        assert key == Accepted(accepted(pair.of("key")[0]), fresh=False)
    else:
        assert refusal(key) == (LedgerCode.KEY_REUSED, None)


@pytest.mark.parametrize("amount", [5, 0], ids=["recorded", "refused"])
async def test_a_key_that_was_used_long_ago(bank: Bank, amount: int) -> None:
    """Also where what is asked under it would be refused for something else."""
    async with two_nodes(bank) as pair:
        (result,) = told(await pair.here.post("acme", [pay("sam", amount)]))
        assert refusal(result) == (LedgerCode.KEY_REUSED, None)
        (result,) = told(await pair.here.post("acme", [pay("sam", 100)]))
    assert isinstance(result, Accepted)
    assert (result.posted.number, result.fresh) == (1, False)


async def test_a_key_twice_in_one_batch(bank: Bank) -> None:
    """It is posted once, on the spot; whoever asks again is told so, or that it is used."""
    async with two_nodes(bank) as pair:
        first, again, other = told(
            await pair.here.post("acme", [pay("key", 7), pay("key", 7), pay("key", 8)])
        )
    assert pair.node.ways == ["assumed"]
    assert first == Accepted(accepted(first), fresh=True)
    assert again == Accepted(accepted(first), fresh=False)
    assert refusal(other) == (LedgerCode.KEY_REUSED, None)


# Holds --------------------------------------------------------------------------------------------


async def test_a_hold_that_is_over_ends_first(bank: Bank, owner: Database) -> None:
    """What it held can be spent by the next posting, which nobody had told of its time."""
    held = ask("hold", Pending(SAM, BANK, 100, "EUR", 60))
    async with two_nodes(bank) as pair:
        accepted(told(await pair.here.post("acme", [held]))[0])
        (result,) = told(await pair.here.post("acme", [pay("early", 1, SAM, BANK)]))
        assert refusal(result) == (LedgerCode.BELOW_FLOOR, None)
        for table in ("posting", "transfer", "hold", "book"):
            await Bank(owner).tamper(f"move_{table}_back", timedelta(seconds=61))
        (result,) = told(await pair.here.post("acme", [pay("late", 100, SAM, BANK)]))
    assert pair.node.ways == ["locked", "assumed", "assumed", "locked"]
    assert accepted(result).number == 5
    keys = [row["key"] for row in await bank.rows("keys", "acme")]
    assert keys == ["sam", "sue", "hold", "expire:3.0", "late"]


# What fails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_statement_that_fails(bank: Bank, when: str) -> None:
    """With another batch behind it: all are asked for again, and posted once."""
    async with two_nodes(bank) as pair:
        pair.hold()
        getattr(pair.node, when).append(StorageDown("gone"))
        for key in ("first", "second", "third", "fourth"):
            await pair.ask(pay(key))
        pair.release()
    keys = [row["key"] for row in await bank.rows("keys", "acme")]
    assert sorted(keys) == sorted(["sam", "sue", "first", "second", "third", "fourth"])
    numbers = {key: pair.numbers(key) for key in pair.answers}
    assert numbers == {key: [place] for place, key in enumerate(keys, 1) if key in pair.answers}
    fresh = [key for key in pair.answers if _is_fresh(pair.of(key)[0])]
    assert ("first" in fresh) == (when == "before")
    assert {"third", "fourth"} <= set(fresh)


def _is_fresh(result: Result) -> bool:
    return isinstance(result, Accepted) and result.fresh


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_life_that_ends_between_shares(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """One caller's postings stay in their order: what was decided after it is not sent."""
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 2)
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(*(pay(f"{number}") for number in range(6)))
        getattr(pair.node, when).append(StorageDown("gone"))
        pair.release()
    assert pair.numbers("0") == [3, 4, 5, 6, 7, 8]
    assert pair.node.batches[:2] == [["0", "1"]] * 2
    assert pair.node.ways == ["assumed", "locked", "assumed", "assumed"]


async def test_callers_who_go_away(bank: Bank) -> None:
    """Of both batches: what they asked is posted, and the others are answered."""
    async with two_nodes(bank) as pair:
        pair.hold()
        with trio.CancelScope() as gone:
            async with trio.open_nursery() as impatient:
                for key in ("one", "two", "three"):
                    impatient.start_soon(post, pair.here, pair.answers, pay(key))
                    await settle()
                await pair.ask(pay("four"))
                gone.cancel()
        pair.release()
    assert list(pair.answers) == ["four"]
    assert pair.numbers("four") == [6]
    keys = [row["key"] for row in await bank.rows("keys", "acme")]
    assert keys[2:] == ["one", "two", "three", "four"]


async def test_who_was_heard_is_answered_at_a_stop(bank: Bank) -> None:
    """Both batches under way, and those who wait for the next one; who comes then is refused."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, posters.actors, stop=stop))
        told(await posters.post("acme", [pay("zero"), pay("to sue", credit=SUE)]))
        node.gate = trio.Event()
        for key in ("first", "second", "third"):
            nursery.start_soon(post, posters, answers, pay(key))
            await settle()
        stop.set()
        await settle()
        node.gate.set()
    assert node.ways == ["locked", "assumed", "assumed", "assumed"]
    numbers = {key: accepted(told(answer)[0]).number for key, answer in answers.items()}
    assert numbers == {"first": 3, "second": 4, "third": 5}
    assert isinstance(await posters.post("acme", [pay("late")]), Refusal)
    await bank.check()


@pytest.mark.parametrize("seed", range(3))
async def test_many_callers_and_many_failures(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whoever asks until it is known has each of its postings once, and in its order."""
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 3)
    chance = random.Random(seed)
    places: dict[str, list[int]] = {}

    async def insist(pair: Pair, name: str) -> None:
        requests = [pay(f"{name}.{place}", 1) for place in range(chance.randint(1, 9))]
        posters = chance.choice([pair.here, pair.here, pair.here, pair.there])
        answer: list[Result] | Refusal = Refusal(Code.OUTCOME_UNKNOWN)
        if chance.random() < 0.2:
            chance.choice([pair.node.before, pair.node.after]).append(StorageDown("gone"))
        while isinstance(answer, Refusal):
            answer = await posters.post("acme", requests)
        places[name] = [accepted(each).number for each in answer]

    async with two_nodes(bank) as pair:
        for number in range(40):
            pair.nursery.start_soon(insist, pair, f"{number}")
    assert all(each == sorted(each) for each in places.values())
    numbers = sorted(number for each in places.values() for number in each)
    assert numbers == [*range(3, 3 + len(numbers))]
    assert {"assumed", "locked"} == {*pair.node.ways}
