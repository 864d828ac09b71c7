"""Revocations: who may not call any more, known on every node, and told to its sockets.

Theory of operation. A revocation is a row in PostgreSQL, numbered in the order of commits. Every
node keeps all that matter in memory and asks nobody when a request or a socket comes. One loop
reads what is newer than the last number seen: when another node says on the broker that there is
something, and every `REVOCATIONS_LOOK_S` in any case. So a lost message, or a Redis that is away,
costs half a second. The node that was asked knows before it answers.

Whatever was read is first *added*, so that from this moment nobody comes in with such a token, and
then everybody who is in is looked at once (`attach`): nobody slips through between the two.

A crash loses nothing: the object outlives its runs, and the next run goes on from the same number.
While PostgreSQL is away nothing is revoked, and what is revoked stays so.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import trio

from actors import Emit, Lifeline, Wakeup, drop_event
from app.domain.errors import Refusal
from app.identity import revocation_store as store
from app.identity.model import Identity
from app.identity.revocation_state import Revocation, RevokedState, wanted
from app.limits import (
    REVOCATIONS_A_READ,
    REVOCATIONS_FORGET_S,
    REVOCATIONS_LOOK_S,
    REVOCATIONS_REST_S,
)
from app.storage import Database
from channels.broker import Broker

# The broker's raw channel that says: there is something to read.
HINT: Final = "revocations"

Cut: TypeAlias = Callable[[Callable[[Identity], bool]], Awaitable[int]]
"""Closes the connections of all identities of which a function says so; returns how many."""


@dataclass(frozen=True, slots=True)
class RevocationsStatistics:
    """The revocations that this node knows.

    Attributes:
        live: those that matter now.
        position: the number of the last one seen.
        cut: connections closed by them, since the start.
    """

    live: int
    position: int
    cut: int


class Revocations:
    """Revokes, and knows what is revoked. One for each node."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        *,
        now: Callable[[], float] = time.time,
        emit: Emit = drop_event,
    ) -> None:
        """None known yet.

        Args:
            database: where they are.
            broker: tells other nodes that there is something to read.
            now: seconds since the epoch; the machine's clock unless a test brings its own.
            emit: takes the events `access.revoked` and `access.cut`.
        """
        self._database = database
        self._broker = broker
        self._now = now
        self._emit = emit
        self._state = RevokedState()
        self._position = 0
        self._cut_count = 0
        self._cut: Cut | None = None
        self._uncut = False  # something was added that no connection was looked at for yet
        self._hinted = Wakeup()
        self._forget_at = 0.0  # on the trio clock
        broker.subscribe_raw(HINT, lambda _: self._hinted.set())

    def attach(self, cut: Cut) -> None:
        """Say who closes connections. Once."""
        assert self._cut is None, "one closes connections"
        self._cut = cut

    def covers(self, identity: Identity) -> bool:
        """Whether this identity's token is revoked, as far as this node knows."""
        return self._state.covers(identity)

    async def revoke(
        self, identity: Identity, *, session: str | None = None, person: str | None = None
    ) -> Revocation | Refusal:
        """Revoke a session, or all tokens of a person that were issued up to now.

        This node knows at once, the others within `REVOCATIONS_LOOK_S`.

        Args:
            identity: who asks: an operator, or anybody about themselves.
            session: a token's own id.
            person: a name on the same line. Without either it is the session that asks.

        Returns:
            forbidden, invalid_request, or busy.

        Raises:
            StorageDown: PostgreSQL cannot be reached; whether it was revoked is not known.
        """
        asked = wanted(identity, session, person, self._now())
        if isinstance(asked, Refusal):
            return asked
        made = await self._database.write(store.revoke, identity, asked)
        if isinstance(made, Refusal):
            return made
        self._state.add(made)
        self._broker.publish_raw(HINT, b"")  # which this node hears, too
        self._emit("access.revoked", {"kind": made.kind, "line": made.line})
        return made

    async def run(self, life: Lifeline) -> None:
        """Read what is new until asked to stop; ready once everything was read.

        Raises:
            StorageDown: PostgreSQL failed. The next run goes on from the same number.
        """
        await self._look()
        life.ready()
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            while True:
                # Each look that finds something looks at every connection: let them be few.
                await trio.sleep(REVOCATIONS_REST_S)
                with trio.move_on_after(REVOCATIONS_LOOK_S - REVOCATIONS_REST_S):
                    await self._hinted.wait()
                await self._look()

    def statistics(self) -> RevocationsStatistics:
        """What it knows."""
        return RevocationsStatistics(self._state.size, self._position, self._cut_count)

    async def _look(self) -> None:
        """Add what is new, and close the connections that it concerns."""
        more = True
        while more:
            found, position = await self._database.read(store.newer, self._position)
            for revocation in found:
                self._state.add(revocation)
            self._uncut = self._uncut or bool(found)
            self._position = position
            more = len(found) == REVOCATIONS_A_READ
        if self._uncut:
            await self._cut_off()
            self._uncut = False
        await self._forget()

    async def _cut_off(self) -> None:
        assert self._cut is not None, "connections can be closed before any is revoked"
        count = await self._cut(self._state.covers)
        self._cut_count += count
        if count:
            self._emit("access.cut", {"connections": count})

    async def _forget(self) -> None:
        """Now and then, forget what no longer matters: here, and some in the database."""
        now = trio.current_time()
        if now >= self._forget_at:
            self._forget_at = now + REVOCATIONS_FORGET_S
            self._state.forget(self._now(), REVOCATIONS_A_READ)
            await self._database.write(store.forget)
