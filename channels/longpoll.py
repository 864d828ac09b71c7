"""Clients that poll: all the sessions of one node, and every request of any client.

Theory of operation. A request is read whole, answered, and forgotten; what lasts is the session, a
child of a dynamic supervisor. The first request has no ticket and begins a session: reception, the
application's `connect` and all, as for any client. Every later one brings a ticket that names the
session and its node, and any node may get it: what is not for this node is passed on to the one
that it is for. A session that is gone is answered 410 with a new session, as Phoenix does; its
client then joins its topics again.

A client stalls on an answer it does not know. So whatever happens here ends in one that it does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import trio

from actors import (
    BRUTAL,
    ActorDown,
    ChildSpec,
    DynamicSupervisor,
    Lifeline,
    Restart,
    StartFailed,
    Supervisor,
    TooManyChildren,
)
from channels.connection import Connection
from channels.endpoint import Endpoint
from channels.form import longpoll_form
from channels.handshake import Asked, ConnectRefused, examine_query
from channels.limits import LONGPOLL_SESSIONS_MAX
from channels.longpoll_relay import Passed, Relay
from channels.longpoll_session import PollSession, PollTally
from channels.longpoll_wire import (
    FAILED,
    FORBIDDEN,
    GONE,
    TOKEN_HEADER,
    Answer,
    Incoming,
    Ticket,
    Tickets,
    body_of,
    lines_in,
    preflight,
    split_ticket,
    status_only,
    stays_without_rejoining,
    told,
    unreadable,
)
from channels.reception import Guest

# From here on a refusal is ours, and the client does well to try again.
_OUR_FAULT: Final = 500


@dataclass(frozen=True, slots=True)
class LongPollStatistics:
    """The sessions now, and counts since they were made.

    Attributes:
        sessions: clients that poll.
        polls: asked of a session of this node.
        posts: to a session of this node.
        repeated: polls that were given again what an earlier one was given.
        superseded: polls whose place another one took.
        relayed: requests that were passed on to another node.
    """

    sessions: int
    polls: int
    posts: int
    repeated: int
    superseded: int
    relayed: int


class LongPoll:
    """The clients of one node that poll."""

    def __init__(self, endpoint: Endpoint, *, node: str, key: bytes) -> None:
        """No sessions yet.

        Args:
            endpoint: of the node; its clients are these too.
            node: the name of this node, like no other's: letters, digits, `_` and `-`.
            key: of the tickets; the same on all nodes.
        """
        self._endpoint = endpoint
        self._node = node
        self._tickets = Tickets(key)
        self._tally = PollTally()
        self._relayed = 0
        self._sessions: dict[int, PollSession] = {}
        self._serial = 0
        self._children = DynamicSupervisor("sessions", max_children=LONGPOLL_SESSIONS_MAX)
        around = endpoint.around
        self._relay = Relay(node, around.broker, self._serve, around.limits.poll_s)

    def supervisor(self) -> Supervisor:
        """What runs: the sessions, and the requests of other nodes."""
        return Supervisor("longpoll", [self._children.as_child(), self._relay.requests.as_child()])

    def statistics(self) -> LongPollStatistics:
        """What there is now, and was."""
        tally = self._tally
        return LongPollStatistics(
            sessions=len(self._sessions),
            polls=tally.polls,
            posts=tally.posts,
            repeated=tally.repeated,
            superseded=tally.superseded,
            relayed=self._relayed,
        )

    async def handle(self, asked: Incoming) -> Answer:
        """Answer a request, within the window and what other nodes take."""
        if asked.method not in {"GET", "POST", "OPTIONS"}:
            return unreadable()
        guest = self._endpoint.reception.greet(asked.address, asked.headers)
        if not self._endpoint.reception.allows(guest):
            return status_only(FORBIDDEN)
        if asked.method == "OPTIONS":
            return preflight(asked.headers)
        text, query = split_ticket(asked.query, asked.headers)
        ticket = self._tickets.read(text)
        if asked.method == "POST":
            return await self._post(ticket, asked)
        body = await self._poll(ticket)
        if body is not None:
            return told(body)
        return await self._begin_anew(guest, query, came_back=text is not None)

    async def _poll(self, ticket: Ticket | None) -> bytes | None:
        if ticket is None:
            return None
        return await self._ask(ticket.node, Passed(ticket.session, ticket.batch))

    async def _post(self, ticket: Ticket | None, asked: Incoming) -> Answer:
        if ticket is None:
            return status_only(GONE)
        content_type = asked.headers.get("content-type", "")
        passed = Passed(ticket.session, None, content_type, asked.body)
        body = await self._ask(ticket.node, passed)
        return status_only(GONE) if body is None else told(body)

    async def _ask(self, node: str, passed: Passed) -> bytes | None:
        """What the session's node answers; None where the session is gone."""
        if node == self._node:
            return await self._serve(passed)
        self._relayed += 1
        return await self._relay.ask(node, passed)

    async def _serve(self, passed: Passed) -> bytes | None:
        """Answer for a session of this node; None where it is gone."""
        session = self._sessions.get(passed.session)
        if session is None:
            return None
        if passed.seen is not None:
            return await session.poll(passed.seen)
        status = await session.take(lines_in(passed.content_type, passed.body))
        return status_only(status).body

    # How sessions begin.

    async def _begin_anew(self, guest: Guest, query: str, *, came_back: bool) -> Answer:
        """Begin a session, unless the client has to be told first that its last one is gone."""
        if came_back and stays_without_rejoining(guest.headers):
            return told(body_of(FAILED))
        begun = await self._begin(guest, query)
        if not isinstance(begun, ConnectRefused):
            return told(body_of(GONE, begun))
        if came_back and self._endpoint.reception.closed:
            return told(body_of(GONE))
        return status_only(FAILED if begun.status >= _OUR_FAULT else FORBIDDEN)

    async def _begin(self, guest: Guest, query: str) -> str | ConnectRefused:
        """A new session's ticket, unless the client is refused."""
        self._serial += 1
        spec = ChildSpec(
            id=f"session-{self._serial}",
            start=partial(self._stay, self._serial, guest, query),
            restart=Restart.TEMPORARY,
            start_s=self._endpoint.around.limits.handshake_s,
            shutdown_s=BRUTAL,  # its time to end was the endpoint's drain
        )
        begun: str | ConnectRefused
        try:
            begun = await self._children.start_child(spec)
        except (ActorDown, StartFailed, TooManyChildren):
            begun = ConnectRefused(503, reason="no session began")
        if isinstance(begun, ConnectRefused):
            self._endpoint.turn_away(begun, guest.address)
        return begun

    async def _stay(self, number: int, guest: Guest, query: str, life: Lifeline) -> None:
        try:
            await self._live(number, guest, query, life)
        finally:
            guest.leave()

    async def _live(self, number: int, guest: Guest, query: str, life: Lifeline) -> None:
        """One session, from reception to its end. Ready with its ticket, or a refusal."""
        asked = examine_query(query)
        if isinstance(asked, Asked):
            asked = replace(asked, token=guest.headers.get(TOKEN_HEADER) or asked.token)
        assigns = await self._endpoint.reception.decide(asked, guest)
        if isinstance(assigns, ConnectRefused):
            life.ready(assigns)
            return
        assert isinstance(asked, Asked), "who asks for nothing is refused"
        around = self._endpoint.around
        session = PollSession(self._sign(number), around.limits, around.hub.totals, self._tally)
        async with trio.open_nursery() as nursery:
            form = longpoll_form(asked.serializer)
            connection = Connection(assigns, form, session.outbox, nursery, around, life)
            self._endpoint.arrive(connection, guest.address)
            self._sessions[number] = session
            try:
                life.ready(session.ticket)
                await session.run(connection)
            finally:
                del self._sessions[number]
                self._endpoint.depart(connection, guest.address)
            nursery.cancel_scope.cancel()

    def _sign(self, number: int) -> Callable[[int], str]:
        return lambda batch: self._tickets.sign(Ticket(self._node, number, batch))
