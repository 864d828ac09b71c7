"""The topic `account:<id>`: an account as it is, and each posting to it.

Theory of operation. As in a sale, the host keeps what is published from before `join` is called, so
the join only has to read one snapshot with its place, or the postings missed since the client's own
cursor. From there on this channel has no part in it: the account feed tells of postings, for as
long as somebody on this node watches the account.

A cursor here is a place in the order of the account's book. It is not one in the event log, though
of the same epoch: both belong to one database, and are void together.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio

from app.domain.cursor import parse_cursor
from app.domain.errors import Code, Refusal
from app.domain.page import number_of
from app.ledger.feed import AccountFeed
from app.ledger.model import NO_ACCOUNT, Account
from app.ledger.service import may_see
from app.ledger.tail import ACCOUNT, POSTING, AccountJoin, PostingSeen, snapshot
from app.limits import JOIN_S
from app.socket.refusal import response_of
from app.storage import StorageDown
from channels.channel import (
    Channel,
    ChannelSocket,
    InResult,
    Joined,
    JoinRefused,
    JoinResult,
    Message,
    Reply,
)

_NOT_AN_OBJECT: Final = Refusal(Code.INVALID_REQUEST, "An object is expected.")
_NO_SUCH_EVENT: Final = Refusal(
    Code.INVALID_REQUEST, "This topic takes no events from clients: postings are made over HTTP."
)


class AccountChannel(Channel):
    """One client that watches one account."""

    def __init__(self, feed: AccountFeed) -> None:
        """A channel not joined yet.

        Args:
            feed: tells of postings.
        """
        self._feed = feed
        self._account: Account | None = None

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Answers `{snapshot, cursor}`, or the postings missed since `{cursor}` of the params."""
        if not isinstance(params, Mapping):
            return JoinRefused(response_of(_NOT_AN_OBJECT))
        start = await self._start(topic, params.get("cursor"), socket)
        if isinstance(start, Refusal):
            return JoinRefused(response_of(start))
        self._account = start.account
        return _joined(start, rejoins=params.get("cursor") is not None)

    async def _start(
        self, topic: str, wire: object, socket: ChannelSocket
    ) -> AccountJoin | Refusal:
        number = number_of(topic.removeprefix(ACCOUNT))
        if number is None or topic != f"{ACCOUNT}{number}":  # it has one spelling, and one topic
            return NO_ACCOUNT
        if not self._feed.enter(number):
            return Refusal(Code.BUSY)
        socket.on_end(partial(self._feed.leave, number))
        with suppress(StorageDown), trio.move_on_after(JOIN_S):
            return await self._feed.join(socket.assigns, number, parse_cursor(wire))
        return Refusal(Code.UNAVAILABLE)

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """There is nothing to push."""
        return Reply.error(response_of(_NO_SUCH_EVENT))

    async def reauthorize(self, socket: ChannelSocket) -> bool:
        """As a join: whose the account is does not change, but the role and scopes may have."""
        return self._account is not None and may_see(socket.assigns, self._account)


def _joined(start: AccountJoin, *, rejoins: bool) -> Joined:
    """The join's answer, and what follows it."""
    cursor, missed = start.cursor, start.missed
    response: dict[str, Any] = {"cursor": str(cursor)}
    if missed is None:
        response["snapshot"] = snapshot(start.account)
        if rejoins:
            response |= {"recovered": False, "reload": True}
        return Joined(response, cursor.position)
    response |= {"recovered": True, "missed": len(missed)}
    replay = tuple(_message(seen, cursor.epoch) for seen in missed)
    return Joined(response, cursor.position, replay)


def _message(seen: PostingSeen, epoch: str) -> Message:
    payload = seen.payload(epoch)
    return Message(POSTING, payload, seen.number, payload["cursor"])
