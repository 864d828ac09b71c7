"""From what is published to the transports: runs, outboxes, and the one task that sends.

Theory of operation. Messages published to one group of members since the last flush form its run,
which is distributed as one piece: the cost for each member is paid once a run. The flusher sends
a run straight to the members' transports, in slices where they are many; what meets an outbox in
which something waits goes behind it.

All pending runs must be *settled*, that is put into the outboxes, before anything that could tell
the difference: a message to a single client, a change among the members, and a message to a group
while another group's run is pending and both have members that are elsewhere too. Each client
thus sees all its messages in the order in which they were published. A member that takes no more
may end its connection in the middle of a run, and that settles, too: then the run goes on first.

The flusher yields while more keeps coming, within bounds. Nothing here waits for a client: what
gives way where there is no room is the topic's policy (`delivery`); a vital message never does, and
ends the connection instead.

Rules for editors: never await between a look at an outbox and what is done about it.
"""

from collections import deque

import trio

from actors import Wakeup
from channels.delivery import Policy, thing_of
from channels.limits import (
    FLUSH_SENDS_A_TURN,
    FLUSH_TURNS_MAX,
    PENDING_BYTES_MAX,
    RUN_BYTES_MAX,
)
from channels.members import Group, Run, take_run
from channels.outbox import Outbox, Piece, Totals


class Flusher:
    """Pending runs and dirty outboxes of one node, and the task that sends them."""

    def __init__(self, outbox_bytes: int) -> None:
        """Nothing to send yet.

        Args:
            outbox_bytes: what may wait for one client.
        """
        self.totals = Totals()
        self._outbox_bytes = outbox_bytes
        self._pending: deque[Group] = deque()  # those with a run
        self._pending_bytes = 0
        self._pending_shared: Group | None = None  # of them, the one with members elsewhere, too
        self._sending: deque[tuple[Run, list[Outbox]]] = deque()  # one run's slices still to send
        self._distributing = False  # a run is on its way to one member after another
        self._dirty: list[Outbox] = []
        self._turn = 0  # changes with everything there is to send
        self._wakeup = Wakeup()

    def stir(self) -> None:
        """There is something to send."""
        self._turn += 1
        self._wakeup.set()

    def add(self, group: Group, broadcast: bytes, frame: bytes, *, vital: bool) -> None:
        """Add a message to the group's run.

        Args:
            group: of at least one member.
            broadcast: the message as V2 encoded it.
            frame: the message in the group's form.
            vital: it may not be missed.
        """
        if group.shared and self._pending_shared is not group:
            if self._pending_shared is not None:
                self.settle()
            self._pending_shared = group
        if group.run and group.run_vital is not vital:
            self.settle()
        if not group.run:
            self._pending.append(group)
            group.run_vital = vital
        if not vital and group.delivery.policy is Policy.LATEST:
            frame = Piece.of(frame, 1, thing_of(broadcast, group.delivery.field))
        size = len(frame)
        group.run.append(frame)
        group.run_bytes += size
        self._pending_bytes += size
        if group.run_bytes > RUN_BYTES_MAX or self._pending_bytes > PENDING_BYTES_MAX:
            self.settle()

    def settle(self) -> None:
        """Put all pending runs into the outboxes of their members."""
        if self._distributing:  # to somebody whose connection it ended: the rest has its turn
            return
        self._distributing = True
        try:
            while self._sending:
                run, outboxes = self._sending.popleft()
                for outbox in outboxes:
                    self._put(outbox, run)
            while self._pending:
                self._distribute(self._next_pending())
        finally:
            self._distributing = False

    def offer(self, outbox: Outbox, frame: bytes, *, vital: bool) -> None:
        """Put one frame into one outbox, behind what was published before it."""
        if self._pending or self._sending:
            self.settle()
        self.totals.offered += 1
        if vital and outbox.size + len(frame) <= self._outbox_bytes:  # nearly always
            if not outbox.queue:
                self._dirty.append(outbox)
            outbox.queue.append(frame)
            outbox.size += len(frame)
            outbox.count += 1
        else:
            self._put(outbox, Run(frame if vital else Piece.of(frame), 1, vital=vital))
        self.stir()

    async def flush_forever(self) -> None:
        """Send, for as long as the node lives."""
        while True:
            await self._wakeup.wait()
            for _ in range(FLUSH_TURNS_MAX):
                turn = self._turn
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
                if turn == self._turn:
                    break
            await self._flush_runs()
            await self._flush_outboxes()

    def _next_pending(self) -> Group:
        group = self._pending.popleft()
        self._pending_bytes -= group.run_bytes
        if group is self._pending_shared:
            self._pending_shared = None
        return group

    def _distribute(self, group: Group) -> None:
        """Put the run of a group into the outboxes of its members."""
        run = take_run(group)
        self.totals.offered += run.count * len(group.members)
        room = self._outbox_bytes - len(run.whole)
        dirty, whole, count = self._dirty, run.whole, run.count
        aside = []
        for outbox in group.members.values():
            if outbox.size > room or (outbox.busy and run.latest):
                aside.append(outbox)
                continue
            queue = outbox.queue
            if not queue:
                dirty.append(outbox)
            queue.append(whole)
            outbox.size += len(whole)
            outbox.count += count
        for outbox in aside:
            self._squeeze(outbox, run)

    def _put(self, outbox: Outbox, run: Run) -> None:
        whole = run.whole
        if outbox.size + len(whole) > self._outbox_bytes or (outbox.busy and run.latest):
            self._squeeze(outbox, run)
            return
        if not outbox.queue:
            self._dirty.append(outbox)
        outbox.queue.append(whole)
        outbox.size += len(whole)
        outbox.count += run.count

    def _squeeze(self, outbox: Outbox, run: Run) -> None:
        """Find room in an outbox that has none, or in which the newest replaces what is older."""
        totals, most = self.totals, self._outbox_bytes
        outbox.flush()  # what is in it may wait for nothing but its turn
        if outbox.closed:
            totals.disconnected += run.count
        elif run.latest:
            if not outbox.queue:
                self._dirty.append(outbox)
            for piece in run.latest:
                if outbox.size + len(piece) <= most or outbox.make_room(len(piece), most):
                    outbox.replace(piece)
                else:
                    totals.dropped += 1
        elif outbox.make_room(len(run.whole), most):
            self._put(outbox, run)
        elif run.vital:
            totals.disconnected += run.count
            outbox.overflow()
        else:
            totals.dropped += run.count

    async def _flush_runs(self) -> None:
        """Send what is pending, pausing now and then for everybody else."""
        sent = 0
        while self._sending or self._pending:
            if sent >= FLUSH_SENDS_A_TURN:
                sent = 0
                await trio.lowlevel.checkpoint()
                continue
            if not self._sending:
                self._cut(self._next_pending())
            sent += self._send_slice()

    def _cut(self, group: Group) -> None:
        """Take the run of a group, to be sent in slices that hold up nobody."""
        run, outboxes = take_run(group), list(group.members.values())
        self.totals.offered += run.count * len(outboxes)
        for begin in range(0, len(outboxes), FLUSH_SENDS_A_TURN):
            self._sending.append((run, outboxes[begin : begin + FLUSH_SENDS_A_TURN]))

    def _send_slice(self) -> int:
        """Send the next slice of a run; returns to how many members."""
        run, outboxes = self._sending.popleft()
        self._distributing = True
        try:
            self._send(run, outboxes)
        finally:
            self._distributing = False
        return len(outboxes)

    def _send(self, run: Run, outboxes: list[Outbox]) -> None:
        """Send a run straight to transports; what they do not take waits in their outboxes."""
        whole, count, sent = run.whole, run.count, 0
        for outbox in outboxes:
            if outbox.queue or outbox.busy or outbox.closed or outbox.send_nowait is None:
                self._put(outbox, run)
            elif outbox.send(whole, count):
                sent += 1
        totals = self.totals
        totals.delivered += count * sent
        totals.sends += sent
        totals.bytes_sent += len(whole) * sent

    async def _flush_outboxes(self) -> None:
        """Send what every dirty outbox has, pausing now and then for everybody else."""
        dirty, self._dirty = self._dirty, []
        flushed = 0
        try:
            for outbox in dirty:
                if flushed and flushed % FLUSH_SENDS_A_TURN == 0:
                    await trio.lowlevel.checkpoint()
                flushed += 1
                outbox.flush()
        finally:
            self._dirty[:0] = dirty[flushed:]  # for the next run, where this one ends here
