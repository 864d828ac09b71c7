"""The two lanes between a client's stream and trio-websocket.

Theory of operation. trio-websocket is given this stream instead of the client's own, and does what
it is good at: the opening handshake, control frames, fragments, the closing handshake, and every
doubtful byte. Two lanes pass it by.

*Inbound*, `InboundLane` lifts plain messages, text and binary, straight to the connection.
trio-websocket asks for more only when it has dealt with all it was given, and if that held whole
messages, they must also have been taken out of its queue (`consumed`) before the lane goes on. So
messages reach the connection in the order in which they were sent.

*Outbound*, the hub's flusher writes whole frames from the outbox while nobody else is writing.
trio-websocket's own frames, and what a socket did not take at once, are written under one lock,
always after what waits in the outbox: whole frames, never one within another. Behind a close
frame nothing is written.

A write that was interrupted may have left half a frame behind; the stream is then torn, and all
that can be done with it is to close it.

Nothing but the request's head reaches trio-websocket before the answer 101 has been written, and
nothing is lifted before that either.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from actors import Wakeup
from channels.frames import CLOSE, OPCODE, close_frame
from channels.inbound_lane import InboundLane, Lift
from channels.limits import RECEIVE_BYTES, WRITE_BYTES, Limits
from channels.outbox import Outbox, Totals
from channels.verdict import BROKEN, INVALID_DATA, PROTOCOL_ERROR, SLOW_READER, Verdict

_SWITCHING: Final = b"HTTP/1.1 101"
# The offences for which trio-websocket ends the stream without a word; the RFC asks for one.
_SPOKEN_OF: Final = frozenset({PROTOCOL_ERROR.code, INVALID_DATA.code})
# Seconds for that word: the client that broke the rules may not read either.
_LAST_WORD_S: Final = 0.5


class Wire(trio.abc.Stream):
    """A client's stream with two lanes. It is also the sink of the client's outbox."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        head: bytes,
        *,
        limits: Limits,
        totals: Totals,
        nursery: trio.Nursery,
    ) -> None:
        """Lanes around a stream of which a whole request head was read.

        Args:
            stream: the client's. One with a `socket` is also written to without waiting.
            head: the request's head, and whatever was read behind it.
            limits: of the endpoint.
            totals: where the outbox counts.
            nursery: where writers run; it must outlive the wire.
        """
        end = head.index(b"\r\n\r\n") + 4
        self._stream = stream
        self._head = head[:end]
        self._lane = InboundLane(limits.message_bytes)
        self._lane.feed(head[end:])
        self._lock = trio.StrictFIFOLock()
        self._nursery = nursery
        self._opened = trio.Event()
        self._torn = False
        self._closed = False
        self._consumed = 0
        self._was_consumed = Wakeup()
        self._idle_s = limits.idle_s
        self.closing = False
        """A close frame went out, or is about to."""
        self.idle_scope: trio.CancelScope | None = None
        """Its deadline is put off with every byte received."""
        self.lift: Lift = _drop
        """Called with each message of the inbound lane."""
        self.on_lost: Callable[[Verdict | None], None] = _drop_verdict
        """Called when the connection cannot go on; with None when `close_code` tells why."""
        self.close_code: Callable[[], int | None] = _no_code
        """The code with which trio-websocket ended the connection, if it did."""
        self._descriptor = _descriptor(stream)
        write = None if self._descriptor is None else partial(os.write, self._descriptor)
        self.outbox = Outbox(self, totals, write)

    # For trio-websocket.

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes that trio-websocket should see; empty at the end."""
        if self._head:
            await trio.lowlevel.checkpoint()
            head, self._head = self._head, b""
            return head
        await self._opened.wait()
        while self._lane.passed > self._consumed and not self.closing:
            await self._was_consumed.wait()
        while True:
            passed = self._lane.walk(self._lift)
            if passed:
                return passed
            data = await self._receive()
            if not data:
                return b""
            self._heard()
            self._lane.feed(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write what trio-websocket has to say, after what waits in the outbox."""
        opening = not self._opened.is_set()
        if not opening and data and data[0] & OPCODE == CLOSE:
            self.begin_closing()
            self.outbox.seal()
        await self._write_in_turn(data)
        if opening and bytes(data[: len(_SWITCHING)]) == _SWITCHING:
            self._opened.set()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the client's stream takes something."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the client's stream. A client that broke the protocol is told so."""
        told, self.closing, self._closed = self.closing, True, True
        self.outbox.close()
        self._opened.set()
        self._was_consumed.set()
        self.on_lost(None)
        try:
            code = self.close_code()
            if not told and code is not None and code in _SPOKEN_OF:
                await self._say_last(close_frame(code))
        finally:
            await self._stream.aclose()

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

    # For the connection.

    def consumed(self) -> None:
        """A message was taken out of trio-websocket's queue, and acted upon."""
        self._consumed += 1
        self._was_consumed.set()

    def begin_closing(self) -> None:
        """From now on nothing is lifted."""
        self.closing = True
        self._was_consumed.set()

    async def _receive(self) -> bytes:
        """What the client sent; straight from the socket, where there is one."""
        if self._descriptor is None:
            return bytes(await self._stream.receive_some(RECEIVE_BYTES))
        while True:
            self._check_open()
            await trio.lowlevel.wait_readable(self._descriptor)
            self._check_open()
            try:
                return os.read(self._descriptor, RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError from error

    def _check_open(self) -> None:
        """A closed descriptor may be somebody else's by now."""
        if self._closed:
            raise trio.ClosedResourceError

    def _lift(self, payload: bytes, opcode: int) -> None:
        if not self.closing:
            self.lift(payload, opcode)

    def _heard(self) -> None:
        """The client is alive. The deadline is moved only when that matters: moving it costs."""
        scope = self.idle_scope
        if scope is not None:
            deadline = trio.current_time() + self._idle_s
            if deadline - scope.deadline > self._idle_s / 10:
                scope.deadline = deadline

    async def _writer(self) -> None:
        try:
            await self._write_in_turn()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.broke()

    async def _write_in_turn(self, data: bytes | bytearray | memoryview = b"") -> None:
        """Write what waits in the outbox, then this, with the flusher kept off all the while."""
        outbox = self.outbox
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

    async def _say_last(self, frame: bytes) -> None:
        if self._torn or self._lock.locked():
            return
        with trio.move_on_after(_LAST_WORD_S):
            try:
                await self._stream.send_all(frame)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return


def _descriptor(stream: trio.abc.Stream) -> int | None:
    """The descriptor of the stream's socket, if it has one: it can be used without waiting."""
    socket = getattr(stream, "socket", None)
    return socket.fileno() if isinstance(socket, trio.socket.SocketType) else None


def _drop(_payload: bytes, _opcode: int) -> None:
    """Nobody is there yet, or any more."""


def _drop_verdict(_verdict: Verdict | None) -> None:
    """Nobody is there yet, or any more."""


def _no_code() -> int | None:
    return None
