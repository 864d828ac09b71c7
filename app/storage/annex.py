"""The annex: one asyncio thread beside the trio loop, where asyncpg and redis live.

Theory of operation. Agio runs on trio; its database drivers run on asyncio. Crossing between the
two costs more than most statements, so nobody crosses per statement: `call` takes a whole unit of
work, an async function and its arguments, runs it as one asyncio task on the annex's uvloop, and
brings its outcome back. `post` carries plain calls the other way, from asyncio to trio.

Wakeups are coalesced both ways. Each side appends to a deque and wakes the other only when no
wakeup is already on its way; the woken side clears that mark *first* and then empties the deque.
An append after the clearing wakes again, an append before it is seen: nothing is left behind.

Cancellation is awaited. When a caller is cancelled, the asyncio task is asked to end and the caller
goes on waiting until it did: when `call` returns or raises, nothing of it is still running. A task
that ends with a value all the same has that value returned, for the work was done; trio delivers
the cancellation at the caller's next checkpoint. The work bounds that wait: each statement has a
deadline of its own.

A task starts with an empty context, so no request's context variables leak into the annex or into
another request that shared its wakeup.

How it ends. At a stop every task is asked to end, and those that do not within a deadline are given
up: their callers get `AnnexDown`, and the thread, a daemon, does not keep the process. A callback
that raises inside trio's entry queue would end the whole program, so it is caught and crashes the
annex instead, whose supervisor starts it again. Started again it has a new thread, and a new pair
of queues: whatever a thread that was given up still has to say is not heard.

Rules for editors: a field is touched by one side only, except the two deques and two wake marks.
"""

import asyncio
import contextvars
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, TypeVarTuple

import outcome
import trio
import uvloop

from actors import Lifeline
from app.storage.errors import AnnexDown
from app.storage.limits import (
    ANNEX_CANCEL_AGAIN_S,
    ANNEX_POSTS_MAX,
    ANNEX_START_S,
    ANNEX_STOP_S,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How long one thread may hold the interpreter while the other waits. At CPython's 5 ms each answer
# from the database may wait that long whenever the trio loop is busy. `make bench-annex` compares.
_SWITCH_INTERVAL_S: Final = 0.0005


class _Call:
    """One unit of work on its way: `task` waits in trio, `work` runs in asyncio."""

    __slots__ = ("args", "cancelled", "fn", "task", "work")

    def __init__(self, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self.fn = fn
        self.args = args
        self.task = trio.lowlevel.current_task()
        self.work: asyncio.Task[None] | None = None  # set once its first step runs
        self.cancelled = False


@dataclass(frozen=True, slots=True)
class AnnexStatistics:
    """What the annex is doing.

    Attributes:
        running: whether calls are taken.
        calls_waiting: units of work whose outcome has not come back.
        calls_made: units of work since the start.
    """

    running: bool
    calls_waiting: int
    calls_made: int


class Annex:
    """An asyncio thread that runs whole units of work for trio tasks of one `trio.run`."""

    def __init__(self) -> None:
        self._thread: _Thread | None = None
        self._calls_made = 0

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<Annex {'open' if now.running else 'down'}, {now.calls_waiting} calls waiting>"

    def statistics(self) -> AnnexStatistics:
        """What it is doing now."""
        thread = self._thread
        if thread is None:
            return AnnexStatistics(False, 0, self._calls_made)
        return AnnexStatistics(thread.open, len(thread.waiting), self._calls_made)

    async def run(self, life: Lifeline) -> None:
        """Keep the thread until a stop is asked for; ready when it takes calls.

        Raises:
            AnnexDown: the thread ended by itself, or a posted callback raised.
        """
        assert self._thread is None, "an annex runs once at a time"
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        thread = self._thread = _Thread()
        threading.Thread(target=thread.run, name="annex", daemon=True).start()
        try:
            await thread.wait_started()
            life.ready()
            with trio.CancelScope() as scope:
                life.on_stop(scope.cancel)
                await thread.wait_failed()
        finally:
            await thread.close()
            self._thread = None

    async def call(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `await fn(*args)` on the annex and return what it returns, or raise what it raises.

        Cancellation ends the work first; see above.

        Raises:
            AnnexDown: the annex is not running, or ended meanwhile.
        """
        thread = self._thread
        if thread is None or not thread.open:
            raise AnnexDown("the annex is not running")
        await trio.lowlevel.checkpoint_if_cancelled()
        self._calls_made += 1
        return await thread.call(fn, args)

    def post(self, fn: Callable[[*Ts], object], *args: *Ts) -> None:
        """From the annex: run `fn(*args)` on the trio loop soon, in the order of posting.

        `fn` is short and does not raise: an exception crashes the annex.

        Raises:
            AnnexDown: `ANNEX_POSTS_MAX` are waiting, for the trio loop does not keep up; or the
                annex gave up the thread that this runs in.
        """
        thread = self._thread
        if thread is None or not thread.is_this():
            raise AnnexDown("this thread was given up")
        thread.post(fn, args)


async def end_with_annex(life: Lifeline, down: AnnexDown) -> None:
    """Let a driver end with the annex, and not by a crash of its own, which would be one too many.

    Whoever restarts the annex stops the drivers first: that is waited for. Only where nobody does,
    since they wait for this driver to be ready, the driver fails too.

    Args:
        life: the driver's.
        down: how it learned of the end.
    """
    with trio.move_on_after(2 * ANNEX_STOP_S):
        await life.stop_requested.wait()
        return
    raise down


class _Thread:
    """One life of the thread: its loop, what runs on it, and the way there and back.

    Attributes:
        open: whether calls are taken.
        waiting: calls whose outcome has not come back. Bounded by the number of tasks, which
            supervisors bound.
    """

    def __init__(self) -> None:
        """A thread that is about to start."""
        self._to_asyncio: deque[_Call] = deque()
        self._to_trio: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._asyncio_woken = False
        self._trio_woken = False
        # Trio's side.
        self.open = False
        self.waiting: set[_Call] = set()
        self._token = trio.lowlevel.current_trio_token()
        self._started = trio.Event()
        self._ended = trio.Event()
        self._failure: BaseException | None = None
        self._given_up = False
        # Asyncio's side.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._running: dict[_Call, asyncio.Task[None]] = {}
        self._context = contextvars.Context()

    # Its life, on both sides ----------------------------------------------------------------------

    def run(self) -> None:
        """The thread's whole life."""
        failure: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - whatever it was, trio's side is told
            failure = error
        self._tell_trio(self._has_ended, failure)

    async def _main(self) -> None:
        """Serve until told to stop, then end what runs."""
        self._loop = asyncio.get_running_loop()
        self._tell_trio(self._started.set)
        await self._stop.wait()
        self._take_calls()
        for call in tuple(self._running):
            if not call.cancelled:  # else it has begun to clean up, and is to finish that
                self._cancel(call)
        if self._running:
            await asyncio.wait(self._running.values(), timeout=ANNEX_STOP_S)

    async def wait_started(self) -> None:
        """Wait until it takes calls."""
        with trio.fail_after(ANNEX_START_S):
            await self._started.wait()
        self.open = True

    async def wait_failed(self) -> None:
        """Wait for an end that nobody asked for, and raise it."""
        await self._ended.wait()
        raise AnnexDown("the annex ended by itself") from self._failure

    async def close(self) -> None:
        """End every unit of work and the thread, within `ANNEX_STOP_S`."""
        self.open = False
        if self._started.is_set() and not self._ended.is_set():
            self._wake_asyncio(self._stop.set)
            with trio.move_on_after(ANNEX_STOP_S, shield=True):
                await self._ended.wait()
        self._given_up = True
        for call in tuple(self.waiting):
            self._resume(call, outcome.Error(AnnexDown("the annex ended during the work")))

    def _has_ended(self, failure: BaseException | None) -> None:
        self._failure = self._failure or failure
        self.open = False
        self._ended.set()

    # Trio's side ----------------------------------------------------------------------------------

    async def call(self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        """As `Annex.call`."""
        call = _Call(fn, args)
        raise_cancel: Callable[[], object] | None = None

        def abort(raiser: Callable[[], object]) -> trio.lowlevel.Abort:
            nonlocal raise_cancel
            raise_cancel = raiser
            self._wake_asyncio(self._cancel, call)
            return trio.lowlevel.Abort.FAILED

        self.waiting.add(call)
        self._to_asyncio.append(call)
        if not self._asyncio_woken:
            self._asyncio_woken = True
            self._wake_asyncio(self._take_calls)
        result: outcome.Outcome[T] = await trio.lowlevel.wait_task_rescheduled(abort)
        if isinstance(result, outcome.Error) and isinstance(result.error, asyncio.CancelledError):
            if raise_cancel is not None:
                raise_cancel()
            raise AnnexDown("the annex ended during the work") from result.error
        return result.unwrap()

    def _wake_asyncio(self, fn: Callable[..., object], *args: object) -> None:
        """Run `fn` on the annex soon; nothing where its loop is closed."""
        assert self._loop is not None, "only a started annex is woken"
        try:
            self._loop.call_soon_threadsafe(fn, *args, context=self._context)
        except RuntimeError:
            assert not self.open or self._loop.is_closed(), "an open loop takes callbacks"

    def _resume(self, call: _Call, result: "outcome.Outcome[Any]") -> None:
        """Give a waiting caller its outcome, once."""
        if call in self.waiting:
            self.waiting.remove(call)
            trio.lowlevel.reschedule(call.task, outcome.Value(result))

    def _take_posts(self) -> None:
        """Run what asyncio's side sent, in order."""
        self._trio_woken = False
        while self._to_trio and not self._given_up:
            fn, args = self._to_trio.popleft()
            try:
                fn(*args)
            except Exception as error:  # noqa: BLE001 - it crashes the annex, not the program
                self._has_failed(error)

    def _has_failed(self, error: Exception) -> None:
        """Crash the annex for a callback that raised."""
        self._failure = self._failure or error
        self.open = False
        self._wake_asyncio(self._stop.set)

    # Asyncio's side -------------------------------------------------------------------------------

    def is_this(self) -> bool:
        """Whether the caller runs in it."""
        return self._loop is asyncio.get_running_loop()

    def post(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        """As `Annex.post`."""
        if len(self._to_trio) >= ANNEX_POSTS_MAX:
            raise AnnexDown(f"trio has left {ANNEX_POSTS_MAX} posts waiting")
        self._tell_trio(fn, *args)

    def _tell_trio(self, fn: Callable[..., object], *args: Any) -> None:
        self._to_trio.append((fn, args))
        if not self._trio_woken:
            self._trio_woken = True
            try:
                self._token.run_sync_soon(self._take_posts)
            except trio.RunFinishedError:
                self._to_trio.clear()  # nobody is left to hear it

    def _take_calls(self) -> None:
        """Start the units of work that wait."""
        self._asyncio_woken = False
        while self._to_asyncio:
            call = self._to_asyncio.popleft()
            self._running[call] = asyncio.create_task(self._work(call))

    async def _work(self, call: _Call) -> None:
        """Run one unit of work and send its outcome back."""
        result: outcome.Outcome[Any]
        try:
            if call.cancelled:
                raise asyncio.CancelledError  # noqa: TRY301 - the same way out as one from within
            call.work = asyncio.current_task()
            result = outcome.Value(await call.fn(*call.args))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it was called
            result = outcome.Error(error)
        del self._running[call]
        self._tell_trio(self._resume, call, result)

    def _cancel(self, call: _Call) -> None:
        """Ask a unit of work to end. One that has not begun sees the mark when it does.

        Asyncio throws a cancellation once, and libraries swallow it now and then (asyncio.wait_for
        itself does, before Python 3.12): work that goes on is asked again.
        """
        call.cancelled = True
        if call.work is not None and call in self._running:
            call.work.cancel()
            asyncio.get_running_loop().call_later(ANNEX_CANCEL_AGAIN_S, self._cancel, call)
