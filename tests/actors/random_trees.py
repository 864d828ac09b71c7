"""Random trees of supervisors, and a model of what OTP's rules make of them.

The model is recursion over plain data: who lives, how many lives each leaf had, which failures
still count. It knows nothing of tasks, which is what makes it worth comparing with.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import trio

from actors import Backoff, ChildSpec, Intensity, Lifeline, Restart, Strategy, Supervisor

WINDOW_MAX_S: Final = 10.0


@dataclass
class Leaf:
    """A part of the tree that does nothing but live, and checks the order in which it stops.

    Attributes:
        name: unique in its tree.
        restart: whether it is started again.
        backoff: how long it waits for that.
        later: leaves under the same supervisor that start after it.
        stops: leaves that were asked to stop, in order; one list for the whole tree.
        expected_alive: what the model says.
        expected_lives: what the model says.
    """

    name: str
    restart: Restart
    backoff: Backoff | None
    stops: list[str]
    later: list["Leaf"] = field(default_factory=list)
    alive: bool = False
    lives: int = 0
    expected_alive: bool = False
    expected_lives: int = 0
    _end: Exception | None = None
    _told: trio.Event = field(default_factory=trio.Event)

    def kill(self, error: Exception | None) -> None:
        """End this life with an error, or with none."""
        self._end = error
        self._told.set()

    async def run(self, life: Lifeline) -> None:
        """One life."""
        assert not self.alive, f"{self.name} lives twice"
        self.alive = True
        self.lives += 1
        self._told, self._end = trio.Event(), None
        try:
            await trio.lowlevel.checkpoint()
            life.ready()
            life.on_stop(self._told.set)
            await self._told.wait()
            if self._end is not None:
                raise self._end
            if life.stopping:
                self.stops.append(self.name)
                living = [leaf.name for leaf in self.later if leaf.alive]
                assert living == [], f"{self.name} stops before {living}"
        finally:
            self.alive = False


@dataclass
class Branch:
    """A supervisor in the tree, and what the model knows of it."""

    name: str
    restart: Restart
    strategy: Strategy
    intensity: Intensity
    children: "list[Leaf | Branch]"
    parent: "Branch | None" = None
    expected_alive: bool = False
    failures: list[float] = field(default_factory=list)

    def leaves(self) -> Iterator[Leaf]:
        """All leaves below, in the order of start."""
        for child in self.children:
            yield from child.leaves() if isinstance(child, Branch) else [child]

    def supervisor(self) -> Supervisor:
        """The real thing."""
        specs = []
        for child in self.children:
            if isinstance(child, Branch):
                specs.append(child.supervisor().as_child(restart=child.restart))
            else:
                specs.append(ChildSpec(child.name, child.run, child.restart, backoff=child.backoff))
        return Supervisor(self.name, specs, strategy=self.strategy, intensity=self.intensity)

    def parent_of(self, leaf: Leaf) -> "Branch":
        """The supervisor of a leaf."""
        for child in self.children:
            if child is leaf:
                return self
            if isinstance(child, Branch) and leaf in child.leaves():
                return child.parent_of(leaf)
        raise AssertionError(f"{leaf.name} is not below {self.name}")


def grow(chance: random.Random, *, backoffs: bool, depth: int = 3) -> Branch:
    """A random tree of at most `depth` levels of supervisors."""
    stops: list[str] = []
    return _grow_branch(chance, "root", depth, stops, backoffs=backoffs)


def start(node: Leaf | Branch) -> None:
    """The model of a start."""
    node.expected_alive = True
    if isinstance(node, Leaf):
        node.expected_lives += 1
        return
    node.failures = []
    for child in node.children:
        start(child)


def stop(node: Leaf | Branch) -> None:
    """The model of a stop."""
    node.expected_alive = False
    if isinstance(node, Branch):
        for child in node.children:
            stop(child)


def fail(parent: Branch, child: Leaf | Branch, now: float, *, crashed: bool) -> None:
    """The model of what follows the end of a child."""
    child.expected_alive = False
    wanted = child.restart is Restart.PERMANENT
    if not (wanted or (child.restart is Restart.TRANSIENT and crashed)):
        return
    window_s = parent.intensity.window_s
    parent.failures = [at for at in [*parent.failures, now] if now - at <= window_s]
    if len(parent.failures) > parent.intensity.restarts:
        stop(parent)
        if parent.parent is not None:
            fail(parent.parent, parent, now, crashed=True)
        return
    first = parent.children.index(child)
    affected = {
        Strategy.ONE_FOR_ONE: [child],
        Strategy.ONE_FOR_ALL: parent.children,
        Strategy.REST_FOR_ONE: parent.children[first:],
    }[parent.strategy]
    for node in affected:
        stop(node)
    for node in affected:
        if node is child or node.restart is not Restart.TEMPORARY:
            start(node)


def _grow_branch(
    chance: random.Random, name: str, depth: int, stops: list[str], *, backoffs: bool
) -> Branch:
    children: list[Leaf | Branch] = []
    for number in range(chance.randint(1, 4)):
        child_name = f"{name}.{number}"
        if depth > 1 and chance.random() < 0.4:
            below = _grow_branch(chance, child_name, depth - 1, stops, backoffs=backoffs)
            children.append(below)
        else:
            backoff = Backoff(chance.uniform(0.1, 1), 2) if backoffs else None
            children.append(Leaf(child_name, chance.choice(list(Restart)), backoff, stops))
    intensity = Intensity(chance.randint(0, 4), chance.uniform(1, WINDOW_MAX_S))
    branch = Branch(
        name, chance.choice(list(Restart)), chance.choice(list(Strategy)), intensity, children
    )
    for number, child in enumerate(children):
        if isinstance(child, Branch):
            child.parent = branch
            continue
        for sibling in children[number + 1 :]:
            child.later += sibling.leaves() if isinstance(sibling, Branch) else [sibling]
    return branch
