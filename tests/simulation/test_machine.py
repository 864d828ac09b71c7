"""Whatever is asked of a book, in whatever order: the ledger does what the reference does."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.simulation.books import Books, Node
from tests.simulation.commands import BEGINNING, CHART, Choose, a_posting, a_transfer
from tests.simulation.reference import Answer, Body, Book

pytestmark = pytest.mark.servers

# A few seconds; nothing is explained of a failure, which takes longer than finding it.
BOUNDS: Final = settings(
    max_examples=6,
    stateful_step_count=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


class Machine(RuleBasedStateMachine):
    """One book, the reference of it, and two nodes that post to it."""

    def __init__(self, books: Books) -> None:
        super().__init__()
        self.books = books
        self.keys = 0
        self.choose: Choose = max  # of the step under way
        self._open_book()

    def _open_book(self) -> None:
        self.name = self.books.open(BEGINNING)
        self.book = Book(self.name, CHART, BEGINNING)
        self.nodes = {"first": Node(), "second": Node()}
        self.node = self.nodes["first"]
        self.bodies: list[Body] = []  # that were accepted

    # What may happen ------------------------------------------------------------------------------

    @rule(data=st.data(), node=st.sampled_from(["first", "second"]))
    def step(self, data: st.DataObject, node: str) -> None:
        """Mostly a posting; Hypothesis, left to itself, would leave out whole rules."""

        def choose(options: Sequence[Any]) -> Any:
            return data.draw(st.sampled_from(options))

        self.choose = choose
        self.node = self.nodes[node]
        choose(
            [
                *[self._post_new] * 10,
                *[self._post_ahead] * 4,
                *[self._post_again, self._post_in_vain, self._wait, self._wait],
                *[self._close_account, self._set_limits, self._lock_period, self._close_book],
            ]
        )()

    def _post_new(self) -> None:
        """A batch of new postings."""
        self._post([self._new() for _ in range(self.choose([1, 1, 2, 3]))])

    def _post_ahead(self) -> None:
        """Two batches, the second decided before the first is recorded; or all was otherwise."""
        batches = [[self._plain() for _ in range(self.choose([1, 2]))] for _ in range(2)]
        if self.bodies and self.choose([True, False, False]):
            batches[1].append({**batches[1][0], "key": self.choose(self.bodies)["key"]})
        if self.choose([True, False, False]):
            batches[1].append(self.choose(batches[0]))
        happens = self.choose([*[None] * 4, self._post_elsewhere, self._set_limits, self._wait])
        expected: list[Answer] = []

        def between() -> None:
            if happens is not None:
                happens()
            for bodies in batches:
                expected.extend(self._expect(bodies))

        told = self.books.post_ahead(self.node, self.name, batches, between)
        answers = [answer for of_batch in told for answer in of_batch]
        assert answers == expected
        for body, answer in zip((body for each in batches for body in each), answers, strict=True):
            self._note(body, answer)

    def _post_elsewhere(self) -> None:
        """Another node posts."""
        mine = self.node
        self.node = next(node for node in self.nodes.values() if node is not mine)
        self._post([self._plain() for _ in range(self.choose([1, 2, 3]))])
        self.node = mine

    def _post_again(self) -> None:
        """The same once more, twice in a batch; then something else under its key."""
        if self.bodies:
            body = self.choose(self.bodies)
            self._post([body, body, {**self._new(), "key": body["key"]}])

    def _post_in_vain(self) -> None:
        """A batch that is not committed: nothing of it is there."""
        before = self.books.rows("every_row", self.name)
        self.books.post_in_vain(self.name, [self._new(), self._new()])
        assert self.books.rows("every_row", self.name) == before

    def _wait(self) -> None:
        """Time passes."""
        self.book.now += timedelta(seconds=self.choose([0.000_001, 1, 4, 60, 86_400]))
        self.books.set_time(self.name, self.book.now)

    def _close_account(self) -> None:
        """An account is closed, which must be empty, or opened again."""
        if not self.book.accounts:
            return
        key = self.choose(sorted(self.book.accounts))
        account = self.book.accounts[key]
        is_empty = account.balance == 0 and not any(account.held.values())
        closed_at = None if account.is_closed else self.book.now
        may = closed_at is None or is_empty
        assert self.books.change("set_closed", self.name, *key, closed_at) == may
        if may:
            account.is_closed = closed_at is not None

    def _set_limits(self) -> None:
        """An account's limits move; not so that it breaks them."""
        if not self.book.accounts:
            return
        key = self.choose(sorted(self.book.accounts))
        floor, ceiling = self.choose([None, -100, 0, 100]), self.choose([None, 0, 100, 1_000])
        account = self.book.accounts[key]
        may = (floor is None or account.available >= floor) and (
            ceiling is None or account.expected <= ceiling
        )
        assert self.books.change("set_limits", self.name, *key, floor, ceiling) == may
        if may:
            account.floor, account.ceiling = floor, ceiling

    def _lock_period(self) -> None:
        """All before some time is locked, which never goes back; now and then the future is."""
        until = self.book.now - timedelta(seconds=self.choose([0, 1, 60, 86_400, -1]))
        if self.book.locked_before is None or until >= self.book.locked_before:
            assert self.books.change("lock_period", self.name, until)
            self.book.locked_before = until

    def _close_book(self) -> None:
        """The book is closed, for good: it still answers, and the next one begins."""
        self.book.mode = "closed"
        assert self.books.change("set_mode", self.name, "closed")
        self._post_new()
        self._post_again()
        self._open_book()

    # What must hold then --------------------------------------------------------------------------

    @invariant()
    def accounts_are_as_in_the_reference(self) -> None:
        """Every counter of every account, its limits, and whether it is closed."""
        shown = {
            (row["path"], row["currency"]): (
                *(row[name] for name in ("debits_posted", "credits_posted")),
                *(row[name] for name in ("debits_pending", "credits_pending")),
                *(row[name] for name in ("version", "floor", "ceiling", "closed")),
            )
            for row in self.books.rows("accounts", self.name)
        }
        assert shown == {
            key: (*account.counters, account.floor, account.ceiling, account.is_closed)
            for key, account in self.book.accounts.items()
        }
        for currency in {key[1] for key in shown}:
            amounts = [counters for key, counters in shown.items() if key[1] == currency]
            assert sum(each[0] - each[1] for each in amounts) == 0, "what is posted balances"
            assert sum(each[2] - each[3] for each in amounts) == 0, "what is pending balances"

    @invariant()
    def limits_hold(self) -> None:
        """No account has less than it must, or more than it may."""
        for account in self.book.accounts.values():
            assert account.floor is None or account.available >= account.floor
            assert account.ceiling is None or account.expected <= account.ceiling
            assert min(account.held.values()) >= 0

    @invariant()
    def the_log_is_as_in_the_reference(self) -> None:
        """Postings in their order, open holds, and quotes that were used."""
        numbers = [(row["number"], row["key"]) for row in self.books.rows("postings", self.name)]
        assert numbers == [(each["number"], each["key"]) for each in self.book.postings]
        holds = {row["name"]: row["expires_at"] for row in self.books.rows("open_holds", self.name)}
        assert holds == {name: each.expires_at for name, each in self.book.open_holds().items()}
        quotes = {row["quote"] for row in self.books.rows("quotes", self.name)}
        assert quotes == self.book.quotes

    @invariant()
    def an_answer_stays(self) -> None:
        """The last that was accepted is answered the same, and nothing changes for it."""
        if self.bodies and not self.book.due():
            before = self.books.rows("every_row", self.name)
            self._post([self.bodies[-1]])
            assert self.books.rows("every_row", self.name) == before

    # How ------------------------------------------------------------------------------------------

    def _new(self) -> Body:
        """A posting under a new key."""
        self.keys += 1
        return a_posting(self.choose, self.book, f"k{self.keys}")

    def _plain(self) -> Body:
        """A posting of transfers alone, which is decided on what is remembered."""
        self.keys += 1
        transfers = [
            a_transfer(self.choose, self.book, ["transfer"])
            for _ in range(self.choose([1, 1, 1, 2]))
        ]
        return {"key": f"k{self.keys}", "transfers": transfers}

    def _expect(self, bodies: list[Body]) -> list[Answer]:
        """What comes of a batch in the reference."""
        locked = self.book.locked_before
        if self.book.mode == "live" and (locked is None or self.book.now >= locked):
            self.book.expire(self.book.due())
        return [self.book.post(body) for body in bodies]

    def _post(self, bodies: list[Body]) -> None:
        """A batch, through the ledger and the reference; refusals leave no trace."""
        before = self.books.rows("every_row", self.name)
        answers = self.books.post(self.node, self.name, bodies)
        recorded = len(self.book.postings)
        assert answers == self._expect(bodies)
        if len(self.book.postings) == recorded:
            assert self.books.rows("every_row", self.name) == before
        for body, answer in zip(bodies, answers, strict=True):
            self._note(body, answer)

    def _note(self, body: Body, answer: Answer) -> None:
        if answer[0] == "accepted" and body not in self.bodies:
            self.bodies.append(body)


def test_the_ledger_does_what_the_reference_does(books: Books) -> None:
    """After every step all is equal: answers, accounts, holds, the order, and no row is touched."""

    class OfThese(Machine):
        """The machine, over this test's books."""

        def __init__(self) -> None:
            super().__init__(books)

    run_state_machine_as_test(OfThese, settings=BOUNDS)
    assert books.check() == []
    assert books.answers_told > 100
    assert min(books.batches[way] for way in ("assumed", "given up", "locked")) > 0
