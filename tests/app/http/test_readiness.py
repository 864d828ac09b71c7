"""Whether a node takes work."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from actors import drop_event
from app.http.message import Request
from app.http.readiness import Check, Readiness
from app.limits import CHECK_S
from tests.app.http.node import Seen, bare_services, router


async def works() -> None:
    """A check that passes."""


async def fails() -> None:
    """A check that does not."""
    raise OSError("the password is hunter2")


async def get(readiness: Readiness, path: str = "/readyz") -> tuple[int, Any]:
    """What this readiness makes a node say."""
    response = await router(bare_services(readiness), Seen()).handle(Request("GET", path))
    return response.status, msgspec.json.decode(response.body)


async def test_a_node_whose_checks_pass_is_ready() -> None:
    """Every check by name, and 200."""
    status, body = await get(Readiness({"b": works, "a": works}, drop_event))
    assert (status, body) == (200, {"status": "ready", "checks": {"a": "ok", "b": "ok"}})


async def test_a_check_that_fails_or_hangs_is_named(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """One bad check is 503, the others are told all the same, and no check's text gets out."""
    seen = Seen()
    checks: dict[str, Check] = {"a": works, "b": fails, "c": trio.sleep_forever}
    status, body = await get(Readiness(checks, seen.emit))
    assert (status, body["code"], body["readiness"]) == (503, "unavailable", "not_ready")
    assert body["checks"] == {"a": "ok", "b": "failed", "c": "too_slow"}
    assert autojump_clock.current_time() == CHECK_S
    assert [each["check"] for each in seen.told("readiness.failed")] == ["b"]
    assert "hunter2" not in repr(body)


async def test_a_node_that_stops_is_not_ready() -> None:
    """Draining is 503 though every check passes."""
    readiness = Readiness({"a": works}, drop_event)
    readiness.draining = True
    status, body = await get(readiness)
    assert (status, body["readiness"], body["checks"]) == (503, "draining", {"a": "ok"})


@pytest.mark.parametrize("draining", [False, True])
async def test_liveness_looks_at_nothing(draining: bool) -> None:  # noqa: FBT001 - a table
    """A node is live whatever its checks say."""
    readiness = Readiness({"a": fails}, drop_event)
    readiness.draining = draining
    assert await get(readiness, "/livez") == (200, {"status": "live"})
