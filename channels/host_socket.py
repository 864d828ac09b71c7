"""What a channel's methods are handed: its client, seen from one topic."""

from collections.abc import Callable
from typing import Any, Protocol

from channels.channel import Body, Recalled, Reply
from channels.client import Client
from channels.protocol import Membership
from channels.seat import Seat
from channels.serializer import Envelope


class Host(Protocol):
    """The channel's host, as its sockets see it."""

    membership: Membership

    def answer(self, push: Envelope, reply: Reply) -> None:
        """Answer a push, if its client wants that and the channel is still there."""

    def push(self, event: str, payload: Body) -> None:
        """Send an event to the client: after the join's answer, if that is not out yet."""

    def notify(self, message: object) -> None:
        """Have the channel handle a message of the application. Without room it is lost."""


class HostSocket:
    """The `ChannelSocket` of one host."""

    __slots__ = ("_client", "_host", "_seat", "endings", "present")

    def __init__(self, host: Host, seat: Seat, client: Client) -> None:
        self._host = host
        self._seat = seat
        self._client = client
        self.present: Envelope | None = None  # the push being handled
        self.endings: list[Callable[[], None]] | None = []  # called when it is over; then None

    @property
    def assigns(self) -> Any:
        """Who this is."""
        return self._client.assigns

    @property
    def topic(self) -> str:
        """The topic joined."""
        return self._host.membership.topic

    def push(self, event: str, payload: Body) -> None:
        """Send an event to this client alone."""
        self._host.push(event, payload)

    def broadcast(self, event: str, payload: Body) -> None:
        """Send an event to all members of the topic."""
        self._seat.broadcast(event, payload)

    async def publish(self, event: str, payload: Body) -> str | None:
        """Send an event to all members of the topic, and say its cursor."""
        return await self._seat.publish(event, payload)

    async def past(self) -> Recalled:
        """What the topic's history keeps."""
        return await self._seat.past()

    def reply_later(self) -> "HostLaterReply":
        """Keep the push being handled."""
        assert self.present is not None, "reply_later is for handle_in"
        return HostLaterReply(self._host, self.present)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Have a function called when the channel is over."""
        if self.endings is None:
            callback()
        else:
            self.endings.append(callback)

    def notify(self, message: object) -> None:
        """Have `handle_info` called."""
        self._host.notify(message)


class HostLaterReply:
    """The way to answer one push later."""

    __slots__ = ("_host", "_push")

    def __init__(self, host: Host, push: Envelope) -> None:
        self._host = host
        self._push: Envelope | None = push

    def send(self, reply: Reply) -> None:
        """Answer, once."""
        assert self._push is not None, "a push is answered once"
        push, self._push = self._push, None
        self._host.answer(push, reply)
