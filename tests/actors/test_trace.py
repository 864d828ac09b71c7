"""What a message carries of the work that it is part of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    TRACE,
    Actor,
    DynamicSupervisor,
    Lives,
    MessageQuarantined,
    Ref,
    Reply,
    Supervisor,
    VirtualActors,
    actor_child,
)
from actors.trace import Envelope
from tests.actors.company import Social, Tasked, company, tell
from tests.actors.doers import Do, Doer, stop, wait_for
from tests.actors.support import Boom, dynamic, running


@contextmanager
def traced(trace: object) -> Iterator[None]:
    """The block is part of some work."""
    token = TRACE.set(trace)
    try:
        yield
    finally:
        TRACE.reset(token)


class Traced(Social):
    """One that notes the trace in which it did what."""

    capacity = 9

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, object]] = []

    def note(self, what: str) -> None:
        """Note the trace of now."""
        self.seen.append((what, TRACE.get()))


def note(what: str) -> Do:
    """Note the trace that comes with this message, and answer with it."""

    def handle(actor: Doer, reply: Reply) -> None:
        assert isinstance(actor, Traced)
        actor.note(what)
        reply.send(TRACE.get())

    return handle


async def seen(ref: Ref[Do]) -> list[tuple[str, object]]:
    """What an actor noted."""
    noted: list[tuple[str, object]] = await tell(ref, lambda actor: actor.seen)
    return noted


async def test_a_trace_travels_with_every_kind_of_message() -> None:
    """Cast, send and call take the value itself along; it may be any object but None."""
    trace = object()
    async with company(Traced) as (ref,):
        with traced(trace):
            ref.cast(note("cast"))
            await ref.send(note("send"))
            assert trace is await ref.call(note("call"), deadline_s=1)
            assert trace is TRACE.get()
        assert [("cast", trace), ("send", trace), ("call", trace)] == await seen(ref)
        for falsy in (0, "", ()):
            with traced(falsy):
                assert falsy == await ref.call(note("falsy"), deadline_s=1)


async def test_what_is_part_of_nothing_travels_bare() -> None:
    """A cast costs no envelope where nobody traces; a call has one, without a trace."""
    go = trio.Event()
    async with company(Traced) as (ref,):
        ref.cast(wait_for(go))
        await wait_all_tasks_blocked()
        bare, sent, enveloped = note("bare"), note("sent"), note("enveloped")
        ref.cast(bare)
        await ref.send(sent)
        with traced("t"):
            ref.cast(enveloped)
        waiting = ref.mailbox.waiting()
        assert (bare, sent) == waiting[:2]
        assert isinstance(waiting[2], Envelope)
        assert (enveloped, "t") == (waiting[2].message, waiting[2].trace)
        go.set()
        assert None is await ref.call(note("call"), deadline_s=1)
        expected = [("bare", None), ("sent", None), ("enveloped", "t"), ("call", None)]
        assert expected == await seen(ref)


async def test_a_trace_ends_with_its_message() -> None:
    """The next message is part of its own work, or of none, also after an await."""
    async with company(Traced) as (ref,):

        async def slowly(actor: Doer, _reply: Reply) -> None:
            assert isinstance(actor, Traced)
            actor.note("before")
            await trio.lowlevel.checkpoint()
            actor.note("after")

        with traced("t"):
            ref.cast(slowly)
        ref.cast(note("bare"))
        with traced("u"):
            ref.cast(note("other"))
        ref.cast(note("bare"))
        expected = [("before", "t"), ("after", "t"), ("bare", None), ("other", "u"), ("bare", None)]
        assert expected == await seen(ref)


async def test_a_handler_may_begin_work_of_its_own_within_another() -> None:
    """What it sets is undone with its message; it sends on what it has set."""
    async with company(Traced, Traced) as (ref, other):

        def begin(_actor: Doer, _reply: Reply) -> None:
            TRACE.set("inner")
            other.cast(note("inner"))

        with traced("outer"):
            ref.cast(begin)
        ref.cast(note("bare"))
        assert ([("bare", None)], [("inner", "inner")]) == (await seen(ref), await seen(other))


async def test_what_a_message_causes_carries_its_trace_on() -> None:
    """Casts and calls made while it is handled, through any number of actors."""
    async with company(Traced, Traced, Traced) as (a, b, c):

        def relay(_actor: Doer, _reply: Reply) -> None:
            b.cast(relay_again)

        async def relay_again(_actor: Doer, _reply: Reply) -> None:
            assert "t" == await c.call(note("at the end"), deadline_s=1)

        with traced("t"):
            a.cast(relay)
        await wait_all_tasks_blocked()
        assert [("at the end", "t")] == await seen(c)


async def test_news_of_an_end_is_part_of_no_work() -> None:
    """A monitor asked for while a request was handled tells of a death, not of the request."""

    class Watching(Traced):
        async def handle_down(self, down: object) -> None:
            self.note("down")

    async with company(Watching, Doer) as (ref, other):
        with traced("t"):
            await tell(ref, lambda actor: actor.monitor(other))
            other.cast(stop)
        await other.wait_down()
        assert [("down", None)] == await seen(ref)


async def test_a_timer_carries_the_trace_of_what_set_it(autojump_clock: MockClock) -> None:
    """Once: what comes every so often is part of no work that ends."""
    async with company(Traced) as (ref,):

        def set_timers(actor: Traced) -> None:
            actor.send_after(1, note("once"))
            actor.send_every(2, note("again"))

        with traced("t"):
            await tell(ref, set_timers)
        await trio.sleep(5)
        assert [("once", "t"), ("again", None), ("again", None)] == await seen(ref)
    assert 5 == autojump_clock.current_time()


async def test_a_task_goes_on_with_the_work_that_began_it() -> None:
    """It has the trace of the message that started it, whatever the actor does next."""
    go = trio.Event()

    class Both(Traced, Tasked):
        async def work(self) -> None:
            await go.wait()
            self.note("worked")

    async with company(Both) as (ref,):
        with traced("t"):
            await tell(ref, lambda actor: actor.start_soon(actor.work))
        go.set()
        with traced("u"):
            await wait_all_tasks_blocked()
            assert [("worked", "t")] == await seen(ref)


async def test_whoever_starts_an_actor_does_not_make_it_part_of_their_work() -> None:
    """Neither its start nor its goodbye, though somebody asked for it in the midst of some."""
    lives: list[Traced] = []

    class Hooked(Traced):
        async def started(self) -> None:
            lives.append(self)
            self.note("started")

        async def stopping(self) -> None:
            self.note("stopping")

    dynamic, static = DynamicSupervisor("dyn", max_children=1), Supervisor("sup", [])
    async with running(dynamic), running(static):
        with traced("t"):
            for tree in (dynamic, static):
                ref: Ref[Do] = await tree.start_child(actor_child("hooked", Hooked))
                ref.cast(note("cast"))
        await wait_all_tasks_blocked()
        ref.cast(note("bare"))
    first = [("started", None), ("cast", "t"), ("stopping", None)]
    assert [first, [*first[:2], ("bare", None), first[2]]] == [life.seen for life in lives]


class Lasting(Actor[str]):
    """One that notes the trace of what it does, through all its lives."""

    stash = True
    attempts = 3
    seen: ClassVar[list[tuple[str, object]]]

    async def started(self) -> None:
        """Note it."""
        self.seen.append(("started", TRACE.get()))

    async def handle(self, message: str, reply: Reply) -> None:
        """Note it; crash if that is the word."""
        self.seen.append((message, TRACE.get()))
        if message == "crash":
            raise Boom("told to")


@pytest.fixture
def lasting() -> type[Lasting]:
    """A class whose lives nobody has lived."""
    return type("Fresh", (Lasting,), {"seen": []})


async def test_a_virtual_actor_is_not_part_of_the_work_that_woke_it(lasting: type[Lasting]) -> None:
    """The message is; the life that it begins is not."""
    virtual = VirtualActors("virtual", lasting, lambda _: lasting(), Lives(9, 9))
    async with running(virtual):
        with traced("t"):
            virtual.cast("key", "first")
        virtual.cast("key", "bare")
        await wait_all_tasks_blocked()
    assert [("started", None), ("first", "t"), ("bare", None)] == lasting.seen


async def test_messages_that_were_put_back_keep_their_trace(lasting: type[Lasting]) -> None:
    """The one that crashed a life, those taken with it, and those that came since."""
    tree = dynamic(restarts=99)
    async with running(tree):
        ref: Ref[str] = await tree.start_child(actor_child("lasting", lasting))
        with traced("t"):
            ref.cast("crash")
            ref.cast("second")
        ref.cast("bare")
        await wait_all_tasks_blocked()
    life = [("started", None), ("crash", "t")]
    rest = [("started", None), ("second", "t"), ("bare", None)]
    assert [*life * lasting.attempts, *rest] == lasting.seen


async def test_a_bare_message_that_is_tried_again_stays_part_of_nothing(
    lasting: type[Lasting],
) -> None:
    """Also where the life that it crashed had another trace before, and when it is a call."""
    tree = dynamic(restarts=99)
    async with running(tree):
        ref: Ref[str] = await tree.start_child(actor_child("lasting", lasting))
        with traced("t"):
            ref.cast("first")
        ref.cast("crash")
        await wait_all_tasks_blocked()
        with traced("u"), pytest.raises(MessageQuarantined):
            await ref.call("crash", deadline_s=1)
    traces = [trace for word, trace in lasting.seen if word == "crash"]
    assert [None] * 3 + ["u"] * 3 == traces
    assert {None} == {trace for word, trace in lasting.seen if word == "started"}
