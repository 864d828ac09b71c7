"""The account of deliveries: what came, twice, late, in another order, or not at all."""

from collections.abc import Sequence

from app.loadtest.deliveries import Deliveries, Heard, RoomCount, Seat, Span

SPAN = Span(begin_ns=100, end_ns=200, slot_ns=50, late_ns=10)


def seated(count: int, window: int | None = None) -> tuple[RoomCount, list[Seat]]:
    """A room with so many members."""
    room = RoomCount(count, window)
    seats = [Seat(room) for _ in range(count)]
    for seat in seats:
        room.take_seat(seat)
    return room, seats


def deliver(
    deliveries: Deliveries, seat: Seat, messages: Sequence[tuple[int, int]], now: int
) -> None:
    """These numbers and moments come to a member, in one chunk."""
    data = repr(messages).encode()
    if not deliveries.take(seat, data, now):
        deliveries.learn(seat.room, data, [Heard(*message) for message in messages])
        assert deliveries.take(seat, data, now)


def counting(room: RoomCount, sent: int) -> Deliveries:
    """What counts, after so many messages were sent."""
    deliveries = Deliveries()
    deliveries.span = SPAN
    for _ in range(sent):
        room.send()
    return deliveries


def test_what_comes_is_counted_once_for_each_member() -> None:
    """With its latency, at its point of the plot, and as late where it is."""
    room, seats = seated(3)
    deliveries = counting(room, 2)
    for seat, now in zip(seats, (155, 156, 180), strict=True):
        deliver(deliveries, seat, [(1, 120), (2, 150)], now)
    deliveries.fold()
    assert (6, 6) == (deliveries.delivered, deliveries.seen)
    assert 4 == deliveries.late
    assert {0: {35: 1, 36: 1, 60: 1}, 1: {5: 1, 6: 1, 30: 1}} == {
        slot: histogram.counts for slot, histogram in deliveries.slots.items()
    }
    assert 0 == room.open
    assert all(seat.next == 3 and seat.is_settled for seat in seats)


def test_only_what_was_meant_to_be_sent_in_the_span_is_measured() -> None:
    """All of it is seen."""
    room, (seat,) = seated(1)
    deliveries = counting(room, 4)
    deliver(deliveries, seat, [(1, 99), (2, 100), (3, 199), (4, 200)], 201)
    deliveries.fold()
    assert (2, 4) == (deliveries.delivered, deliveries.seen)


def test_what_is_missing_is_not_counted() -> None:
    """Until it comes, and then as out of order."""
    room, (seat,) = seated(1)
    deliveries = counting(room, 4)
    deliver(deliveries, seat, [(1, 110), (4, 140)], 145)
    assert (2, 5, False) == (deliveries.delivered, seat.next, seat.is_settled)
    deliver(deliveries, seat, [(3, 130)], 146)
    deliver(deliveries, seat, [(2, 120)], 147)
    assert (4, True) == (deliveries.delivered, seat.is_settled)
    assert (2, 0, 0) == (deliveries.reordered, deliveries.duplicates, room.open)


def test_what_comes_again_is_not_a_delivery() -> None:
    """So that nothing lost is made up for by something doubled."""
    room, (seat,) = seated(1)
    deliveries = counting(room, 2)
    for _ in range(3):
        deliver(deliveries, seat, [(1, 110)], 115)
    deliveries.fold()
    assert (1, 2) == (deliveries.delivered, deliveries.duplicates)


def test_a_room_is_ready_when_its_window_has_room() -> None:
    """With a window of two, when all members but none have the first of two."""
    room, seats = seated(2, window=2)
    deliveries = counting(room, 2)
    deliver(deliveries, seats[0], [(1, 110)], 115)
    assert [] == deliveries.ready
    deliver(deliveries, seats[1], [(1, 110)], 116)
    assert [room] == deliveries.ready
    assert room.open <= room.least


def test_who_leaves_is_not_waited_for() -> None:
    """What is on its way to him does not fill the window."""
    room, seats = seated(2, window=1)
    deliveries = counting(room, 1)
    deliver(deliveries, seats[0], [(1, 110)], 115)
    room.leave_seat(seats[1])
    assert (0, 0) == (room.open, room.least)
    assert seats[:1] == room.seats


def test_an_empty_room_is_never_ready() -> None:
    """Nobody could send there."""
    room, (seat,) = seated(1, window=1)
    room.leave_seat(seat)
    assert room.open > room.least


def test_what_was_given_up_still_counts_when_it_comes() -> None:
    """A window is free again, and the account stays exact."""
    room, (seat,) = seated(1, window=1)
    deliveries = counting(room, 1)
    room.give_up()
    assert (0, 2) == (room.open, seat.next)
    deliver(deliveries, seat, [(1, 110)], 190)
    assert (1, 0, True) == (deliveries.delivered, room.open, seat.is_settled)


def test_what_is_remembered_is_bounded() -> None:
    """Whatever a member misses, and however much different data comes."""
    room, (seat,) = seated(1)
    deliveries = counting(room, 0)
    deliver(deliveries, seat, [(1_000_000, 110)], 115)
    assert seat.missing is not None
    assert 10_000 == len(seat.missing)
    for number in range(40):
        deliveries.learn(room, bytes([number]) * 1_000_000, [Heard(number, 110)])
    assert not deliveries.take(seat, bytes(1_000_000), 116)
    assert deliveries.take(seat, b"\x27" * 1_000_000, 117)
