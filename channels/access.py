"""Clients while they are here: until when, under which identity, and how they are found.

Theory of operation. Each client has a *stay*, from the moment it is let in to its end. A stay has
one timer on the node's wheel. At its moment the application is asked again for how long the client
may stay; what was a minute away is warned of, what is over is closed. So a clock that was put right
meanwhile is believed, and nothing here knows what a token is.

A client that sends a new token (`access_token`) is somebody new in place, under the same name: the
application says who, every channel sees it at once, and each asks its `reauthorize` before it does
anything else.

Clients are found by the name that the application gives to their assigns. To kick one from a topic
or to send it away is said to all nodes on a raw channel of the broker, and each does it to those
that it has. It is said once: a node that does not hear it, because the bus is away, does nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import Any, Final, Protocol, TypeAlias

import msgspec
import trio

from actors import Timer, Timers
from channels.broker import Broker
from channels.channel import Body, Reply
from channels.limits import ACCESS_CLIENTS_A_TURN, Limits
from channels.protocol import ACCESS_TOKEN, BUSY, SOCKET_TOPIC, TOKEN_EXPIRING, TOKEN_MISSING
from channels.reception import RenewalRefused, SocketHandler
from channels.serializer import Envelope, Ref
from channels.verdict import DISCONNECTED, EXPIRED, REVOKED, Verdict

# The raw channel on which nodes tell each other whom to kick and whom to send away.
CHANNEL: Final = "access"


class Kick(msgspec.Struct, array_like=True, frozen=True, tag="kick"):
    """End the membership of a client of this name in this topic."""

    topic: str
    who: str


class Disconnect(msgspec.Struct, array_like=True, frozen=True, tag="disconnect"):
    """Close the connections of a client of this name."""

    who: str


Word: TypeAlias = Kick | Disconnect
"""What one node says to all."""

_DECODER: Final = msgspec.json.Decoder(Word)
_ENCODER: Final = msgspec.json.Encoder()


class Resident(Protocol):
    """The connection, as its stay sees it."""

    assigns: Any

    def send(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> None:
        """Send one message to the client."""

    def reply(self, join_ref: Ref, push: Envelope, reply: Reply) -> None:
        """Answer a frame of the client, if it wants an answer."""

    def recheck(self) -> None:
        """Have every channel see whether the client may still be there."""

    def kick(self, topic: str) -> bool:
        """End the channel of a topic; False if there is none."""

    def end(self, verdict: Verdict) -> None:
        """End the connection for this reason, unless there is one already."""


@dataclass(frozen=True, slots=True)
class AccessStatistics:
    """What became of clients while they were here, on this node since its start.

    Attributes:
        renewed: new tokens that were taken.
        refused: new tokens that were not.
        warned: clients that were told that their time is nearly over.
        kicked: memberships that were ended from outside.
        unread: messages of other nodes that were none.
    """

    renewed: int
    refused: int
    warned: int
    kicked: int
    unread: int


@dataclass(slots=True)
class _Counts:
    """The same, as they grow."""

    renewed: int = 0
    refused: int = 0
    warned: int = 0
    kicked: int = 0
    unread: int = 0


class Stay:
    """One client's time here. `Access` makes it.

    Attributes:
        who: the name by which the client is found; empty if it is not.
        client: its connection.
    """

    __slots__ = (
        "_access",
        "_begun",
        "_renews_at",
        "_timer",
        "_token",
        "_warned",
        "_warning_s",
        "client",
        "who",
    )

    def __init__(self, access: "Access", client: Resident, who: str) -> None:
        """A stay that has not begun: the client cannot be spoken to yet."""
        self.client = client
        self.who = who
        self._access = access
        self._begun = False
        self._timer: Timer | None = None
        self._warned = False
        self._warning_s = access.limits.expiry_warning_s  # before the end
        self._token = 0  # the hash of the one taken last
        self._renews_at = -inf  # when the next one is looked at

    def begin(self) -> None:
        """The client is here, and its time runs."""
        self._begun = True
        self._access.enter(self)
        self._look()

    def end(self) -> None:
        """The client is gone."""
        self._access.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def renew(self, push: Envelope) -> None:
        """The client sent a new token: answer it."""
        self.client.reply(push.join_ref, push, self._renew(push.payload))

    def _renew(self, payload: Any) -> Reply:
        token = payload.get(ACCESS_TOKEN) if isinstance(payload, Mapping) else None
        if not isinstance(token, str) or not token:
            return Reply.error(TOKEN_MISSING)
        access, client = self._access, self.client
        if hash(token) == self._token:  # a client may say it once for each topic
            return Reply.ok(self._time_left())
        now = trio.current_time()
        if now < self._renews_at:
            return Reply.error(BUSY)
        self._renews_at = now + access.limits.renewal_s
        renewed = access.handler.renew(client.assigns, token)
        if isinstance(renewed, RenewalRefused):
            access.counts.refused += 1
            return Reply.error(renewed.response)
        assert access.handler.who(renewed) == self.who, "a client that is renewed keeps its name"
        access.counts.renewed += 1
        self._token = hash(token)
        client.assigns = renewed
        client.recheck()
        if self._begun:
            self._restart()
        return Reply.ok(self._time_left())

    def _restart(self) -> None:
        """The client's time is another one.

        Who renews with short tokens is left half the time of each before it is warned: it would
        otherwise be warned at once, renew, be warned at once again, and so on without a rest.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._warned = False
        self._warning_s = min(self._access.limits.expiry_warning_s, self._left() / 2)
        self._look()

    def _look(self) -> None:
        """Warn of the end, bring it about, or wait for either."""
        left, warning_s = self._left(), self._warning_s
        self._timer = None
        if left <= 0:
            self.client.end(EXPIRED)
            return
        if left <= warning_s and not self._warned:
            self._warned = True
            self._access.counts.warned += 1
            self.client.send(None, None, SOCKET_TOPIC, TOKEN_EXPIRING, self._time_left())
        if left < inf:
            wait = left if left <= warning_s else left - warning_s
            self._timer = self._access.timers.after(wait, self._look)

    def _left(self) -> float:
        return self._access.handler.valid_s(self.client.assigns)

    def _time_left(self) -> dict[str, int | None]:
        """Whole seconds until the connection is closed; None for never."""
        left = self._left()
        return {"expires_in": None if left == inf else max(int(left), 0)}


class Access:
    """The stays of one endpoint."""

    def __init__(
        self, handler: SocketHandler, broker: Broker, timers: Timers, limits: Limits
    ) -> None:
        """Nobody is here.

        Args:
            handler: says for how long clients may stay, and by which name they are found.
            broker: of this node.
            timers: of this node.
            limits: `expiry_warning_s` and `renewal_s` matter here.
        """
        self.handler = handler
        self.timers = timers
        self.limits = limits
        self.counts = _Counts()
        """For the stays to add to."""
        self._broker = broker
        # By name. Most names have one client: the others of a name are elsewhere, to save memory.
        self._first: dict[str, Stay] = {}
        self._others: dict[str, dict[Stay, None]] = {}  # none empty
        broker.subscribe_raw(CHANNEL, self._hear)

    # For the application.

    def kick(self, topic: str, who: str) -> None:
        """End a client's membership of a topic, on every node; it does not rejoin by itself.

        Args:
            topic: the whole topic.
            who: the client's name, as the handler's `who` gives it.
        """
        self._say(Kick(topic, who))

    def disconnect(self, who: str) -> None:
        """Close a client's connections with 1001, on every node: it connects again, if it may."""
        self._say(Disconnect(who))

    async def cut(self, matches: Callable[[Any], bool]) -> int:
        """Close clients of this node whose access was taken away.

        Args:
            matches: tells of a client's assigns whether it is meant. It says so of a client that
                comes meanwhile by `valid_s`, or does not let it in.

        Returns:
            How many are closed by this.
        """
        stays = [*self._first.values(), *chain.from_iterable(self._others.values())]
        count = 0
        for number, stay in enumerate(stays, 1):
            if matches(stay.client.assigns):
                stay.client.end(REVOKED)
                count += 1
            if not number % ACCESS_CLIENTS_A_TURN:
                await trio.lowlevel.checkpoint()
        return count

    def statistics(self) -> AccessStatistics:
        """What became of clients so far."""
        counts = self.counts
        return AccessStatistics(
            counts.renewed, counts.refused, counts.warned, counts.kicked, counts.unread
        )

    # For connections.

    def admit(self, client: Resident) -> Stay:
        """The stay of a client that is about to be let in."""
        return Stay(self, client, self.handler.who(client.assigns))

    def enter(self, stay: Stay) -> None:
        """A client is here."""
        if self._first.setdefault(stay.who, stay) is not stay:
            self._others.setdefault(stay.who, {})[stay] = None

    def leave(self, stay: Stay) -> None:
        """A client is gone."""
        who, others = stay.who, self._others.get(stay.who)
        if self._first[who] is not stay:
            assert others is not None, "who entered is one of them"
            del others[stay]
        elif others:
            self._first[who], _ = others.popitem()
        else:
            del self._first[who]
        if others is not None and not others:
            del self._others[who]

    def _named(self, who: str) -> list[Stay]:
        """All who are here under this name."""
        first = self._first.get(who)
        return [] if first is None else [first, *self._others.get(who, ())]

    def _say(self, word: Word) -> None:
        assert word.who, "clients without a name are not found"
        self._broker.publish_raw(CHANNEL, _ENCODER.encode(word))

    def _hear(self, data: bytes) -> None:
        """Some node, this one perhaps, says whom to kick or to send away."""
        try:
            word = _DECODER.decode(data)
        except msgspec.DecodeError:
            self.counts.unread += 1  # of another version of this program
            return
        for stay in self._named(word.who):
            if isinstance(word, Disconnect):
                stay.client.end(DISCONNECTED)
            elif stay.client.kick(word.topic):
                self.counts.kicked += 1
