"""The topic `sale:<id>`: a live view of one sale, and buying in it.

Theory of operation. The host keeps what is published on the topic from before `join` is called, so
the join only has to read one snapshot with its cursor, or the events missed since the client's own
cursor, and say at which position it stands: what was kept at or below it is dropped, the rest
follows. From there on this channel has no part in events; the feed gives them to the hub.

A checkout lasts as long as a payment, so it does not run in the channel, which would answer
nothing else meanwhile. It is a child of a supervisor of the node, and answers the push when it has
ended. If the client has left by then, nobody hears the answer; the same key asks for it again. One
channel may have `CHECKOUTS_A_CHANNEL_MAX` under way, the node as many as that supervisor takes:
beyond either, a push is refused as busy. A checkout that is cut off, as by a stop of the node, is
answered `outcome_unknown`, for the purchase itself goes on or is taken up again elsewhere.

Whoever joined is a viewer of the sale until its channel ends; members are told how many there are,
never who. Presence keeps that, on all nodes, and it is the one thing here that the log does not.

No socket outlives its token: its connection is closed when that is over, and whoever has joined is
somebody who may be here.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import trio

from actors import ActorDown, ChildSpec, DynamicSupervisor, Lifeline, Restart, TooManyChildren
from app.domain.cursor import parse_cursor
from app.domain.errors import Code, Refusal
from app.domain.ids import new_id
from app.events.model import CURSOR, StoredEvent
from app.identity.model import Identity
from app.limits import CHECKOUTS_A_CHANNEL_MAX, JOIN_S
from app.sales.model import SaleJoin
from app.sales.service import Sales
from app.socket.refusal import response_of
from app.storage import StorageDown
from app.telemetry.trace import traced
from app.transactions.model import CheckoutRequest, parse_checkout
from app.transactions.service import Transactions
from channels.channel import (
    Channel,
    ChannelSocket,
    InResult,
    Joined,
    JoinRefused,
    JoinResult,
    LaterReply,
    Message,
    NoReply,
    Reply,
)
from channels.presence import Presence

_NOT_AN_OBJECT: Final = Refusal(Code.INVALID_REQUEST, "An object is expected.")
_NO_SUCH_EVENT: Final = Refusal(
    Code.INVALID_REQUEST, "This topic takes one event from clients, `checkout`."
)


class SaleChannel(Channel):
    """One client in one sale."""

    def __init__(
        self,
        sales: Sales,
        transactions: Transactions,
        checkouts: DynamicSupervisor,
        *,
        viewers: Presence | None = None,
    ) -> None:
        """A channel not joined yet.

        Args:
            sales: shows the sale.
            transactions: makes purchases.
            checkouts: runs the checkouts of this node's channels; its size bounds them.
            viewers: counts those who watch; nobody is told where it is left out.
        """
        self._sales = sales
        self._transactions = transactions
        self._checkouts = checkouts
        self._viewers = viewers
        self._sale = ""
        self._under_way = 0

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Answers `{snapshot, cursor}`, or the events missed since `{cursor}` of the params."""
        if not isinstance(params, Mapping):
            return JoinRefused(response_of(_NOT_AN_OBJECT))
        self._sale = topic.partition(":")[2]
        wire = params.get("cursor")
        start: SaleJoin | Refusal = Refusal(Code.UNAVAILABLE)
        with suppress(StorageDown), trio.move_on_after(JOIN_S):
            start = await self._sales.join(socket.assigns, self._sale, parse_cursor(wire))
        if isinstance(start, Refusal):
            return JoinRefused(response_of(start))
        if self._viewers is not None:
            self._viewers.track(socket, socket.assigns.person)
        return _joined(start, rejoins=wire is not None)

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """`checkout` buys; there is no other event."""
        if event != "checkout":
            return _refuse(_NO_SUCH_EVENT)
        if not isinstance(payload, Mapping):
            return _refuse(_NOT_AN_OBJECT)
        request = parse_checkout({**payload, "sale": self._sale})
        if isinstance(request, Refusal):
            return _refuse(request)
        if self._under_way >= CHECKOUTS_A_CHANNEL_MAX:
            return _refuse(Refusal(Code.BUSY))
        return await self._begin(request, socket)

    async def _begin(self, request: CheckoutRequest, socket: ChannelSocket) -> InResult:
        """Start a checkout that answers this push later."""
        reply = socket.reply_later()
        identity = socket.assigns

        async def checkout(life: Lifeline) -> None:
            life.ready()
            with traced(life.name):
                await self._checkout(identity, request, reply)

        try:
            # Cut off at once by a stop: what it waits for has a time of its own to end.
            await self._checkouts.start_child(
                ChildSpec(new_id("chk"), checkout, restart=Restart.TEMPORARY, shutdown_s=0)
            )
        except TooManyChildren:
            return _refuse(Refusal(Code.BUSY))
        except ActorDown:
            return _refuse(Refusal(Code.UNAVAILABLE))
        return NoReply()

    async def _checkout(
        self, identity: Identity, request: CheckoutRequest, reply: LaterReply
    ) -> None:
        """Buy and answer, whatever happens; what is not expected is told to the supervisor, too."""
        self._under_way += 1
        answer = _refuse(Refusal(Code.OUTCOME_UNKNOWN))
        try:
            result = await self._transactions.checkout(identity, request)
            if isinstance(result, Refusal):
                answer = _refuse(result)
            else:
                receipt = {"transaction": result.transaction, "cursor": str(result.cursor)}
                answer = Reply.ok(receipt)
        except StorageDown:
            answer = _refuse(Refusal(Code.UNAVAILABLE))
        finally:
            self._under_way -= 1
            reply.send(answer)


def _joined(start: SaleJoin, *, rejoins: bool) -> Joined:
    """The join's answer, and what follows it."""
    cursor = start.cursor
    response: dict[str, Any] = {"cursor": str(cursor)}
    if start.snapshot is not None:
        response["snapshot"] = start.snapshot.to_wire()
        if rejoins:
            response |= {"recovered": False, "reload": True}
    else:
        response |= {"recovered": True, "missed": len(start.missed)}
    replay = tuple(_message(event, cursor.epoch) for event in start.missed)
    return Joined(response, cursor.position, replay)


def _message(event: StoredEvent, epoch: str) -> Message:
    payload = event.payload(epoch)
    return Message(event.type, payload, event.position, payload[CURSOR])


def _refuse(refusal: Refusal) -> Reply:
    return Reply.error(response_of(refusal))
