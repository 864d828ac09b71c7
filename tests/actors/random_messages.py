"""Random actors, random talk, random deaths, and the book-keeping that has to come out even.

Every message has a number. Whoever sends one notes what its sender was told; every actor notes what
it began and what it finished. At the end, when nobody lives, each message must have exactly one
fate, and the mailboxes' numbers must say the same.
"""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import trio

from actors import (
    Actor,
    ActorDown,
    Backoff,
    DynamicSupervisor,
    Intensity,
    MailboxFull,
    Overflow,
    Ref,
    Reply,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Strategy,
    Supervisor,
    System,
    actor_child,
    run_root,
)
from actors.seeded import run_seeded
from tests.actors.support import Boom, Journal

# Longer than any run: a call that takes so long hangs.
NEVER_S = 1_000_000.0


@dataclass
class Ledger:
    """What became of each message.

    Attributes:
        sent: numbers of all messages that were offered.
        began: how often an actor began to handle each.
        finished: how often one finished.
        kept_by_stash: those that an actor with a stash began.
        answered: calls that were answered.
        failed: calls that failed.
        refs: every address there ever was.
    """

    chance: random.Random
    sent: list[int] = field(default_factory=list)
    began: Counter[int] = field(default_factory=Counter)
    finished: Counter[int] = field(default_factory=Counter)
    kept_by_stash: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    refs: dict[Ref[int], None] = field(default_factory=dict)
    kept: list[tuple[int, Reply]] = field(default_factory=list)

    def next_number(self) -> int:
        """Of one more message."""
        self.sent.append(len(self.sent))
        return self.sent[-1]


class Talker(Actor[int]):
    """Handles numbers, now and then slowly, late, or not at all."""

    capacity: ClassVar[int] = 4

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def started(self) -> None:
        """Be known, and fail now and then."""
        self.ledger.refs[self.ref] = None
        if self.ledger.chance.random() < 0.1:
            await trio.sleep(0.1)
        if self.ledger.chance.random() < 0.02:
            raise Boom("at the start")

    async def handle(self, message: int, reply: Reply) -> None:
        """Do something random with it."""
        ledger, chance = self.ledger, self.ledger.chance
        ledger.began[message] += 1
        if self.stash:
            ledger.kept_by_stash.add(message)
        luck = chance.random()
        if luck < 0.3:
            await trio.sleep(chance.choice([0, 0.01, 1]))
        if luck > 0.9:
            raise Boom(f"over {message}")
        if luck > 0.88:
            self.stop()
        ledger.finished[message] += 1
        if 0.3 < luck < 0.5:
            ledger.kept.append((message, reply))
            if len(ledger.kept) > 3:
                late, its_reply = ledger.kept.pop(chance.randrange(len(ledger.kept)))
                its_reply.send(late)
        else:
            reply.send(message)


class Stasher(Talker):
    """One whose messages wait for the next life."""

    stash = True
    attempts = 2


KINDS: list[type[Talker]] = [
    type(f"{kind.__name__}{policy.name}", (kind,), {"overflow": policy})
    for kind in (Talker, Stasher)
    for policy in (Overflow.BLOCK, Overflow.REJECT, Overflow.DROP_NEWEST, Overflow.DROP_OLDEST)
]


async def talk(ledger: Ledger, messages: int) -> None:
    """Send messages in random ways to random actors, dead ones included."""
    chance = ledger.chance
    for _ in range(messages):
        await trio.sleep(chance.choice([0, 0, 0, 0.01, 0.3]))
        if not ledger.refs:
            continue
        ref, number = chance.choice(list(ledger.refs)), ledger.next_number()
        with suppress(MailboxFull, ActorDown):
            match chance.randrange(3):
                case 0:
                    ref.cast(number)
                case 1:
                    await ref.send(number)
                case _:
                    await call(ledger, ref, number)


async def call(ledger: Ledger, ref: Ref[int], number: int) -> None:
    """One call: it is answered with its own number, or fails, and never hangs."""
    try:
        assert number == await ref.call(number, deadline_s=NEVER_S)
    except (ActorDown, MailboxFull):
        ledger.failed.add(number)
    else:
        ledger.answered.add(number)


async def harass(ledger: Ledger, crowd: DynamicSupervisor) -> None:
    """Kill, stop and start actors at random."""
    chance = ledger.chance
    for number in range(30):
        await trio.sleep(chance.uniform(0, 0.3))
        living = [ref for ref in ledger.refs if ref.alive]
        luck = chance.random()
        if living and luck < 0.4:
            chance.choice(living).crash(Boom("from outside"))
        elif living and luck < 0.6:
            await crowd.terminate_child(chance.choice(living).name)
        elif luck < 0.9:
            with suppress(ActorDown):
                crowd.start_child_nowait(child(ledger, f"late-{number}"))


def child(ledger: Ledger, name: str) -> Any:
    """A random actor."""
    chance = ledger.chance
    kind = chance.choice(KINDS)
    backoff = Backoff(0.1, 1) if chance.random() < 0.5 else None
    restart = chance.choice(list(Restart))
    return actor_child(
        name,
        lambda: kind(ledger),
        restart=restart,
        shutdown_s=chance.choice([0, 2]),
        backoff=backoff,
    )


async def live(ledger: Ledger, system: System) -> None:
    """A random tree, from its start to its end."""
    chance = ledger.chance
    many = Intensity(100_000, 1)
    crowd = DynamicSupervisor("crowd", max_children=100, intensity=many)
    order = Supervisor(
        "order",
        [child(ledger, f"part-{number}") for number in range(4)],
        strategy=chance.choice(list(Strategy)),
        intensity=many,
    )
    root = Supervisor("root", [crowd.as_child(), order.as_child()], intensity=many)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        brutally = chance.random() < 0.3
        cut = trio.CancelScope()
        nursery.start_soon(_run, root, system, stop, cut)
        async with trio.open_nursery() as talkers:
            for _ in range(4):
                talkers.start_soon(talk, ledger, 40)
            talkers.start_soon(harass, ledger, crowd)
            await trio.sleep(chance.uniform(1, 6))
            stop.set()
            if brutally:
                cut.cancel()


async def _run(root: Supervisor, system: System, stop: trio.Event, cut: trio.CancelScope) -> None:
    """A start that failed, or a tree that gave up, is an end as any other."""
    with cut, suppress(StartFailed, RestartIntensityExceeded):
        await run_root(root, system=system, stop=stop)


@cache
def play(seed: int) -> tuple[Ledger, System, Journal]:
    """One life of a random tree."""
    journal = Journal()
    system = System(journal.emit, chance=random.Random(seed))
    ledgers: list[Ledger] = []

    async def main(chance: random.Random) -> None:
        ledgers.append(Ledger(chance))
        await live(ledgers[0], system)

    run_seeded(main, seed)
    return ledgers[0], system, journal
