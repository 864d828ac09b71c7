"""The steps of a run in one process: come in, wait, send, drain. Each is an act of the crowd's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic_ns, process_time_ns

from app.loadtest.crowd import Act, Crowd
from app.loadtest.deliveries import RoomCount, Span
from app.loadtest.histogram import Histogram
from app.loadtest.limits import OPENING_MAX, POLL_NS, PUBLISH_TURN_MAX, STALL_S, WAIT_NS
from app.loadtest.messages import Room
from app.loadtest.model import NS, Drain, Joined, Progress, Result, Sent, Share
from app.loadtest.schedule import Schedule

_STALL_NS = int(STALL_S * NS)


@dataclass(frozen=True, slots=True)
class _Usage:
    """What the process had used at a moment, in nanoseconds, and received, in bytes."""

    wall: int = 0
    idle: int = 0
    cpu: int = 0
    bytes_in: int = 0


class Run:
    """One process's part.

    Args:
        share: what is to be done.
        crowd: with whom.
    """

    def __init__(self, share: Share, crowd: Crowd) -> None:
        plan, worker = share.plan, share.worker
        self._plan = plan
        self._worker = worker
        self._crowd = crowd
        self._numbers = list(plan.rooms_here(worker))
        self._says = {n: Room(plan, n, share.run) for n in self._numbers}
        self._ours = [n for n in self._numbers if plan.publishes(n, worker)]
        ours = frozenset(self._ours)
        self._rooms = {
            n: RoomCount(plan.members(n), plan.window if n in ours else None) for n in self._numbers
        }
        self._sent = 0  # in all
        self._measured = 0  # of them
        self._expected = 0
        self._unsent = 0
        self._stalls = 0
        self._lag = Histogram()
        self._before = _Usage()
        self._after = _Usage()

    async def come_in(self) -> Joined:
        """Connect and join everybody.

        Raises:
            LoadTestError: somebody cannot.
        """
        began = monotonic_ns()
        coming = self._comers()
        ramp = self._plan.ramp and self._plan.ramp / self._plan.processes
        opened, wanted = 0, self._plan.connections_here(self._worker)

        def act(now: int) -> int | None:
            nonlocal opened
            self._crowd.check_opening(now)
            while opened < wanted and self._crowd.waiting < OPENING_MAX:
                due = began + int(opened * NS / ramp) if ramp else now
                if due > now:
                    return max(due, now + 2 * POLL_NS)
                number = next(coming)
                self._crowd.open(self._rooms[number], self._says[number], due if ramp else None)
                opened += 1
            return now + WAIT_NS if self._crowd.joined < wanted else None

        await self._crowd.run(act)
        return Joined(self._crowd.opening, began, monotonic_ns())

    async def wait_until(self, is_time: Callable[[], bool]) -> None:
        """Keep the connections until it is time."""
        await self._crowd.run(lambda now: None if is_time() else now + WAIT_NS)

    async def send(self, start_ns: int) -> Sent:
        """Send from a moment on, first to warm up, then measured."""
        begin = start_ns + int(self._plan.warm_up_s * NS)
        end = begin + int(self._plan.duration_s * NS)
        late = int(self._plan.late_s * NS)
        self._crowd.deliveries.span = Span(begin, end, self._plan.slot_ns, late)
        await self._crowd.run(lambda now: None if now >= start_ns else start_ns)
        work = self._open_loop(start_ns) if self._plan.rate else self._closed_loop()

        def act(now: int) -> int | None:
            if not self._before.wall and now >= begin:
                self._before = self._usage(now)
            due = work(now)
            if now >= end:
                self._after = self._usage(now)
                return None
            return min(due or now, end, end if self._before.wall else begin)

        await self._crowd.run(act)
        return Sent({n: self._rooms[n].sent for n in self._ours})

    async def drain(self, drain: Drain) -> Result:
        """Wait for what is on its way, as long as is agreed; then, what was counted."""
        until = monotonic_ns() + int(self._plan.drain_s * NS)

        def act(now: int) -> int | None:
            return None if now >= until or self._has_all(drain.sent) else now + POLL_NS * 4

        await self._crowd.run(act)
        self._crowd.deliveries.fold()
        return self._result()

    def progress(self) -> Progress:
        """How it goes."""
        deliveries = self._crowd.deliveries
        now = (monotonic_ns() - deliveries.span.begin_ns) // deliveries.span.slot_ns
        latest = deliveries.slots.get(now - 1, Histogram())
        return Progress(self._crowd.joined, self._sent, deliveries.seen, latest)

    def _comers(self) -> Iterator[int]:
        """The room of each connection of this process: the rooms in turn, until all are full."""
        left = {n: self._plan.members_here(n, self._worker) for n in self._numbers}
        while left:
            yield from left
            left = {number: count - 1 for number, count in left.items() if count > 1}

    def _open_loop(self, start_ns: int) -> Act:
        """Sends what is due, in its order, however late it is."""
        span = self._crowd.deliveries.span
        if not self._ours:
            return lambda _: span.end_ns
        schedule = Schedule(self._ours, self._plan.rooms, self._plan.rate or 1, start_ns)

        def work(now: int) -> int:
            for _ in range(PUBLISH_TURN_MAX):
                if schedule.due_ns > now or schedule.due_ns >= span.end_ns:
                    break
                index, due = schedule.take()
                if self._publish(self._ours[index], due) and due >= span.begin_ns:
                    self._lag.add(monotonic_ns() - due)
            if now >= span.end_ns:
                due_in_all = schedule.due_before(span.end_ns) - schedule.due_before(span.begin_ns)
                self._unsent = max(due_in_all - self._measured, 0)
            return schedule.due_ns

        return work

    def _closed_loop(self) -> Act:
        """Sends the next message of each room whose window has room for it."""
        deliveries, span = self._crowd.deliveries, self._crowd.deliveries.span
        by_count = {self._rooms[n]: n for n in self._ours}
        deliveries.ready = list(by_count)
        seen: dict[RoomCount, tuple[int, int]] = {}
        look_ns = monotonic_ns() + _STALL_NS

        def work(now: int) -> int:
            nonlocal look_ns
            if now >= span.end_ns:
                return now
            if now >= look_ns:
                look_ns = now + _STALL_NS
                self._give_up_stalled(by_count, seen)
            ready, deliveries.ready = deliveries.ready, []
            for room in ready:
                while room.open <= room.least and self._publish(by_count[room], monotonic_ns()):
                    pass
            return min(look_ns, span.end_ns)

        return work

    def _give_up_stalled(
        self, rooms: dict[RoomCount, int], seen: dict[RoomCount, tuple[int, int]]
    ) -> None:
        """Free the windows of rooms in which nothing moved since the last look."""
        for room in rooms:
            state = room.sent, room.open
            if seen.get(room) == state and room.seats:
                room.give_up()
                self._stalls += 1
                self._crowd.deliveries.ready.append(room)
            seen[room] = state

    def _publish(self, number: int, moment_ns: int) -> bool:
        room, span = self._rooms[number], self._crowd.deliveries.span
        if not self._crowd.publish(room, self._says[number], moment_ns):
            return False
        self._sent += 1
        if span.begin_ns <= moment_ns < span.end_ns:
            self._measured += 1
            self._expected += room.total
        return True

    def _has_all(self, sent: dict[int, int]) -> bool:
        return all(
            seat.next > sent.get(number, 0) and seat.is_settled
            for number, room in self._rooms.items()
            for seat in room.seats
        )

    def _usage(self, now: int) -> _Usage:
        return _Usage(now, self._crowd.idle_ns, process_time_ns(), self._crowd.bytes_in)

    def _result(self) -> Result:
        crowd, deliveries = self._crowd, self._crowd.deliveries
        before, after = self._before, self._after
        wall = max(after.wall - before.wall, 1)
        return Result(
            sent=self._measured,
            unsent=self._unsent,
            expected=self._expected,
            delivered=deliveries.delivered,
            late=deliveries.late,
            duplicates=deliveries.duplicates,
            reordered=deliveries.reordered,
            refused=crowd.refused,
            refusal=crowd.refusal,
            gone=crowd.gone,
            stalls=self._stalls,
            bytes_in=after.bytes_in - before.bytes_in,
            busy=1 - (after.idle - before.idle) / wall,
            cpu=(after.cpu - before.cpu) / wall,
            slots=deliveries.slots,
            lag=self._lag,
        )
