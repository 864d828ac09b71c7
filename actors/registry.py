"""Names of living actors. Whatever ends an actor frees its name before anybody hears of the end."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from actors.errors import NameTaken
from actors.ref import Down, Ref


@dataclass(frozen=True, slots=True)
class RegistryStatistics:
    """A registry, now.

    Attributes:
        names: in use.
        names_awaited: names that somebody waits for.
    """

    names: int
    names_awaited: int


class Registry:
    """Unique names to Refs. As large as there are living actors in it, which supervisors bound."""

    __slots__ = ("_awaited", "_refs")

    def __init__(self) -> None:
        self._refs: dict[str, Ref[Any]] = {}
        self._awaited: dict[str, trio.Event] = {}

    def register(self, name: str, ref: Ref[Any]) -> None:
        """Give a living actor a name, until it dies.

        Raises:
            NameTaken: another living actor has it.
        """
        assert ref.alive, f"{ref} is dead and gets no name"
        if name in self._refs:
            raise NameTaken(name)
        self._refs[name] = ref
        ref.watch(partial(self._free, name))
        awaited = self._awaited.pop(name, None)
        if awaited is not None:
            awaited.set()

    def whereis(self, name: str) -> Ref[Any] | None:
        """The living actor of this name, if there is one."""
        return self._refs.get(name)

    async def wait_for(self, name: str) -> Ref[Any]:
        """The living actor of this name, as soon as there is one; it may not be ready yet."""
        await trio.lowlevel.checkpoint()
        while (ref := self._refs.get(name)) is None:
            awaited = self._awaited.setdefault(name, trio.Event())
            try:
                await awaited.wait()
            finally:
                # Many may give up in one moment: one of them forgets it, and none a newer wish.
                mine = self._awaited.get(name) is awaited
                if mine and not awaited.statistics().tasks_waiting:
                    del self._awaited[name]
        return ref

    def names(self) -> tuple[str, ...]:
        """All names in use, in the order they were taken."""
        return tuple(self._refs)

    def statistics(self) -> RegistryStatistics:
        """How many names there are."""
        return RegistryStatistics(len(self._refs), len(self._awaited))

    def __len__(self) -> int:
        return len(self._refs)

    def __repr__(self) -> str:
        return f"<Registry [{len(self._refs)} names]>"

    def _free(self, name: str, _down: Down) -> None:
        del self._refs[name]
