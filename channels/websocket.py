"""A client's socket once it speaks WebSocket: what is read of it, and what is written to it.

Theory of operation. *Inbound*, plain messages, text and binary, are lifted straight to the
connection by the `InboundLane`; everything else comes out of `passed`, at most one frame at a time,
for the session to deal with before it asks for more. So messages reach the connection in the order
in which they were sent. A socket is read when the node's reader (`reader`) calls: what is lifted
needs no switch of tasks, and only what is to be passed wakes the session. A stream that is no
socket is read by whoever waits in `passed`.

*Outbound*, the hub's flusher writes whole frames from the outbox while nobody else is writing. All
other frames, and what a socket did not take at once, are written under one lock, always after what
waits in the outbox: whole frames, never one within another. Behind a close frame nothing is
written.

A write that was interrupted may have left half a frame behind; the stream is then torn, and all
that can be done with it is to close it.
"""

from collections.abc import Callable

import trio

from actors import Wakeup
from channels.inbound_lane import InboundLane, Lift
from channels.limits import READ_COST_BYTES, RECEIVE_BYTES, WRITE_BYTES, Limits
from channels.outbox import Outbox, Totals
from channels.plain_stream import PlainStream
from channels.reader import Reader
from channels.verdict import BROKEN, SLOW_READER, Verdict


class Wire:
    """A client's stream after the handshake. It is also the sink of the client's outbox."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        limits: Limits,
        totals: Totals,
        nursery: trio.Nursery,
        reader: Reader,
    ) -> None:
        """A wire on which nothing was read or written yet.

        Args:
            stream: the client's. A plain one is also read and written without waiting.
            limits: of the endpoint.
            totals: where the outbox counts.
            nursery: where writers run; it must outlive the wire.
            reader: of the node.
        """
        self.closing = False
        """A close frame went out, or is about to. Nothing is lifted any more."""
        self.heard_at = trio.current_time()
        """When bytes came last."""
        self.lift: Lift = _drop
        """Called with each message of the inbound lane."""
        self.on_lost: Callable[[Verdict], None] = _drop_verdict
        """Called when the connection cannot go on."""
        self._stream = stream
        self._lane = InboundLane(limits.message_bytes)
        self._lock: trio.StrictFIFOLock | None = None  # made for the first who waits to write
        self._nursery = nursery
        self._reader = reader
        self._attention = Wakeup()
        self._found: bytes | None = None  # by the reader, for `passed`
        self._failure: Exception | None = None  # a bug of ours that was met in the reader's task
        self._torn = False
        self._closed = False
        self._ended = False  # its close frame is out, or was tried to be
        self._interrupted = False
        self._patience_s = limits.handshake_s
        self._socket = stream.socket if isinstance(stream, PlainStream) else None
        self._descriptor = None if self._socket is None else self._socket.fileno()
        self.outbox = Outbox(self, totals, None if self._socket is None else self._socket.send)

    # Reading.

    @property
    def messages_passed(self) -> int:
        """Whole messages among all that was passed."""
        return self._lane.passed

    @property
    def deaf(self) -> bool:
        """The client said goodbye, or broke the rules: nothing it sends means anything now."""
        return self._lane.blind

    def feed(self, data: bytes) -> None:
        """Take what was read behind the handshake. Nothing was asked of `passed` yet."""
        self._lane.feed(data)

    async def passed(self) -> bytes:
        """The next bytes that are not plainly whole messages; empty at the end."""
        passed = self._lane.walk(self._lift)
        while not passed:
            if self._descriptor is not None and self._reader.running:
                self._interrupted = False
                return await self._watched(self._descriptor) or b""
            data = await self._receive()
            if not data:
                return b""
            self.heard_at = trio.current_time()
            self._lane.feed(data)
            passed = self._lane.walk(self._lift)
        return passed

    async def overheard(self) -> bytes | None:
        """As `passed`, where the node's reader reads; None where it does not, or at `interrupt`.

        Whoever waits here needs no cancel scope, which costs a connection half a kilobyte.
        """
        passed = self._lane.walk(self._lift)
        if passed or self._descriptor is None or not self._reader.running:
            return passed or None
        return await self._watched(self._descriptor)

    def interrupt(self) -> None:
        """Have `overheard` return, now or when it is called."""
        self._interrupted = True
        self._attention.set()

    async def _watched(self, descriptor: int) -> bytes | None:
        """As `overheard`, when all that was read was walked."""
        self._check_open()
        self._reader.add(descriptor, self._read)
        try:
            while (found := self._found) is None and not self._interrupted:
                await self._attention.wait()
        finally:
            if not self._closed:
                self._reader.remove(descriptor)
        if self._failure is not None:
            raise self._failure
        self._found = None
        return found

    def _read(self) -> int:
        """For the reader: read what there is, without raising. Tells what it cost."""
        assert self._socket is not None, "only sockets are watched"
        cost = 0
        try:
            data = self._socket.recv(RECEIVE_BYTES)
            cost = len(data) // READ_COST_BYTES
            if data:
                self.heard_at = trio.current_time()
                self._lane.feed(data)
                passed = self._lane.walk(self._lift)
                if not passed:
                    return cost
                data = passed
        except BlockingIOError:
            return cost
        except OSError:
            data = b""
        except Exception as error:  # noqa: BLE001 - raised again by the task that runs the connection
            self._failure, data = error, b""
        self._found = data
        self._reader.remove(self._socket.fileno())
        self._attention.set()
        return cost + 1

    async def _receive(self) -> bytes:
        """What the client sent; straight from the socket, where there is one."""
        try:
            if self._socket is None:
                return bytes(await self._stream.receive_some(RECEIVE_BYTES))
            while True:
                self._check_open()
                await trio.lowlevel.wait_readable(self._socket)
                self._check_open()
                try:
                    return self._socket.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    def _check_open(self) -> None:
        """A closed descriptor may be somebody else's by now."""
        if self._closed:
            raise trio.ClosedResourceError

    def _lift(self, payload: bytes, opcode: int) -> None:
        if not self.closing:
            self.lift(payload, opcode)

    # Writing.

    async def accept(self, answer: bytes) -> None:
        """Write the answer to the handshake, before anything else. A socket takes it at once.

        Raises:
            trio.BrokenResourceError: the client did not wait for it.
        """
        sent = 0
        if self._socket is not None:
            try:
                sent = self._socket.send(answer)
            except BlockingIOError:
                pass
            except OSError as error:
                raise trio.BrokenResourceError from error
        if sent < len(answer):
            with trio.move_on_after(self._patience_s):
                await self._stream.send_all(answer[sent:])
                return
            raise trio.BrokenResourceError

    async def write(self, frame: bytes | bytearray | memoryview) -> None:
        """Write a frame, after what waits in the outbox. Nothing is written behind a close frame.

        Raises:
            trio.BrokenResourceError: the stream takes nothing any more.
        """
        if not self._ended:
            await self._write_in_turn(frame)

    async def write_close(self, frame: bytes) -> None:
        """Write a close frame, after what waits in the outbox, unless there was one.

        Raises:
            trio.BrokenResourceError: the stream takes nothing any more.
        """
        self.closing = True
        self.outbox.seal()
        if not self._ended:
            self._ended = True
            await self._write_in_turn(frame)

    async def aclose(self) -> None:
        """Close the client's stream, and give up what waits for it."""
        if self._descriptor is not None and not self._closed:
            self._reader.remove(self._descriptor)
        self.closing = self._closed = self._ended = True
        self.outbox.close()
        if isinstance(self._stream, PlainStream):  # which needs no time for that, nor a scope
            self._stream.close()
        else:
            await trio.aclose_forcefully(self._stream)

    # For the outbox.

    def start_writer(self) -> None:
        """Have a task write what waits."""
        if not self.outbox.busy and not self._closed:
            self.outbox.busy = True
            self._nursery.start_soon(self._writer)

    def overflowed(self) -> None:
        """The client reads too slowly."""
        self.on_lost(SLOW_READER)

    def broke(self) -> None:
        """The socket is gone."""
        self.outbox.close()
        self.on_lost(BROKEN)

    async def _writer(self) -> None:
        try:
            await self._write_in_turn()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.broke()

    async def _write_in_turn(self, data: bytes | bytearray | memoryview = b"") -> None:
        """Write what waits in the outbox, then this, with the flusher kept off all the while."""
        outbox = self.outbox
        if self._lock is None:
            self._lock = trio.StrictFIFOLock()
        async with self._lock:
            outbox.busy = True
            await self._write_waiting()
            if data:
                await self._write(data)
            outbox.busy = False
        if outbox.queue and not outbox.closed:
            self.start_writer()

    async def _write_waiting(self) -> None:
        outbox = self.outbox
        while outbox.queue:
            batch = memoryview(outbox.take())
            for begin in range(0, len(batch), WRITE_BYTES):
                piece = batch[begin : begin + WRITE_BYTES]
                await self._write(piece)
                outbox.wrote(len(piece))
            outbox.done()

    async def _write(self, data: bytes | bytearray | memoryview) -> None:
        if self._torn or self._closed:
            raise trio.BrokenResourceError("the stream is closed, or ends within a frame")
        self._torn = True
        await self._stream.send_all(data)
        self._torn = False


def _drop(_payload: bytes, _opcode: int) -> None:
    """Nobody is there yet, or any more."""


def _drop_verdict(_verdict: Verdict) -> None:
    """Nobody is there yet, or any more."""
