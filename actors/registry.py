"""Names of living actors. Whatever ends an actor frees its name before anybody hears of the end."""

from functools import partial
from typing import Any

from actors.errors import NameTaken
from actors.ref import Ref


class Registry:
    """Unique names to Refs. As large as there are living actors in it, which supervisors bound."""

    __slots__ = ("_refs",)

    def __init__(self) -> None:
        self._refs: dict[str, Ref[Any]] = {}

    def register(self, name: str, ref: Ref[Any]) -> None:
        """Give a living actor a name, until it dies.

        Raises:
            NameTaken: another living actor has it.
        """
        assert ref.alive, f"{ref} is dead and gets no name"
        if name in self._refs:
            raise NameTaken(name)
        self._refs[name] = ref
        ref.on_down(partial(self._refs.pop, name))

    def whereis(self, name: str) -> Ref[Any] | None:
        """The living actor of this name, if there is one."""
        return self._refs.get(name)

    def names(self) -> tuple[str, ...]:
        """All names in use, in the order they were taken."""
        return tuple(self._refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __repr__(self) -> str:
        return f"<Registry [{len(self._refs)} names]>"
