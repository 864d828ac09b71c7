"""What one life hands over to the next: when it does, and who does not inherit."""

from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Actor,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    NameTaken,
    Ref,
    Registry,
    Reply,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
    actor_child,
)
from tests.actors.doers import one
from tests.actors.support import Boom, Journal, Part, running


class Heir(Actor[str]):
    """One that counts the lives it knows of, and does as it is told.

    Attributes:
        found: what each life inherited.
        faults: for each life to come, what it raises before it is ready, or None.
        fails_to: `hand_over` or `stop`: what it fails to do at the end.
    """

    found: ClassVar[list[object]]
    faults: ClassVar[list[Exception | None]]
    fails_to: ClassVar[str]
    handed_over: ClassVar[int]

    async def started(self) -> None:
        """Note what there was."""
        self.found.append(self.inherited)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.count = (self.inherited or 0) + 1

    async def handle(self, message: str, reply: Reply) -> None:
        """Do what it says."""
        match message:
            case "stop":
                self.stop()
            case "crash":
                raise Boom("told to")
            case "hang":
                await trio.sleep_forever()
        reply.send(self.count)

    async def stopping(self) -> None:
        """Count that it said goodbye: what it does here is handed over too."""
        self.count += 100
        if self.fails_to == "stop":
            raise Boom("in the goodbye")

    def hand_over(self) -> object:
        """The count."""
        type(self).handed_over += 1
        if self.fails_to == "hand over":
            raise Boom("in the hand-over")
        return self.count


class Lasting(Heir):
    """One whose address lasts, too."""

    stash = True
    attempts = 1


@pytest.fixture(params=[Heir, Lasting], ids=["without stash", "with stash"])
def kind(request: pytest.FixtureRequest) -> type[Heir]:
    """A class whose lives nobody has lived."""
    fields = {"found": [], "faults": [], "fails_to": "", "handed_over": 0}
    return type("Kind", (request.param,), fields)


class Tree:
    """A supervisor of one heir."""

    def __init__(
        self,
        kind: type[Heir],
        *others: ChildSpec,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        backoff: Backoff | None = None,
    ) -> None:
        self.names = Registry()
        self.kind = kind
        spec = actor_child("heir", kind, registry=self.names, shutdown_s=2, backoff=backoff)
        many = Intensity(99, 5)
        self.supervisor = Supervisor("sup", [spec, *others], strategy=strategy, intensity=many)

    @property
    def ref(self) -> Ref[Any]:
        """Where the heir is now."""
        ref = self.names.whereis("heir")
        assert ref is not None
        return ref

    async def cast(self, message: str) -> None:
        """Tell it, and wait until all has settled."""
        self.ref.cast(message)
        await wait_all_tasks_blocked()


async def test_the_first_life_inherits_nothing(kind: type[Heir]) -> None:
    """And what the last one leaves is nobody's: a tree that runs again begins anew."""
    tree = Tree(kind)
    for _ in range(2):
        async with running(tree.supervisor):
            assert 1 == await tree.ref.call("count", deadline_s=1)
    assert ([None, None], 2) == (kind.found, kind.handed_over)


async def test_the_next_life_inherits_after_peace_and_after_a_crash(kind: type[Heir]) -> None:
    """What `hand_over` gives comes after the goodbye, and goes from life to life."""
    tree = Tree(kind)
    async with running(tree.supervisor):
        for message in ("stop", "crash", "stop"):
            await tree.cast(message)
        assert 304 == await tree.ref.call("count", deadline_s=1)
    assert [None, 101, 202, 303] == kind.found


async def test_it_waits_out_the_backoff(kind: type[Heir], autojump_clock: MockClock) -> None:
    """The time between two lives changes nothing."""
    tree = Tree(kind, backoff=Backoff(5, 5))
    async with running(tree.supervisor):
        await tree.cast("crash")
        await trio.sleep(9)
    assert ([None, 101], 9) == (kind.found, autojump_clock.current_time())


async def test_a_shutdown_for_a_sibling_hands_over(kind: type[Heir], journal: Journal) -> None:
    """One that is restarted since another failed ends in order, so it leaves what it has."""
    other = Part(journal, "other")
    tree = Tree(kind, other.spec(), strategy=Strategy.ONE_FOR_ALL)
    async with running(tree.supervisor):
        await other.crash()
    assert [None, 101] == kind.found


async def test_one_that_is_terminated_leaves_nothing(kind: type[Heir]) -> None:
    """Whoever starts it again wants it anew."""
    tree = Tree(kind)
    async with running(tree.supervisor):
        await tree.supervisor.terminate_child("heir")
        await tree.supervisor.restart_child("heir")
    assert [None, None] == kind.found


async def test_a_dynamic_child_inherits(kind: type[Heir]) -> None:
    """It matters not which supervisor starts it again; a new child of its id is another."""
    tree = DynamicSupervisor("dyn", max_children=1)
    names = Registry()
    spec = actor_child("heir", kind, registry=names)
    async with running(tree):
        await tree.start_child(spec)
        (await names.wait_for("heir")).cast("crash")
        await wait_all_tasks_blocked()
        assert [None, 101] == kind.found
        await tree.terminate_child("heir")
        await tree.start_child(spec)
    assert [None, 101, None] == kind.found


@pytest.mark.parametrize("end", ["imposed", "killed"])
async def test_one_that_is_cancelled_hands_nothing_over(
    end: str, kind: type[Heir], autojump_clock: MockClock, journal: Journal
) -> None:
    """Nor is what it had inherited itself inherited twice."""
    other = Part(journal, "other")
    tree = Tree(kind, other.spec(), strategy=Strategy.ONE_FOR_ALL)
    async with running(tree.supervisor):
        await tree.cast("crash")
        if end == "imposed":
            tree.ref.crash(Boom("imposed"))
        else:
            await tree.cast("hang")
            await other.crash()
        await trio.sleep(3)
    assert [None, 101, None] == kind.found
    assert (2, 3) == (kind.handed_over, autojump_clock.current_time())


async def test_a_start_that_fails_keeps_what_it_inherited(kind: type[Heir]) -> None:
    """It hands over nothing of its own, so the next try finds what this one did."""
    tree = Tree(kind)
    kind.faults = [None, Boom("cannot start"), Boom("cannot start")]
    async with running(tree.supervisor):
        await tree.cast("crash")
        assert ([None, 101, 101, 101], 1) == (kind.found, kind.handed_over)
        await tree.cast("crash")
    assert [None, 101, 101, 101, 202] == kind.found


async def test_a_first_start_that_fails_hands_nothing_over(
    kind: type[Heir], journal: Journal
) -> None:
    """One that was never ready has no state; the crash that is told is that of the start."""
    kind.faults = [Boom("cannot start")]
    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree, journal):
        with pytest.raises(StartFailed, match="heir"):
            await tree.start_child(actor_child("heir", kind))
    assert 0 == kind.handed_over
    assert ["cannot start"] == [str(told["error"]) for told in journal.told("actor.crashed")]


async def test_one_whose_name_is_taken_hands_nothing_over(kind: type[Heir]) -> None:
    """It never entered, so it does not even know its address."""
    names = Registry()
    tree = DynamicSupervisor("dyn", max_children=1)
    async with one() as other, running(tree):
        names.register("heir", other)
        with pytest.raises(StartFailed) as caught:
            await tree.start_child(actor_child("heir", kind, registry=names))
    assert isinstance(caught.value.__cause__, NameTaken)
    assert ([], 0) == (kind.found, kind.handed_over)


@pytest.mark.parametrize("message", ["stop", "crash"])
async def test_a_hand_over_that_raises_leaves_nothing(
    message: str, kind: type[Heir], journal: Journal
) -> None:
    """It is asked once; its trouble is a crash, beside the one there may have been."""
    tree = Tree(kind)
    async with running(tree.supervisor, journal):
        await tree.cast("crash")
        kind.fails_to = "hand over"
        await tree.cast(message)
        kind.fails_to = ""
        assert ([None, 101, None], 2) == (kind.found, kind.handed_over)
        error = journal.told("actor.crashed")[-1]["error"]
    parts = error.exceptions if isinstance(error, ExceptionGroup) else [error]
    crash = ["told to"] if message == "crash" else []
    assert [*crash, "in the hand-over"] == [str(part) for part in parts]


async def test_a_goodbye_that_raises_still_hands_over(kind: type[Heir], journal: Journal) -> None:
    """After it, as after any crash; what a crash of the goodbye hid is not handed over twice."""
    tree = Tree(kind)
    async with running(tree.supervisor, journal):
        kind.fails_to = "stop"
        await tree.cast("stop")
        kind.fails_to = ""
        assert ([None, 101], 1) == (kind.found, kind.handed_over)
        assert ["in the goodbye"] == [str(told["error"]) for told in journal.told("actor.crashed")]


async def test_a_crashed_goodbye_after_a_crash_hands_nothing_over(
    kind: type[Heir], journal: Journal
) -> None:
    """An actor in so much trouble has nothing that another should go on with."""
    tree = Tree(kind)
    async with running(tree.supervisor, journal):
        kind.fails_to = "stop"
        await tree.cast("crash")
        kind.fails_to = ""
        assert ([None, None], 0) == (kind.found, kind.handed_over)
    (told,) = journal.told("actor.crashed")
    assert ["told to", "in the goodbye"] == [str(part) for part in told["error"].exceptions]


async def test_a_transient_actor_that_ends_leaves_nothing(kind: type[Heir]) -> None:
    """Nobody follows; one that somebody starts again later begins anew."""
    names = Registry()
    spec = actor_child("heir", kind, registry=names, restart=Restart.TRANSIENT)
    tree = Supervisor("sup", [spec])
    async with running(tree):
        (await names.wait_for("heir")).cast("stop")
        await wait_all_tasks_blocked()
        assert "<Supervisor sup [0 of 1 children live]>" == repr(tree)
        await tree.restart_child("heir")
    assert [None, None] == kind.found
