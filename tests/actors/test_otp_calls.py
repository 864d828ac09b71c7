"""Calls, casts and timers of actors: cases of OTP's gen_server_SUITE and of Elixir's GenServer.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

from functools import partial

import pytest
import trio
from trio.testing import MockClock, assert_no_checkpoints, wait_all_tasks_blocked

from actors import (
    Actor,
    ActorDown,
    Belonging,
    CallTimeout,
    DynamicSupervisor,
    End,
    Ref,
    Registry,
    Reply,
    Restart,
    StartFailed,
    actor_child,
)
from tests.actors.doers import Do, Doer, answer, crash, down_cause, keep, one, stop
from tests.actors.support import Boom, Journal, running

HUGE = 20_000


def answer_after(delay_s: float) -> Do:
    """Answer later, from a timer of the actor's own, and handle other messages meanwhile."""

    def act(doer: Doer, reply: Reply) -> None:
        doer.send_after(delay_s, lambda _doer, _reply: reply.send("delayed"))

    return act


def set_timer(delay_s: float, act: Do) -> Do:
    """Do something later, from a timer of the actor's own."""

    def handle(doer: Doer, _reply: Reply) -> None:
        doer.send_after(delay_s, act)

    return handle


async def note_call(ref: Ref[Do], message: Do, notes: list[str], *, deadline_s: float = 9) -> None:
    """Call, and note when the answer or the error came and what it is."""
    try:
        result = str(await ref.call(message, deadline_s=deadline_s))
    except (ActorDown, CallTimeout) as error:
        result = type(error).__name__
    notes.append(f"{ref.name} {trio.current_time():g} {result}")


async def start_doers(tree: DynamicSupervisor, names: str) -> list[Ref[Do]]:
    """Temporary doers of these names."""
    return [
        await tree.start_child(actor_child(name, Doer, restart=Restart.TEMPORARY)) for name in names
    ]


# Start and stop -----------------------------------------------------------------------------------


async def test_start() -> None:
    """OTP gen_server_SUITE: start, stop1. It answers while it lives, and there is one of a name."""
    registry = Registry()
    tree = DynamicSupervisor("dyn", max_children=2)
    async with running(tree):
        first = await tree.start_child(actor_child("doer", Doer, registry=registry))
        other = DynamicSupervisor("other", max_children=1)
        async with running(other):
            with pytest.raises(StartFailed):
                await other.start_child(actor_child("doer", Doer, registry=registry))
        assert "ok" == await first.call(answer("ok"), deadline_s=1)
        assert await tree.terminate_child("doer")
        assert not await tree.terminate_child("doer")
        assert (End.SHUTDOWN, "None") == (first.down.end, await down_cause(first, answer(1)))
        await tree.start_child(actor_child("doer", Doer, registry=registry))


@pytest.mark.parametrize("fault", ["raises", "takes another's name", "is not made"])
async def test_loop_start_fail(fault: str) -> None:
    """OTP gen_server_SUITE: loop_start_fail, otp_7669. A failed start leaves no name."""

    class Broken(Doer):
        async def started(self) -> None:
            if fault == "raises":
                raise Boom("no")
            registry.register("taken", self.ref)

    def make() -> Doer:
        if fault == "is not made":
            raise Boom("no")
        return Broken()

    registry = Registry()
    tree = DynamicSupervisor("dyn", max_children=2)
    async with running(tree):
        taken: Ref[Do] = await tree.start_child(actor_child("taken", Doer, registry=registry))
        for _ in range(5):
            with pytest.raises(StartFailed):
                await tree.start_child(actor_child("broken", make, registry=registry))
            assert (("taken",), 1) == (registry.names(), tree.statistics().children)
        assert (registry.whereis("taken"), True) == (taken, taken.alive)


async def test_undef_terminate() -> None:
    """OTP gen_server_SUITE: undef_terminate1, undef_terminate2. No goodbye of its own is needed."""

    class Quiet(Actor[str]):
        async def handle(self, message: str, reply: Reply) -> None:
            if message == "crash":
                raise Boom("told to")
            self.stop()

    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree):
        for message, end in (("stop", End.PEACE), ("crash", End.CRASH)):
            ref = await tree.start_child(actor_child("q", Quiet, restart=Restart.TEMPORARY))
            ref.cast(message)
            assert end is (await ref.wait_down()).end
            await wait_all_tasks_blocked()


async def test_otp_5854(journal: Journal) -> None:
    """OTP gen_server_SUITE: otp_5854. An actor says goodbye when its supervisor ends."""
    doer = Doer()
    async with one(doer, journal=journal) as ref:
        await ref.call(answer(None), deadline_s=1)
    assert (["stopping"], End.SHUTDOWN, []) == (
        doer.ended,
        ref.down.end,
        journal.told("actor.crashed"),
    )


# Calls --------------------------------------------------------------------------------------------


async def test_send_request(autojump_clock: MockClock) -> None:
    """OTP gen_server_SUITE: send_request. One caller may have several calls under way."""
    notes: list[str] = []
    async with one() as ref, trio.open_nursery() as nursery:
        for delay_s in (3, 1, 2):
            nursery.start_soon(note_call, ref, answer_after(delay_s), notes)
        await wait_all_tasks_blocked()
        nursery.start_soon(partial(note_call, ref, keep, notes, deadline_s=2.5))
        nursery.start_soon(note_call, ref, answer("now"), notes)
    assert ["doer 0 now", "doer 1 delayed", "doer 2 delayed", "doer 2.5 CallTimeout"] == notes[:4]
    assert ("doer 3 delayed", 3) == (notes[4], autojump_clock.current_time())


@pytest.mark.parametrize("victim", [None, "b"])
async def test_send_request_reqid_collection(victim: str | None, autojump_clock: MockClock) -> None:
    """OTP gen_server_SUITE: send_request_*_reqid_collection. Each answer finds its call."""
    # They are send_request_receive_reqid_collection, send_request_wait_reqid_collection and
    # send_request_check_reqid_collection; a nursery does here what collections do there.
    notes: list[str] = []
    tree = DynamicSupervisor("dyn", max_children=3)
    async with running(tree):
        refs = await start_doers(tree, "abc")
        async with trio.open_nursery() as nursery:
            for ref, delay_s in zip(refs, (4, 1, 2), strict=True):
                nursery.start_soon(note_call, ref, answer_after(delay_s), notes)
            await wait_all_tasks_blocked()
            if victim is not None:
                refs[1].cast(crash)
    second = "b 1 delayed" if victim is None else "b 0 ActorDown"
    assert ([second, "c 2 delayed", "a 4 delayed"], 4) == (notes, autojump_clock.current_time())


async def test_call_timeout_abandons(autojump_clock: MockClock) -> None:
    """OTP gen_server_SUITE: call, reply_by_alias_with_payload. A late answer reaches nobody."""
    notes: list[str] = []
    async with one() as ref:
        await note_call(ref, answer_after(2), notes, deadline_s=1)
        await note_call(ref, answer_after(2), notes)
        assert ["doer 1 CallTimeout", "doer 3 delayed"] == notes
    assert 3 == autojump_clock.current_time()


async def test_call_exit_messages(autojump_clock: MockClock) -> None:
    """Elixir GenServer: call/3 exit messages. Whoever fails to get an answer is told from whom."""
    async with one() as ref:
        expected = "AssertionError('doer calls itself')"
        assert expected in await down_cause(ref, lambda d, _: d.ref.call(keep, deadline_s=1))
        with pytest.raises(ActorDown, match=r"^doer is down$"):
            await ref.call(answer(1), deadline_s=1)
    async with one() as ref:
        with pytest.raises(CallTimeout, match=r"^doer did not answer within 0\.5 s$"):
            await ref.call(keep, deadline_s=0.5)
    assert 0.5 == autojump_clock.current_time()


async def test_call_with_huge_message_queue() -> None:
    """OTP gen_server_SUITE: call_with_huge_message_queue. A call among many casts has its turn."""
    seen: list[int] = []

    class Roomy(Actor[int]):
        capacity = HUGE + 2

        async def handle(self, message: int, reply: Reply) -> None:
            seen.append(message)
            reply.send(len(seen))

    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree):
        ref: Ref[int] = await tree.start_child(actor_child("roomy", Roomy))
        for number in range(HUGE):
            ref.cast(number)
        assert HUGE + 1 == await ref.call(HUGE, deadline_s=60)
    assert list(range(HUGE + 1)) == seen


async def test_caller_with_huge_message_queue() -> None:
    """OTP receive_SUITE: call_with_huge_message_queue. A caller's own mail delays no answer."""

    class Caller(Doer):
        capacity = HUGE

    answers: list[object] = []

    async def ask(other: Ref[Do]) -> None:
        answers.append(await other.call(answer("answer"), deadline_s=60))

    tree = DynamicSupervisor("dyn", max_children=2)
    async with running(tree):
        callee: Ref[Do] = await tree.start_child(actor_child("callee", Doer))
        caller: Ref[Do] = await tree.start_child(actor_child("caller", Caller))
        caller.cast(lambda _doer, _reply: ask(callee))
        for _ in range(HUGE - 1):
            caller.cast(lambda _doer, _reply: answers.append("mail"))
        await wait_all_tasks_blocked()
    assert ("answer", HUGE) == (answers[0], len(answers))


async def test_cast_returns_at_once() -> None:
    """OTP gen_server_SUITE: cast, cast_fast. A cast costs no checkpoint, dead or alive."""
    async with one() as ref:
        tried: list[int] = []
        with assert_no_checkpoints():
            ref.cast(lambda _doer, _reply: tried.append(1))
            ref.cast(stop)
        await ref.wait_down()
        with assert_no_checkpoints():
            ref.cast(answer(1))
    assert ([1], 1) == (tried, ref.statistics().lost)


# Timers of an actor -------------------------------------------------------------------------------


async def test_start_event_timeout(autojump_clock: MockClock) -> None:
    """OTP gen_server_SUITE: start_event_timeout, handle_event_timeout. A message later."""
    # Unlike OTP's, it stays set when other messages come; who wants it no more cancels it.
    heard: list[str] = []

    def note(doer: Doer, _reply: Reply) -> None:
        heard.append(f"{doer.ref.name} {trio.current_time():g}")

    class Patient(Doer):
        async def started(self) -> None:
            self.send_after(0.5, note)
            self.dropped: Belonging = self.send_after(0.5, note)

    patient = Patient()
    async with one(patient) as ref:
        assert 1 == await ref.call(answer(1), deadline_s=1)
        patient.dropped.cancel()
        patient.dropped.cancel()
        await trio.sleep(2)
        ref.cast(set_timer(1, note))
        await trio.sleep(2)
        patient.dropped.cancel()
    assert (["doer 0.5", "doer 3"], 4) == (heard, autojump_clock.current_time())


async def test_start_event_timeout_zero(autojump_clock: MockClock) -> None:
    """OTP gen_server_SUITE: start_event_timeout_zero, handle_event_timeout_zero. Soon."""
    heard: list[str] = []

    def plan(doer: Doer, reply: Reply) -> None:
        doer.send_after(0, lambda _doer, _reply: heard.append("timeout"))
        heard.append("planned")
        reply.send(None)

    async with one() as ref:
        await ref.call(plan, deadline_s=1)
        await trio.sleep(1)
    assert (["planned", "timeout"], 1) == (heard, autojump_clock.current_time())


async def test_send_after_to_the_dead(autojump_clock: MockClock) -> None:
    """Elixir Process: send_after/3. A timer ends with the life that set it."""
    heard: list[int] = []
    async with one() as ref:
        ref.cast(set_timer(1, lambda _doer, _reply: heard.append(1)))
        ref.cast(stop)
        await ref.wait_down()
        await trio.sleep(2)
    assert ([], 2) == (heard, autojump_clock.current_time())
