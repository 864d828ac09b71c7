"""What supervision tells the world: a name and flat fields, handed to a function of the host's.

The layer knows no logger and no metrics. Whoever builds the tree passes an `Emit`; it is called on
the trio loop, must not block and must not raise. A child is anything supervised, an actor or not.

| event | fields | told when |
|---|---|---|
| `actor.started` | supervisor, child | a child said it is ready |
| `actor.stopped` | supervisor, child | a child ended without an error, asked to or by itself |
| `actor.crashed` | supervisor, child, error, ready | an exception ended a child (`ready` or not) |
| `actor.killed` | supervisor, child, shutdown_s | a child did not end in time and was cancelled |
| `actor.overflowed` | supervisor, actor, overflow | a message found no room, first since a look |
| `actor.quarantined` | supervisor, actor, message, attempts, error | one is not retried any more |
| `actor.messages_lost` | supervisor, actor, casts, calls | an actor died with messages unhandled |
| `supervisor.restarted` | supervisor, child, restarts | a child is ready for the n-th time again |
| `supervisor.shut_down` | supervisor, child | the end of a significant child ends it in peace |
| `supervisor.escalated` | supervisor, error | a supervisor gave up: its parent's trouble now |
| `timer.crashed` | error | what a timer called raised; the others go on |
| `watch.crashed` | supervisor, actor, error | what was told of its end raised; all were told |
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

Emit: TypeAlias = Callable[[str, Mapping[str, object]], None]


def drop_event(name: str, fields: Mapping[str, object]) -> None:
    """The default `Emit`: nobody listens."""
