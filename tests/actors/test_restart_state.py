"""The arithmetic of restarting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import Backoff, Failure, Intensity
from actors.restart_state import Delays, Window


def failure(at: float) -> Failure:
    """A failure at a time."""
    return Failure(at, "child", None)


def test_window_admits_as_many_failures_as_the_intensity() -> None:
    """The failure after the last one allowed is not admitted."""
    window = Window(Intensity(2, 5))
    assert [True, True, False] == [window.admit(failure(at)) for at in (0, 1, 2)]


def test_window_slides() -> None:
    """Failures older than the window do not count; one exactly as old as the window does."""
    window = Window(Intensity(1, 5))
    assert [True, True, False] == [window.admit(failure(at)) for at in (0, 5.5, 10.5)]
    assert (5.5, 10.5) == tuple(f.at for f in window.history)


def test_window_of_no_restarts_gives_up_at_once() -> None:
    """An intensity of zero admits nothing."""
    assert not Window(Intensity(0, 5)).admit(failure(0))


@given(
    st.lists(st.floats(0, 10), max_size=50),
    st.integers(0, 5),
    st.floats(0.1, 20),
)
def test_window_equals_its_definition(gaps: list[float], restarts: int, window_s: float) -> None:
    """A failure is admitted if and only if at most that many lie within the window before it."""
    window, now, past = Window(Intensity(restarts, window_s)), 0.0, []
    for gap in gaps:
        now += gap
        past.append(now)
        expected = sum(now - at <= window_s for at in past) <= restarts
        assert expected == window.admit(failure(now))


def test_delays_double_up_to_the_ceiling() -> None:
    """Each wait is twice the one before, and none is longer than the ceiling."""
    delays = Delays(Backoff(1, 5, reset_after_s=60, jitter=0))
    assert [1, 2, 4, 5, 5] == [delays.after(0, 0.5) for _ in range(5)]


def test_delays_begin_again_after_health() -> None:
    """A child that lived long enough waits as after its first failure."""
    delays = Delays(Backoff(1, 5, reset_after_s=60, jitter=0))
    assert [1, 2, 1, 2] == [delays.after(lived_s, 0.5) for lived_s in (0, 59, 60, 0)]


@given(st.floats(0, 1), st.floats(0, 1))
def test_jitter_only_shortens_a_wait(jitter: float, chance: float) -> None:
    """The jittered wait lies between its share of the wait and the whole of it."""
    wait = Delays(Backoff(2, 8, reset_after_s=60, jitter=jitter)).after(0, chance)
    assert 2 * (1 - jitter) <= wait <= 2


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (Backoff, {"first_s": 0}),
        (Backoff, {"first_s": 5, "ceiling_s": 1}),
        (Backoff, {"jitter": 1.5}),
        (Backoff, {"reset_after_s": -1}),
        (Intensity, {"restarts": -1}),
        (Intensity, {"window_s": 0}),
    ],
)
def test_nonsense_is_a_bug_of_ours(kind: type[object], numbers: dict[str, float]) -> None:
    """Numbers that mean nothing are refused where they are written."""
    with pytest.raises(AssertionError):
        kind(**numbers)
