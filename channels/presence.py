"""Who is in a topic: tracked by channels, told to its members, the same on every node.

    people = Presence(hub, broker)  # one for each node; its `run` is a child of the node's tree

    class Room(Channel):
        async def join(self, topic, params, socket):
            people.track(socket, socket.assigns.name, {"device": "phone"})
            return Joined()

Theory of operation. What a channel says here holds at once, costs the same however many are there,
and ends when the channel does, however that ends. The first change sets a timer, so that what
changes together is told together: to other nodes (`presence_nodes`), and to the members here of
each topic that changed, in one diff. Large topics are told counts, on a slower timer, which is
slower still the more clients there are. Each node tells its own members, from its own copy: nothing
that is told crosses nodes.

One task does all this, woken by timers and by what other nodes say, a piece at a time with a pause
after each, so that it holds nobody up. `track` and its like are called between any two pieces.

A list and its diffs are vital: a reader too slow for them is disconnected, and shown the list when
it comes back. A count is not: the next one says it all.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import msgspec
import trio

from actors import Lifeline, Timer, Timers, Wakeup
from channels.broker import Broker
from channels.channel import ChannelSocket, Payload
from channels.hub import Hub
from channels.limits import (
    NAME_BYTES_MAX,
    PRESENCE_BEAT_S,
    PRESENCE_COUNT_S,
    PRESENCE_COUNTS_A_SECOND,
    PRESENCE_DIFF_S,
    PRESENCE_KEYS_A_CHANNEL_MAX,
    PRESENCE_LISTED_MAX,
    PRESENCE_META_BYTES_MAX,
    PRESENCE_TOPICS_A_TURN,
)
from channels.presence_nodes import PresenceNodes
from channels.presence_room_state import COUNT, Meta
from channels.presence_state import PresenceState

_NOTHING: Final[Payload] = MappingProxyType({})

# Older clients keep their people in plain objects, whose prototype a key of this name would change.
_FORBIDDEN_KEY: Final = "__proto__"


@dataclass(frozen=True, slots=True)
class PresenceStatistics:
    """The presence now, and its counts since it was made.

    Attributes:
        nodes: other nodes that are there.
        topics: topics with anybody in them, on any node.
        tracked: metas of this node's clients.
        told: states, diffs and counts published here.
        listed: metas put into lists and diffs, for a topic or for one client.
        asked: times that this node missed something of another.
        expired: nodes that were given up.
        dropped: messages of other nodes that found no room, or were none.
    """

    nodes: int
    topics: int
    tracked: int
    told: int
    listed: int
    asked: int
    expired: int
    dropped: int


class Presence:
    """Who is in the topics of all nodes. One for each node and each kind of presence."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        *,
        name: str = "presence",
        listed_max: int = PRESENCE_LISTED_MAX,
    ) -> None:
        """Nobody anywhere.

        Args:
            hub: of this node.
            broker: of this node.
            name: the same on all nodes, another for each kind of presence.
            listed_max: metas of the largest topic whose members are told lists and diffs; larger
                ones are told counts. 0 counts all topics.
        """
        self._hub = hub
        self._lists = bool(listed_max)
        # Its own for each life of the node, so that a node that comes back is not taken for itself.
        node = secrets.token_urlsafe(9)
        self._state = PresenceState(node, listed_max=listed_max)
        self._wakeup = Wakeup()
        self._nodes = PresenceNodes(self._state, broker, name, self._wakeup.set)
        self._here: dict[ChannelSocket, dict[str, Meta]] = {}
        self._serial = 0
        self._timers: Timers | None = None  # while it runs
        self._diffs: Timer | None = None
        self._counts: Timer | None = None
        self._beat_due = False
        self._told = 0

    # For channels.

    def track(self, socket: ChannelSocket, key: str, meta: Payload = _NOTHING) -> str:
        """Have a client be in its topic under a key, until its channel ends.

        The first time, the client is shown who is there, as by `show`.

        Args:
            socket: the client's channel.
            key: who it is; several clients may share one. At most 255 bytes.
            meta: what the others are told about it: a JSON object, small.

        Returns:
            The `phx_ref` of this meta.
        """
        assert 0 < len(key.encode()) <= NAME_BYTES_MAX, "a key has 1 to 255 bytes"
        assert key != _FORBIDDEN_KEY or not self._lists, "no key for a client"
        mine = self._here.get(socket)
        if mine is not None:
            assert key not in mine, f"{key!r} is tracked: update it"
            assert len(mine) < PRESENCE_KEYS_A_CHANNEL_MAX, "too many keys of one channel"
            mine[key] = self._enter(socket.topic, key, meta)
            return mine[key].ref
        entered = self._enter(socket.topic, key, meta)
        self._here[socket] = {key: entered}
        socket.on_end(partial(self._gone, socket))
        if socket in self._here:  # a channel that is over already is not
            self.show(socket)
        return entered.ref

    def update(self, socket: ChannelSocket, key: str, meta: Payload) -> str:
        """Tell something else about a client. Others see the new meta come and the old one go.

        Args:
            socket: the client's channel.
            key: one that it is tracked under.
            meta: replaces the old one.

        Returns:
            The `phx_ref` of the new meta; the old one's is its `phx_ref_prev`.
        """
        mine = self._here[socket]
        old = mine[key]
        self._exit(old)  # first, so that a topic at the bound for lists does not go beyond it
        mine[key] = self._enter(socket.topic, key, {**meta, "phx_ref_prev": old.ref})
        return mine[key].ref

    def untrack(self, socket: ChannelSocket, key: str) -> bool:
        """A client is not there under this key any more. False if it was not."""
        meta = self._here.get(socket, {}).pop(key, None)
        if meta is not None:
            self._exit(meta)
        return meta is not None

    def show(self, socket: ChannelSocket) -> None:
        """Push to a client who is in its topic: `presence_state`, or `presence_count`.

        For those that are not tracked, or who ask again. Diffs or counts follow by themselves.
        """
        own = {meta.ref for meta in self._here.get(socket, {}).values()}
        socket.push(*self._state.show(socket.topic, own))

    def list(self, topic: str) -> dict[str, Any]:
        """Who is in a topic now, on all nodes: `{key: {"metas": [{"phx_ref": ref, ...}]}}`.

        It takes time with everybody who is there: for `count` nobody is listed.
        """
        return {
            key: {"metas": [msgspec.json.decode(meta.text) for meta in metas]}
            for key, metas in self._state.metas(topic).items()
        }

    def count(self, topic: str) -> int:
        """How many keys a topic has now, on all nodes."""
        return self._state.count(topic)

    # For the node.

    async def run(self, life: Lifeline) -> None:
        """Tell members and other nodes until asked to stop; then the people here leave."""
        self._timers = life.system.timers
        beats = self._timers.every(PRESENCE_BEAT_S, self._beat_is_due)
        try:
            async with trio.open_nursery() as nursery:
                self._nodes.begin()
                self._arm()
                self._wakeup.set()
                nursery.start_soon(self._work)
                life.ready()
                await life.stop_requested.wait()
                nursery.cancel_scope.cancel()
            self._nodes.leave()
        finally:
            for timer in (beats, self._diffs, self._counts):
                if timer is not None:
                    timer.cancel()
            self._timers = self._diffs = self._counts = None

    def statistics(self) -> PresenceStatistics:
        """The presence now."""
        return PresenceStatistics(
            nodes=self._nodes.count,
            topics=self._state.topics,
            tracked=self._state.size,
            told=self._told,
            listed=self._state.work.listed,
            asked=self._nodes.asked,
            expired=self._nodes.expired,
            dropped=self._nodes.dropped,
        )

    # People.

    def _enter(self, topic: str, key: str, meta: Payload) -> Meta:
        self._serial += 1
        ref = f"{self._state.node}{self._serial:x}"
        text = msgspec.json.encode({**meta, "phx_ref": ref})
        assert len(text) <= PRESENCE_META_BYTES_MAX, f"a meta of {len(text)} bytes"
        entered = Meta(ref, topic, key, msgspec.Raw(text))
        self._state.enter(entered)
        self._arm()
        return entered

    def _exit(self, meta: Meta) -> None:
        self._state.exit(meta)
        self._arm()

    def _gone(self, socket: ChannelSocket) -> None:
        """A channel is over."""
        for meta in self._here.pop(socket).values():
            self._exit(meta)

    # Telling.

    def _arm(self) -> None:
        """Set the timers that there is something for."""
        timers, state = self._timers, self._state
        if timers is None:
            return
        if self._diffs is None and (state.changed or state.has_news):
            self._diffs = timers.after(PRESENCE_DIFF_S, self._wakeup.set)
        if self._counts is None and state.recounted:
            slow = self._state.size / PRESENCE_COUNTS_A_SECOND
            self._counts = timers.after(max(PRESENCE_COUNT_S, slow), self._wakeup.set)

    def _beat_is_due(self) -> None:
        self._beat_due = True
        self._wakeup.set()

    async def _work(self) -> None:
        while True:
            await self._wakeup.wait()
            await self._nodes.listen()
            if self._beat_due:
                self._beat_due = False
                await self._nodes.beat()
            if self._diffs is not None and not self._diffs.active:
                self._diffs = None
                await self._nodes.tell()
                await self._tell(self._state.take_changed())
            if self._counts is not None and not self._counts.active:
                self._counts = None
                await self._tell(self._state.take_recounted())
            self._arm()

    async def _tell(self, topics: Sequence[str]) -> None:
        """Tell the members here of each topic what changed in it."""
        for number, topic in enumerate(topics, 1):
            told = self._state.tell(topic)
            if told is not None:
                event, payload = told
                self._told += 1
                self._hub.publish(topic, event, payload, vital=event != COUNT)
            if not number % PRESENCE_TOPICS_A_TURN:
                await trio.lowlevel.checkpoint()
