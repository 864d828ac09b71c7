"""Something that one task asks another to do between two things of its own."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import outcome
import trio

from actors.errors import ActorError

Work: TypeAlias = Callable[[trio.Nursery], Awaitable[Any]]


class Command:
    """One request. It is carried out even if whoever asked went away."""

    __slots__ = ("_done", "_outcome", "_work")

    def __init__(self, work: Work, undone: ActorError) -> None:
        """A request.

        Args:
            work: what to do.
            undone: what to tell whoever asked if it is never done.
        """
        self._work = work
        self._done = trio.Event()
        self._outcome: outcome.Outcome[Any] = outcome.Error(undone)

    async def result(self) -> Any:
        """Wait until it is done. Raises what doing it raised."""
        await self._done.wait()
        return self._outcome.unwrap()

    async def carry_out(self, nursery: trio.Nursery) -> None:
        """Do it, for whoever asked; a refusal is theirs, anything else a bug of ours."""
        try:
            self._outcome = outcome.Value(await self._work(nursery))
        except ActorError as refusal:
            self._outcome = outcome.Error(refusal)
        finally:
            self._done.set()

    def give_up(self) -> None:
        """It will not be done."""
        self._done.set()
