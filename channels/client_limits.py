"""The limits on clients that an operator sets: a closed list, each with a number and a mode. Pure.

A limit that is enforced for the first time hurts whoever was beyond it without knowing. So each can
run dry first: it counts what it would have refused, and refuses nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """What becomes of that which is beyond a limit."""

    OFF = "off"  # nothing is counted
    DRY_RUN = "dry_run"  # it is counted, and goes on
    ENFORCE = "enforce"  # it is counted and refused


class LimitName(StrEnum):
    """Every limit, as metrics and events name it."""

    __hash__ = str.__hash__  # that of enums is Python, and this is a key where messages come in

    CONNECTIONS = "connections"
    CONNECTIONS_PER_ADDRESS = "connections_per_address"
    CONNECTIONS_PER_USER = "connections_per_user"
    TOPICS = "topics"
    MESSAGE_BYTES = "message_bytes"
    MESSAGES = "messages"
    BYTES = "bytes"
    JOINS = "joins"
    JOINS_PER_NODE = "joins_per_node"
    FAILED_JOINS = "failed_joins"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        value: what is still allowed.
        mode: what becomes of what is not.
    """

    value: int = 0
    mode: Mode = Mode.OFF

    @property
    def is_on(self) -> bool:
        """Whether anything is counted."""
        return self.mode is not Mode.OFF

    def is_exceeded_by(self, count: int) -> bool:
        """Whether so many are more than it allows."""
        return count > self.value and self.mode is not Mode.OFF

    def __str__(self) -> str:
        """As a setting spells it: `500`, `500:dry_run` or `off`."""
        if self.mode is Mode.ENFORCE:
            return str(self.value)
        return f"{self.value}:{self.mode}" if self.is_on else str(self.mode)


_OFF = Limit()


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The limits of one endpoint. All are off unless they are given.

    `topics` and `message_bytes` have hard bounds beside them, in `Limits`: what is enforced is
    enforced there, and at a dry run this is where it is counted.

    Attributes:
        connections: clients of this node, those that are shaking hands included.
        connections_per_address: of these, from one address; of IPv6, from one /64.
        connections_per_user: of these, those that the application calls by one name.
        topics: of one connection.
        message_bytes: of one message.
        messages: of one connection, a second.
        bytes: of one connection, a second.
        joins: of one connection, a second.
        joins_per_node: of all connections, a second.
        failed_joins: of one topic on one connection, in `FAILED_JOINS_S`: those that crashed, and
            those that the application refused for good.
    """

    connections: Limit = field(default=_OFF)
    connections_per_address: Limit = field(default=_OFF)
    connections_per_user: Limit = field(default=_OFF)
    topics: Limit = field(default=_OFF)
    message_bytes: Limit = field(default=_OFF)
    messages: Limit = field(default=_OFF)
    bytes: Limit = field(default=_OFF)
    joins: Limit = field(default=_OFF)
    joins_per_node: Limit = field(default=_OFF)
    failed_joins: Limit = field(default=_OFF)

    def of(self, name: LimitName) -> Limit:
        """The limit of this name."""
        limit: Limit = getattr(self, name)
        return limit
