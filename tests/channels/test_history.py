"""The store in memory keeps what its bounds allow, and numbers everything."""

import pytest
from trio.testing import MockClock

from channels.cursor import Cursor
from channels.history import Addition, History, Kept, MemoryHistory, Question
from tests.channels.attendance import pass_time


async def fill(store: MemoryHistory, topic: str, *words: bytes, history: History) -> list[Cursor]:
    """Append these words."""
    return list(await store.append([Addition(topic, history, word, "") for word in words]))


async def kept(store: MemoryHistory, topic: str, after: int | None, history: History) -> Kept:
    """What is kept."""
    [answer] = await store.read([Question(topic, history, after)])
    return answer


@pytest.mark.parametrize(
    ("history", "left"),
    [
        (History(size=9), [b"aa", b"bb", b"cc"]),
        (History(size=2), [b"bb", b"cc"]),
        (History(size=9, size_bytes=3), [b"cc"]),
        (History(size=9, size_bytes=1), []),
    ],
)
async def test_the_oldest_go(history: History, left: list[bytes]) -> None:
    """By number and by bytes; the head stays."""
    store = MemoryHistory()
    cursors = await fill(store, "t", b"aa", b"bb", b"cc", history=history)
    assert [cursor.position for cursor in cursors] == [1, 2, 3]
    answer = await kept(store, "t", 0, history)
    assert (answer.head, list(answer.messages)) == (cursors[2], left)
    assert list((await kept(store, "t", 2, history)).messages) == left[-1:]
    assert list((await kept(store, "t", None, history)).messages) == []
    assert list((await kept(store, "t", 9, history)).messages) == []


async def test_what_is_too_old_goes(autojump_clock: MockClock) -> None:
    """The numbers go on."""
    store, history = MemoryHistory(), History(ttl_s=10)
    await fill(store, "t", b"a", history=history)
    await pass_time(autojump_clock, 6)
    await fill(store, "t", b"b", history=history)
    await pass_time(autojump_clock, 6)
    answer = await kept(store, "t", 0, history)
    assert (answer.head.position, list(answer.messages)) == (2, [b"b"])


async def test_topics_are_bounded() -> None:
    """The one not used for longest is forgotten, and begins anew under another epoch."""
    store, history = MemoryHistory(topics_max=2), History()
    [old] = await fill(store, "a", b"1", history=history)
    await fill(store, "b", b"1", history=history)
    await kept(store, "a", 0, history)
    await fill(store, "c", b"1", history=history)
    assert await store.heads(["a", "b"]) == [old, None]
    assert (await kept(store, "b", 0, history)).head.position == 0
    assert (await kept(store, "a", 0, history)).head.epoch != old.epoch


@pytest.mark.parametrize(
    "bounds",
    [{"size": 0}, {"size": 1_001}, {"ttl_s": 0}, {"size_bytes": 0}, {"size_bytes": 1 << 20}],
)
def test_bounds_that_cannot_be_are_bugs(bounds: dict[str, int]) -> None:
    """A whole history must find room in an outbox, and be some."""
    with pytest.raises(AssertionError):
        History(**bounds)
