"""The socket's other transport: clients that poll. What they say is for `channels.longpoll`."""

from typing import Annotated, Final, Literal

import msgspec

from app.http.message import Request, Response
from app.http.router import ANY_METHOD, Operation, Route
from app.http.services import Services
from app.limits import LONGPOLL_BODY_BYTES_MAX
from channels.longpoll_wire import Incoming

# Where the Phoenix client polls when it is given `/socket`.
LONGPOLL_PATH: Final = "/socket/longpoll"


class LongPollQuery(msgspec.Struct):
    """What a client of the socket asks with. Any other parameter is the application's."""

    vsn: Annotated[str, msgspec.Meta(description="The protocol's version.", examples=["2.0.0"])] = (
        "1.0.0"
    )
    token: Annotated[
        str,
        msgspec.Meta(
            description="The caller's token, to begin a session; after it, under the same name, "
            "the session's, unless the header `x-phoenix-longpoll-token` carries that."
        ),
    ] = ""


class LongPollAnswer(msgspec.Struct):
    """What came of it. The HTTP status is 200 in any case.

    Attributes:
        status: the one that counts. 200: messages, or what was sent was taken; 204: no messages;
            403: refused; 408: not taken in time; 410: a new session, or the session is gone; 500:
            try again.
        token: the session's; it says which messages were received when it comes back.
        messages: each a message of the socket, as text.
    """

    status: Literal[200, 204, 403, 408, 410, 500]
    token: str | msgspec.UnsetType | None = msgspec.UNSET
    messages: list[str] | msgspec.UnsetType = msgspec.UNSET


async def answer(services: Services, request: Request) -> Response:
    """Whatever the transport answers: it knows all methods, and refuses by itself."""
    incoming = Incoming(request.method, request.query, request.headers, request.body, request.peer)
    answered = await services.longpoll.handle(incoming)
    return Response(answered.status, answered.headers, answered.body)


def _operation(name: str, summary: str, raw_body: str | None = None) -> Operation:
    return Operation(
        name,
        summary,
        "socket",
        LongPollAnswer,
        query=LongPollQuery,
        raw_body=raw_body,
        public=True,
    )


def _route(method: str, operation: Operation) -> Route:
    return Route(method, LONGPOLL_PATH, answer, operation, LONGPOLL_BODY_BYTES_MAX)


ROUTES: Final = (
    _route("GET", _operation("poll", "Begin a session of the socket, or wait for its messages.")),
    _route(
        "POST",
        _operation("push", "Send messages over the socket, one a line.", "application/x-ndjson"),
    ),
    _route("OPTIONS", _operation("preflight", "What a page of another origin may send.")),
    _route(ANY_METHOD, _operation("unreadable", "No other method is a request of the socket.")),
)
