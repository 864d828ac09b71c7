"""The way to a cluster: sharded pub/sub, so that a message stays on the shard of its channel.

Theory of operation. A channel belongs to a slot, as a key does, and a slot to one primary. To each
primary there is a link: a connection that publishes and one that listens. Who owns which slot is
asked of any node, now and then, and at once when something says that it has changed: a primary that
refuses with MOVED, one that ends a subscription by itself (`sunsubscribe`, as it does when it gives
a slot away), a connection that fails. Wishes are then brought to where their slots are.

What a primary refused because the slot has moved is sent again, once, to the new owner: it was told
to nobody. Messages of one channel stay in order, since one link carries them; those of different
channels may overtake each other, as on a bus of several servers they must.

Replicas are not asked for anything. A shard without a primary is waited for: its channels are
subscribed again once there is one.

`redis.asyncio` has a sharded pub/sub of its own, which reads a message at a time through the parser
that `redis_link` exists to avoid.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection

from app.storage.limits import (
    BUS_ANSWER_S,
    BUS_BACKOFF_FIRST_S,
    BUS_TOPOLOGY_S,
)
from app.storage.redis_link import DOWN, Hooks, Listener, Speaker
from app.storage.redis_slots import ConnectTo, Place, Slots
from app.storage.redis_wire import MOVED, SHARDED, ServerRefused
from channels.broker import BusMessage
from channels.errors import BusDown

# What a primary refuses with that may not be the right one, or not for long.
_ELSEWHERE: Final = frozenset({MOVED, "ASK", "TRYAGAIN", "CLUSTERDOWN"})


@dataclass(slots=True)
class _Link:
    """The way to one primary."""

    speaker: Speaker
    listener: Listener
    listening: "asyncio.Task[Any]"


class Cluster:
    """The way to all primaries of a cluster."""

    def __init__(self, connect_to: ConnectTo, wished: set[str], hooks: Hooks) -> None:
        """Describe it.

        Args:
            connect_to: makes a connection.
            wished: the bus channels to listen to.
            hooks: where what is heard goes.
        """
        self._connect_to = connect_to
        self._wished = wished
        self._hooks = hooks
        self._link_hooks = replace(
            hooks, greet=_greet, on_ended=self._has_moved, tell=self._has_changed
        )
        self._links: dict[Place, _Link] = {}
        self._slots = Slots(connect_to)
        self._change = asyncio.Event()
        self._looked = asyncio.Event()
        self._was_connected = False
        self._lost = 0

    @property
    def connected(self) -> bool:
        """Whether every shard that there is is listened to."""
        return bool(self._links) and all(link.listener.connected for link in self._links.values())

    @property
    def connections_lost(self) -> int:
        """How often a listening connection failed."""
        return self._lost + sum(link.listener.connections_lost for link in self._links.values())

    async def run(self) -> None:
        """Keep the links as the cluster is, until cancelled."""
        try:
            while True:
                self._change.clear()
                await self._follow()
                self._looked.set()
                self._looked = asyncio.Event()
                with suppress(TimeoutError):
                    async with asyncio.timeout(BUS_TOPOLOGY_S):
                        await self._change.wait()
                # What changes, changes at several nodes, one after another.
                await asyncio.sleep(BUS_BACKOFF_FIRST_S)
        finally:
            for place in list(self._links):
                await self._drop(place)

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Send messages, each to its shard, in order for each channel.

        Returns:
            How many heard the last.
        """
        heard: dict[int, int] = {}
        refused = await self._publish(list(enumerate(messages)), heard)
        if refused:
            await self._look_now()
            refused = await self._publish(refused, heard)
        if refused:
            raise BusDown("its slots are moving")
        return heard.get(len(messages) - 1, 0)

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Listen to these too."""
        self._wished.update(channels)
        groups = self._by_owner(channels)
        if groups.pop(None, None):
            raise BusDown("a shard has no primary")
        for place, group in groups.items():
            assert place is not None, "those were taken out"
            await self._links[place].listener.subscribe(group)

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Listen to these no more."""
        self._wished.difference_update(channels)
        for place, group in self._by_owner(channels).items():
            if place is not None:
                await self._links[place].listener.unsubscribe(group)

    async def _publish(
        self, numbered: Sequence[tuple[int, BusMessage]], heard: dict[int, int]
    ) -> list[tuple[int, BusMessage]]:
        """Send numbered messages to their shards; returns those that no shard took.

        Args:
            numbered: each with its number in the batch.
            heard: takes how many heard the last of each shard, by its number.
        """
        groups: defaultdict[Place | None, list[tuple[int, BusMessage]]] = defaultdict(list)
        for number, message in numbered:
            groups[self._owner(message[0])].append((number, message))
        refused = groups.pop(None, [])

        async def send(place: Place, group: list[tuple[int, BusMessage]]) -> None:
            try:
                speaker = self._links[place].speaker
                heard[group[-1][0]] = await speaker.publish([message for _, message in group])
            except ServerRefused as refusal:
                if not refusal.codes <= _ELSEWHERE:
                    raise
                refused.extend(group[position] for position in refusal.positions)

        sends = (send(place, group) for place, group in groups.items() if place is not None)
        for outcome in await asyncio.gather(*sends, return_exceptions=True):
            if isinstance(outcome, BaseException):
                self._look()
                raise outcome
        return sorted(refused)

    # The shape of the cluster ---------------------------------------------------------------------

    def _owner(self, channel: str) -> Place | None:
        place = self._slots.owner(channel)
        return place if place in self._links else None

    def _by_owner(self, channels: Iterable[str]) -> dict[Place | None, list[str]]:
        groups: defaultdict[Place | None, list[str]] = defaultdict(list)
        for channel in channels:
            groups[self._owner(channel)].append(channel)
        return groups

    def _has_moved(self, channel: str | None) -> None:
        """A primary gave a channel's slot away, and ended its subscription; or never had it."""
        if channel is not None:
            for link in self._links.values():
                link.listener.wished.discard(channel)
        self._look()

    def _look(self) -> None:
        """Have the cluster looked at soon."""
        self._change.set()

    async def _look_now(self) -> None:
        """Have it looked at, and wait for that."""
        looked = self._looked
        self._change.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(BUS_ANSWER_S):
                await looked.wait()

    async def _follow(self) -> None:
        """Ask who owns what, and bring links and wishes there."""
        if not await self._slots.ask(self._links):
            self._has_changed("no node answers")
            return
        places = self._slots.places
        for place in self._links.keys() - places:
            await self._drop(place)
        for place in sorted(places - self._links.keys()):
            self._links[place] = self._make(place)
        groups = self._by_owner(self._wished)
        moves = [
            self._bring(link.listener, set(groups.get(place, ())))
            for place, link in self._links.items()
        ]
        await asyncio.gather(*moves)
        self._has_changed(None)

    async def _bring(self, listener: Listener, wished: set[str]) -> None:
        """Have one listener wish for just these."""
        with suppress(BusDown, *DOWN):  # the wish is kept, and the listener renews it
            if less := sorted(listener.wished - wished):
                await listener.unsubscribe(less)
            if more := sorted(wished - listener.wished):
                await listener.subscribe(more)
            await listener.renew()

    def _make(self, place: Place) -> _Link:
        def connect() -> AbstractConnection:
            return self._connect_to(place)

        listener = Listener(connect, SHARDED, set(), self._link_hooks)
        listening = asyncio.create_task(listener.run())
        return _Link(Speaker(connect, SHARDED), listener, listening)

    async def _drop(self, place: Place) -> None:
        link = self._links.pop(place)
        self._lost += link.listener.connections_lost
        link.listening.cancel()
        await asyncio.wait([link.listening])
        await link.speaker.close()

    def _has_changed(self, reason: str | None) -> None:
        """A link came or went: tell it once, when it is all of them, or no longer all."""
        connected = self.connected
        if connected is not self._was_connected:
            self._was_connected = connected
            self._hooks.tell(None if connected else reason or "gone")
        if reason is not None:
            self._look()


async def _greet(_connection: AbstractConnection) -> None:
    """That it is a cluster is known."""
