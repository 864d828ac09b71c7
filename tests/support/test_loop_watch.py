"""The watch over the suite's own trio loops."""

import time

import pytest
import trio

from tests.support.loop_watch import run_watched


async def _compute() -> str:
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    await trio.lowlevel.checkpoint()
    return "done"


def test_a_blocked_loop_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step that computes for too long fails the run, by the name of its task."""
    monkeypatch.setattr("tests.support.loop_watch.STEP_MAX_S", 0.01)
    with pytest.raises(AssertionError, match="_compute blocked the loop for 0"):
        run_watched(_compute)


def test_a_loop_that_is_not_blocked_passes() -> None:
    """Short steps pass, and the result comes back."""
    assert run_watched(_compute) == "done"
