"""What the load generator of `make bench-fanout` says, made up."""

from typing import Any

import msgspec

from bench.fanout.account import Heard, Joined, Measured

WHOLE = {
    "seconds": 2.0,
    "messages": 10,
    "deliveries": 10_000,
    "server_s": 0.05,
    "own_s": 0.5,
    "lost": 0,
    "again": 0,
    "skipped": 0,
    "strange": 0,
    "ended": 0,
    "p50_us": 100.0,
    "p90_us": 200.0,
    "p99_us": 300.0,
    "p999_us": 400.0,
    "max_us": 500.0,
}


def measured(**changes: float) -> Measured:
    """A load that went well, but for these."""
    return msgspec.convert(WHOLE | changes, Measured)


def heard(*last_us: float, **changes: Any) -> Heard:
    """What a generator heard: that many messages, with these times to its last member."""
    return msgspec.convert(WHOLE | {"messages": len(last_us), "last_us": last_us} | changes, Heard)


def said(**changes: Any) -> bytes:
    """How the generator says it."""
    return msgspec.json.encode(WHOLE | changes)


def joined(seconds: float, server_s: float) -> Joined:
    """A thousand that joined."""
    return Joined(1_000, seconds, server_s)
