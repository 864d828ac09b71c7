"""Runs one channel: the actor behind one client's membership of one topic.

Theory of operation. The join is the actor's start, within the time that a join has. Before the
channel is asked, the client is subscribed, held, to the hub and to the broker. When the channel
has granted the join, everything visible happens in one go, without a pause: the answer, what the
channel pushed while it thought, the replay, what was held and lies behind it; and from then on the
live tail. That is why an answer precedes every broadcast, and why there is neither gap nor
duplicate.

However the actor ends, its connection is told exactly once (`channel_ended`), after the
subscriptions are gone.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, Final, TypeAlias

import trio

from actors import Actor, ChildSpec, MailboxFull, Overflow, only_life
from actors import Reply as CallReply
from channels.channel import (
    CLOSED,
    CRASHED,
    DENIED,
    STOPPED,
    Body,
    Channel,
    InResult,
    Joined,
    JoinRefused,
    NoReply,
    NowaitChannel,
    Payload,
    Reply,
    Stop,
)
from channels.client import Client, Ended
from channels.errors import HistoryDown, IllegalResult
from channels.host_socket import HostSocket
from channels.limits import MAILBOX_CAPACITY
from channels.members import Interception
from channels.protocol import BUSY, UNAVAILABLE, Membership
from channels.router import Route
from channels.seat import Seat, last_position
from channels.serializer import Envelope


@dataclass(frozen=True, slots=True)
class _Info:
    """A message of the application, for `handle_info`."""

    message: object


@dataclass(frozen=True, slots=True)
class _Out:
    """A broadcast that the channel intercepts, for `handle_out`."""

    event: str
    payload: Body


@dataclass(frozen=True, slots=True)
class _Recheck:
    """The client has a new identity: see whether it may stay."""


@dataclass(frozen=True, slots=True)
class _End:
    """End in peace, for this reason."""

    reason: str


HostMessage: TypeAlias = Envelope | _Info | _Out | _Recheck | _End

# Stands where the channel will, until the actor has started.
_NOBODY: Final = Channel()


class ChannelHost(Actor[HostMessage]):
    """One channel's actor.

    Attributes:
        membership: what it is the channel of.
        id: its name among the channels of its connection.
        reason: why it ends, once it does.
        granted: the join was granted.
        answered: the join was answered, or needs no answer any more.
    """

    __slots__ = (
        "_behind",
        "_channel",
        "_client",
        "_early",
        "_failure",
        "_joining",
        "_recheck_due",
        "_route",
        "_seat",
        "_socket",
        "answered",
        "granted",
        "id",
        "membership",
        "reason",
    )

    capacity: ClassVar[int] = MAILBOX_CAPACITY
    overflow: ClassVar[Overflow] = Overflow.REJECT

    def __init__(
        self,
        id: str,  # noqa: A002 - a child's own word
        membership: Membership,
        route: Route,
        client: Client,
    ) -> None:
        """A host whose join was not asked for yet."""
        self.id = id
        self.membership = membership
        self.reason: str | None = None
        self.granted = False
        self.answered = False
        self._route = route
        self._channel = _NOBODY
        self._client = client
        self._failure: Exception | None = None  # raised by a push handled outside the mailbox
        self._early: list[tuple[str, Body]] | None = []  # pushes that wait for the answer
        self._joining = False  # the channel is asked, or is about to be
        self._recheck_due = False
        self._behind = 0  # what is to be done before a push may be handled outside the mailbox
        self._seat = Seat(membership, route, client)
        self._socket = HostSocket(self, self._seat, client)

    def child(self) -> ChildSpec:
        """What a supervisor needs to run it. It lives once."""
        limits = self._client.limits
        return only_life(self.id, self, shutdown_s=limits.terminate_s, start_s=limits.join_s)

    # For the connection.

    def deliver(self, push: Envelope) -> None:
        """Take a push, in its turn. Without room it is refused as busy."""
        nowait = isinstance(self._channel, NowaitChannel)
        if nowait and not self._recheck_due and not self._behind:
            self._handle_nowait(push)
            return
        try:
            self.ref.cast(push)
            self._behind += nowait
        except MailboxFull:
            self.answer(push, Reply.error(BUSY))

    def end(self, reason: str) -> bool:
        """End in peace, in turn; False if there is no room to ask for it."""
        try:
            self.ref.cast(_End(reason))
        except MailboxFull:
            return False
        return True

    def abandon(self, reason: str) -> None:
        """Nobody waits for this channel any more: give up a join under way."""
        self.reason = self.reason or reason
        if self._joining:
            self.give_up()

    def recheck(self) -> None:
        """The client has a new identity: see whether it may stay, before anything else."""
        self._recheck_due = True
        if self.granted:
            with suppress(MailboxFull):  # then whatever is there has it seen to
                self.ref.cast(_Recheck())

    def notify(self, message: object) -> None:
        """Have the channel handle a message of the application. Without room it is lost."""
        with suppress(MailboxFull):
            self.ref.cast(_Info(message))

    def answer(self, push: Envelope, reply: Reply) -> None:
        """Answer a push, if its client wants that and the channel is still there."""
        if self.ref.alive:
            self._client.reply(self.membership.join_ref, push, reply)

    def push(self, event: str, payload: Body) -> None:
        """Send an event to the client: after the join's answer, if that is not out yet."""
        if self._early is None:
            membership = self.membership
            self._client.send(membership.join_ref, None, membership.topic, event, payload)
            return
        assert len(self._early) < self._client.limits.held_messages, "too many pushes in a join"
        self._early.append((event, payload))

    def intercept(self, event: str, payload: Body, vital: bool) -> None:  # noqa: FBT001 - a callback
        """Have the channel see a broadcast before its client does."""
        try:
            self.ref.cast(_Out(event, payload))
        except MailboxFull as error:
            self._client.hub.drop()
            if vital:  # the client may not go without: it joins again, and recovers
                self.reason = self.reason or CRASHED
                self.ref.crash(error)

    def finish(self, *, crashed: bool) -> None:
        """The actor is gone: be no member any more, and tell the connection."""
        self._seat.leave()
        endings, self._socket.endings = self._socket.endings or [], None
        for ending in endings:
            ending()
        ended = Ended(self.reason, self.granted, self.answered, crashed)
        self._client.channel_ended(self.membership, ended)

    # The actor.

    async def started(self) -> None:
        """Make the channel, and join. A factory that fails is a join that crashed."""
        if self.reason is not None:  # abandoned before it began
            self.stop()
            return
        self._channel = self._route.make()
        self._joining = True
        try:
            await self._join()
        except Exception:
            self._note_crash()
            raise

    async def handle(self, message: HostMessage, reply: CallReply) -> None:
        """Act on one message."""
        try:
            await self._act(message)
        except Exception:
            self._note_crash()
            raise

    async def stopping(self) -> None:
        """Say goodbye, if the join was granted."""
        if self.granted:
            await self._channel.terminate(self.reason or CLOSED, self._socket)
        if self._failure is not None:
            raise self._failure

    async def _act(self, message: HostMessage) -> None:
        if self._recheck_due and not isinstance(message, _End):
            await self._reauthorize()
            if self.reason is not None:
                return
        if isinstance(message, Envelope):
            await self._handle_in(message)
        elif isinstance(message, _Info):
            told = await self._channel.handle_info(message.message, self._socket)
            self._conclude_info("handle_info", told)
        elif isinstance(message, _Out):
            told = await self._channel.handle_out(message.event, message.payload, self._socket)
            self._conclude_info("handle_out", told)
        elif isinstance(message, _End):
            self._end_now(message.reason)

    async def _join(self) -> None:
        events = self._channel.intercepts
        await self._seat.take(Interception(events, self.intercept) if events else None)
        self._recheck_due = False  # it is the present identity that is asked about
        result = await self._ask()
        if events:
            result = await self._see_replay(events, result)
        self._conclude_join(result)

    async def _ask(self) -> object:
        """The channel's decision, completed by what the topic's history has to say."""
        topic, payload = self.membership.topic, self.membership.join.payload
        try:
            result = await self._channel.join(topic, payload, self._socket)
            return await self._seat.complete(result) if isinstance(result, Joined) else result
        except HistoryDown:
            return JoinRefused(UNAVAILABLE)

    async def _see_replay(self, events: frozenset[str], result: object) -> object:
        """Have the channel see what it intercepts of the replay; its pushes follow the rest."""
        if not isinstance(result, Joined):
            return result
        for message in result.replay:
            if message.event in events:
                told = await self._channel.handle_out(message.event, message.payload, self._socket)
                self._conclude_info("handle_out", told)
        left = tuple(message for message in result.replay if message.event not in events)
        last = last_position(result)
        return replace(result, replay=left, position=last)

    def _conclude_join(self, result: object) -> None:
        self._joining = False
        if self.membership.replaced or self.reason is not None:
            self.stop()
        elif isinstance(result, JoinRefused):
            self._refuse(result.response)
        elif not isinstance(result, Joined):
            raise self._illegal("join", (Joined, JoinRefused), result)
        elif self._seat.overrun:
            self._refuse(BUSY)
        else:
            self._grant(result)

    def _grant(self, joined: Joined) -> None:
        """Answer and let go: nothing in here waits, so nothing comes between."""
        self._answer_join(Reply.ok(joined.response))
        self.granted = True
        early, self._early = self._early or [], None
        for message in joined.replay:
            self._seat.replay(message)
        for event, payload in early:
            self.push(event, payload)
        self._seat.release(joined)
        self._client.channel_joined(self.membership)
        if self._recheck_due:
            self.recheck()

    async def _reauthorize(self) -> None:
        self._recheck_due = False
        self._behind += 1
        with trio.fail_after(self._client.limits.join_s):
            entitled = await self._channel.reauthorize(self._socket)
        self._behind -= 1
        if not isinstance(entitled, bool):
            raise self._illegal("reauthorize", (bool,), entitled)
        if not entitled:
            self._end_now(DENIED)

    def _refuse(self, response: Payload) -> None:
        self._answer_join(Reply.error(response))
        for_good = response.get("retryable") is not True
        self._client.join_refused(self.membership, for_good=for_good)
        self.stop()

    def _answer_join(self, reply: Reply) -> None:
        self.answer(self.membership.join, reply)
        self.answered = True

    async def _handle_in(self, push: Envelope) -> None:
        if isinstance(self._channel, NowaitChannel):
            self._behind -= 1
            self._handle_nowait(push)
            return
        self._socket.present = push
        result = await self._channel.handle_in(push.event, push.payload, self._socket)
        self._conclude("handle_in", result, push)

    def _handle_nowait(self, push: Envelope) -> None:
        """Act on a push without waiting; what it raises crashes this channel all the same."""
        if self.reason is not None:
            return
        channel = self._channel
        assert isinstance(channel, NowaitChannel), "others have a mailbox"
        self._socket.present = push
        try:
            result = channel.handle_in_nowait(push.event, push.payload, self._socket)
            self._conclude("handle_in_nowait", result, push)
        except Exception as error:  # noqa: BLE001 - raised again in the actor, whose crash it is
            self._failure = error
            self._end_now(CRASHED)

    def _conclude(self, method: str, result: InResult, push: Envelope) -> None:
        """Act on what a handler returned."""
        if isinstance(result, NoReply):
            return
        if isinstance(result, Reply):
            self.answer(push, result)
        elif isinstance(result, Stop):
            if result.reply is not None:
                self.answer(push, result.reply)
            self._end_now(STOPPED)
        else:
            raise self._illegal(method, (Reply, NoReply, Stop), result)

    def _conclude_info(self, method: str, result: object) -> None:
        """Act on what a handler returned that nobody waits for."""
        if isinstance(result, Stop):
            self._end_now(STOPPED)
        elif result is not None and not isinstance(result, NoReply):
            raise self._illegal(method, (NoReply, Stop, type(None)), result)

    def _note_crash(self) -> None:
        self.reason = self.reason or CRASHED

    def _end_now(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.stop()

    def _illegal(self, method: str, legal: tuple[type, ...], result: object) -> IllegalResult:
        return IllegalResult(f"{type(self._channel).__name__}.{method}", legal, result)
