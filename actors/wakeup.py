"""One task sleeps, anybody wakes it: the smallest signal, remembered when nobody sleeps."""

import trio


class Wakeup:
    """A flag with one waiting task. Setting it twice before the wait is setting it once."""

    __slots__ = ("_set", "_sleeper")

    def __init__(self) -> None:
        self._set = False
        self._sleeper: trio.lowlevel.Task | None = None

    def set(self) -> None:
        """Wake the sleeper, or spare the next wait its sleep."""
        self._set = True
        if self._sleeper is not None:
            trio.lowlevel.reschedule(self._sleeper)
            self._sleeper = None

    async def wait(self) -> None:
        """Return once the flag is set, and clear it. A checkpoint in any case."""
        if self._set:
            await trio.lowlevel.checkpoint()
        else:
            assert self._sleeper is None, "one task waits on a wakeup"
            self._sleeper = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        self._set = False

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED
