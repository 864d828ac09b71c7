"""Topics whose histories could not be read, until it is time to try again."""

from collections.abc import Callable

import trio

from actors import Wakeup
from channels.limits import HISTORY_RETRY_CEILING_S, HISTORY_RETRY_FIRST_S


class Resting:
    """Topics that rest, each for longer the more often it failed.

    Theory of operation. One task sleeps until the first of them is due. A topic that rests holds up
    no other: histories need not be on one server.
    """

    def __init__(self, wake: Callable[[str], None]) -> None:
        """None rests.

        Args:
            wake: called with each topic whose rest is over.
        """
        self._wake = wake
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}  # of those that rest, or whose last try is under way
        self._changed = Wakeup()

    def __contains__(self, topic: str) -> bool:
        return topic in self._due

    def rest(self, topic: str) -> None:
        """It failed."""
        failures = self._failures[topic] = self._failures.get(topic, 0) + 1
        # Beyond so many the pause is the longest one anyway, and a power of two not a float.
        pause_s = min(HISTORY_RETRY_FIRST_S * 2 ** min(failures - 1, 32), HISTORY_RETRY_CEILING_S)
        self._due[topic] = trio.current_time() + pause_s
        self._changed.set()

    def forget(self, topic: str) -> None:
        """It was read, or nobody wants it any more."""
        self._failures.pop(topic, None)

    async def run(self) -> None:
        """Wake them for ever."""
        self._changed.set()  # an earlier run may have ended in the middle of something
        while True:
            await self._changed.wait()
            while self._due:
                await trio.sleep_until(min(self._due.values()))
                now = trio.current_time()
                for topic in [topic for topic, due in self._due.items() if due <= now]:
                    del self._due[topic]
                    self._wake(topic)
