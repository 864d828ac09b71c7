"""What a dynamic supervisor knows of one child, through all its lives."""

from typing import Any

import trio

from actors.child import Child
from actors.errors import StartFailed
from actors.restart_state import Delays
from actors.slot import absent
from actors.spec import ChildSpec, Legacy
from actors.tree import Vitals


class Keeper:
    """Of one child.

    Attributes:
        spec: the child's.
        restarts: how often it was started again.
        stopping: whether no life is to follow.
        was_ready: whether one of its lives ever was.
        legacy: what the last life left, or was there before the first, for the next.
    """

    __slots__ = (
        "_child",
        "_delays",
        "_gone",
        "_pause",
        "_settled",
        "legacy",
        "restarts",
        "spec",
        "stopping",
        "was_ready",
    )

    def __init__(self, spec: ChildSpec, legacy: Legacy | None) -> None:
        self.spec = spec
        self.restarts = -1
        self.stopping = False
        self.was_ready = False
        self.legacy = legacy
        self._child: Child | None = None  # the last one, dead or alive
        self._delays: Delays | None = None  # made with the first failure
        self._pause: trio.CancelScope | None = None
        self._settled: trio.Event | None = None  # made when somebody waits for the first start
        self._gone: trio.Event | None = None  # made when somebody waits

    @property
    def value(self) -> object:
        """What the child gave to `ready`, while it lives."""
        return None if self.life is None else self.life.value

    @property
    def life(self) -> Child | None:
        """The life there is, between an end and the next beginning none."""
        return None if self._child is None or self._child.ended else self._child

    async def first_ready(self) -> Any:
        """Wait until the first start is over.

        Raises:
            StartFailed: it ended before it was ready.
        """
        child = self._child
        assert child is not None, "it has begun"
        self._settled = trio.Event()
        try:
            await self._settled.wait()
        except trio.Cancelled:
            self.stop()
            raise
        if not self.was_ready:
            raise StartFailed(self.spec.id) from child.error
        return child.value

    def begin(self, child: Child) -> None:
        """A life begins."""
        self._child = child
        self.legacy = None
        self.restarts += 1

    def became_ready(self) -> bool:
        """A life is ready. True when it is not the first."""
        if self.was_ready:
            return True
        self.was_ready = True
        self._settle()
        return False

    def end_life(self) -> None:
        """The life there was is over."""
        assert self._child is not None, "it has begun"
        self.legacy = self._child.legacy

    def delay_s(self, lived_s: float, chance: float) -> float:
        """Seconds its backoff wants before the next life."""
        if self.spec.backoff is None:
            return 0.0
        if self._delays is None:
            self._delays = Delays(self.spec.backoff)
        return self._delays.after(lived_s, chance)

    async def pause(self, delay_s: float) -> None:
        """Wait so long, or until it is stopped."""
        with trio.CancelScope() as self._pause:
            if not self.stopping:  # since the life ended, before this task began
                await trio.sleep(delay_s)
        self._pause = None

    def stop(self) -> None:
        """End for good: the life there is within its time, a pause at once."""
        self.stopping = True
        if self._pause is not None:
            self._pause.cancel()
        if self._child is not None:
            self._child.stop()

    def end(self) -> None:
        """There is no next life."""
        self._settle()
        if self._gone is not None:
            self._gone.set()
        legacy, self.legacy = self.legacy, None
        if legacy is not None:
            legacy.dissolve()

    async def wait_gone(self) -> None:
        """Wait until it ended for good."""
        if self._gone is None:
            self._gone = trio.Event()
        await self._gone.wait()

    def vitals(self, children_max: int) -> Vitals:
        """This child, for a picture of the tree."""
        child = self._child
        if child is None or child.ended:
            return absent(self.spec.id, "waiting", self.restarts)
        return child.vitals(children_max, self.restarts)

    def _settle(self) -> None:
        if self._settled is not None:
            self._settled.set()
            self._settled = None
