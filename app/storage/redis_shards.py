"""The ways to the servers that hold histories: one server, or each primary of a cluster.

Theory of operation. All of this runs on the annex. A `Link` is one connection: it is made when it
is needed, sends a batch of commands in one piece and reads all the answers; where anything goes
wrong it is dropped, and the next batch makes another. Connecting goes on by itself, and after a
failure a batch waits for it for a moment only: a shard that does not answer holds up nobody else.

`Shards` brings each command to the primary of its channel's slot. That there is a cluster is found
by the first connection, and who owns what is asked of it, as for the bus (`redis_slots`). What a
primary refused, since the slot is another's or on its way to another, was not carried out: the
cluster is asked anew and the command sent once more. A connection that fails has it asked, too, but
nobody waits for that. So each command succeeds or fails by itself.

Commands of one channel are carried out in order, or none from the first that failed on: a primary
that has given a slot away does not get it back within one batch.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, ClusterDownError, RedisError, ResponseError, TryAgainError

from app.storage.limits import BUS_ANSWER_S, BUS_BACKOFF_FIRST_S, HISTORY_LINK_WAIT_S
from app.storage.redis_link import Connect
from app.storage.redis_slots import ClusterFound, ConnectTo, Place, Slots, tells_of_cluster
from app.storage.redis_wire import PLAIN, SHARDED

Command: TypeAlias = tuple[str | bytes | int, ...]

# A server failed, or the way to it.
FAILED: Final = (RedisError, OSError)

# What a primary refuses with that may not be the right one, or not for long. MOVED is an
# `AskError`, too.
_ELSEWHERE: Final = (AskError, TryAgainError, ClusterDownError)


class NoPrimaryError(RedisError):
    """The slot has no primary now."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command, on its way to its server.

    Attributes:
        channel: the bus channel in whose slot all of its keys are.
        command_on: makes it, for a link as it is connected.
        answer_on: makes of what the server answered there what is to be known of it.
    """

    channel: str
    command_on: Callable[["Link"], Command]
    answer_on: Callable[["Link", Any], Any]


class Link:
    """One connection to one server. Its batches wait for each other."""

    def __init__(self, connect: Connect, script: bytes, *, alone: bool) -> None:
        """No connection yet.

        Args:
            connect: makes one, not connected yet.
            script: that is loaded on each.
            alone: whether the server is to be no node of a cluster.
        """
        self.run_id = b""
        """The life of the server that it is connected to."""
        self.script = b""
        """How that server calls the script."""
        self.publish = (PLAIN if alone else SHARDED).publish
        """How one publishes there."""
        self._connect = connect
        self._source = script
        self._alone = alone
        self._turn = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._failed = False

    async def ask(self, requests: Sequence[Request]) -> list[Any]:
        """Send commands in one piece; their answers, in order, refusals of the cluster among them.

        Raises:
            ClusterFound: it is one; nothing was sent.
            RedisError, OSError: some may not have been carried out.
        """
        async with asyncio.timeout(BUS_ANSWER_S):
            await self._connected()
            async with self._turn:
                connection, whole = self._connection, False
                if connection is None:  # the batch before this one lost it
                    raise ConnectionResetError
                try:
                    commands = [request.command_on(self) for request in requests]
                    raw = await _talk(connection, commands)
                    whole = True
                finally:
                    if not whole:  # what is still to come belongs to nobody
                        self._failed = True
                        await self._drop()
                return [
                    answer if isinstance(answer, Exception) else request.answer_on(self, answer)
                    for request, answer in zip(requests, raw, strict=True)
                ]

    async def close(self) -> None:
        """Close the connection. Nobody asks any more."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._drop()

    async def _connected(self) -> None:
        """Wait for a connection: not long where the last one failed."""
        if self._connection is not None:
            return
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_ignore_outcome)  # perhaps nobody waits any more
        opening = self._opening
        await asyncio.wait([opening], timeout=HISTORY_LINK_WAIT_S if self._failed else None)
        if not opening.done():
            raise TimeoutError
        if opening.cancelled():
            raise ConnectionResetError
        await opening  # raises what it raised

    async def _open(self) -> None:
        connection = self._connect()
        whole = False
        try:
            async with asyncio.timeout(BUS_ANSWER_S):
                await connection.connect()  # type: ignore[no-untyped-call] # the client forgot it
                await self._greet(connection)
            self._connection = connection
            whole = True
        finally:
            self._opening = None
            self._failed = not whole
            if not whole:
                await _disconnect(connection)

    async def _greet(self, connection: AbstractConnection) -> None:
        cluster, facts, self.script = await _talk(
            connection, [("INFO", "cluster"), ("INFO", "server"), ("SCRIPT", "LOAD", self._source)]
        )
        if self._alone and tells_of_cluster(cluster):
            raise ClusterFound
        lines = dict(line.split(b":", 1) for line in facts.splitlines() if b":" in line)
        self.run_id = lines.get(b"run_id", b"")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await _disconnect(connection)


async def _talk(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    packed = connection.pack_commands(commands)
    await connection.send_packed_command(packed, check_health=False)
    return [await _answer(connection) for _ in commands]


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except _ELSEWHERE as refusal:  # of this command alone
        return refusal


async def _disconnect(connection: AbstractConnection) -> None:
    with suppress(*FAILED):
        await connection.disconnect(nowait=True)


def _ignore_outcome(opening: "asyncio.Task[None]") -> None:
    if not opening.cancelled():
        opening.exception()


class Shards:
    """The links to all servers that there are, for one kind of commands.

    Attributes:
        failing: where it failed last, and did not succeed since, with the reason. None is where the
            settings point, or, on a cluster, the slots without a primary.
    """

    def __init__(self, connect_to: ConnectTo, script: bytes) -> None:
        """No connection yet.

        Args:
            connect_to: makes a connection.
            script: that is loaded on each.
        """
        self.failing: dict[Place | None, str] = {}
        self._connect_to = connect_to
        self._script = script
        self._slots: Slots | None = None  # of a cluster
        self._links: dict[Place | None, Link] = {None: self._make(None, alone=True)}
        self._looking: asyncio.Task[None] | None = None
        self._look_again_at = 0.0  # on the loop's clock

    async def ask(self, requests: Sequence[Request]) -> list[Any]:
        """Carry these out, those of one channel in order.

        Returns:
            The answer to each, or what it failed with, an exception.
        """
        answers: list[Any] = [NoPrimaryError()] * len(requests)
        left = await self._ask(requests, range(len(requests)), answers)
        if left:
            await self._look()
            left = await self._ask(requests, left, answers)
        if left:
            self.failing[None] = type(answers[left[0]]).__name__
        elif self._slots is not None and None in self.failing:
            self._look_soon()  # it may be whole again
        return answers

    async def close(self) -> None:
        """Close all connections. Nobody asks any more."""
        self._slots = None
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        for place in list(self._links):
            await self._links.pop(place).close()

    async def _ask(
        self, requests: Sequence[Request], numbers: Sequence[int], answers: list[Any]
    ) -> list[int]:
        """Bring some of the requests to their servers; returns those that belong elsewhere.

        Args:
            requests: all of them.
            numbers: which.
            answers: takes the answer to each, or what it failed with.
        """
        groups: defaultdict[Place | None, list[int]] = defaultdict(list)
        for number in numbers:
            groups[self._owner(requests[number].channel)].append(number)
        elsewhere = [] if None in self._links else groups.pop(None, [])

        async def send(link: Link, place: Place | None, group: list[int]) -> None:
            try:
                heard = await link.ask([requests[number] for number in group])
            except ClusterFound:
                self._slots = self._slots or Slots(self._connect_to)
                elsewhere.extend(group)
                return
            except FAILED as error:
                self._has_failed(place, error)
                heard = [error] * len(group)
            else:
                self.failing.pop(place, None)
            for number, answer in zip(group, heard, strict=True):
                answers[number] = answer
                if isinstance(answer, _ELSEWHERE):
                    elsewhere.append(number)

        sends = [send(self._links[place], place, group) for place, group in groups.items()]
        await asyncio.gather(*sends)
        return sorted(elsewhere)

    def _has_failed(self, place: Place | None, error: Exception) -> None:
        # An error's code may be told; what follows it may quote what nobody should read.
        quoted = type(error) is ResponseError
        self.failing[place] = str(error).split(" ", 1)[0] if quoted else type(error).__name__
        self._look_soon()

    # The shape of the cluster ---------------------------------------------------------------------

    def _owner(self, channel: str) -> Place | None:
        place = None if self._slots is None else self._slots.owner(channel)
        return place if place in self._links else None

    def _look_soon(self) -> None:
        """Have the cluster asked who owns what, if it is one and was not asked a moment ago."""
        now = asyncio.get_running_loop().time()
        if self._looking is None and self._slots is not None and now >= self._look_again_at:
            self._look_again_at = now + BUS_BACKOFF_FIRST_S
            self._looking = asyncio.create_task(self._follow(self._slots))

    async def _look(self) -> None:
        """Have it asked, and wait for that."""
        self._look_again_at = 0.0
        self._look_soon()
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=BUS_ANSWER_S)

    async def _follow(self, slots: Slots) -> None:
        """Ask, and have a link to each primary."""
        try:
            known = [place for place in self._links if place is not None]
            if not await slots.ask(sorted(known, key=self.failing.__contains__)):
                return
            for place in slots.places - self._links.keys():
                self._links[place] = self._make(place, alone=False)
            for gone in self._links.keys() - slots.places:
                await self._links.pop(gone).close()
            for well in self.failing.keys() - slots.places - (set() if slots.whole else {None}):
                del self.failing[well]
        finally:
            self._looking = None

    def _make(self, place: Place | None, *, alone: bool) -> Link:
        return Link(partial(self._connect_to, place), self._script, alone=alone)
