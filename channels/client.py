"""What a channel's host knows of the connection it belongs to."""

from dataclasses import dataclass
from typing import Any, Protocol

from channels.broker import Broker
from channels.channel import Body, Reply
from channels.form import Form
from channels.hub import Hub
from channels.limits import Limits
from channels.outbox import Outbox
from channels.protocol import Membership
from channels.publishing import Publishing
from channels.serializer import Envelope, Ref


@dataclass(frozen=True, slots=True)
class Ended:
    """How a channel ended.

    Attributes:
        reason: why it ended in peace, or CRASHED; None where it was cancelled, or its join refused.
        granted: its join was granted.
        answered: its join was answered.
        crashed: it did not end in peace.
    """

    reason: str | None
    granted: bool
    answered: bool
    crashed: bool


class Client(Protocol):
    """The connection, as a channel's host sees it."""

    assigns: Any
    form: Form
    outbox: Outbox
    hub: Hub
    broker: Broker
    publishing: Publishing
    limits: Limits

    def send(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> None:
        """Send one message to the client."""

    def reply(self, join_ref: Ref, push: Envelope, reply: Reply) -> None:
        """Answer a frame of the client, if it wants an answer."""

    def join_refused(self, membership: Membership, *, for_good: bool) -> None:
        """The application refused the join; asked again it would do so again, or may not."""

    def channel_joined(self, membership: Membership) -> None:
        """The join was granted, and answered."""

    def channel_ended(self, membership: Membership, ended: Ended) -> None:
        """The actor is gone, and its subscriptions with it."""
