"""Temporary children of somebody who has a nursery already: a supervisor without a task of its own.

Theory of operation. Children that are never restarted need nobody to decide what comes after them.
So each life is a task of a nursery that its owner has opened, and its end is noted in its own last
step; there is no task that waits, which matters where there are as many broods as clients. What a
child escalates, such as KeyboardInterrupt, is raised in that nursery. As with any supervisor, a
child is spawned in a context of its own, and does not carry that of whoever started it.

Stopping asks all children at once; each has its own time. After that no child starts.
"""

import contextvars
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Final

import trio

from actors.child import Child
from actors.errors import ActorDown, AlreadyStarted, TooManyChildren
from actors.mailbox_statistics import MailboxStatistics
from actors.spec import ChildSpec, Lifeline, Restart
from actors.tree import Vitals

# Where nothing is set: what a child is spawned in, one child after another.
_CONTEXT: Final = contextvars.Context()


class Brood:
    """Children of one owner."""

    __slots__ = ("_children", "_ear", "_ended", "_life", "_max_children", "_nursery", "_on_gone")

    def __init__(
        self,
        life: Lifeline,
        nursery: trio.Nursery,
        *,
        max_children: int,
        on_gone: Callable[[Child], None],
    ) -> None:
        """A brood without children.

        Args:
            life: where they are shown in the tree; its name is theirs in events and errors.
            nursery: where they live; it must outlast them.
            max_children: how many may live at a time.
            on_gone: called with each child when it has ended, in the child's task; must not raise.
        """
        self._life = life
        self._nursery = nursery
        self._max_children = max_children
        self._on_gone = on_gone
        self._children: dict[str, Child] = {}
        self._ended: trio.Event | None = None  # made when somebody waits for the next end
        self._ear = self._hear  # one for all children: each would keep a method of its own
        life.subject = self
        life.ready(self)

    def start_child_nowait(self, spec: ChildSpec) -> None:
        """Start a child, and do not wait until it is ready.

        Raises:
            ActorDown: the brood was stopped.
            AlreadyStarted: it has a child of this id; the error carries that child's value.
            TooManyChildren: it is full.
        """
        name = self._life.name
        assert spec.restart is Restart.TEMPORARY, f"{name} restarts nobody"
        if self._life.stopping:
            raise ActorDown(name)
        if spec.id in self._children:
            raise AlreadyStarted(spec.id, self._children[spec.id].value)
        if len(self._children) >= self._max_children:
            raise TooManyChildren(name, self._max_children)
        child = Child(spec, supervisor=name, system=self._life.system, legacy=None, tell=self._ear)
        self._children[spec.id] = child
        _CONTEXT.run(partial(self._nursery.start_soon, child.run, name=spec.id))

    async def terminate_child(self, id: str) -> bool:  # noqa: A002 - a child spec's own word
        """Stop a child and wait until it is gone.

        Returns:
            False where there is no such child.
        """
        child = self._children.get(id)
        if child is None:
            return False
        child.stop()
        while self._children.get(id) is child:
            await self._next_end()
        return True

    async def stop(self) -> None:
        """Stop all children, and wait until they are gone. Nobody starts any more."""
        if not self._life.stopping:
            self._life.request_stop()
        for child in list(self._children.values()):
            child.stop()
        while self._children:
            await self._next_end()

    # For a picture of the tree.

    @property
    def kind(self) -> str:
        """What it is."""
        return "supervisor"

    @property
    def detail(self) -> str:
        """Its strategy."""
        return "brood"

    def census(self, children_max: int) -> tuple[tuple[Vitals, ...], int]:
        """Its children in the order of start, at most so many, and how many more there are."""
        listed = islice(self._children.values(), children_max)
        told = tuple(child.vitals(children_max, 0) for child in listed)
        return told, len(self._children) - len(told)

    def mail(self) -> MailboxStatistics | None:
        """It has no mailbox."""
        return None

    def lives(self) -> Iterator[Child]:
        """The lives of its children, in the order of start."""
        return iter(self._children.values())

    def __repr__(self) -> str:
        return f"<Brood {self._life.name} [{len(self._children)} of {self._max_children}]>"

    def _hear(self, child: Child) -> None:
        """A child is ready or has ended; called in its task."""
        if not child.ended:
            return
        del self._children[child.name]
        if child.escalation is not None:
            self._nursery.start_soon(_escalate, child.escalation)
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.set()
        self._on_gone(child)

    async def _next_end(self) -> None:
        if self._ended is None:
            self._ended = trio.Event()
        await self._ended.wait()


async def _escalate(error: BaseException) -> None:
    raise error
