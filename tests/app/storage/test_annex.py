"""The annex: crossing over, coming back, being cancelled, ending."""

import asyncio
import contextvars
import threading
from functools import partial

import pytest
import trio

from actors import ChildSpec, Lifeline, run_root, running
from actors.testing import crash
from app.storage import Annex, AnnexDown

_REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_call_returns_what_the_work_returns(annex: Annex) -> None:
    """A unit of work gets its arguments and its value comes back."""
    assert await annex.call(_double, 21) == 42


async def test_work_runs_on_the_annex_thread(annex: Annex) -> None:
    """The work runs on asyncio, in the annex's own thread."""

    async def where() -> tuple[str, bool]:
        return threading.current_thread().name, asyncio.get_running_loop().is_running()

    assert await annex.call(where) == ("annex", True)


async def test_call_raises_what_the_work_raises(annex: Annex) -> None:
    """An exception crosses over as it is."""

    async def fail() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        await annex.call(fail)


async def test_every_one_of_many_calls_is_answered(annex: Annex) -> None:
    """Calls that share a wakeup each get their own answer."""
    answers: list[int] = []

    async def ask(number: int) -> None:
        answers.append(await annex.call(_double, number))

    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(ask, number)
    assert sorted(answers) == [2 * number for number in range(1000)]
    assert annex.statistics().calls_waiting == 0
    assert annex.statistics().calls_made == 1000


async def test_cancellation_waits_until_the_work_ended(annex: Annex) -> None:
    """A cancelled caller goes on only when nothing of the work is running."""
    started = trio.Event()
    steps: list[str] = []

    async def work() -> None:
        annex.post(started.set)
        try:
            await _forever()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            steps.append("work ended")

    async with trio.open_nursery() as nursery:

        async def caller() -> None:
            try:
                await annex.call(work)
            finally:
                steps.append("caller ended")

        nursery.start_soon(caller)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert steps == ["work ended", "caller ended"]


async def test_work_cancelled_before_it_began_never_begins(annex: Annex) -> None:
    """A call cancelled in the moment it is made does not run and does not hang."""
    began: list[bool] = []

    async def work() -> None:
        began.append(True)

    for _ in range(100):
        with trio.move_on_after(5) as waited, trio.CancelScope() as scope:
            scope.cancel()
            await annex.call(work)
        assert not waited.cancelled_caught
    assert began == []


async def test_calls_cancelled_at_any_moment_end(annex: Annex) -> None:
    """Whenever the cancellation comes, caller and work both end."""
    with trio.fail_after(10):
        for turns in range(50):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(annex.call, _forever)
                for _ in range(turns % 7):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
    assert annex.statistics().calls_waiting == 0


async def test_a_value_wins_over_cancellation(annex: Annex) -> None:
    """Work that ends with a value despite being cancelled has it returned; trio cancels later."""
    started = trio.Event()
    got: list[str] = []

    async def work() -> str:
        annex.post(started.set)
        try:
            await _forever()
        except asyncio.CancelledError:
            return "done all the same"
        return "unreachable"

    async with trio.open_nursery() as nursery:

        async def caller() -> None:
            got.append(await annex.call(work))
            await trio.lowlevel.checkpoint()
            got.append("not cancelled")

        nursery.start_soon(caller)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert got == ["done all the same"]


async def test_work_that_swallows_its_cancellation_is_asked_again(
    annex: Annex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that loses a cancellation does not keep the caller waiting for good."""
    monkeypatch.setattr("app.storage.annex.ANNEX_CANCEL_AGAIN_S", 0.01)
    started = trio.Event()
    swallowed: list[int] = []

    async def work() -> None:
        annex.post(started.set)
        while len(swallowed) < 3:
            try:
                await _forever()
            except asyncio.CancelledError:
                swallowed.append(len(swallowed))
        await _forever()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(annex.call, work)
            await started.wait()
            nursery.cancel_scope.cancel()
    assert swallowed == [0, 1, 2]


async def test_posts_run_on_trio_in_order(annex: Annex) -> None:
    """What the annex posts runs in trio's thread in the order of posting."""
    seen: list[int] = []
    threads: set[threading.Thread] = set()
    last = trio.Event()

    def note(number: int) -> None:
        seen.append(number)
        threads.add(threading.current_thread())

    async def work() -> None:
        for number in range(500):
            annex.post(note, number)
        annex.post(last.set)

    await annex.call(work)
    await last.wait()
    assert seen == list(range(500))
    assert threads == {threading.current_thread()}


async def test_a_post_that_raises_crashes_the_annex() -> None:
    """A callback's bug crashes the annex, which its supervisor sees, and not the program."""
    annex = Annex()

    def broken() -> None:
        raise ValueError("a bug")

    async def work() -> None:
        annex.post(broken)
        await _forever()

    async with trio.open_nursery() as nursery:

        async def live() -> None:
            life = Lifeline()
            life.on_ready(ready.set)
            with pytest.raises(AnnexDown) as caught:
                await annex.run(life)
            assert str(caught.value.__cause__) == "a bug"

        ready = trio.Event()
        nursery.start_soon(live)
        await ready.wait()
        with pytest.raises(AnnexDown):
            await annex.call(work)


async def test_context_variables_do_not_cross() -> None:
    """Neither the caller's context nor that of another caller reaches the work."""
    annex = Annex()
    stop = trio.Event()

    async def look() -> str:
        return _REQUEST.get()

    async with trio.open_nursery() as nursery:
        _REQUEST.set("of the starter")
        await nursery.start(partial(run_root, annex, stop=stop))
        _REQUEST.set("of the caller")
        assert await annex.call(look) == "none"
        stop.set()


async def test_call_without_a_running_annex_is_refused() -> None:
    """Before its start and after its end, a call raises AnnexDown."""
    annex = Annex()
    with pytest.raises(AnnexDown):
        await annex.call(_double, 1)
    for _ in range(2):
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_root, annex, stop=stop))
            assert await annex.call(_double, 1) == 2
            stop.set()
        with pytest.raises(AnnexDown):
            await annex.call(_double, 1)


async def test_a_stop_ends_the_work_under_way() -> None:
    """At a stop, work is cancelled and its caller is told that the annex went away."""
    annex = Annex()
    stop, started = trio.Event(), trio.Event()

    async def work() -> None:
        annex.post(started.set)
        await _forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, annex, stop=stop))

        async def stop_when_started() -> None:
            await started.wait()
            stop.set()

        nursery.start_soon(stop_when_started)
        with pytest.raises(AnnexDown):
            await annex.call(work)


async def test_a_stop_gives_up_work_that_will_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that ignores its cancellation cannot hold up a stop for longer than its deadline."""
    monkeypatch.setattr("app.storage.annex.ANNEX_STOP_S", 0.05)
    annex = Annex()
    stop, started = trio.Event(), trio.Event()
    let_go = threading.Event()

    async def work() -> None:
        annex.post(started.set)
        let_go.wait(10)  # blocks the annex's loop as a broken driver would

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, annex, stop=stop))

        async def stop_when_started() -> None:
            await started.wait()
            stop.set()

        nursery.start_soon(stop_when_started)
        with trio.fail_after(5), pytest.raises(AnnexDown):
            await annex.call(work)
    let_go.set()


async def test_a_thread_that_was_given_up_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier thread still says, its own end too, does not reach the annex of now."""
    monkeypatch.setattr("app.storage.annex.ANNEX_STOP_S", 0.05)
    annex = Annex()
    started, let_go = trio.Event(), threading.Event()
    threads: list[threading.Thread] = []
    late: list[str] = []

    async def work() -> None:
        threads.append(threading.current_thread())
        annex.post(started.set)
        let_go.wait(10)  # blocks the annex's loop as a broken driver would
        annex.post(late.append, "late")

    async def ask() -> None:
        with pytest.raises(AnnexDown):
            await annex.call(work)

    async with running(ChildSpec("annex", annex.run)) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await started.wait()
            crash(system, "root/annex", ValueError("a crash on purpose"))
        with trio.fail_after(5):
            while not annex.statistics().running:
                await trio.lowlevel.checkpoint()
        let_go.set()
        await trio.to_thread.run_sync(threads[0].join)
        assert await annex.call(_double, 21) == 42
        tree = system.tree()
        assert tree is not None
        assert [1] == [child.restarts for child in tree.children]
    assert late == []


async def test_too_many_posts_are_refused(monkeypatch: pytest.MonkeyPatch, annex: Annex) -> None:
    """Posts that trio does not take are refused beyond their bound, in the annex."""
    monkeypatch.setattr("app.storage.annex.ANNEX_POSTS_MAX", 0)

    async def work() -> None:
        annex.post(print)

    with pytest.raises(AnnexDown):
        await annex.call(work)
