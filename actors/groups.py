"""Living actors by key: any number of them under each, each under any number of keys."""

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from actors.errors import MailboxFull
from actors.ref import Down, Ref, Watch

M = TypeVar("M")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class GroupsStatistics:
    """Groups, now.

    Attributes:
        groups: keys with a member.
        members: memberships in all of them.
    """

    groups: int
    members: int


class Groups(Generic[K, M]):
    """Keys to Refs. Whatever ends an actor takes it out before anybody hears of the end.

    As large as there are memberships of living actors, which supervisors bound.
    """

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[K, dict[Ref[M], Watch]] = {}

    def join(self, key: K, ref: Ref[M]) -> None:
        """Make a living actor a member, until it leaves or dies. Again changes nothing."""
        assert ref.alive, f"{ref} is dead and joins no group"
        members = self._groups.setdefault(key, {})
        if ref not in members:
            members[ref] = ref.watch(partial(self._died, key))

    def leave(self, key: K, ref: Ref[M]) -> bool:
        """Make it one no more. False where it was none."""
        watch = self._take(key, ref)
        if watch is not None:
            watch.cancel()
        return watch is not None

    def members(self, key: K) -> tuple[Ref[M], ...]:
        """The living members, in the order they joined."""
        return tuple(self._groups.get(key, ()))

    def keys(self) -> tuple[K, ...]:
        """Every key that has a member."""
        return tuple(self._groups)

    def cast(self, key: K, message: M) -> int:
        """Hand every member a message. One without room is passed over.

        Returns:
            How many there are that did not refuse it.
        """
        taken = 0
        for ref in self.members(key):
            with suppress(MailboxFull):
                ref.cast(message)
                taken += 1
        return taken

    def statistics(self) -> GroupsStatistics:
        """How many there are."""
        return GroupsStatistics(len(self._groups), sum(map(len, self._groups.values())))

    def __repr__(self) -> str:
        return f"<Groups [{len(self._groups)} keys]>"

    def _died(self, key: K, down: Down) -> None:
        self._take(key, down.ref)

    def _take(self, key: K, ref: Ref[M]) -> Watch | None:
        members = self._groups.get(key, {})
        watch = members.pop(ref, None)
        if watch is not None and not members:
            del self._groups[key]
        return watch
