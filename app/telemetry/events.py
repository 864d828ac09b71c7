"""The closed table of events: every name that is ever logged, with its fields and its meaning.

A name is `noun.verb_past`: what happened to what. A test reads the code and finds no other name in
it, and none here that nobody tells. `docs/events.md` is printed from the table by `agio events`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the table.

    Attributes:
        name: noun.verb_past.
        level: debug, info, warning (look at it some day) or error (look at it now).
        fields: what every line of it carries, beside its timestamp, level and name.
        meaning: when it is told.
    """

    name: str
    level: str
    fields: tuple[str, ...]
    meaning: str


def _event(name: str, level: str, fields: str, meaning: str) -> Event:
    return Event(name, level, tuple(fields.split()), meaning)


TABLE: Final = (
    # Supervision
    _event("actor.started", "debug", "supervisor child", "A child said that it is ready."),
    _event("actor.stopped", "debug", "supervisor child", "A child ended without an error."),
    _event(
        "actor.crashed",
        "error",
        "supervisor child error ready",
        "An exception ended a child, before or after it was ready.",
    ),
    _event(
        "actor.killed",
        "warning",
        "supervisor child shutdown_s",
        "A child did not end in the time it has for that, and was cancelled.",
    ),
    _event(
        "actor.messages_lost",
        "warning",
        "supervisor actor casts calls",
        "An actor died with messages unhandled; the callers were told.",
    ),
    _event(
        "actor.overflowed",
        "warning",
        "supervisor actor overflow",
        "A message found no room in an actor's mailbox, the first since the actor looked at it.",
    ),
    _event(
        "actor.quarantined",
        "error",
        "supervisor actor message attempts error",
        "A message crashed its actor so often that it is not tried again. `message` is its type.",
    ),
    _event(
        "timer.crashed",
        "error",
        "error",
        "What a timer called raised; the other timers go on.",
    ),
    _event(
        "watch.crashed",
        "error",
        "supervisor actor error",
        "What was called at an actor's end raised; all others that watch it were told.",
    ),
    _event(
        "supervisor.shut_down",
        "info",
        "supervisor child",
        "A significant child ended for good, and with it its supervisor, in peace.",
    ),
    _event(
        "supervisor.restarted",
        "warning",
        "supervisor child restarts",
        "A child that failed is ready again.",
    ),
    _event(
        "supervisor.escalated",
        "error",
        "supervisor error",
        "Children failed too often: the supervisor gave up, and its parent takes over.",
    ),
    # The one port
    _event(
        "connection.failed",
        "warning",
        "error",
        "A connection ended with an exception; the others do not notice.",
    ),
    _event(
        "connection.refused",
        "warning",
        "refused",
        "A connection was closed at once, because the node has all it takes.",
    ),
    _event(
        "connection.turned_away",
        "debug",
        "status",
        "A connection was answered before any handler: a slow or oversized head, a wrong upgrade.",
    ),
    _event(
        "listener.starved",
        "error",
        "error",
        "The process has no file descriptors or memory left to accept with; it tries again.",
    ),
    _event(
        "request.served",
        "debug",
        "method route status duration_ms",
        "An HTTP request was answered. `route` is the pattern.",
    ),
    _event(
        "request.failed",
        "warning",
        "route error",
        "A part that a request needs is down; it was answered `unavailable`.",
    ),
    _event(
        "request.crashed",
        "error",
        "fault route error",
        "A fault of ours; the caller was given `fault` to ask about.",
    ),
    _event(
        "readiness.failed",
        "warning",
        "check error",
        "A readiness check did not pass.",
    ),
    # The socket and the way between nodes
    _event(
        "limit.exceeded",
        "warning",
        "limit allowed mode count",
        "Clients went `count` times beyond a limit: told at once, then every 10 s while they do. "
        "With mode `dry_run` nothing was refused.",
    ),
    _event(
        "socket.opened", "debug", "address", "A client's connection began, whatever it came over."
    ),
    _event("socket.closed", "debug", "reason address", "A client's connection ended."),
    _event(
        "socket.refused",
        "info",
        "status reason address",
        "A client was not let in, for that reason; with status 0 it was not even told.",
    ),
    _event(
        "socket.drained",
        "info",
        "connections left",
        "The node stops: of so many clients, so many had not left in time.",
    ),
    _event(
        "bus.lost",
        "warning",
        "place reason",
        "Redis is away: messages reach the clients of their own node only.",
    ),
    _event("bus.connected", "info", "place", "Redis is there, or is back."),
    # History
    _event(
        "history.lost",
        "warning",
        "place reason",
        "Redis, or a shard of it, is away: nothing is published on its topics with history, and "
        "nobody joins them.",
    ),
    _event(
        "history.connected",
        "info",
        "place",
        "The histories can be reached, or can be reached again.",
    ),
    _event(
        "history.reloaded",
        "warning",
        "topics",
        "Members of so many topics were told to reload: their histories had lost what they missed.",
    ),
    # Access
    _event(
        "access.revoked",
        "info",
        "kind line",
        "A session, or all tokens of a person until now, was revoked by a request to this node.",
    ),
    _event(
        "access.cut",
        "info",
        "connections",
        "So many connections to this node were closed because their tokens were revoked.",
    ),
    # The ledger
    _event(
        "ledger.exposed",
        "warning",
        "place",
        "The server's role in PostgreSQL could change what is recorded, since it owns the tables "
        "or may do as their owner: only triggers keep it from that. Told at each start of a node. "
        "Give the server a role of its own, and set AGIO_DATABASE_OWNER_URL to the owner's.",
    ),
    # Purchases
    _event(
        "transaction.settled",
        "info",
        "transaction line outcome",
        "A purchase came to its end.",
    ),
    _event(
        "transactions.recovered",
        "info",
        "started",
        "Purchases that a crash had left open were taken up again.",
    ),
    _event(
        "transactions.recovery_failed",
        "warning",
        "error",
        "The search for purchases left open failed; it is repeated.",
    ),
    # The node
    _event("server.started", "info", "url port", "The node takes requests."),
    _event(
        "library.warned",
        "warning",
        "logger message",
        "A library logged a warning or an error.",
    ),
)

BY_NAME: Final = {event.name: event for event in TABLE}


def markdown() -> str:
    """The page `docs/events.md`."""
    rows = (
        f"| `{event.name}` | {event.level} | {', '.join(event.fields)} | {event.meaning} |"
        for event in sorted(TABLE, key=lambda event: event.name)
    )
    return f"{_PAGE}\n" + "\n".join(rows) + "\n"


_PAGE: Final = """\
# Events in the log

Each log line is one event: `timestamp` (UTC), `level`, `event` and the event's fields, flat, as one
JSON object on standard error; on a terminal the same, readable. `AGIO_LOG_LEVEL` says from which
level on. Each event, logged or not, is counted in the metric `agio_events_total{event="…"}`. Lines
of level error carry the traceback in `exception`. Lines told in the course of a request carry its
`trace`, also where another actor tells them: the trace id of the caller's `traceparent` header, or
else a new one, which an HTTP response names in `Agio-Trace`; for a checkout on the socket it begins
with `chk_`. Passwords and tokens are taken out of every line.

This page is printed by `agio events` (`make docs` writes it), from the table in
`app/telemetry/events.py`.

| event | level | fields | told when |
|---|---|---|---|"""
