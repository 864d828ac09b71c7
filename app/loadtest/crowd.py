"""The connections of one process: opened, fed, and read.

Theory of operation. A task for each connection would cost more than what it measures, so one task
drives all of them: their sockets are in a selector, the selector's own descriptor is what trio
waits for, and each turn handles whatever is ready, then gives the loop to the others. Between two
events of a turn the clock is looked at, so that what is due is sent on time however much came.

A chunk is stamped with the moment at which it was read, which is when this process got to it: while
the process is busy that is later than it arrived. How busy it was is part of the result.
"""

import selectors
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from itertools import cycle
from time import monotonic_ns

import trio

from app.inspect.picture import plain
from app.loadtest.deliveries import Deliveries, Heard, RoomCount, Seat
from app.loadtest.errors import LoadTestError
from app.loadtest.histogram import Histogram
from app.loadtest.limits import (
    EVENTS_A_STEP,
    HEAD_BYTES_MAX,
    HEARTBEAT_SLICES,
    MESSAGE_BYTES_MAX,
    OPEN_S,
    POLL_NS,
    REASON_MAX,
    WAIT_NS,
)
from app.loadtest.link import Link
from app.loadtest.messages import HEARTBEAT, JOIN_REF, Envelope, Room, read_message, reason_of
from app.loadtest.model import NS, Target
from app.loadtest.target import check_upgrade, upgrade_request
from app.loadtest.wire import CONTINUATION, PING, PONG, Frame, Masker, read_frames
from channels.frames import CLOSE, FIN, TEXT

Act = Callable[[int], int | None]
"""Does what is due now; returns when it wants to be called again, or None when it is done."""

_WHOLE = FIN | TEXT
_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE

# What Phoenix, and Agio after it, answer where no channel serves a topic.
_NO_ROUTE = "unmatched topic"
_NO_ROUTE_HINT = " (of Agio, AGIO_BENCH_ROOMS=1 opens the load rooms)"


class _Stage(Enum):
    """How far a member is."""

    CONNECTING = auto()
    SECURING = auto()
    UPGRADING = auto()
    JOINING = auto()
    JOINED = auto()
    GONE = auto()


class Member(Seat):
    """One connection, and its place in its room."""

    __slots__ = ("began_ns", "link", "opened_ns", "parts", "rest", "says", "stage")

    def __init__(self, count: RoomCount, says: Room, link: Link, began_ns: int) -> None:
        super().__init__(count)
        self.says = says
        self.link = link
        self.began_ns = began_ns
        self.opened_ns = monotonic_ns()
        self.stage = _Stage.CONNECTING
        self.rest = b""  # the beginning of a frame
        self.parts: list[bytes] = []  # the beginning of a fragmented message


class Crowd:
    """All members in this process.

    Args:
        target: where they connect.
        secure: what TLS is spoken with, where the target wants it.
        run: the word that tells this run's messages from all others.
        masker: of their frames.
        sources: addresses to connect from, in turn; empty: the usual one.
    """

    def __init__(
        self,
        target: Target,
        secure: ssl.SSLContext | None,
        run: str,
        masker: Masker,
        sources: Sequence[str],
    ) -> None:
        self.deliveries = Deliveries()
        self.opening = Histogram()
        """From the first packet to the join's answer."""
        self.joined = 0
        self.gone = 0
        self.refused = 0
        self.refusal = ""
        self.bytes_in = 0
        self.idle_ns = 0
        """Time without anything to do."""
        self._target = target
        self._run = run
        self._masker = masker
        self._sources = cycle(sources or (None,))
        self._secure = secure
        self._request = upgrade_request(target)
        self._heartbeat = masker.frame(HEARTBEAT)
        self._selector = selectors.DefaultSelector()
        self._members: list[Member] = []
        self._opening: deque[Member] = deque()  # in the order in which they were opened
        self._slice = 0
        self._beat_ns = monotonic_ns() + NS

    # What a run does with it.

    @property
    def waiting(self) -> int:
        """Members that have not joined yet."""
        return len(self._members) - self.joined

    def open(self, count: RoomCount, says: Room, began_ns: int | None) -> None:
        """Let one more come.

        Args:
            count: of its room.
            says: what is said there.
            began_ns: since when its coming counts; None: now.

        Raises:
            LoadTestError: there is no way there.
        """
        link = Link(self._target, next(self._sources), self._secure)
        member = Member(count, says, link, monotonic_ns() if began_ns is None else began_ns)
        self._members.append(member)
        self._opening.append(member)
        self._selector.register(link, _WRITE, member)

    def check_opening(self, now: int) -> None:
        """Whether everybody who comes is answered in time.

        Raises:
            LoadTestError: somebody is not.
        """
        while self._opening and self._opening[0].stage in {_Stage.JOINED, _Stage.GONE}:
            self._opening.popleft()
        if self._opening and now - self._opening[0].opened_ns > OPEN_S * NS:
            asked = {_Stage.UPGRADING: "the upgrade", _Stage.JOINING: "a join"}
            what = asked.get(self._opening[0].stage, "a connection")
            raise LoadTestError(f"{self._target.url} does not answer {what} within {OPEN_S:g} s")

    def publish(self, count: RoomCount, says: Room, moment_ns: int) -> bool:
        """Send the next message of a room from its first member; False where that cannot be."""
        if not count.seats:
            return False
        frame = self._masker.filled(says.push(count.sent + 1, moment_ns))
        member = count.seats[0]
        assert isinstance(member, Member), "nobody else takes a seat"
        if not self._send(member, frame):
            return False
        count.send()
        return True

    async def run(self, act: Act) -> None:
        """Drive all connections until it is done.

        Raises:
            LoadTestError: whatever ends the test.
        """
        while True:
            now = monotonic_ns()
            self.deliveries.fold_if_due(now)
            self._beat(now)
            due = act(now)
            if due is None:
                return
            await self._wait(due)
            for number, (key, events) in enumerate(self._selector.select(0), 1):
                now = monotonic_ns()
                if now >= due:
                    due = act(now)
                    if due is None:
                        return
                self._handle(key.data, events, now)
                if number % EVENTS_A_STEP == 0:
                    await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Everybody goes."""
        for member in self._members:
            if member.stage is not _Stage.GONE:
                member.link.send(self._masker.close())
                member.link.close()
        self._selector.close()

    # Turns.

    async def _wait(self, due: int) -> None:
        """Until something is ready, or nearly due. What is due in a moment is polled for."""
        before = monotonic_ns()
        left = min(due - before, WAIT_NS)
        if left > POLL_NS:
            with trio.move_on_after((left - POLL_NS / 2) / NS):
                await trio.lowlevel.wait_readable(self._selector.fileno())
        else:
            await trio.lowlevel.checkpoint()
        self.idle_ns += monotonic_ns() - before

    def _beat(self, now: int) -> None:
        """Send the heartbeats of one slice of the crowd, every second."""
        if now < self._beat_ns:
            return
        self._beat_ns = now + NS
        self._slice = (self._slice + 1) % HEARTBEAT_SLICES
        for member in self._members[self._slice :: HEARTBEAT_SLICES]:
            if member.stage is _Stage.JOINED:
                self._send(member, self._heartbeat)

    def _handle(self, member: Member, events: int, now: int) -> None:
        if member.stage is _Stage.GONE:
            return
        if events & _WRITE:
            if member.stage is _Stage.CONNECTING:
                member.link.check_connected()
                member.stage = _Stage.SECURING
            elif member.stage is not _Stage.SECURING:
                self._flush(member)
        if member.stage is _Stage.SECURING:
            self._secure_one(member)
        elif events & _READ:
            self._receive(member, now)

    def _secure_one(self, member: Member) -> None:
        event = member.link.secure()
        self._selector.modify(member.link, event or _READ, member)
        if not event:
            member.stage = _Stage.UPGRADING
            self._send(member, self._request)

    def _send(self, member: Member, data: bytes) -> bool:
        waited = member.link.has_unsent
        sent = member.link.send(data)
        if member.link.has_unsent and not waited:
            self._selector.modify(member.link, _READ | _WRITE, member)
        return sent

    def _flush(self, member: Member) -> None:
        member.link.flush()
        if not member.link.has_unsent:
            self._selector.modify(member.link, _READ, member)

    # Reading.

    def _receive(self, member: Member, now: int) -> None:
        data = member.link.receive()
        if data:
            self.bytes_in += len(data)
            if member.rest or not self.deliveries.take(member, data, now):
                self._read(member, member.rest + data, now)
        elif data is not None:
            self._leave(member)

    def _read(self, member: Member, data: bytes, now: int) -> None:
        """Read bytes that are seen for the first time, or do not begin or end with a frame."""
        if member.stage is _Stage.UPGRADING:
            data = self._read_upgrade(member, data)
        frames, taken = read_frames(data)
        member.rest = data[taken:]
        whole = data[:taken]
        if not frames or self.deliveries.take(member, whole, now):
            return
        said = [self._message_of(member, frame) for frame in frames]
        heard = [self._heard(member, envelope) for envelope in said]
        ours = [each for each in heard if each is not None]
        if len(ours) == len(frames) and all(frame.first == _WHOLE for frame in frames):
            self.deliveries.learn(member.room, whole, ours)
            self.deliveries.take(member, whole, now)
            return
        for frame, envelope, one in zip(frames, said, heard, strict=True):
            if member.stage is _Stage.GONE:
                return
            if one is not None:
                self.deliveries.take_one(member, one, now)
            elif envelope is not None:
                self._obey(member, envelope, now)
            else:
                self._control(member, frame)

    def _read_upgrade(self, member: Member, data: bytes) -> bytes:
        """Look at the answer to the upgrade; returns what follows it, or b"" if it is not whole."""
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            if len(data) > HEAD_BYTES_MAX:
                raise LoadTestError(f"what answers at {self._target.url} does not speak HTTP/1.1")
            member.rest = data
            return b""
        check_upgrade(head, self._target.url)
        member.stage = _Stage.JOINING
        self._send(member, self._masker.frame(member.says.join))
        return rest

    def _message_of(self, member: Member, frame: Frame) -> Envelope | None:
        """The message that a frame is, or ends; None if it is neither, or not to be understood."""
        if frame.opcode == TEXT and frame.is_last:
            return read_message(frame.payload)
        if frame.opcode not in {TEXT, CONTINUATION}:
            return None
        member.parts.append(frame.payload)
        if sum(map(len, member.parts)) > MESSAGE_BYTES_MAX:
            raise LoadTestError("the server sends a message without end")
        if not frame.is_last:
            return None
        text, member.parts = b"".join(member.parts), []
        return read_message(text)

    def _heard(self, member: Member, envelope: Envelope | None) -> Heard | None:
        if envelope is None or envelope.payload.run != self._run:
            return None
        if envelope.topic != member.says.topic:
            return None
        return Heard(envelope.payload.seq, envelope.payload.t)

    def _obey(self, member: Member, envelope: Envelope, now: int) -> None:
        """Take what the protocol itself says."""
        if envelope.topic != member.says.topic:
            return
        body = envelope.payload
        if envelope.event == "phx_reply" and member.stage is _Stage.JOINING:
            if envelope.ref == JOIN_REF and body.status != "ok":
                told = plain(reason_of(body)[:REASON_MAX])
                topic = plain(envelope.topic)
                hint = _NO_ROUTE_HINT if told == _NO_ROUTE else ""
                raise LoadTestError(f"{self._target.url} lets nobody into {topic}: {told}{hint}")
            self._join(member, now)
        elif envelope.event == "phx_reply" and body.status != "ok":
            self.refused += 1
            self.refusal = self.refusal or plain(reason_of(body)[:REASON_MAX])
        elif envelope.event in {"phx_error", "phx_close"}:
            self._leave(member)

    def _join(self, member: Member, now: int) -> None:
        member.stage = _Stage.JOINED
        member.room.take_seat(member)
        self.joined += 1
        self.opening.add(now - member.began_ns)

    def _control(self, member: Member, frame: Frame) -> None:
        if frame.opcode == PING:
            self._send(member, self._masker.frame(frame.payload, PONG))
        elif frame.opcode == CLOSE:
            self._leave(member)

    def _leave(self, member: Member) -> None:
        """A connection is lost: what it still should get is lost, too."""
        if member.stage is not _Stage.JOINED:
            raise LoadTestError(f"{self._target.url} ends a connection before it could join")
        member.stage = _Stage.GONE
        member.room.leave_seat(member)
        self.gone += 1
        self._selector.unregister(member.link)
        member.link.close()
