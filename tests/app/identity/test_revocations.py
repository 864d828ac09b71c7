"""Revocations over a real database: made once, known on every node, and told to its sockets."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
import trio

from actors import run_root
from app.domain.errors import Code, Refusal
from app.identity.callers import REVOKED, Callers
from app.identity.model import Identity, Role
from app.identity.revocation_state import Revocation
from app.identity.revocations import Revocations
from app.identity.tokens import Tokens, new_session
from app.storage import Database
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from tests.app.events.log import PATIENCE_S
from tests.app.sales.conftest import market as market  # noqa: PLC0414 - a fixture
from tests.app.sales.market import LINE, Market

pytestmark = pytest.mark.servers

TOKENS = Tokens("a secret of the tests, at least 32 bytes long")


def token(person: str = "ann", role: Role = Role.BUYER, line: str = LINE) -> str:
    """A token for an hour."""
    return TOKENS.issue(person, role, line, 3600)


def who(text: str) -> Identity:
    """The identity that a token proves, revoked or not."""
    identity = TOKENS.verify(text)
    assert isinstance(identity, Identity)
    return identity


@dataclass
class Door:
    """A node that people are in, by their tokens."""

    revocations: Revocations
    inside: list[Identity] = field(default_factory=list)
    told: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    _changed: trio.Event = field(default_factory=trio.Event)

    def __post_init__(self) -> None:
        self.revocations.attach(self._cut)

    async def _cut(self, matches: Callable[[Identity], bool]) -> int:
        await trio.lowlevel.checkpoint()
        meant = [identity for identity in self.inside if matches(identity)]
        self.inside = [identity for identity in self.inside if identity not in meant]
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        return len(meant)

    def identify(self, text: str) -> Identity | Refusal:
        """What a caller is told at this node's door."""
        return Callers(TOKENS, self.revocations).identify(text)

    async def left(self, *identities: Identity) -> None:
        """Wait until nobody but these is inside."""
        with trio.fail_after(PATIENCE_S):
            while self.inside != list(identities):
                await self._changed.wait()


@asynccontextmanager
async def node(database: Database, wire: MemoryWire, name: str = "a") -> AsyncIterator[Door]:
    """A node whose revocations run."""
    broker = RedisBroker(MemoryBus(wire), name)
    told: list[tuple[str, Mapping[str, object]]] = []
    revocations = Revocations(database, broker, emit=lambda *event: told.append(event))
    door = Door(revocations, told=told)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, broker, stop=stop))
        await nursery.start(partial(run_root, revocations, stop=stop))
        yield door
        stop.set()


def made(answer: Revocation | Refusal) -> Revocation:
    """An answer that must not be a refusal."""
    assert isinstance(answer, Revocation), answer
    return answer


async def test_a_session_ends_at_once_where_it_was_revoked(market: Market) -> None:
    """It is refused before the answer is out, and its sockets are closed; others go on."""
    gone, stays = token(), token()
    async with node(market.database, MemoryWire()) as door:
        door.inside += [who(gone), who(stays)]
        made(await door.revocations.revoke(who(gone)))
        assert door.identify(gone) == REVOKED
        await door.left(who(stays))
        assert door.identify(stays) == who(stays)
        await trio.testing.wait_all_tasks_blocked()
        assert door.told == [
            ("access.revoked", {"kind": "session", "line": LINE}),
            ("access.cut", {"connections": 1}),
        ]
        assert (door.revocations.statistics().live, door.revocations.statistics().cut) == (1, 1)


@pytest.mark.parametrize("cut", [False, True], ids=["with the bus", "without the bus"])
async def test_every_node_hears_of_it_or_finds_it(market: Market, *, cut: bool) -> None:
    """A node that the bus does not reach looks by itself, within half a second."""
    wire = MemoryWire()
    gone = token()
    async with (
        node(market.database, wire, "a") as here,
        node(market.database, wire, "b") as there,
    ):
        wire.cut = cut
        there.inside.append(who(gone))
        made(await here.revocations.revoke(who(gone)))
        await there.left()
        assert there.identify(gone) == REVOKED


async def test_a_node_that_starts_knows_what_was_revoked_before(market: Market) -> None:
    """Before it takes a single caller."""
    gone = token()
    async with node(market.database, MemoryWire()) as door:
        made(await door.revocations.revoke(who(gone)))
    async with node(market.database, MemoryWire()) as door:
        assert door.identify(gone) == REVOKED


async def test_a_node_reads_any_number_in_pieces(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many were revoked while it was not there."""
    monkeypatch.setattr("app.identity.revocation_store.REVOCATIONS_A_READ", 2)
    monkeypatch.setattr("app.identity.revocations.REVOCATIONS_A_READ", 2)
    gone = [token() for _ in range(5)]
    async with node(market.database, MemoryWire()) as door:
        for each in gone:
            made(await door.revocations.revoke(who(each)))
    async with node(market.database, MemoryWire()) as door:
        assert [door.identify(each) for each in gone] == [REVOKED] * 5
        assert door.revocations.statistics().position == 5


async def test_a_person_is_out_with_all_tokens_until_now(market: Market) -> None:
    """A token that is issued afterwards is good."""
    operator, gone = who(token("ola", Role.OPERATOR)), token()
    async with node(market.database, MemoryWire()) as door:
        revocation = made(await door.revocations.revoke(operator, person="ann"))
        assert revocation.issued_until >= who(gone).issued_at
        assert door.identify(gone) == REVOKED
        later = replace(who(gone), issued_at=revocation.issued_until + 1)
        assert not door.revocations.covers(later)


async def test_revoking_a_session_again_changes_nothing(market: Market) -> None:
    """And costs no number, so that no node reads it twice."""
    gone = who(token())
    async with node(market.database, MemoryWire()) as door:
        first = made(await door.revocations.revoke(gone))
        assert first == made(await door.revocations.revoke(gone))


async def test_revocations_at_once_are_numbered_without_gaps(market: Market) -> None:
    """So nobody who has seen one can miss one before it."""
    positions = []

    async def revoke(door: Door, identity: Identity) -> None:
        positions.append(made(await door.revocations.revoke(identity)).position)

    same = who(token())
    async with node(market.database, MemoryWire()) as door:
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(revoke, door, who(token()))
                nursery.start_soon(revoke, door, same)
        assert set(positions) <= set(range(1, max(positions) + 1))
        assert len(set(positions)) >= 9
        assert door.revocations.statistics().live == 9


async def test_who_may_not_is_refused_and_nothing_is_kept(market: Market) -> None:
    """Nor is anything of a line that is not there."""
    async with node(market.database, MemoryWire()) as door:
        for asks, session in [
            (who(token()), new_session(1)),
            (who(token("ola", Role.OPERATOR, "nowhere")), new_session(1)),
            (who(token(line="nowhere")), None),
        ]:
            refused = await door.revocations.revoke(asks, session=session)
            assert isinstance(refused, Refusal)
            assert refused.code is Code.FORBIDDEN
        assert door.revocations.statistics().live == 0


async def test_a_line_may_revoke_so_many(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it is told to come back, and what was revoked already stays answered."""
    monkeypatch.setattr("app.identity.revocation_store.REVOCATIONS_A_LINE_MAX", 1)
    first = who(token())
    async with node(market.database, MemoryWire()) as door:
        made(await door.revocations.revoke(first))
        refused = await door.revocations.revoke(who(token()))
        assert isinstance(refused, Refusal)
        assert refused.code is Code.BUSY
        made(await door.revocations.revoke(first))


async def test_what_no_longer_matters_is_forgotten_everywhere(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session whose token has long run out is neither kept nor read."""
    monkeypatch.setattr("app.identity.revocations.REVOCATIONS_FORGET_S", 0)
    operator = who(token("ola", Role.OPERATOR))
    wire = MemoryWire()
    async with node(market.database, wire) as door:
        made(await door.revocations.revoke(operator, session=new_session(1)))
        with trio.fail_after(PATIENCE_S):
            while await market.ask("revocations"):
                await trio.lowlevel.checkpoint()
            while door.revocations.statistics().live:
                await trio.lowlevel.checkpoint()
    async with node(market.database, wire) as door:
        assert door.revocations.statistics().position == 1


async def test_a_database_put_back_is_read_from_its_beginning(market: Market) -> None:
    """Its numbers begin lower, and what was revoked stays revoked."""
    before, after = token(), token()
    async with node(market.database, MemoryWire()) as door:
        made(await door.revocations.revoke(who(before)))
        made(await door.revocations.revoke(who(token())))
        await trio.testing.wait_all_tasks_blocked()
        await market.write("forget_revocations")
        async with node(market.database, MemoryWire(), "b") as other:
            made(await other.revocations.revoke(who(after)))
        door.inside.append(who(after))
        await door.left()
        assert door.identify(before) == REVOKED
