"""The feed's arithmetic: whatever happens to batches, each event comes once, in order."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.events.feed_state import Batch, FeedState, decode, encode
from app.events.model import StoredEvent


def event(position: int) -> StoredEvent:
    """An event that only its place tells apart."""
    return StoredEvent(position, "happened", ("a",), {"n": position})


def events(first: int, last: int) -> list[StoredEvent]:
    """A piece of the log, both ends included."""
    return [event(position) for position in range(first, last + 1)]


def offer(state: FeedState, piece: Sequence[StoredEvent]) -> list[int]:
    """What the feed does with a piece: the positions that it gives out."""
    given_out = []
    for each in state.next_of(piece):
        state.apply(each)
        given_out.append(each.position)
    return given_out


def test_a_piece_that_joins_on_is_given_out_whole() -> None:
    """The events right after the last one applied come next."""
    state = FeedState(4)
    assert [5, 6, 7] == offer(state, events(5, 7))
    assert (7, False) == (state.position, state.behind)


def test_a_piece_that_overlaps_gives_out_its_new_part() -> None:
    """What was applied already is not given out again."""
    state = FeedState(4)
    assert [5, 6] == offer(state, events(3, 6))


def test_an_old_piece_gives_out_nothing() -> None:
    """A piece at or below the position changes nothing."""
    state = FeedState(4)
    assert [] == offer(state, events(2, 4))
    assert (4, False) == (state.position, state.behind)


def test_a_piece_after_a_gap_only_tells_how_far_the_log_goes() -> None:
    """What leaves a gap is not given out, and the feed knows that it is behind."""
    state = FeedState(4)
    assert [] == offer(state, events(6, 8))
    assert (4, 8, True) == (state.position, state.target, state.behind)


def test_nothing_is_no_piece() -> None:
    """An empty piece changes nothing."""
    assert [] == offer(FeedState(4), [])


@st.composite
def journeys(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]]]:
    """Where a feed begins, where the log ends, and the pieces that arrive, in whatever order."""
    begin = draw(st.integers(0, 20))
    end = draw(st.integers(begin, begin + 40))
    places = st.integers(1, max(end, 1))
    arriving = draw(st.lists(st.tuples(places, places), max_size=30)) if end else []
    return begin, end, [(min(pair), max(pair)) for pair in arriving]


@given(journeys(), st.integers(1, 7))
def test_each_event_comes_once_and_in_order(
    journey: tuple[int, int, list[tuple[int, int]]], chunk: int
) -> None:
    """Any loss, repetition and reordering of pieces gives every event once, in order."""
    begin, end, arriving = journey
    state = FeedState(begin)
    given_out: list[int] = []
    for first, last in arriving:
        given_out += offer(state, events(first, last))
        while state.behind:  # as the feed reads what is missing
            given_out += offer(state, events(state.position + 1, min(state.position + chunk, end)))
    state.see(end)  # as the feed looks at the head
    while state.behind:
        given_out += offer(state, events(state.position + 1, min(state.position + chunk, end)))
    assert list(range(begin + 1, end + 1)) == given_out


@given(st.integers(1, 10**17), st.integers(1, 5))
def test_a_batch_survives_its_journey(first: int, count: int) -> None:
    """What is decoded is what was encoded."""
    piece = events(first, first + count - 1)
    batch = decode(encode(Batch.of("abc", piece)))
    assert batch is not None
    assert ("abc", first, first + count - 1) == (batch.epoch, batch.first, batch.last)
    assert piece == [each.stored() for each in batch.events]


def test_a_batch_says_from_and_to_on_the_wire() -> None:
    """The names on the wire are `epoch`, `from`, `to` and `events`."""
    assert encode(Batch.of("abc", events(7, 7))) == (
        b'{"epoch":"abc","from":7,"to":7,"events":'
        b'[{"position":7,"type":"happened","topics":["a"],"data":{"n":7}}]}'
    )


def test_what_is_no_batch_is_not_understood() -> None:
    """Foreign bytes, and batches with holes in them, are no batches."""
    holed = Batch("abc", 7, 9, Batch.of("abc", [event(7), event(9)]).events)
    empty = Batch("abc", 7, 7, ())
    assert [None] * 4 == [
        decode(b"\xff"),
        decode(b"{}"),
        decode(encode(holed)),
        decode(encode(empty)),
    ]
