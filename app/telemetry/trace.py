"""The trace: one word that all log lines of one piece of work carry, whichever task tells them.

Messages between actors take it along (`actors.trace`), so what a request causes in other actors is
found by the request's trace.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actors import TRACE
from app.domain.ids import new_id

# W3C Trace Context: version, trace id, parent id, flags; an id of zeros is none.
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_of(traceparent: str) -> str:
    """The trace that a caller's `traceparent` header names, or a new one."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    return found[1] if found else new_id("req")


@contextmanager
def traced(trace: str) -> Iterator[None]:
    """Within the block everything is part of this work, and of no other."""
    token = TRACE.set(trace)
    try:
        yield
    finally:
        TRACE.reset(token)
