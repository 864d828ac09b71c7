"""What a run is to do, how it is shared by processes, and what they tell each other. Pure.

Connection `i` is in room `i % rooms`. Where there are at least as many rooms as processes, a room
is whole in one process; otherwise each process has every n-th member of each room. One process
publishes in a room, and all of a room's messages come from one of its members there.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.loadtest.errors import LoadTestError
from app.loadtest.histogram import Histogram
from app.loadtest.limits import SLOT_MIN_S, SLOTS_MAX, SOURCES_MAX

NS = 1_000_000_000


class Plan(msgspec.Struct, frozen=True):
    """What is to be measured.

    Attributes:
        connections: in all.
        rooms: topics that they are spread over.
        payload_bytes: filler in each message.
        rate: messages a second in all rooms, in open loop; None: by window.
        window: messages in flight in each room, in closed loop; None: by rate.
        processes: that generate the load.
        ramp: connections a second; None: as fast as the server takes them.
        duration_s: of the measurement.
        warm_up_s: of load before it.
        drain_s: for what is still on its way after it.
        late_s: age beyond which a delivery counts as late.
        topic: with `{room}` in it.
        event: what is pushed.
        join_params: sent with each join.
        sources: addresses to connect from, in turn; empty: the usual one.
    """

    connections: int = 100
    rooms: int = 1
    payload_bytes: int = 64
    rate: float | None = None
    window: int | None = 1
    processes: int = 1
    ramp: float | None = None
    duration_s: float = 10.0
    warm_up_s: float = 2.0
    drain_s: float = 3.0
    late_s: float = 1.0
    topic: str = "bench:{room}"
    event: str = "bench"
    join_params: Any = {}
    sources: tuple[str, ...] = ()

    def check(self) -> None:
        """Whether this can be run.

        Raises:
            LoadTestError: it cannot.
        """
        if (self.rate is None) == (self.window is None):
            raise LoadTestError("either a --rate or a --window")
        if len(self.sources) > SOURCES_MAX:
            raise LoadTestError(f"not more than {SOURCES_MAX} times --source")
        if self.rooms > self.connections:
            raise LoadTestError(f"{self.rooms} rooms need as many --connections at least")
        if self.rooms > 1 and "{room}" not in self.topic:
            raise LoadTestError("the --topic of several rooms is to have {room} in it")
        if self.rooms < self.processes and self.rooms * self.processes > self.connections:
            raise LoadTestError(
                f"{self.processes} processes that share each room need "
                f"{self.rooms * self.processes} --connections at least"
            )

    def members(self, room: int) -> int:
        """How many connections are in a room."""
        whole, rest = divmod(self.connections, self.rooms)
        return whole + (room < rest)

    def members_here(self, room: int, worker: int) -> int:
        """How many of them a process has."""
        if self.rooms >= self.processes:
            return self.members(room) if room % self.processes == worker else 0
        whole, rest = divmod(self.members(room), self.processes)
        return whole + (worker < rest)

    def rooms_here(self, worker: int) -> Iterator[int]:
        """The rooms of which a process has members."""
        split = self.rooms < self.processes
        return iter(range(self.rooms) if split else range(worker, self.rooms, self.processes))

    def publishes(self, room: int, worker: int) -> bool:
        """Whether this process publishes in a room."""
        return room % self.processes == worker

    def connections_here(self, worker: int) -> int:
        """How many connections a process has."""
        return sum(self.members_here(room, worker) for room in self.rooms_here(worker))

    @property
    def slot_ns(self) -> int:
        """The span of one point of the plot over time."""
        return int(max(self.duration_s / SLOTS_MAX, SLOT_MIN_S) * NS)


class Target(msgspec.Struct, frozen=True):
    """Where to connect, and with what.

    Attributes:
        url: for people, without what follows the path.
        host: a name or an address.
        port: of the server.
        is_secure: whether by TLS.
        resource: path and query, with a token where it goes there.
        headers: further ones of the upgrade.
        addresses: what the host's name stands for; the first one is used.
    """

    url: str
    host: str
    port: int
    is_secure: bool
    resource: str
    headers: tuple[tuple[str, str], ...] = ()
    address: str = ""


# To a worker.


class Share(msgspec.Struct, frozen=True, tag="share"):
    """The first line: what is to be done, and which of the processes this is.

    Attributes:
        plan: the whole of it.
        target: where.
        worker: from 0.
        run: a word that tells this run's messages from all others.
    """

    plan: Plan
    target: Target
    worker: int
    run: str


class Go(msgspec.Struct, frozen=True, tag="go"):
    """All have joined: begin at this moment of the machine's monotonic clock."""

    start_ns: int


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Nothing more is sent: wait for these last messages, by room."""

    sent: dict[int, int]


ToWorker = Share | Go | Drain


# From a worker.


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How it goes.

    Attributes:
        joined: connections.
        sent: messages, so far.
        delivered: deliveries, so far.
        latest: latencies of the newest point of the plot that is over; empty before.
    """

    joined: int
    sent: int
    delivered: int
    latest: Histogram


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """All are in.

    Attributes:
        latency: from the first packet (with a ramp, from when it was due) to the join's answer.
        began_ns: when the first began.
        ended_ns: when the last was in.
    """

    latency: Histogram
    began_ns: int
    ended_ns: int


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """Nothing more is sent: the last message of each room in which this process publishes."""

    sent: dict[int, int]


class Result(msgspec.Struct, frozen=True, tag="result"):
    """What a process counted, of messages whose time to be sent lay in the measurement.

    Attributes:
        sent: messages.
        unsent: messages that were due and could not be sent.
        expected: deliveries: each message, times the members of its room in all processes.
        delivered: deliveries to members of this process, each once.
        late: those of them that were older than agreed.
        duplicates: deliveries beyond the first of the same message to the same member.
        reordered: deliveries after one that was sent later.
        refused: pushes that were answered with an error.
        refusal: what the first of them said.
        gone: connections that were lost.
        stalls: times that a room's window was given up as lost.
        bytes_in: received during the measurement.
        busy: part of the measurement in which the process did not wait.
        cpu: part of it in which it had a processor.
        slots: latencies by point of the plot over time.
        lag: how much later than intended messages were sent.
    """

    sent: int
    unsent: int
    expected: int
    delivered: int
    late: int
    duplicates: int
    reordered: int
    refused: int
    refusal: str
    gone: int
    stalls: int
    bytes_in: int
    busy: float
    cpu: float
    slots: dict[int, Histogram]
    lag: Histogram


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It could not go on, for this reason."""

    reason: str


FromWorker = Progress | Joined | Sent | Result | Failed
