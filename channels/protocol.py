"""What a frame means: Phoenix's state machine of one socket, as a table and the state it reads.

Pure. The table is `DECISIONS`: what came in, the phase of its topic, and whether it speaks for the
present join, give one act. `SocketState` holds the topics of one connection and keeps phases; the
connection carries the acts out.

Differences from Phoenix, all invisible to a client that waits for its replies:

- Joins of different topics run side by side. What comes in for a topic whose join is under way
  waits until that join is answered, so each topic still sees its frames in order.
- A second join while the first is under way replaces it: the first gets its close, but no answer.
- A second leave is answered too, where Phoenix loses it.
- Clients may not push events that begin with `phx_`: a channel that broadcasts what it is sent
  would let one client close the channels of all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, auto
from types import MappingProxyType
from typing import Final, TypeAlias

from channels.join_queue import Turn
from channels.serializer import Envelope, Ref

RESERVED_PREFIX: Final = "phx_"
JOIN: Final = "phx_join"
LEAVE: Final = "phx_leave"
REPLY: Final = "phx_reply"
CLOSE: Final = "phx_close"
ERROR: Final = "phx_error"
HEARTBEAT: Final = "heartbeat"
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name of an event, and of what is in it
TOKEN_EXPIRING: Final = "token_expiring"  # noqa: S105 - the name of an event
SOCKET_TOPIC: Final = "phoenix"

UNMATCHED: Final = MappingProxyType({"reason": "unmatched topic"})
TOO_MANY: Final = MappingProxyType({"reason": "too many channels joined"})
JOIN_CRASHED: Final = MappingProxyType({"reason": "join crashed"})
TOKEN_MISSING: Final = MappingProxyType({"reason": "access_token is missing"})
CHANNEL_CRASH: Final = MappingProxyType({"reason": "channel_crash"})
BUSY: Final = MappingProxyType(
    {
        "reason": "busy",
        "code": "busy",
        "message": "Too much is under way; try again shortly.",
        "retryable": True,
    }
)
RATE_LIMITED: Final = MappingProxyType(
    {
        "reason": "rate_limited",
        "code": "rate_limited",
        "message": "More than this client may; try again later.",
        "retryable": True,
    }
)


UNAVAILABLE: Final = MappingProxyType(
    {
        "reason": "unavailable",
        "code": "unavailable",
        "message": "The history of this topic is away; try again shortly.",
        "retryable": True,
    }
)


class Kind(IntEnum):
    """What came in."""

    HEARTBEAT = auto()
    RENEWAL = auto()  # a new token, on the socket's own topic
    ACCESS = auto()  # a new token, on a topic that was joined
    JOIN = auto()
    LEAVE = auto()
    PUSH = auto()
    RESERVED = auto()  # an event that only the server may send


class Phase(IntEnum):
    """Where a topic stands for one socket."""

    ABSENT = auto()
    JOINING = auto()
    JOINED = auto()
    LEAVING = auto()


class Standing(IntEnum):
    """Whether a frame speaks for the topic's present join. A null join_ref always does."""

    CURRENT = auto()
    STALE = auto()


class Act(IntEnum):
    """What to do about it."""

    BEAT = auto()  # answer the heartbeat
    RENEW = auto()  # see whether the token is good
    ADMIT = auto()  # look for a route and for room, then start a join
    REPLACE = auto()  # end the present channel, then start a join
    HOLD = auto()  # keep it until the join under way is answered
    DELIVER = auto()  # hand it to the channel
    LEAVE = auto()  # have the channel end
    CONFIRM = auto()  # answer ok: there is nothing to leave
    REFUSE = auto()  # answer "unmatched topic", join_ref null
    IGNORE = auto()  # it speaks for a join that is over
    OFFEND = auto()  # count it as malformed


Case: TypeAlias = tuple[Kind, Phase, Standing]


def _rows() -> dict[Case, Act]:
    """One row a line: what came in, then the act for each phase of its topic."""
    columns = (Phase.ABSENT, Phase.JOINING, Phase.JOINED, Phase.LEAVING)
    rows = {
        (Kind.HEARTBEAT, Standing.CURRENT): (Act.BEAT, Act.BEAT, Act.BEAT, Act.BEAT),
        (Kind.HEARTBEAT, Standing.STALE): (Act.BEAT, Act.BEAT, Act.BEAT, Act.BEAT),
        (Kind.RENEWAL, Standing.CURRENT): (Act.RENEW, Act.RENEW, Act.RENEW, Act.RENEW),
        (Kind.RENEWAL, Standing.STALE): (Act.RENEW, Act.RENEW, Act.RENEW, Act.RENEW),
        (Kind.ACCESS, Standing.CURRENT): (Act.REFUSE, Act.HOLD, Act.RENEW, Act.IGNORE),
        (Kind.ACCESS, Standing.STALE): (Act.REFUSE, Act.IGNORE, Act.IGNORE, Act.IGNORE),
        (Kind.JOIN, Standing.CURRENT): (Act.ADMIT, Act.REPLACE, Act.REPLACE, Act.REPLACE),
        (Kind.JOIN, Standing.STALE): (Act.ADMIT, Act.REPLACE, Act.REPLACE, Act.REPLACE),
        (Kind.LEAVE, Standing.CURRENT): (Act.CONFIRM, Act.HOLD, Act.LEAVE, Act.CONFIRM),
        (Kind.LEAVE, Standing.STALE): (Act.CONFIRM, Act.IGNORE, Act.IGNORE, Act.IGNORE),
        (Kind.PUSH, Standing.CURRENT): (Act.REFUSE, Act.HOLD, Act.DELIVER, Act.IGNORE),
        (Kind.PUSH, Standing.STALE): (Act.REFUSE, Act.IGNORE, Act.IGNORE, Act.IGNORE),
        (Kind.RESERVED, Standing.CURRENT): (Act.OFFEND, Act.OFFEND, Act.OFFEND, Act.OFFEND),
        (Kind.RESERVED, Standing.STALE): (Act.OFFEND, Act.OFFEND, Act.OFFEND, Act.OFFEND),
    }
    return {
        (kind, phase, standing): act
        for (kind, standing), acts in rows.items()
        for phase, act in zip(columns, acts, strict=True)
    }


DECISIONS: Final[Mapping[Case, Act]] = MappingProxyType(_rows())

_OF_SOCKET: Final = {HEARTBEAT: Kind.HEARTBEAT, ACCESS_TOKEN: Kind.RENEWAL}
# What a client may always say, however much it has said.
NEVER_REFUSED: Final = frozenset({Kind.HEARTBEAT, Kind.RENEWAL, Kind.LEAVE})

_CONTROL: Final = {JOIN: Kind.JOIN, LEAVE: Kind.LEAVE}


@dataclass(slots=True, eq=False)
class Membership:
    """One join of one topic, from its request to its end.

    Attributes:
        topic: the whole topic.
        join_ref: what the client numbered it with.
        join: the request itself.
        phase: where it stands; ABSENT once it is over.
        held: frames that wait for the join's answer, in order.
        farewell: the leave to answer when the channel has ended.
        closes: join_refs of channels that gave way to this join; their clients' side is closed
            once this join is answered.
        replaced: it gave way itself, so it says nothing at its end.
        turn: its join's, until that is answered or over.
    """

    topic: str
    join_ref: Ref
    join: Envelope
    phase: Phase = Phase.JOINING
    held: list[Envelope] = field(default_factory=list)
    farewell: Envelope | None = None
    closes: list[Ref] = field(default_factory=list)
    replaced: bool = False
    turn: Turn | None = None


# What the common case is told by: found anew for each message, these names cost as much as it does.
_JOINED: Final = Phase.JOINED
_DELIVER: Final = Act.DELIVER
_OUT_OF_TURN: Final = (RESERVED_PREFIX, ACCESS_TOKEN)


class SocketState:
    """The topics of one socket."""

    __slots__ = ("_channels_max", "_held_max", "memberships")

    def __init__(self, *, channels_max: int, held_max: int) -> None:
        """An empty socket.

        Args:
            channels_max: topics it may have at once.
            held_max: frames kept for one topic while its join is under way.
        """
        self.memberships: dict[str, Membership] = {}
        self._channels_max = channels_max
        self._held_max = held_max

    def decide(self, envelope: Envelope) -> tuple[Act, Membership | None]:
        """What to do about a frame, and the membership it meets, if there is one."""
        membership = self.memberships.get(envelope.topic)
        if (  # nearly always, and the table says the same
            membership is not None
            and membership.phase is _JOINED
            and envelope.join_ref == membership.join_ref
            and not envelope.event.startswith(_OUT_OF_TURN)
            and envelope.topic != SOCKET_TOPIC
        ):
            return _DELIVER, membership
        kind = kind_of(envelope)
        if membership is None:
            return DECISIONS[kind, Phase.ABSENT, Standing.CURRENT], None
        join_refs = (envelope.join_ref, membership.join_ref)
        stale = None not in join_refs and join_refs[0] != join_refs[1]
        standing = Standing.STALE if stale else Standing.CURRENT
        return DECISIONS[kind, membership.phase, standing], membership

    def has_room(self) -> bool:
        """Whether one more topic may be joined."""
        return len(self.memberships) < self._channels_max

    def begin(self, join: Envelope) -> Membership:
        """A join is under way; a membership of the same topic gives way to it."""
        membership = Membership(join.topic, join.join_ref, join)
        present = self.memberships.get(join.topic)
        if present is not None:
            _give_way(present, membership)
        self.memberships[join.topic] = membership
        return membership

    def hold(self, membership: Membership, envelope: Envelope) -> bool:
        """Keep a frame until the join is answered; False if too many are kept."""
        if len(membership.held) >= self._held_max:
            return False
        membership.held.append(envelope)
        return True

    def answered(self, membership: Membership) -> list[Envelope]:
        """The join was granted. Returns what was held, to be taken as if it came now."""
        membership.phase = Phase.JOINED
        held, membership.held = membership.held, []
        return held

    def leave(self, membership: Membership, farewell: Envelope | None) -> None:
        """The channel is to end; `farewell` is answered when it has."""
        membership.phase = Phase.LEAVING
        membership.farewell = farewell

    def end(self, membership: Membership) -> list[Envelope]:
        """The membership is over. Returns what was held, to be taken as if it came now."""
        membership.phase = Phase.ABSENT
        if self.memberships.get(membership.topic) is membership:
            del self.memberships[membership.topic]
        held, membership.held = membership.held, []
        return held


def _give_way(present: Membership, successor: Membership) -> None:
    """One that is ending already says so itself; any other is closed by its successor's answer."""
    successor.closes, present.closes = present.closes, []
    present.held.clear()
    if present.phase is not Phase.LEAVING:
        successor.closes.append(present.join_ref)
        present.replaced = True
        present.phase = Phase.LEAVING


def kind_of(envelope: Envelope) -> Kind:
    """Which row of the table a frame belongs to."""
    if envelope.topic == SOCKET_TOPIC and envelope.event in _OF_SOCKET:
        return _OF_SOCKET[envelope.event]
    if not envelope.event.startswith(RESERVED_PREFIX):
        return Kind.ACCESS if envelope.event == ACCESS_TOKEN else Kind.PUSH
    return _CONTROL.get(envelope.event, Kind.RESERVED)
