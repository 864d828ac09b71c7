"""A mailbox that keeps the latest of each key, held against a plain list."""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actors import (
    TRACE,
    Actor,
    DynamicSupervisor,
    Mailbox,
    MailboxClosed,
    MailboxFull,
    Overflow,
    Ref,
    Reply,
    Tally,
    actor_child,
)
from actors.keep_latest import KeepLatestMailbox
from tests.actors.support import Boom, running

Message = tuple[str, int]

KEYS = st.sampled_from(["a", "b", "c", "d", "-"])
OFFER = st.tuples(st.just("put"), KEYS)
TAKE = st.tuples(st.just("take"), st.integers(0, 4))
RETURN = st.tuples(st.just("return"), st.booleans())
STEPS = st.lists(st.one_of(OFFER, OFFER, OFFER, TAKE, RETURN), min_size=5, max_size=60)


def key_of(message: Message) -> Hashable | None:
    """Its letter; a dash is no key."""
    return None if message[0] == "-" else message[0]


class Gone:
    """An owner that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.overflows: list[Overflow] = []

    def overflowed(self, overflow: Overflow) -> None:
        """Note it."""
        self.overflows.append(overflow)

    def dropped(self, message: Message) -> None:
        """Note it."""
        self.messages.append(message)


@dataclass
class Model:
    """The same mailbox, as slow and plain as can be.

    Attributes:
        capacity: the most messages that may wait.
        waiting: what waits, the oldest first.
        gone: what was dropped or replaced.
    """

    capacity: int
    waiting: list[Message] = field(default_factory=list)
    gone: list[Message] = field(default_factory=list)
    dropped: int = 0
    replaced: int = 0

    def put(self, message: Message) -> None:
        """Replace the one of its key, else append, the oldest making room."""
        if self._replaces(message):
            return
        if len(self.waiting) >= self.capacity:
            self.gone.append(self.waiting.pop(0))
            self.dropped += 1
        self.waiting.append(message)

    def put_back(self, messages: list[Message]) -> None:
        """These, then what came since; of each key the latest, in the place of the first."""
        came, self.waiting = [*messages, *self.waiting], []
        for message in came:
            if not self._replaces(message):
                self.waiting.append(message)

    def _replaces(self, message: Message) -> bool:
        for place, other in enumerate(self.waiting):
            if key_of(message) is not None and key_of(other) == key_of(message):
                self.gone.append(other)
                self.waiting[place] = message
                self.replaced += 1
                return True
        return False


def returned(batch: list[Message], in_hand: Message | None) -> list[Message]:
    """What a reader gives back: what it has in hand, and then what it did not look at."""
    return [*([] if in_hand is None else [in_hand]), *reversed(batch)]


@pytest.mark.slow
@given(capacity=st.integers(1, 4), steps=STEPS)
def test_it_does_as_a_plain_list_would(capacity: int, steps: list[tuple[str, Any]]) -> None:
    """Whatever is put, taken and put back: the same order, the same losses, the same numbers."""
    gone, total, model = Gone(), Tally(), Model(capacity)
    mailbox: KeepLatestMailbox[Message] = KeepLatestMailbox(
        capacity, key_of, owner=gone, total=total
    )
    batch: list[Message] = []
    in_hand: Message | None = None
    for number, (what, detail) in enumerate(steps):
        if what == "put":
            assert mailbox.put_nowait((detail, number))
            model.put((detail, number))
        elif what == "return":
            messages = returned(batch, in_hand)
            model.put_back(messages if detail else returned(batch, None))
            mailbox.put_back([in_hand] if detail and in_hand is not None else [])
            batch, in_hand = [], None
        elif not batch:
            batch, model.waiting, in_hand = mailbox.take(), model.waiting[capacity:], None
            for _ in range(min(detail, len(batch))):
                in_hand = batch.pop()
        assert tuple(model.waiting) == mailbox.waiting()
        assert model.gone == gone.messages
        keys = [key for key in map(key_of, mailbox.waiting()) if key is not None]
        assert len(keys) == len(set(keys))
        told = mailbox.statistics()
        assert (model.dropped, model.replaced) == (told.dropped, told.replaced)
        assert (model.dropped, model.replaced) == (total.dropped, total.replaced)
    left = returned(batch, None)
    model.put_back(left)
    assert model.waiting == mailbox.close()


@pytest.mark.slow
@given(capacity=st.integers(1, 4), steps=STEPS)
def test_every_message_is_counted_once(capacity: int, steps: list[tuple[str, Any]]) -> None:
    """What was offered is what waits, was taken, dropped, replaced or lost."""
    mailbox: Mailbox[Message] = KeepLatestMailbox(capacity, key_of)
    offered, batch = 0, list[Message]()
    for what, detail in steps:
        if what == "put":
            offered += 1
            mailbox.put_nowait((detail, offered))
        elif what == "return":
            mailbox.put_back()
            batch = []
        elif not batch:
            batch = mailbox.take()
            for _ in range(min(detail, len(batch))):
                batch.pop()
        told = mailbox.statistics()
        assert offered == told.waiting + told.taken + told.dropped + told.replaced
    mailbox.close()
    told = mailbox.statistics()
    assert offered == told.taken + told.dropped + told.replaced + told.lost
    with pytest.raises(MailboxClosed):
        mailbox.put_nowait(("a", 0))
    assert told.lost + 1 == mailbox.statistics().lost


def test_places_are_right_after_the_oldest_made_room() -> None:
    """Each overflow moves all that wait by one; a later message still finds the one of its key."""
    mailbox: KeepLatestMailbox[Message] = KeepLatestMailbox(3, key_of)
    for number, key in enumerate("abcdebd"):
        mailbox.put_nowait((key, number))
    assert (("d", 6), ("e", 4), ("b", 5)) == mailbox.waiting()
    mailbox.put_back([("b", -2), ("f", -1)])
    mailbox.put_nowait(("f", 7))
    assert (("b", 5), ("f", 7), ("d", 6), ("e", 4)) == mailbox.waiting()
    mailbox.put_nowait(("g", 8))
    mailbox.put_nowait(("e", 9))
    assert (("f", 7), ("d", 6), ("e", 9), ("g", 8)) == mailbox.waiting()


def test_what_has_no_key_is_never_replaced() -> None:
    """It waits its turn as in any mailbox, and may be the oldest that makes room."""
    mailbox: KeepLatestMailbox[Message] = KeepLatestMailbox(3, key_of)
    for message in (("-", 1), ("-", 2), ("a", 3), ("a", 4), ("b", 5)):
        mailbox.put_nowait(message)
    assert (("-", 2), ("a", 4), ("b", 5)) == mailbox.waiting()


def test_an_overflow_is_one_of_a_new_key() -> None:
    """Replacing is no overflow: only the oldest that makes room is told of, once for a look."""
    gone = Gone()
    mailbox: KeepLatestMailbox[Message] = KeepLatestMailbox(2, key_of, owner=gone)
    for message in (("a", 1), ("a", 2), ("b", 3), ("b", 4)):
        mailbox.put_nowait(message)
    assert [] == gone.overflows
    for message in (("c", 5), ("d", 6)):
        mailbox.put_nowait(message)
    assert ([Overflow.KEEP_LATEST], [("a", 1), ("b", 3), ("a", 2), ("b", 4)]) == (
        gone.overflows,
        gone.messages,
    )


def test_a_key_that_cannot_be_told_leaves_the_mailbox_as_it_was() -> None:
    """The trouble of `key_of` is the sender's."""

    def choosy(message: Message) -> Hashable:
        if message[0] == "?":
            raise Boom("no key")
        return message[0]

    mailbox: KeepLatestMailbox[Message] = KeepLatestMailbox(2, choosy)
    mailbox.put_nowait(("a", 1))
    with pytest.raises(Boom):
        mailbox.put_nowait(("?", 2))
    mailbox.put_nowait(("a", 3))
    assert (("a", 3),) == mailbox.waiting()


class News(Actor[Message]):
    """Handles news one at a time, when it may."""

    capacity = 2
    overflow = Overflow.KEEP_LATEST

    def __init__(self) -> None:
        self.seen: list[Message] = []
        self.go = trio.Event()

    async def handle(self, message: Message, reply: Reply) -> None:
        """Note it, and wait."""
        self.seen.append(message)
        await self.go.wait()
        reply.send(len(self.seen))

    @classmethod
    def key_of(cls, message: Message) -> Hashable | None:
        """Its letter."""
        return key_of(message)


@asynccontextmanager
async def alone(make: Callable[[], Actor[Message]]) -> AsyncIterator[Ref[Message]]:
    """One actor, as long as the block runs."""
    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree):
        yield await tree.start_child(actor_child("news", make))


async def test_a_call_is_never_replaced_but_may_be_dropped() -> None:
    """Two calls of one key are both answered; one that makes room fails, as its caller learns."""
    news = News()
    answers: list[object] = []

    async def ask(ref: Ref[Any], number: int) -> None:
        try:
            answers.append((number, await ref.call(("a", number), deadline_s=9)))
        except MailboxFull as full:
            answers.append((number, str(full)))

    async with alone(lambda: news) as ref, trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(ask, ref, number)
            await wait_all_tasks_blocked()
        assert [(1, "the mailbox of news is full")] == answers
        news.go.set()
    assert [(0, 1), (2, 2), (3, 3)] == answers[1:]
    assert [("a", 0), ("a", 2), ("a", 3)] == news.seen


async def test_the_latest_is_kept_through_an_envelope() -> None:
    """Traced or bare, a message has the key of what it says."""
    news = News()
    async with alone(lambda: news) as ref:
        ref.cast(("a", 0))
        await wait_all_tasks_blocked()
        for number, trace in enumerate(("t", None, "u"), start=1):
            token = TRACE.set(trace)
            ref.cast(("a", number))
            TRACE.reset(token)
        ref.cast(("b", 9))
        assert (2, 2) == (ref.statistics().waiting, ref.statistics().replaced)
        news.go.set()
        await wait_all_tasks_blocked()
    assert [("a", 0), ("a", 3), ("b", 9)] == news.seen


async def test_an_actor_that_keeps_the_latest_must_know_keys() -> None:
    """Without a `key_of` the sender learns which actor has none."""

    class Keyless(Actor[Message]):
        overflow = Overflow.KEEP_LATEST

    async with alone(Keyless) as ref:
        with pytest.raises(AssertionError, match="Keyless keeps the latest, but knows no key of"):
            ref.cast(("a", 1))
