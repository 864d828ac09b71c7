"""Keeps an endpoint's limits on clients: who may come in, which joins go on, and what is told.

Theory of operation. Nothing here waits. A client is *admitted* by its address before anything is
made for it, holds a *place* for as long as it is there, and is *known* by its name once the
application has said who it is. What a connection may send is kept by its own `Allowance`; what all
of a node may, here.

A join takes its turn in the node's queue. Mostly that is now; else whoever ends a join lets the
next one begin. Only where all joins under way hang does nobody do that, and a timer of the system
does: timers run wherever a tree does.

Whoever exceeds a limit does so again and again, so the log is told at once, and then how often, at
most once per limit and `LIMIT_TOLD_S`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import trio

from actors import System
from channels.client_address import group_of
from channels.client_limits import ClientLimits, Limit, LimitName, Mode
from channels.handshake import ConnectRefused
from channels.join_queue import JoinQueue, Turn
from channels.limiter import Bucket, Crowd, endless
from channels.limits import (
    BUSY_S,
    JOIN_PATIENCE_S,
    JOINS_AT_ONCE,
    JOINS_WAITING_MAX,
    LIMIT_TOLD_S,
    NODE_BURST_S,
    RETRY_AFTER_S_MAX,
)

# Seconds: others may have left by then. Browsers do not show this to Phoenix's client.
_LATER_S: Final = 10

_FULL: Final = ConnectRefused(
    503, "This node has all the connections it takes.\n", _LATER_S, "full"
)
_CROWDED: Final = ConnectRefused(
    429, "Your address has all the connections it may have.\n", _LATER_S, "limit of its address"
)
_MANIFOLD: Final = ConnectRefused(
    429, "You have all the connections you may have.\n", _LATER_S, "limit of its user"
)


@dataclass(frozen=True, slots=True)
class GuardStatistics:
    """The limits on clients now, and counts since the endpoint was made.

    Attributes:
        refused: what was refused, by the limit that it was beyond.
        would_refuse: what would have been, by the limit that runs dry.
        clients: connections that hold a place, those that are shaking hands included.
        addresses: addresses that they come from, while their limit is on.
        users: names that the application calls them by, while their limit is on.
        joins_under_way: joins that have begun and are not answered.
        joins_waiting: joins that wait for their turn.
        joins_turned_away: joins refused as busy because too many waited.
    """

    refused: Mapping[str, int]
    would_refuse: Mapping[str, int]
    clients: int
    addresses: int
    users: int
    joins_under_way: int
    joins_waiting: int
    joins_turned_away: int


class Excess:
    """What was beyond one limit. The first is told at once; then how many were, now and then."""

    __slots__ = ("_is_told", "_name", "_system", "_told", "count", "limit")

    def __init__(self, name: LimitName, limit: Limit, system: System) -> None:
        self.limit = limit
        self.count = 0
        self._name = name
        self._system = system
        self._told = 0  # of these
        self._is_told = False  # lately

    def add(self) -> bool:
        """One more; whether that is refused."""
        self.count += 1
        if not self._is_told:
            self._is_told = True
            self._tell()
        return self.limit.mode is Mode.ENFORCE

    def _tell(self) -> None:
        """Tell of those that came since the last time, and ask again after a while."""
        self._is_told = self.count > self._told
        if self._is_told:
            name, allowed, mode = self._name.value, self.limit.value, self.limit.mode.value
            count, self._told = self.count - self._told, self.count
            self._system.emit(
                "limit.exceeded", {"limit": name, "allowed": allowed, "mode": mode, "count": count}
            )
            self._system.timers.after(LIMIT_TOLD_S, self._tell)


class Place:
    """One client's, from before its handshake until it is gone."""

    __slots__ = ("_address", "_guard", "_user")

    def __init__(self, guard: "Guard", address: str | None) -> None:
        self._guard: Guard | None = guard
        self._address = address
        self._user: str | None = None

    def know(self, user: str) -> ConnectRefused | None:
        """The application has said who it is; why it may not stay, if it may not.

        Args:
            user: the client's name; one without is not counted.
        """
        guard = self._guard
        assert guard is not None, "a client is known while it is there"
        if not user or not guard.limits.connections_per_user.is_on:
            return None
        if guard.is_beyond(LimitName.CONNECTIONS_PER_USER, guard.users.count(user) + 1):
            return _MANIFOLD
        self._user = user
        guard.users.enter(user)
        return None

    def leave(self) -> None:
        """It is gone. Again is harmless."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.forget(self._address, self._user)


class Guard:
    """The limits on the clients of one endpoint."""

    def __init__(self, limits: ClientLimits, system: System) -> None:
        """A guard who has let nobody in.

        Args:
            limits: to keep.
            system: whose timers are used. It takes the event `limit.exceeded`.
        """
        self.limits = limits
        self.users = Crowd()
        self._addresses = Crowd()
        self._clients = 0
        self._system = system
        self._excess = {name: Excess(name, limits.of(name), system) for name in LimitName}
        self._joins = JoinQueue(JOINS_AT_ONCE, JOINS_WAITING_MAX, JOIN_PATIENCE_S)
        self._joins_turned_away = 0
        self._pump_is_set = False
        rate = limits.joins_per_node.value
        limited = limits.joins_per_node.is_on
        self._node_joins = (
            Bucket(rate, rate * NODE_BURST_S, trio.current_time()) if limited else endless()
        )
        self._gap_s = 1 / rate if limited else 1 / JOINS_WAITING_MAX
        self._promised = 0.0  # until when clients were told to come back

    # Limits as such.

    def excess(self, name: LimitName) -> Excess:
        """What was beyond a limit: to add to, where it is on."""
        return self._excess[name]

    def is_beyond(self, name: LimitName, count: int) -> bool:
        """Whether so many are more than is allowed, and that is refused."""
        excess = self._excess[name]
        return excess.limit.is_exceeded_by(count) and excess.add()

    def statistics(self) -> GuardStatistics:
        """What was beyond the limits."""
        return GuardStatistics(
            refused=self._counts(Mode.ENFORCE),
            would_refuse=self._counts(Mode.DRY_RUN),
            clients=self._clients,
            addresses=len(self._addresses),
            users=len(self.users),
            joins_under_way=self._joins.under_way,
            joins_waiting=self._joins.waiting,
            joins_turned_away=self._joins_turned_away,
        )

    # Connections.

    def admit(self, address: str) -> Place | ConnectRefused:
        """A place for a client, or why it has none.

        Args:
            address: the client's; empty where it has none, and then it is not counted.
        """
        if self.is_beyond(LimitName.CONNECTIONS, self._clients + 1):
            return _FULL
        counted = bool(address) and self.limits.connections_per_address.is_on
        group = group_of(address) if counted else None
        if group is not None:
            count = self._addresses.count(group) + 1
            if self.is_beyond(LimitName.CONNECTIONS_PER_ADDRESS, count):
                return _CROWDED
            self._addresses.enter(group)
        self._clients += 1
        return Place(self, group)

    def forget(self, address: str | None, user: str | None) -> None:
        """A place is free again."""
        self._clients -= 1
        if address is not None:
            self._addresses.leave(address)
        if user is not None:
            self.users.leave(user)

    # Joins.

    def refuse_join(self, now: float) -> float | None:
        """Seconds after which to try again, if the node takes no join now; else None."""
        if self._joins.is_full:
            self._joins_turned_away += 1
        elif self._node_joins.take(now) or not self._excess[LimitName.JOINS_PER_NODE].add():
            return None
        # Those who come back find room one after the other, and not all at once again.
        self._promised = max(self._promised, now + BUSY_S) + self._gap_s
        return min(self._promised - now, RETRY_AFTER_S_MAX)

    def begin_join(self, turn: Turn) -> None:
        """Have a join that was not refused begin in its turn, which may be now."""
        now = trio.current_time()
        self._joins.enter(turn, now)
        self._set_pump(now)

    def end_join(self, turn: Turn | None) -> None:
        """A join is answered, or not wanted any more. Again is harmless."""
        if turn is None:  # it never had one
            return
        now = trio.current_time()
        self._joins.end(turn, now)
        self._set_pump(now)

    def _set_pump(self, now: float) -> None:
        if not self._joins.waiting:  # nearly always
            return
        due = self._joins.next_due()
        if due is not None and not self._pump_is_set:
            self._pump_is_set = True
            self._system.timers.after(max(due - now, 0.0), self._pump)

    def _pump(self) -> None:
        self._pump_is_set = False
        now = trio.current_time()
        self._joins.pump(now)
        self._set_pump(now)

    def _counts(self, mode: Mode) -> dict[str, int]:
        return {
            name.value: excess.count
            for name, excess in self._excess.items()
            if excess.limit.mode is mode
        }
