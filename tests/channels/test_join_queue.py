"""The queue of joins: so many at once, the others in order, and none forgotten."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from channels.join_queue import JoinQueue, Turn


def turns(count: int, begun: list[int]) -> list[Turn]:
    """Joins that note when they begin."""
    return [Turn(_noting(number, begun)) for number in range(count)]


def _noting(number: int, begun: list[int]) -> Callable[[], None]:
    return lambda: begun.append(number)


def test_so_many_begin_at_once_and_the_others_in_order() -> None:
    """Each that ends lets one begin."""
    queue, begun = JoinQueue(2, 10, 1.0), list[int]()
    joins = turns(5, begun)
    for join in joins:
        queue.enter(join, 0.0)
    assert ([0, 1], 2, 3) == (begun, queue.under_way, queue.waiting)
    for join in joins:
        queue.end(join, 0.1)
        queue.end(join, 0.1)  # again is harmless
    assert ([0, 1, 2, 3, 4], 0, 0) == (begun, queue.under_way, queue.waiting)


def test_one_that_is_not_wanted_any_more_does_not_begin() -> None:
    """And takes nobody's place."""
    queue, begun = JoinQueue(1, 2, 1.0), list[int]()
    first, second, third = turns(3, begun)
    for join in (first, second):
        queue.enter(join, 0.0)
    full = [queue.is_full]
    queue.enter(third, 0.0)
    full.append(queue.is_full)
    queue.end(second, 0.0)
    full.append(queue.is_full)
    assert full == [False, True, False]
    queue.end(first, 0.0)
    assert begun == [0, 2]


def test_joins_that_hang_do_not_hold_up_the_others() -> None:
    """After a while each makes room for one; when, is known while anybody waits."""
    queue, begun = JoinQueue(2, 10, 1.0), list[int]()
    assert queue.next_due() is None
    for number, join in enumerate(turns(5, begun)):
        queue.enter(join, number / 10)
    assert queue.next_due() == 1.0
    queue.pump(0.99)
    assert begun == [0, 1]
    queue.pump(1.0)
    assert ([0, 1, 2], 1.1) == (begun, queue.next_due())
    queue.pump(1.1)
    assert ([0, 1, 2, 3], 2.0) == (begun, queue.next_due())
    queue.pump(2.0)
    assert ([0, 1, 2, 3, 4], None) == (begun, queue.next_due())


def test_a_join_that_ends_as_it_begins_makes_room_for_the_next() -> None:
    """However many do: none begins within another."""
    queue, begun = JoinQueue(1, 2_000, 1.0), list[int]()
    deep = 0

    def begin(turn: Turn) -> None:
        nonlocal deep
        deep += 1
        assert deep == 1, "one after the other"
        begun.append(1)
        queue.end(turn, 0.0)
        assert queue.next_due() is None
        deep -= 1

    first = Turn(lambda: None)
    queue.enter(first, 0.0)
    for _ in range(1_500):
        turn = Turn(lambda: None)
        turn.begin = lambda turn=turn: begin(turn)  # type: ignore[misc] # bound now
        queue.enter(turn, 0.0)
    queue.end(first, 0.0)
    assert (1_500, 0, 0) == (len(begun), queue.under_way, queue.waiting)


@given(st.lists(st.tuples(st.sampled_from("eenp"), st.integers(0, 30)), max_size=80))
def test_whatever_happens_joins_begin_in_order_and_once(steps: list[tuple[str, int]]) -> None:
    """And never fewer are under way than may be while others wait."""
    queue, begun = JoinQueue(3, 1_000, 0.5), list[int]()
    joins = turns(80, begun)
    entered, now = 0, 0.0
    for what, number in steps:
        if what == "e":
            queue.enter(joins[entered], now)
            entered += 1
        elif what == "n" and number < entered:
            queue.end(joins[number], now)
        else:
            now += number / 50
            queue.pump(now)
        assert begun == sorted(set(begun))
        assert queue.under_way <= 3
        assert queue.under_way == 3 or not queue.waiting
