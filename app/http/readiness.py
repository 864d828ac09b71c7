"""Whether this node should be given work: every check passes, and it is not about to stop.

Liveness is another question, and looks at nothing: a node whose database is away must not be
killed for it.
"""

from collections.abc import Awaitable, Callable, Mapping

import trio

from actors import Emit
from app.limits import CHECK_S

Check = Callable[[], Awaitable[object]]


class Readiness:
    """Runs the checks, all at once, each with a deadline.

    Attributes:
        draining: set while the node is stopping; it then takes no new work.
    """

    def __init__(self, checks: Mapping[str, Check], emit: Emit) -> None:
        """`checks` by name: each returns when its part works and raises when it does not."""
        self.draining = False
        self._checks = dict(checks)
        self._emit = emit

    async def look(self) -> dict[str, str]:
        """What each check found: `ok`, `failed` or `too_slow`, by the check's name."""
        found: dict[str, str] = {}
        async with trio.open_nursery() as nursery:
            for name, check in self._checks.items():
                nursery.start_soon(self._run, name, check, found)
        return dict(sorted(found.items()))

    async def _run(self, name: str, check: Check, found: dict[str, str]) -> None:
        found[name] = "too_slow"
        with trio.move_on_after(CHECK_S):
            try:
                await check()
            except Exception as error:  # noqa: BLE001 - whatever a check raises is its finding
                self._emit("readiness.failed", {"check": name, "error": error})
                found[name] = "failed"
            else:
                found[name] = "ok"
