"""One client: what it sends, acted upon, and what becomes of its channels.

Theory of operation. A connection is called from the inbound lane for each message and never waits
there: it decodes, asks the table in `protocol` what the message means, and acts. What takes time
happens elsewhere: joins, and all else that a channel does, run in the channel's own actor, under a
supervisor that belongs to this connection. So a slow join holds up neither a heartbeat nor another
topic, and a crash takes one channel and no more.

Every membership ends by `channel_ended`, however its actor came to its end, and that is the one
place which says so to the client.

The connection itself ends by a *verdict*: the first reason wins, and who runs it is interrupted.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

import trio

from actors import Brood, Child, Lifeline
from channels.allowance import Allowance
from channels.channel import CRASHED, KICKED, LEFT, REPLACED, Body, Reply
from channels.client import Ended
from channels.client_limits import LimitName
from channels.errors import MalformedMessage
from channels.form import Form
from channels.frames import TEXT
from channels.host import ChannelHost
from channels.join_queue import Turn
from channels.limits import ENDING_MAX
from channels.outbox import Outbox
from channels.protocol import (
    BUSY,
    CHANNEL_CRASH,
    CLOSE,
    ERROR,
    JOIN_CRASHED,
    NEVER_REFUSED,
    TOO_MANY,
    UNMATCHED,
    Act,
    Membership,
    SocketState,
    kind_of,
)
from channels.serializer import Envelope, Ref
from channels.surroundings import Surroundings
from channels.verdict import BUG, EXCESSIVE, MALFORMED, Verdict

_OK: Final = Reply.ok()


class Connection:
    """One client. Implements `channels.client.Client` for its channels' hosts."""

    def __init__(
        self,
        assigns: Any,
        form: Form,
        outbox: Outbox,
        nursery: trio.Nursery,
        around: Surroundings,
        life: Lifeline,
    ) -> None:
        """A client that was accepted, with no topics.

        Args:
            assigns: who it is, as the application's `connect` said.
            form: how it is written to.
            outbox: where what it is sent goes.
            nursery: where its channels run, and what a join has to wait for.
            around: what it shares.
            life: the client's, of which the channels are a part.
        """
        self.assigns = assigns
        self.form = form
        self.outbox = outbox
        self.hub = around.hub
        self.broker = around.broker
        self.limits = around.limits
        self.publishing = around.publishing
        self.interrupt: Callable[[], None] = lambda: None
        """Called with the verdict: ends what whoever runs the connection waits for."""
        self.verdict: Verdict | None = None
        self.failure: Exception | None = None
        """A bug of ours that ended the connection."""
        self._around = around
        self._nursery = nursery
        self._state = SocketState(
            channels_max=around.limits.channels, held_max=around.limits.held_frames
        )
        self._hosts: dict[Membership, ChannelHost] = {}
        self._hosts_max = around.limits.channels + ENDING_MAX
        self._serial = 0
        self._offences = 0
        self._allowance = Allowance(around.guard, around.limits.message_bytes)
        self._channels = Brood(
            life.part("channels"),
            nursery,
            max_children=self._hosts_max,
            on_gone=self._channel_gone,
        )
        self.stay = around.access.admit(self)

    @property
    def topics(self) -> list[str]:
        """The topics joined, those being joined or left included."""
        return list(self._state.memberships)

    # For the transport.

    async def end_channels(self) -> None:
        """End every channel, each with its time to say goodbye."""
        await self._channels.stop()

    def leave(self) -> None:
        """The client is gone: it waits for no turn to join any more, and is nobody's to cut off."""
        self.stay.end()
        for membership in list(self._hosts):  # whose turn it is now, ends as it begins
            self._around.guard.end_join(membership.turn)

    def receive(self, data: bytes | str, opcode: int) -> None:
        """Act on one message of the client. A bug of ours ends the connection, not the caller.

        Args:
            data: the message; binary ones are bytes.
            opcode: TEXT or BINARY.
        """
        self._around.tally.received += 1
        allowance = self._allowance
        allowance.messages = messages = allowance.messages - 1
        allowance.bytes = octets = allowance.bytes - len(data)
        try:
            if self.verdict is not None:
                return
            if messages < 0 or octets < 0:
                self._take_carefully(data, opcode)
            else:
                self._take(self._decode(data, opcode))
        except MalformedMessage:
            self.count_offence()
        except Exception as error:  # noqa: BLE001 - raised again by the task that runs the connection
            self.fail(error)

    def count_slow_lane(self) -> None:
        """The client sent what is not plainly a message, for the first time."""
        self._around.tally.slow_lanes += 1

    def count_offence(self) -> None:
        """The client sent what is no message; too many of those end the connection."""
        self._around.tally.malformed += 1
        self._offences += 1
        if self._offences >= self.limits.malformed:
            self.end(MALFORMED)

    def fail(self, error: Exception) -> None:
        """End the connection for a bug of ours, which is raised again when it has ended."""
        self.failure = self.failure or error
        self.end(BUG)

    def end(self, verdict: Verdict) -> None:
        """End the connection for this reason, unless there is one already."""
        if self.verdict is None:
            self.hub.settle()  # what was published until now precedes the goodbye
            self.verdict = verdict
            self.interrupt()

    def kick(self, topic: str) -> bool:
        """End the channel of a topic; its client is told `phx_close` and does not rejoin."""
        membership = self._state.memberships.get(topic)
        if membership is None:
            return False
        self._state.leave(membership, membership.farewell)
        self._retire(membership, KICKED)
        return True

    def recheck(self) -> None:
        """Have every channel see whether the client may still be there."""
        for host in self._hosts.values():
            host.recheck()

    # For the hosts.

    def send(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> None:
        """Send one message to the client."""
        self._send(self.form.serializer.encode(join_ref, ref, topic, event, payload))

    def reply(self, join_ref: Ref, push: Envelope, reply: Reply) -> None:
        """Answer a frame of the client, if it wants an answer."""
        if push.ref is not None:
            self._send(
                self.form.serializer.encode_reply(
                    join_ref, push.ref, push.topic, reply.status, reply.response
                )
            )

    def join_refused(self, membership: Membership, *, for_good: bool) -> None:
        """The application refused the join."""
        if for_good:
            self._allowance.count_failed_join(membership.topic)

    def channel_joined(self, membership: Membership) -> None:
        """The join was granted and answered: what waited for that is taken now."""
        self._around.tally.joined += 1
        self._around.guard.end_join(membership.turn)
        held = self._state.answered(membership)
        self._close_replaced(membership)
        self._take_all(held)

    def _channel_gone(self, child: Child) -> None:
        """A channel's actor is gone, however it came to its end."""
        for host in self._hosts.values():
            if host.id == child.name:
                break
        else:
            return
        try:
            host.finish(crashed=not child.in_peace)
        except Exception as error:  # noqa: BLE001 - raised again by the task that runs the connection
            self.fail(error)

    def channel_ended(self, membership: Membership, ended: Ended) -> None:
        """A channel is gone. Say so, unless the client knows or nobody is there to hear it."""
        del self._hosts[membership]
        self._around.guard.end_join(membership.turn)
        if ended.crashed:
            self._around.tally.crashed += 1
        if self.verdict is None and not membership.replaced:
            self._tell_end(membership, ended)
        self._close_replaced(membership)
        self._take_all(self._state.end(membership))

    def _tell_end(self, membership: Membership, ended: Ended) -> None:
        if membership.farewell is not None:
            self.reply(membership.join_ref, membership.farewell, _OK)
            self._close(membership, membership.join_ref)
        elif ended.answered and not ended.granted:
            return
        elif ended.reason == CRASHED or (ended.crashed and ended.reason is None):
            self._allowance.count_failed_join(membership.topic)
            if ended.granted:
                join_ref = membership.join_ref
                self.send(join_ref, join_ref, membership.topic, ERROR, CHANNEL_CRASH)
            else:
                self._reply(membership.join, Reply.error(JOIN_CRASHED))
        else:
            self._close(membership, membership.join_ref)

    def _close_replaced(self, membership: Membership) -> None:
        """The join was answered: now the channels that gave way to it may be closed."""
        closes, membership.closes = membership.closes, []
        if self.verdict is None:
            for join_ref in closes:
                self._close(membership, join_ref)

    def _close(self, membership: Membership, join_ref: Ref) -> None:
        self.send(join_ref, join_ref, membership.topic, CLOSE, {})

    def _reply(self, envelope: Envelope, reply: Reply) -> None:
        """Answer a frame with the join_ref that it came with."""
        self.reply(envelope.join_ref, envelope, reply)

    def _send(self, message: bytes | None) -> None:
        frame = None if message is None else self.form.frame(message)
        if frame is None:
            self.hub.drop()  # the client's version, or its transport, has no form for it
        else:
            self.hub.push(self.outbox, frame)

    def _decode(self, data: bytes | str, opcode: int) -> Envelope:
        if opcode == TEXT:
            return self.form.serializer.decode(data)
        assert isinstance(data, bytes), "binary messages are bytes"
        return self.form.serializer.decode_binary(data)

    # The acts.

    def _take_all(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            self._take(envelope)

    def _take_carefully(self, data: bytes | str, opcode: int) -> None:
        """Act on a message that seems to be beyond what the client may send."""
        refused = self._allowance.judge(len(data))
        envelope = self._decode(data, opcode)
        if refused is None or kind_of(envelope) in NEVER_REFUSED:
            self._take(envelope)
        else:
            self._reply(envelope, refused)
        if self._allowance.is_abused:
            self.end(EXCESSIVE)

    def _take(self, envelope: Envelope) -> None:
        act, membership = self._state.decide(envelope)
        if act is Act.DELIVER:  # nearly always
            assert membership is not None, "there is a channel to deliver to"
            self._hosts[membership].deliver(envelope)
        else:
            self._acts[act](self, envelope, membership)

    def _beat(self, envelope: Envelope, _membership: Membership | None) -> None:
        self.reply(None, envelope, _OK)

    def _renew(self, envelope: Envelope, _membership: Membership | None) -> None:
        self.stay.renew(envelope)

    def _confirm(self, envelope: Envelope, _membership: Membership | None) -> None:
        self._reply(envelope, _OK)

    def _refuse(self, envelope: Envelope, _membership: Membership | None) -> None:
        self.reply(None, envelope, Reply.error(UNMATCHED))

    def _ignore(self, _envelope: Envelope, _membership: Membership | None) -> None:
        """It speaks for a join that is over."""

    def _offend(self, _envelope: Envelope, _membership: Membership | None) -> None:
        self.count_offence()

    def _hold(self, envelope: Envelope, membership: Membership | None) -> None:
        assert membership is not None, "a join is under way"
        if not self._state.hold(membership, envelope):
            self._reply(envelope, Reply.error(BUSY))

    def _leave(self, envelope: Envelope, membership: Membership | None) -> None:
        assert membership is not None, "there is something to leave"
        self._state.leave(membership, envelope)
        if not self._hosts[membership].end(LEFT):
            self._retire(membership, LEFT)

    def _admit(self, envelope: Envelope, membership: Membership | None) -> None:
        if self._around.router.route(envelope.topic) is None:
            self._refuse(envelope, membership)
        elif (
            self._around.guard.is_beyond(LimitName.TOPICS, len(self._state.memberships) + 1)
            or not self._state.has_room()
        ):
            self._reply(envelope, Reply.error(TOO_MANY))
        else:
            self._begin(envelope, membership)

    def _begin(self, envelope: Envelope, _membership: Membership | None) -> None:
        """Start a join; what there is of this topic gives way."""
        route = self._around.router.route(envelope.topic)
        assert route is not None, "only topics that have a route get here"
        if len(self._hosts) >= self._hosts_max:
            self._reply(envelope, Reply.error(TOO_MANY))
            return
        refused = self._allowance.refuse_join(envelope.topic)
        if refused is not None:
            self._reply(envelope, refused)
            return
        before = [host for host in self._hosts.values() if host.membership.topic == envelope.topic]
        membership = self._state.begin(envelope)
        for host in before:
            host.abandon(REPLACED)
        self._serial += 1
        # Not named by its topic, which is its members' and not for logs and pictures of the tree.
        host = ChannelHost(f"channel-{self._serial}", membership, route, self)
        self._hosts[membership] = host
        membership.turn = Turn(partial(self._go_on, host, before))
        self._around.guard.begin_join(membership.turn)

    def _go_on(self, host: ChannelHost, before: Sequence[ChannelHost]) -> None:
        """It is the join's turn."""
        if before and self.verdict is None:
            self._nursery.start_soon(self._start_after, before, host)
        else:
            self._start(host)

    async def _start_after(self, before: Sequence[ChannelHost], host: ChannelHost) -> None:
        """Run a channel when those of its topic that gave way to it are gone."""
        for gone in before:
            await self._channels.terminate_child(gone.id)
        self._start(host)

    def _start(self, host: ChannelHost) -> None:
        if host.reason is not None or self.verdict is not None:
            host.finish(crashed=False)  # it is not wanted any more, and was never there
        else:
            self._channels.start_child_nowait(host.child())

    def _retire(self, membership: Membership, reason: str) -> None:
        """End a channel out of turn, and by force if it takes too long."""
        host = self._hosts[membership]
        host.abandon(reason)
        self._nursery.start_soon(self._channels.terminate_child, host.id)

    _acts: ClassVar[Mapping[Act, Callable[["Connection", Envelope, Membership | None], None]]] = {
        Act.BEAT: _beat,
        Act.RENEW: _renew,
        Act.ADMIT: _admit,
        Act.REPLACE: _begin,
        Act.HOLD: _hold,
        Act.LEAVE: _leave,
        Act.CONFIRM: _confirm,
        Act.REFUSE: _refuse,
        Act.IGNORE: _ignore,
        Act.OFFEND: _offend,
    }
