"""What a message carries of the work that it is part of: one value, opaque to this layer.

Whoever begins a piece of work, such as a request, sets `TRACE`; each message sent meanwhile takes
the value along in its envelope, and is handled with it set, so what it causes carries it on.
"""

from contextvars import ContextVar
from typing import Any, Final

TRACE: Final[ContextVar[object | None]] = ContextVar("trace", default=None)


class Envelope:
    """A message and its trace. A message without a trace travels bare, if nobody waits for it."""

    __slots__ = ("message", "trace")

    def __init__(self, message: Any, trace: object | None) -> None:
        self.message = message
        self.trace = trace


def unwrap(item: Any) -> Any:
    """The message in what travels through a mailbox."""
    return item.message if isinstance(item, Envelope) else item
