"""The contract of a channel: what an application writes, and what it is handed.

A channel is one client's membership of one topic. It runs in an actor of its own under the client's
connection, so its methods never overlap and whatever leaves one of them crashes this channel
alone: the client is told `phx_error` and joins again.

    class Room(Channel):
        async def join(self, topic, params, socket):
            return Joined({"hello": socket.assigns.name})

        async def handle_in(self, event, payload, socket):
            socket.broadcast(event, payload)
            return NoReply()
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from channels.errors import UnknownEvent

Payload: TypeAlias = Mapping[str, Any]
"""What an event carries: a JSON object."""

Body: TypeAlias = Payload | bytes
"""What an event may carry on a volatile topic: a JSON object, or bytes as they are.

Clients of V1 get no bytes: for them such a message is dropped, and counted as dropped.
"""


@dataclass(frozen=True, slots=True)
class Message:
    """An event of a topic.

    Attributes:
        event: its name.
        payload: a JSON object.
        position: its place on a durable topic; None on a volatile one.
        cursor: how that place is spelt, for clients that want to see it.
    """

    event: str
    payload: Payload
    position: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The join is granted.

    Attributes:
        response: what the client's join is answered with.
        position: on a durable topic, the place that `response` shows. Live messages at or below
            it, or the last of `replay`, are not delivered again; those above it follow in order.
        replay: messages sent right after the answer and before anything live.
    """

    response: Payload = field(default_factory=dict)
    position: int | None = None
    replay: Sequence[Message] = ()


@dataclass(frozen=True, slots=True)
class JoinRefused:
    """The join is refused. Phoenix clients read `reason`.

    Attributes:
        response: what the client's join is answered with.
    """

    response: Payload


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one push.

    Attributes:
        status: `ok`, `error`, or any word the client waits for.
        response: a JSON object, or bytes.
    """

    status: str = "ok"
    response: Body = field(default_factory=dict)

    @classmethod
    def ok(cls, response: Body | None = None) -> "Reply":
        """It was done."""
        return cls("ok", {} if response is None else response)

    @classmethod
    def error(cls, response: Payload) -> "Reply":
        """It was not done; `response` says why."""
        return cls("error", response)


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer now. One may follow through `ChannelSocket.reply_later`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The channel ends in peace: the client is answered, told `phx_close`, and does not rejoin.

    Attributes:
        reply: the answer to the push that led here.
    """

    reply: Reply | None = None


JoinResult: TypeAlias = Joined | JoinRefused
InResult: TypeAlias = Reply | NoReply | Stop
InfoResult: TypeAlias = NoReply | Stop | None


@dataclass(frozen=True, slots=True)
class Recalled:
    """What the history of a topic keeps when it is joined.

    Attributes:
        messages: all of them, oldest first.
        recovered: the client's own cursor is good: its view goes on, and it gets what it missed.
    """

    messages: Sequence[Message]
    recovered: bool


class LaterReply(Protocol):
    """The way to answer one push after its handler returned, from any task, once."""

    def send(self, reply: Reply) -> None:
        """Answer. Nothing happens if the channel has ended."""


class ChannelSocket(Protocol):
    """What a channel's methods are handed: the client, as seen from this topic.

    Nothing here waits or fails: what a client does not read in time goes by the outbox's bounds.
    """

    @property
    def assigns(self) -> Any:
        """What the application's `connect` returned: who this is."""

    @property
    def topic(self) -> str:
        """The topic joined."""

    def push(self, event: str, payload: Body) -> None:
        """Send an event to this client alone."""

    def broadcast(self, event: str, payload: Body) -> None:
        """Send an event to all members of the topic, on every node, this client too.

        Where the topic has history it gets its place first, and may be refused: then this only
        counts, and `publish` tells.
        """

    async def publish(self, event: str, payload: Body) -> str | None:
        """As `broadcast`, and waits until the event has its place in the topic's history.

        Returns:
            Its cursor; None where the topic has no history.

        Raises:
            HistoryDown: it was refused, and may be tried again.
        """

    async def past(self) -> Recalled:
        """Within `join`, where the topic has history: what it keeps.

        The client is told the cursor, whether it recovered, and what it missed, without this; it is
        for what else a channel makes of its history, as a snapshot.

        Raises:
            HistoryDown: not now. Raised on, it refuses the join, and the client comes again.
        """

    def reply_later(self) -> LaterReply:
        """Within `handle_in`: keep the push being handled, to answer it after NoReply."""

    def on_end(self, callback: Callable[[], None]) -> None:
        """Have a function called when the channel is over, however it ended; now if it is already.

        It is called once, and must neither block nor raise.
        """

    def notify(self, message: object) -> None:
        """Have `handle_info(message)` called in its turn. Dropped once the channel has ended."""


class Channel:
    """One client's membership of one topic. A new object is made for each join.

    Attributes:
        intercepts: broadcasts of these events are given to `handle_out`, and not sent to the
            client. Each costs a message to each member's actor, so they are for few members, or
            seldom.
    """

    intercepts: ClassVar[frozenset[str]] = frozenset()

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Decide about the join.

        Broadcasts are being kept from before this is called, so a snapshot read here and its
        position leave neither a gap nor a duplicate.

        Args:
            topic: the whole topic.
            params: what the client sent: any JSON value, an object in practice; or bytes.
            socket: the client. Pushes from here follow the answer.
        """
        return Joined()

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Act on one push of the client.

        Args:
            event: any name but those that begin with `phx_`.
            payload: any JSON value, an object in practice; bytes if the client sent these.
            socket: the client.
        """
        raise UnknownEvent(event)

    async def handle_info(self, message: Any, socket: ChannelSocket) -> InfoResult:
        """Act on a message that `ChannelSocket.notify` handed over."""
        raise AssertionError(f"{type(self).__name__} takes no messages, and got {message!r}")

    async def handle_out(self, event: str, payload: Any, socket: ChannelSocket) -> InfoResult:
        """Act on a broadcast that is intercepted: push it, or something else, or nothing.

        It comes in its turn among the channel's messages; broadcasts that are not intercepted go
        straight to the client and may be there before it. What is pushed instead has no cursor.

        Args:
            event: one of `intercepts`.
            payload: as it was broadcast; the same object may be seen by others, so it is not to be
                changed.
            socket: the client.
        """
        raise AssertionError(f"{type(self).__name__} intercepts {event!r} and does not handle it")

    async def reauthorize(self, socket: ChannelSocket) -> bool:
        """Whether the client may stay in the topic: it has sent a new token, and is new `assigns`.

        Asked before anything else is handled. A client that may not is told `phx_close`, and does
        not rejoin by itself.
        """
        return True

    async def terminate(self, reason: str, socket: ChannelSocket) -> None:
        """Say goodbye, if the join was granted. Pushes from here still reach a client that left.

        Args:
            reason: one of LEFT, STOPPED, KICKED, DENIED, REPLACED, CLOSED, CRASHED.
            socket: the client.
        """


class NowaitChannel(Channel):
    """A channel whose pushes are too many for a mailbox: they are handled where they are read."""

    def handle_in_nowait(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """As `handle_in`, without waiting. It holds up the node while it runs."""
        raise UnknownEvent(event)


# Why a channel ended.
LEFT: Final = "left"  # the client left the topic
STOPPED: Final = "stopped"  # the channel returned Stop
KICKED: Final = "kicked"  # somebody else ended it
DENIED: Final = "denied"  # the client's new token does not let it be here
REPLACED: Final = "replaced"  # the client joined the topic again
CLOSED: Final = "closed"  # the connection ended
CRASHED: Final = "crashed"  # a method of the channel raised

ChannelFactory: TypeAlias = Callable[[], Channel]
