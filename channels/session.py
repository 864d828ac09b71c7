"""One client, from its handshake to its goodbye.

Theory of operation. An *opening* answers the request as the reception decides. It makes the
connection before it answers, since the client may speak as soon as the answer is out. A *session*
then deals with whatever is not plainly a message, until the peer, the idle clock or a verdict ends
it. Until there is something of that kind the client is only overheard, without a scope: most never
say anything else before they leave. Pings and goodbyes that are plainly whole it answers itself; at
the first other byte it opens the slow lane (`slow_lane`), which sees all such bytes from then on.

The goodbye is a close frame, where the client may hear it, and its answer is waited for; at the
same time the client's channels end, each within a deadline.
"""

from contextlib import suppress
from typing import Final

import trio

from actors import Lifeline, Timer, Timers
from channels.connection import Connection
from channels.form import websocket_form
from channels.frames import (
    CLOSE,
    PING,
    PONG,
    close_frame,
    goodbye_answer,
    plain_control,
    pong_frame,
)
from channels.handshake import Asked, ConnectRefused, examine
from channels.reception import Guest, Reception
from channels.slow_lane import SlowLane
from channels.surroundings import Surroundings
from channels.upgrade import Upgrade, accept_answer, read_upgrade, refuse_answer
from channels.verdict import BROKEN, IDLE, LEFT, LOST
from channels.websocket import Wire

# Nothing can be answered to whom this is about.
_GONE: Final = ConnectRefused(0, reason="left, or too slow")


class Opening:
    """Answers one request."""

    def __init__(
        self, reception: Reception, around: Surroundings, peer: str, life: Lifeline
    ) -> None:
        """The beginning of one client.

        Args:
            reception: decides whether it is let in.
            around: what connections share.
            peer: the address that the stream is from; empty where it has none.
            life: of the child that serves it.
        """
        self.refused = _GONE
        """Why the client was not let in, where it was not."""
        self._reception = reception
        self._around = around
        self.address = peer
        """The client's, which a proxy may have said, once the request was read."""
        self._guest: Guest | None = None
        self._life = life

    async def shake_hands(
        self, stream: trio.abc.Stream, head: bytes, wire: Wire, nursery: trio.Nursery
    ) -> "Session | None":
        """Answer the request. None if the client was refused.

        Args:
            stream: the client's.
            head: the request, up to and with the empty line.
            wire: what the stream is to be.
            nursery: for the connection.

        Raises:
            trio.BrokenResourceError: the client did not wait for the answer.
            Exception: the application's `connect` failed; the client was told 500.
        """
        upgrade = read_upgrade(head)
        asked = self._examine(upgrade)
        headers = upgrade.headers if isinstance(upgrade, Upgrade) else {}
        self._guest = guest = self._reception.greet(self.address, headers)
        self.address = guest.address
        try:
            assigns = await self._reception.decide(asked, guest)
        except Exception:
            await self._reject(stream, ConnectRefused(500, reason="the application failed"))
            raise
        if isinstance(assigns, ConnectRefused):
            await self._reject(stream, assigns)
            return None
        assert isinstance(asked, Asked), "who asks for nothing is refused"
        assert isinstance(upgrade, Upgrade), "who asks for something sent a request"
        form = websocket_form(asked.serializer)
        connection = Connection(assigns, form, wire.outbox, nursery, self._around, self._life)
        await wire.accept(accept_answer(upgrade.key, asked.subprotocol))
        return Session(connection, wire, nursery, self._around.access.timers)

    def leave(self) -> None:
        """The client is gone, whether it was let in or not."""
        if self._guest is not None:
            self._guest.leave()

    def _examine(self, upgrade: Upgrade | ConnectRefused) -> Asked | ConnectRefused:
        if isinstance(upgrade, ConnectRefused):
            return upgrade
        return examine(upgrade.target, upgrade.subprotocols, self._around.router.path)

    async def _reject(self, stream: trio.abc.Stream, refused: ConnectRefused) -> None:
        self.refused = refused
        with trio.move_on_after(self._around.limits.handshake_s):
            await stream.send_all(refuse_answer(refused))


class Session:
    """A client that was let in."""

    def __init__(
        self, connection: Connection, wire: Wire, nursery: trio.Nursery, timers: Timers
    ) -> None:
        """A session about to begin. From here on what ends the wire ends the connection."""
        self.connection = connection
        self._wire = wire
        self._nursery = nursery
        self._slow_lane: SlowLane | None = None
        self._timers = timers
        self._idle: Timer
        wire.lift = connection.receive
        wire.on_lost = connection.end

    async def run(self) -> None:
        """Converse until the end, and say goodbye.

        Raises:
            Exception: a bug of ours that ended the connection; the client was told 1011.
        """
        await self._converse()
        verdict = self.connection.verdict
        assert verdict is not None, "no end without a reason"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.connection.end_channels)
            if verdict.code is not None and not verdict.said:
                await self._say_goodbye(verdict.code, verdict.told or verdict.reason)
            await self._wire.aclose()
        if self.connection.failure is not None:
            raise self.connection.failure

    async def _converse(self) -> None:
        """Deal with what is no plain message until the peer, the clock or a verdict ends it."""
        connection, wire = self.connection, self._wire
        connection.interrupt = wire.interrupt
        self._idle = self._timers.after(connection.limits.idle_s, self._look)
        try:
            passed = await wire.overheard() if connection.verdict is None else None
            if connection.verdict is None:
                await self._deal_with_all(passed)
        finally:
            self._idle.cancel()

    async def _deal_with_all(self, passed: bytes | None) -> None:
        """Deal with this, where it is something, and with all that follows."""
        connection = self.connection
        with trio.CancelScope() as scope:
            connection.interrupt = scope.cancel
            try:
                while connection.verdict is None:
                    await self._deal_with(await self._wire.passed() if passed is None else passed)
                    passed = None
            except trio.BrokenResourceError:
                connection.end(BROKEN)

    def _look(self) -> None:
        """End the connection if it was idle for too long; else look again when it may have been."""
        idle_s = self.connection.limits.idle_s
        left = self._wire.heard_at + idle_s - trio.current_time()
        if left > 0:
            self._idle = self._timers.after(left, self._look)
        else:
            self.connection.end(IDLE)

    async def _deal_with(self, passed: bytes) -> None:
        if self._slow_lane is not None:
            await self._slow_lane.take(passed)
        elif not passed:
            self.connection.end(LOST)
        elif not await self._answer(passed):
            connection = self.connection
            connection.count_slow_lane()
            self._slow_lane = await SlowLane.open(
                self._wire, self._nursery, connection.receive, connection.limits.message_bytes
            )
            await self._slow_lane.take(passed)

    async def _answer(self, passed: bytes) -> bool:
        """Answer a control frame that keeps every rule; False if this is none."""
        opcode, payload = plain_control(passed) or (None, b"")
        if opcode == PING:
            await self._wire.write(pong_frame(payload))
        elif opcode == CLOSE:
            answer = goodbye_answer(payload)
            if answer is None:
                return False
            await self._wire.write_close(answer)
            self.connection.end(LEFT)
        return opcode in (PING, PONG, CLOSE)

    async def _say_goodbye(self, code: int, reason: str) -> None:
        """Write a close frame, and wait for the client's."""
        wire = self._wire
        with (
            trio.move_on_after(self.connection.limits.close_s),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await wire.write_close(close_frame(code, reason))
            while await wire.passed() and not wire.deaf:
                pass  # what it sent before it heard
