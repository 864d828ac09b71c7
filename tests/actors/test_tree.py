"""Looking at a whole tree: every kind of place, each state, and how many are left out."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Lifeline,
    Lives,
    Overflow,
    PartitionSupervisor,
    Ref,
    Restart,
    Strategy,
    Supervisor,
    System,
    VirtualActors,
    Vitals,
    actor_child,
    run_root,
)
from actors.limits import TREE_CHILDREN_MAX
from tests.actors.company import Social, tell
from tests.actors.doers import Do, Doer, answer, crash, wait_for
from tests.actors.support import Boom, Journal, Part, dynamic, running


def tree_of(system: System, *, children_max: int = 50) -> Vitals:
    """The tree that runs."""
    tree = system.tree(children_max=children_max)
    assert tree is not None
    return tree


def places(system: System) -> dict[str, Vitals]:
    """Every place, by its path."""
    listed = list(tree_of(system).walk())
    assert len(listed) == len(dict(listed))
    return dict(listed)


def lines(system: System) -> list[str]:
    """Every place: its path, what it is, and its state."""
    return [
        " ".join(filter(None, [path, place.kind, place.detail, place.state]))
        for path, place in tree_of(system).walk()
    ]


async def test_there_is_a_tree_while_one_runs() -> None:
    """None before and after, however it ended; while it starts it is seen starting."""
    system = System()
    seen: list[str] = []

    async def look(life: Lifeline) -> None:
        seen.extend(lines(system))
        life.ready()
        await life.stop_requested.wait()
        seen.extend(lines(system))

    assert (None, []) == (system.tree(), list(system.lives()))
    async with running(Supervisor("sup", [ChildSpec("look", look)]), system):
        seen.extend(lines(system))
    assert [
        *["sup supervisor one_for_one starting", "sup/look task starting"],
        *["sup supervisor one_for_one running", "sup/look task running"],
        *["sup supervisor one_for_one stopping", "sup/look task stopping"],
    ] == seen
    assert (None, []) == (system.tree(), list(system.lives()))
    with trio.CancelScope() as scope:
        scope.cancel()
        await run_root(Supervisor("cancelled", [ChildSpec("look", look)]), system=system)
    assert (True, None) == (scope.cancelled_caught, system.tree())


async def test_every_kind_of_place_is_shown() -> None:
    """Supervisors of all kinds with their strategies, actors with their class, tasks, parts."""
    system = System()
    virtual = VirtualActors("virtual", Stashing, lambda _: Stashing(), Lives(9, 9))
    some = DynamicSupervisor("some", max_children=9)
    shards = PartitionSupervisor("shards", lambda _: actor_child("x", Doer), partitions=2)

    async def whole(life: Lifeline) -> None:
        parts = [life.part(name) for name in ("one", "two", "three")]
        parts[1].ready()
        parts[2].request_stop()
        life.ready()
        await life.stop_requested.wait()

    inner = Supervisor(
        "inner",
        [ChildSpec("whole", whole), actor_child("doer", Doer)],
        strategy=Strategy.REST_FOR_ONE,
    )
    specs = [inner.as_child(), some.as_child(), shards.as_child(), virtual.as_child()]
    root = Supervisor("root", specs, strategy=Strategy.ONE_FOR_ALL)
    async with running(root, system):
        await some.start_child(actor_child("b", Social))
        await some.start_child(actor_child("a", Doer))
        virtual.cast("key", answer(None))
        await wait_all_tasks_blocked()
        assert [
            "root supervisor one_for_all running",
            "root/inner supervisor rest_for_one running",
            "root/inner/whole task running",
            "root/inner/whole/one task starting",
            "root/inner/whole/two task running",
            "root/inner/whole/three task stopping",
            "root/inner/doer actor Doer running",
            "root/some supervisor dynamic running",
            "root/some/b actor Social running",
            "root/some/a actor Doer running",
            "root/shards supervisor one_for_one running",
            "root/shards/0 actor Doer running",
            "root/shards/1 actor Doer running",
            "root/virtual supervisor dynamic running",
            "root/virtual/virtual-1 actor Stashing running",
        ] == lines(system)
        assert [path for path, _ in system.lives()] == [*places(system)]
        assert all(place.name == path.split("/")[-1] for path, place in places(system).items())


class Stashing(Doer):
    """A doer that can be virtual."""

    stash = True
    attempts = 3


async def test_places_where_nothing_lives_are_shown(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child that waits for its restart, one that ended for good, one that stops."""
    system = System()
    slow = Backoff(30, 30)
    waits, ended, stops, below = [Part(journal, n) for n in ("waits", "ended", "stops", "below")]
    stops.stubborn = True
    some = dynamic()
    specs = [waits.spec(backoff=slow), ended.spec(Restart.TRANSIENT), stops.spec()]
    tree = Supervisor("sup", [*specs, some.as_child()])
    async with running(tree, system), trio.open_nursery() as nursery:
        await some.start_child(below.spec(backoff=slow))
        for part in (waits, below):
            await part.crash()
        await ended.die(None)
        nursery.start_soon(tree.terminate_child, "stops")
        await wait_all_tasks_blocked()
        assert [
            "sup supervisor one_for_one running",
            "sup/waits task waiting",
            "sup/ended task ended",
            "sup/stops task stopping",
            "sup/dyn supervisor dynamic running",
            "sup/dyn/below task waiting",
        ] == lines(system)
    assert 5 == autojump_clock.current_time()


async def test_nothing_is_below_what_does_not_live() -> None:
    """A supervisor that waits for its restart is shown alone, without age and mailbox."""
    system = System()
    held = trio.Event()

    async def fail(life: Lifeline) -> None:
        life.ready()
        await held.wait()
        raise Boom("told to")

    inner = Supervisor("inner", [actor_child("doer", Doer), ChildSpec("fails", fail)])
    later = inner.as_child(backoff=Backoff(30, 30))
    async with running(Supervisor("sup", [later]), system):
        assert 4 == len(places(system))
        held.set()
        await wait_all_tasks_blocked()
        place = places(system)["sup/inner"]
        assert ["sup", "sup/inner"] == [*places(system)]
        assert ("waiting", 0.0, None, (), 0) == (
            place.state,
            place.age_s,
            place.mailbox,
            place.children,
            place.hidden,
        )


async def test_a_place_that_was_not_reached_yet_is_waiting() -> None:
    """During a start the children behind the one that starts are due, and have no age."""
    system = System()
    held = trio.Event()

    async def slow(life: Lifeline) -> None:
        await held.wait()
        life.ready()
        await life.stop_requested.wait()

    tree = Supervisor("sup", [ChildSpec("first", slow), ChildSpec("second", slow)])
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        nursery.start_soon(partial(run_root, tree, system=system, stop=stop))
        await wait_all_tasks_blocked()
        expected = ["sup supervisor one_for_one starting", "sup/first task starting"]
        assert [*expected, "sup/second task waiting"] == lines(system)
        held.set()
        stop.set()


async def test_ages_and_restarts(autojump_clock: MockClock) -> None:
    """Seconds since a place was last ready, and how often it was started again."""
    system = System()
    some = DynamicSupervisor("some", max_children=9)
    tree = Supervisor("sup", [actor_child("still", Doer), some.as_child()])
    async with running(tree, system):
        still = tree.value_of("still")
        await trio.sleep(2)
        moving: Ref[Do] = await some.start_child(actor_child("moving", Stashing))
        await trio.sleep(3)
        for ref in (still, moving, moving):
            ref.cast(answer(None))
        moving.cast(crash)
        await wait_all_tasks_blocked()
        await trio.sleep(1)
        told = {path: (place.age_s, place.restarts) for path, place in places(system).items()}
        assert {
            "sup": (6, 0),
            "sup/still": (6, 0),
            "sup/some": (6, 0),
            "sup/some/moving": (1, 3),
        } == told
        life = dict(system.lives())["sup/still"]
        still.crash(Boom())
        await wait_all_tasks_blocked()
        assert (0, 1) == (places(system)["sup/still"].age_s, places(system)["sup/still"].restarts)
        await trio.sleep(1)
        assert (6, 1) == (life.vitals(0).age_s, places(system)["sup/still"].age_s)
    assert 7 == autojump_clock.current_time()


async def test_the_mailbox_of_an_actor_is_shown() -> None:
    """Its numbers of now; nothing else has a mailbox."""

    class Small(Social):
        capacity = 2
        overflow = Overflow.DROP_OLDEST

    system = System()
    tree = Supervisor("sup", [actor_child("small", Small)])
    go = trio.Event()
    async with running(tree, system):
        ref: Ref[Do] = tree.value_of("small")
        await tell(ref, lambda social: social.monitor(ref))
        ref.cast(wait_for(go))
        await wait_all_tasks_blocked()
        for _ in range(5):
            ref.cast(answer(None))
        mailbox = places(system)["sup/small"].mailbox
        assert mailbox is not None
        assert ref.statistics() == mailbox
        assert (2, 2, 2, 2, 3) == (
            mailbox.capacity,
            mailbox.peak,
            mailbox.waiting,
            mailbox.taken,
            mailbox.dropped,
        )
        assert None is places(system)["sup"].mailbox
        go.set()


@pytest.mark.parametrize("children_max", [0, 1, 2, 3, 4, 50])
async def test_children_that_are_too_many_are_counted(children_max: int) -> None:
    """Of each supervisor the first are listed, in order of start, and the rest are hidden."""
    system = System()
    some = DynamicSupervisor("some", max_children=9)
    specs = [actor_child(name, Doer) for name in ("a", "b", "c")]
    async with running(Supervisor("sup", [some.as_child(), *specs]), system):
        for spec in reversed(specs):
            await some.start_child(spec)
        tree = tree_of(system, children_max=children_max)
        listed = [child.name for child in tree.children]
        assert (["some", "a", "b", "c"][:children_max], 4) == (listed, len(listed) + tree.hidden)
        if listed:
            below = [child.name for child in tree.children[0].children]
            assert ["c", "b", "a"][:children_max] == below
            assert 3 == len(below) + tree.children[0].hidden


async def test_a_large_tree_is_bounded_by_itself() -> None:
    """Who says nothing gets as many as a person reads."""
    system = System()
    count = TREE_CHILDREN_MAX + 3
    some = DynamicSupervisor("some", max_children=count)
    async with running(some, system):
        for number in range(count):
            await some.start_child(actor_child(str(number), Doer))
        tree = system.tree()
        assert tree is not None
        assert (TREE_CHILDREN_MAX, 3) == (len(tree.children), tree.hidden)


async def test_a_part_is_shown_until_parted_with() -> None:
    """Names are unique in one child; a part has the system of the whole, and is handed on."""
    system = System()
    lives: list[Lifeline] = []

    async def whole(life: Lifeline) -> None:
        lives.append(life)
        life.ready()
        await life.stop_requested.wait()

    async with running(Supervisor("sup", [ChildSpec("whole", whole)]), system):
        (life,) = lives
        part = life.part("part")
        inner = DynamicSupervisor("inner", max_children=1)
        part.subject = inner
        assert (system, "whole", "part") == (part.system, part.supervisor, part.name)
        assert "sup/whole/part supervisor dynamic starting" == lines(system)[-1]
        with pytest.raises(AssertionError, match="whole has two parts named part"):
            life.part("part")
        life.part_with("part")
        assert ["sup", "sup/whole"] == [*places(system)]
        life.part("part")
        assert ["sup", "sup/whole", "sup/whole/part"] == [path for path, _ in system.lives()]
    with pytest.raises(AssertionError, match="root has no parts"):
        Lifeline().part_with("part")


async def test_a_life_is_found_by_its_path_and_crashed() -> None:
    """Whoever lives there after the restart is another; those that do not live are not found."""
    system = System()
    parts = Journal()
    ended = Part(parts, "ended")
    tree = Supervisor("sup", [actor_child("doer", Doer), ended.spec(Restart.TRANSIENT)])
    async with running(tree, system):
        await ended.die(None)
        assert ["sup", "sup/doer"] == [path for path, _ in system.lives()]
        life = dict(system.lives())["sup/doer"]
        life.crash(Boom("imposed"))
        await wait_all_tasks_blocked()
        assert (1, False) == (
            places(system)["sup/doer"].restarts,
            life is dict(system.lives())["sup/doer"],
        )
