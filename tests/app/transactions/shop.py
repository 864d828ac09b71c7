"""A shop to buy in: a business line with a sale, and nodes that serve it and may crash."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, TypeVarTuple

import trio
import trio.testing

from actors import Lifeline
from app.domain.errors import Refusal
from app.identity.model import Identity, Role
from app.ledger.model import Violation
from app.ledger.service import Ledger
from app.payments import cards
from app.payments.gateway import PaymentGateway
from app.storage import Database, ReadConnection, WriteConnection, load_queries
from app.transactions.model import Answer, CheckoutRequest, Receipt
from app.transactions.service import Transactions

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_SQL: Final = load_queries(__package__, "shop.sql")

LINE: Final = "acme"
SALE: Final = "friday"
LISTING: Final = "lamp"
PRICE: Final = 1_000
STOCK: Final = 50

BUYER: Final = Identity("bea", Role.BUYER, LINE, 2**40, "session")
SELLER: Final = replace(BUYER, person="sam", role=Role.SELLER)
OPERATOR: Final = replace(BUYER, person="ola", role=Role.OPERATOR)
REQUEST: Final = CheckoutRequest(SALE, LISTING, 1, cards.APPROVES, "key-1")


def buyer(name: str) -> Identity:
    """A buyer of this name."""
    return replace(BUYER, person=name)


def said(answer: Answer) -> str:
    """An answer in one word: captured, or the refusal's code."""
    return "captured" if isinstance(answer, Receipt) else answer.code.value


def refused(answer: object) -> Refusal:
    """An answer that must be a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer


def receipt(answer: object) -> Receipt:
    """An answer that must be a receipt."""
    assert isinstance(answer, Receipt), answer
    return answer


class Node:
    """One server's purchases. `crash` ends all of it at once, as a killed process would."""

    def __init__(
        self, database: Database, gateway: PaymentGateway, reservation_s: float, max_children: int
    ) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.service = Transactions(
            database,
            gateway,
            live_max=max_children,
            reservation_s=reservation_s,
            emit=lambda event, fields: self.events.append((event, fields)),
        )
        self.actors = self.service.actors
        self.down = trio.Event()
        self._scope = trio.CancelScope()
        self._life = Lifeline()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serves until it stops or crashes."""
        ready = trio.Event()
        self._life = Lifeline()
        self._life.on_ready(ready.set)
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.actors.run, self._life)
                await ready.wait()
                task_status.started()
        self.down.set()

    def crash(self) -> None:
        """Ends every task of it, wherever it is. Wait for `down`."""
        self._scope.cancel()

    async def stop(self) -> None:
        """Ends in peace."""
        self._life.request_stop()
        await self.down.wait()

    async def recover(self) -> None:
        """Takes up everything that is open, once."""
        await self.service._recover(0.0)

    async def wait_idle(self) -> None:
        """Waits until no purchase is under way here."""
        while keys := self.actors.keys():
            for ref in map(self.actors.whereis, keys):
                if ref is not None:
                    await ref.wait_down()


@asynccontextmanager
async def open_node(
    database: Database,
    gateway: PaymentGateway,
    *,
    reservation_s: float = 600.0,
    max_children: int = 300,
) -> AsyncIterator[Node]:
    """A node that runs for as long as the block."""
    node = Node(database, gateway, reservation_s, max_children)
    async with trio.open_nursery() as nursery:
        await nursery.start(node.run)
        yield node
        node.crash()


class Watched(Database):
    """The shop's database; `at` is awaited before and after each block that writes."""

    def __init__(self, database: Database, at: Callable[[str], Awaitable[None]]) -> None:
        self._beneath = database
        self._at = at

    async def read(self, fn: Callable[[ReadConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """A block that reads."""
        return await self._beneath.read(fn, *args)

    async def write(self, fn: Callable[[WriteConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """A block that writes, and its two points, such as `accept_before`."""
        name = getattr(fn, "__name__", "")
        await self._at(f"{name}_before")
        result = await self._beneath.write(fn, *args)
        await self._at(f"{name}_after")
        return result


async def _run(conn: WriteConnection, query: str, *args: object) -> None:
    await conn.execute(getattr(_SQL, query), *args)


@dataclass(frozen=True)
class Shop:
    """The shop's database, and what can be seen in it.

    Attributes:
        database: as the role that serves.
        owner: as the role that may do more; None: of a test that leaves it alone.
    """

    database: Database
    owner: Database | None = None

    async def open(
        self, *, stock: int = STOCK, price: int = PRICE, commission_bp: int = 1_000
    ) -> None:
        """Fills the shelf: one listing in one sale of one line."""
        await self.write("open_line", LINE, commission_bp)
        await self.write("meet_seller", LINE)
        await self.write("open_sale", LINE, SALE)
        await self.write("list", LINE, SALE, LISTING, price, "EUR", stock)

    async def write(self, query: str, *args: object) -> None:
        """Runs one of the shop's statements."""
        await self.database.write(_run, query, *args)

    async def tamper(self, query: str) -> None:
        """Runs one of the shop's statements that no server may."""
        assert self.owner is not None, "this test has it"
        await self.owner.write(_run, query)

    async def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """The rows of one of the shop's queries."""

        async def run(conn: ReadConnection) -> list[dict[str, Any]]:
            return [dict(row) for row in await conn.fetch(getattr(_SQL, query), *args)]

        return await self.database.read(run)

    async def shelf(self, listing: str = LISTING) -> tuple[int, int]:
        """Stock and what of it is held."""
        (row,) = await self.rows("shelf", listing)
        return row["stock"], row["reserved"]

    async def tally(self) -> dict[str, int]:
        """How many transactions ended in which way."""
        return {row["outcome"]: row["times"] for row in await self.rows("tally")}

    async def balances(self) -> dict[str, int]:
        """Every account's balance, by its path."""
        return {row["path"]: row["balance"] for row in await self.rows("balances")}

    async def attempts(self) -> list[str]:
        """Every attempt's state, in the order in which they were made."""
        return [row["state"] for row in await self.rows("attempts")]

    async def told(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Every event: type, topic, data."""
        rows = await self.rows("events")
        return [(row["type"], row["topic"], json.loads(row["data"])) for row in rows]

    async def check(self) -> list[Violation]:
        """What must never be so, and is."""
        return await Ledger(self.database).check()
