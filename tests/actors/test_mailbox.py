"""The mailbox: bounds, policies, order, statistics."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actors import Mailbox, MailboxClosed, MailboxFull, Overflow, Tally


def full(overflow: Overflow) -> Mailbox[int]:
    """A mailbox with room for two that holds 1 and 2."""
    mailbox: Mailbox[int] = Mailbox(2, overflow)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    return mailbox


def balance(mailbox: Mailbox[int]) -> int:
    """All messages ever offered, as the statistics tell them."""
    told = mailbox.statistics()
    return told.waiting + told.taken + told.dropped + told.replaced + told.refused + told.lost


async def drain(mailbox: Mailbox[int]) -> list[int]:
    """What a reader does: everything that waits, after sleeping until there is something."""
    if mailbox.quiet:
        await trio.lowlevel.wait_task_rescheduled(mailbox.sleep())
    else:
        await trio.lowlevel.checkpoint()
    if mailbox.interrupted:
        return []
    batch = mailbox.take()
    taken = [batch.pop() for _ in range(len(batch))]
    assert taken
    return taken


class Keeper:
    """An owner that keeps what it is told."""

    def __init__(self) -> None:
        self.lost: list[int] = []
        self.overflows: list[Overflow] = []

    def overflowed(self, overflow: Overflow) -> None:
        """Note it."""
        self.overflows.append(overflow)

    def dropped(self, message: int) -> None:
        """Note it."""
        self.lost.append(message)


async def test_drain_takes_everything_that_waits() -> None:
    """One wake-up gives all messages, in order."""
    mailbox: Mailbox[int] = Mailbox(10, Overflow.REJECT)
    for message in (1, 2, 3):
        await mailbox.put(message)
    assert [1, 2, 3] == await drain(mailbox)


async def test_drain_waits_for_a_message() -> None:
    """An empty mailbox puts its reader to sleep, and the first message wakes it."""
    mailbox: Mailbox[int] = Mailbox(10, Overflow.REJECT)
    taken: list[list[int]] = []

    async def read() -> None:
        taken.append(await drain(mailbox))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        mailbox.put_nowait(1)
        mailbox.put_nowait(2)
    assert [[1, 2]] == taken


async def test_a_cancelled_drain_loses_nothing() -> None:
    """Messages that come after the reader was cancelled wait for its next drain."""
    mailbox: Mailbox[int] = Mailbox(10, Overflow.REJECT)
    with trio.CancelScope() as scope:
        scope.cancel()
        await drain(mailbox)
    mailbox.put_nowait(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await drain(mailbox)
    assert [1] == await drain(mailbox)


async def test_reject_refuses_when_full() -> None:
    """Both ways to put raise, and the message is counted as refused."""
    mailbox = full(Overflow.REJECT)
    with pytest.raises(MailboxFull):
        mailbox.put_nowait(3)
    with pytest.raises(MailboxFull):
        await mailbox.put(3)
    assert ([1, 2], 2) == (await drain(mailbox), mailbox.statistics().refused)


async def test_drop_newest_drops_the_message() -> None:
    """The messages that wait stay; putting says that it was dropped."""
    mailbox = full(Overflow.DROP_NEWEST)
    assert (False, False) == (mailbox.put_nowait(3), await mailbox.put(4))
    assert ([1, 2], 2) == (await drain(mailbox), mailbox.statistics().dropped)


async def test_drop_oldest_makes_room() -> None:
    """The message that waited longest goes, and whoever cares is told."""
    owner = Keeper()
    mailbox: Mailbox[int] = Mailbox(2, Overflow.DROP_OLDEST, owner=owner)
    assert all(mailbox.put_nowait(message) for message in (1, 2, 3))
    assert ([1], [2, 3], 1) == (owner.lost, await drain(mailbox), mailbox.statistics().dropped)


async def test_an_overflow_is_told_once_between_two_looks() -> None:
    """A flood is told once, until the reader came by; each loss is counted, in total too."""
    owner, total = Keeper(), Tally()
    mailbox: Mailbox[int] = Mailbox(1, Overflow.DROP_NEWEST, owner=owner, total=total)
    for _ in range(3):
        mailbox.put_nowait(1)
    assert [Overflow.DROP_NEWEST] == owner.overflows
    await drain(mailbox)
    for _ in range(3):
        mailbox.put_nowait(1)
    assert (2, 4, 4) == (len(owner.overflows), mailbox.statistics().dropped, total.dropped)


async def test_block_refuses_who_cannot_wait() -> None:
    """Under BLOCK, `put_nowait` raises when there is no room."""
    with pytest.raises(MailboxFull, match="the mailbox of mailbox is full"):
        full(Overflow.BLOCK).put_nowait(3)


async def test_block_keeps_writers_in_line() -> None:
    """Writers wait until the reader drained, and their messages keep the order they came in."""
    mailbox = full(Overflow.BLOCK)
    async with trio.open_nursery() as nursery:
        for message in (3, 4, 5):
            nursery.start_soon(mailbox.put, message)
            await wait_all_tasks_blocked()
        assert 3 == mailbox.statistics().writers_waiting
        assert [1, 2] == await drain(mailbox)
        assert 1 == mailbox.statistics().writers_waiting
        with pytest.raises(MailboxFull):
            mailbox.put_nowait(9)  # nobody overtakes the line
        assert [3, 4] == await drain(mailbox)
        assert [5] == await drain(mailbox)


async def test_a_cancelled_writer_leaves_the_line() -> None:
    """Its message is not delivered, and those behind it move up."""
    mailbox = full(Overflow.BLOCK)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mailbox.put, 3)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert ([1, 2], 0) == (await drain(mailbox), mailbox.statistics().waiting)


async def test_put_is_a_checkpoint_and_cancelled_puts_nothing() -> None:
    """A cancelled put raises before the message is in."""
    mailbox: Mailbox[int] = Mailbox(2, Overflow.REJECT)
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.put(1)
    assert (True, 0) == (scope.cancelled_caught, mailbox.statistics().waiting)


async def test_close_gives_back_what_nobody_handles() -> None:
    """What was taken and not handled, then what waits; all is lost, as is what comes later."""
    mailbox = full(Overflow.REJECT)
    batch = mailbox.take()
    assert 1 == batch.pop()
    mailbox.put_nowait(3)
    assert [2, 3] == mailbox.close()
    with pytest.raises(MailboxClosed):
        mailbox.put_nowait(4)
    with pytest.raises(MailboxClosed):
        await mailbox.put(5)
    told = mailbox.statistics()
    assert (True, 1, 4, 0) == (mailbox.closed, told.taken, told.lost, told.waiting)
    assert [] == mailbox.close()


async def test_close_wakes_waiting_writers() -> None:
    """A writer in line learns that nobody reads any more."""
    mailbox = full(Overflow.BLOCK)

    async def write() -> None:
        with pytest.raises(MailboxClosed):
            await mailbox.put(3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        mailbox.close()
    assert 3 == mailbox.statistics().lost


async def test_interrupt_ends_every_drain() -> None:
    """A reader that sleeps wakes with nothing, and what waits stays for `close`."""
    mailbox: Mailbox[int] = Mailbox(2, Overflow.REJECT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, mailbox)
        await wait_all_tasks_blocked()
        mailbox.interrupt()
    mailbox.put_nowait(1)
    assert ([], [1]) == (await drain(mailbox), mailbox.close())


async def test_only_one_task_drains() -> None:
    """A second reader is a bug."""
    mailbox: Mailbox[int] = Mailbox(2, Overflow.REJECT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, mailbox)
        await wait_all_tasks_blocked()
        with pytest.raises(AssertionError, match="two tasks read"):
            await drain(mailbox)
        mailbox.interrupt()


async def test_peak_is_the_most_that_waited() -> None:
    """It is right before a drain, after it, and after the end."""
    mailbox: Mailbox[int] = Mailbox(9, Overflow.REJECT)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    assert 2 == mailbox.statistics().peak
    await drain(mailbox)
    for _ in range(3):
        mailbox.put_nowait(1)
    mailbox.close()
    assert 3 == mailbox.statistics().peak


def test_a_mailbox_has_room_for_something() -> None:
    """A capacity of nothing is a bug."""
    with pytest.raises(AssertionError):
        Mailbox[int](0, Overflow.REJECT)


def test_repr_is_a_status_line() -> None:
    """An operator sees how much waits."""
    assert "<Mailbox mailbox [2 of 2 wait]>" == repr(full(Overflow.REJECT))


@given(
    overflow=st.sampled_from([Overflow.REJECT, Overflow.DROP_NEWEST, Overflow.DROP_OLDEST]),
    capacity=st.integers(1, 4),
    steps=st.lists(st.sampled_from(["put", "drain"]), max_size=40),
)
def test_every_message_is_counted_once(overflow: Overflow, capacity: int, steps: list[str]) -> None:
    """Whatever happens, nothing is taken twice or out of order, and the numbers add up."""

    async def play() -> None:
        mailbox: Mailbox[int] = Mailbox(capacity, overflow)
        offered, taken = 0, []
        for step in steps:
            if step == "put":
                offered += 1
                try:
                    mailbox.put_nowait(offered)
                except MailboxFull:
                    assert overflow is Overflow.REJECT
            elif mailbox.statistics().waiting:
                taken += await drain(mailbox)
            told = mailbox.statistics()
            assert offered == balance(mailbox)
            assert told.waiting <= told.peak <= told.capacity
        assert taken == sorted(set(taken))
        lost = mailbox.close()
        assert (offered, len(lost)) == (balance(mailbox), mailbox.statistics().lost)

    trio.run(play)


async def test_what_is_put_back_comes_first() -> None:
    """The next reader gets what was in hand, the rest of the batch, and what came since."""
    mailbox: Mailbox[int] = Mailbox(4, Overflow.REJECT)
    for message in (1, 2, 3):
        mailbox.put_nowait(message)
    batch = mailbox.take()
    in_hand = batch.pop()
    mailbox.put_nowait(4)
    mailbox.put_back([in_hand])
    assert (0, 4) == (mailbox.statistics().taken, mailbox.statistics().waiting)
    assert [1, 2, 3, 4] == await drain(mailbox)


async def test_signals_wake_the_reader_and_are_no_messages() -> None:
    """They have a lane of their own, which `close` empties."""
    mailbox: Mailbox[int] = Mailbox(1, Overflow.REJECT)
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            await trio.lowlevel.wait_task_rescheduled(mailbox.sleep())

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        mailbox.signal("a")
    mailbox.signal("b")
    assert (True, 2, 0) == (mailbox.alert, mailbox.statistics().signals_waiting, balance(mailbox))
    assert ["a", "b"] == list(mailbox.take_signals())
    assert (False, True) == (mailbox.alert, mailbox.quiet)
    mailbox.close()
    mailbox.signal("c")
    assert 0 == mailbox.statistics().signals_waiting
