"""What nodes tell each other about the people of each.

Theory of operation. Every node tells the others of its own people's changes in numbered deltas, and
twice a second, by a *beat*, that it lives and at which number its deltas stand. Who finds a number
missing *asks*: for the last few deltas, or where these are not kept any more, for the *whole*, in
parts. So a lost message heals with the next beat. A node that hears of another for the first time
answers with a beat of its own, so that each knows the other at once, and a newcomer, who has
nothing, asks everybody: there is no other way to join.

*Leases.* A node not heard of for so long is given up, by every node for itself, and its people
leave. When it is heard of again it is a newcomer. A node that stood still itself knows nothing of
the others' silence: it gives everybody a new lease first.

What comes from the bus is put into a queue; one task takes it from there a message at a time, and
nobody is kept waiting by a node with many people. What does not fit is as good as lost on the way,
and heals as that does.

Deltas, beats and goodbyes go to all nodes, on a raw channel of the broker; what only one node wants
goes to a raw channel of its own.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import trio
from msgspec.structs import replace

from channels.broker import Broker
from channels.limits import (
    PRESENCE_ASK_S,
    PRESENCE_BEAT_S,
    PRESENCE_HISTORY,
    PRESENCE_INBOX_MAX,
    PRESENCE_LEASE_S,
    PRESENCE_NODES_MAX,
    PRESENCE_PIECE,
)
from channels.presence_room_state import Meta
from channels.presence_state import Delta, PresenceState, Whole


class Beat(msgspec.Struct, array_like=True, frozen=True, tag="beat"):
    """A node lives, and its deltas stand at this number."""

    node: str
    version: int


class Ask(msgspec.Struct, array_like=True, frozen=True, tag="ask"):
    """A node has another's deltas up to this number, and asks for the rest."""

    node: str
    version: int


class Bye(msgspec.Struct, array_like=True, frozen=True, tag="bye"):
    """A node stops, and its people leave."""

    node: str


Word: TypeAlias = Beat | Ask | Bye | Delta | Whole
"""What one node says."""

_DECODER: Final = msgspec.json.Decoder(Word)
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(slots=True)
class _Peer:
    """Another node: when it was last heard of, and last asked, on the trio clock."""

    heard_at: float
    asked_at: float = -PRESENCE_ASK_S


class PresenceNodes:
    """This node among the others. For the task of `Presence`, but for `hear`.

    Attributes:
        asked: times that this node missed something of another.
        expired: nodes that were given up.
        dropped: messages that found no room here, or were none.
    """

    def __init__(
        self, state: PresenceState, broker: Broker, name: str, wake: Callable[[], None]
    ) -> None:
        """A node that knows of no other.

        Args:
            state: of this node.
            broker: of this node.
            name: the raw channel that all nodes share.
            wake: called when something was heard.
        """
        self.asked = self.expired = self.dropped = 0
        self._state = state
        self._broker = broker
        self._name = name
        self._wake = wake
        self._peers: dict[str, _Peer] = {}
        self._history: deque[bytes] = deque(maxlen=PRESENCE_HISTORY)  # the last deltas
        self._inbox: deque[bytes] = deque()
        self._beaten_at = 0.0
        broker.subscribe_raw(name, self.hear)
        broker.subscribe_raw(self._channel_of(state.node), self.hear)

    @property
    def count(self) -> int:
        """How many others there are."""
        return len(self._peers)

    def hear(self, data: bytes) -> None:
        """Something came from a node."""
        if len(self._inbox) >= PRESENCE_INBOX_MAX:
            self.dropped += 1
            return
        self._inbox.append(data)
        self._wake()

    async def listen(self) -> None:
        """Act on all that was heard."""
        while self._inbox:
            data = self._inbox.popleft()
            try:
                word = _DECODER.decode(data)
            except msgspec.DecodeError:
                self.dropped += 1  # of another version of this program
                continue
            if word.node != self._state.node:
                await self._act(word)
            await trio.lowlevel.checkpoint()

    def begin(self) -> None:
        """Say that this node is here. What was not heard while it did not run is no silence."""
        self._renew_leases()
        self._say(self._beat())

    async def beat(self) -> None:
        """Say that this node lives, and give up those that do not."""
        now = trio.current_time()
        if now - self._beaten_at > PRESENCE_LEASE_S - PRESENCE_BEAT_S:
            self._renew_leases()
        self._beaten_at = now
        self._say(self._beat())
        silent = [n for n, peer in self._peers.items() if now - peer.heard_at >= PRESENCE_LEASE_S]
        for node in silent:
            self.expired += 1
            await self._give_up(node)

    async def tell(self) -> None:
        """Tell the others what changed among the people of this node."""
        for delta in self._state.take_deltas(PRESENCE_PIECE):
            data = _ENCODER.encode(delta)
            self._history.append(data)
            self._broker.publish_raw(self._name, data)
            await trio.lowlevel.checkpoint()

    def leave(self) -> None:
        """Say goodbye."""
        self._say(Bye(self._state.node))

    async def _act(self, word: Word) -> None:
        if isinstance(word, Bye):
            await self._give_up(word.node)
            return
        peer = self._peers.get(word.node) or self._meet(word.node)
        if peer is None:
            return
        peer.heard_at = trio.current_time()
        if isinstance(word, Beat):
            if self._state.version(word.node) < word.version:
                self._ask(word.node, peer)
        elif isinstance(word, Delta):
            if not self._state.merge(replace(word, joins=_detached(word.joins))):
                self._ask(word.node, peer)
        elif isinstance(word, Whole):
            peer.asked_at = peer.heard_at  # it is coming: do not ask again
            whole = replace(word, metas=_detached(word.metas))
            await self._remove(word.node, self._state.merge_whole(whole))
        else:
            await self._answer(word)

    def _meet(self, node: str) -> _Peer | None:
        """A node that was not known is; let it know this one. None if there are too many."""
        if len(self._peers) >= PRESENCE_NODES_MAX:
            self.dropped += 1
            return None
        peer = self._peers[node] = _Peer(trio.current_time())
        self._say(self._beat(), node)
        return peer

    def _ask(self, node: str, peer: _Peer) -> None:
        """Something of this node is missing; one question at a time."""
        if peer.heard_at - peer.asked_at >= PRESENCE_ASK_S:
            peer.asked_at = peer.heard_at
            self.asked += 1
            self._say(Ask(self._state.node, self._state.version(node)), node)

    async def _answer(self, ask: Ask) -> None:
        """Send what a node misses."""
        await self.tell()
        version = self._state.version(self._state.node)
        missing = max(version - ask.version, 0)
        channel = self._channel_of(ask.node)
        if missing <= len(self._history):
            for data in list(self._history)[len(self._history) - missing :]:
                self._broker.publish_raw(channel, data)
            return
        for part in self._state.whole(PRESENCE_PIECE):
            self._broker.publish_raw(channel, _ENCODER.encode(part))
            await trio.lowlevel.checkpoint()

    async def _give_up(self, node: str) -> None:
        """A node is gone, and its people leave."""
        if self._peers.pop(node, None) is not None:
            await self._remove(node, self._state.refs(node))
            self._state.forget(node)

    async def _remove(self, node: str, refs: Sequence[str]) -> None:
        for begin in range(0, len(refs), PRESENCE_PIECE):
            self._state.remove(node, refs[begin : begin + PRESENCE_PIECE])
            await trio.lowlevel.checkpoint()

    def _renew_leases(self) -> None:
        now = self._beaten_at = trio.current_time()
        for peer in self._peers.values():
            peer.heard_at = now

    def _say(self, word: Word, to: str | None = None) -> None:
        channel = self._name if to is None else self._channel_of(to)
        self._broker.publish_raw(channel, _ENCODER.encode(word))

    def _beat(self) -> Beat:
        return Beat(self._state.node, self._state.version(self._state.node))

    def _channel_of(self, node: str) -> str:
        """The raw channel of one node."""
        return f"{self._name}:{node}"


def _detached(metas: Sequence[Meta]) -> list[Meta]:
    """The same, without the message that they came in, which would be kept as long as they."""
    return [replace(meta, text=meta.text.copy()) for meta in metas]
