"""The topic `chat:<sale>`: what the people in a sale say to each other.

Theory of operation. The topic has history (`HISTORY`), which is all the memory that a chat has:
nothing of it is in the database. The host tells a client that comes back what it missed; one that
is new, or was away for too long, is given the chat as a snapshot, made from the same read.

What is said gets its place in the history first, and the answer to the push is the proof of it. So
nobody's message is shown to some and lost to others: where the history is away it is refused.

Whoever may see the sale may read and speak, at a person's pace. Sellers and operators remove what
should not be there. A removed message is gone from every snapshot; clients take it off their
screens.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import trio

from app.domain.errors import Code, Refusal
from app.domain.ids import new_id
from app.limits import (
    CHAT_AT_ONCE,
    CHAT_HISTORY_BYTES,
    CHAT_HISTORY_S,
    CHAT_HISTORY_SIZE,
    CHAT_PER_S,
    JOIN_S,
)
from app.sales.service import Sales
from app.socket.chat import (
    REMOVED,
    SAID,
    message_of,
    parse_removal,
    parse_text,
    sale_of_chat,
    snapshot_of,
)
from app.socket.refusal import response_of
from app.storage import StorageDown
from channels.channel import (
    Channel,
    ChannelSocket,
    InResult,
    Joined,
    JoinRefused,
    JoinResult,
    Payload,
    Reply,
)
from channels.errors import HistoryDown
from channels.history import History
from channels.limiter import Bucket

HISTORY: Final = History(CHAT_HISTORY_SIZE, CHAT_HISTORY_S, CHAT_HISTORY_BYTES)

_NO_SALE: Final = Refusal(Code.NOT_FOUND, "There is no such sale.")
_NO_SUCH_EVENT: Final = Refusal(
    Code.INVALID_REQUEST, "This topic takes two events from clients, `say` and `remove`."
)


class ChatChannel(Channel):
    """One client in the chat of one sale."""

    def __init__(self, sales: Sales, *, now: Callable[[], float] = time.time) -> None:
        """A channel not joined yet.

        Args:
            sales: tells whose a sale is.
            now: seconds since the epoch; the machine's clock unless a test brings its own.
        """
        self._sales = sales
        self._now = now
        self._pace = Bucket(CHAT_PER_S, CHAT_AT_ONCE, trio.current_time())

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Answers `{snapshot}` unless the client's cursor is good."""
        refusal: Refusal | None = Refusal(Code.UNAVAILABLE)
        with suppress(StorageDown), trio.move_on_after(JOIN_S):
            sale = sale_of_chat(topic)
            known = await self._sales.known(socket.assigns, [sale])
            refusal = None if sale in known else _NO_SALE
        if refusal is not None:
            return JoinRefused(response_of(refusal))
        past = await socket.past()
        return Joined() if past.recovered else Joined({"snapshot": snapshot_of(past.messages)})

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """`say` and `remove`."""
        if event == "say":
            return await self._say(payload, socket)
        if event == "remove":
            return await self._remove(payload, socket)
        return _refuse(_NO_SUCH_EVENT)

    async def _say(self, payload: Any, socket: ChannelSocket) -> InResult:
        text = parse_text(payload)
        if isinstance(text, Refusal):
            return _refuse(text)
        if not self._pace.take(trio.current_time()):
            return _refuse(Refusal(Code.BUSY, "Too much at once; try again in a moment."))
        name = new_id("msg")
        told = message_of(socket.assigns, name, text, int(self._now() * 1_000))
        return await _publish(socket, SAID, told, {"id": name})

    async def _remove(self, payload: Any, socket: ChannelSocket) -> InResult:
        name = parse_removal(socket.assigns, payload)
        if isinstance(name, Refusal):
            return _refuse(name)
        return await _publish(socket, REMOVED, {"id": name}, {})


async def _publish(
    socket: ChannelSocket, event: str, told: Payload, answer: Mapping[str, Any]
) -> InResult:
    try:
        cursor = await socket.publish(event, told)
    except HistoryDown:
        return _refuse(Refusal(Code.UNAVAILABLE))
    return Reply.ok({**answer, "cursor": cursor})


def _refuse(refusal: Refusal) -> Reply:
    return Reply.error(response_of(refusal))
