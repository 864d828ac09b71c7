"""Those who are connected, over HTTP: messages to a topic's members, and sending people away."""

from typing import Final

from app.domain.errors import Code, Refusal
from app.http.decode import decode_body, decode_query
from app.http.message import RefusedError, Request, Response
from app.http.reply import granted, reply
from app.http.router import Operation, Route
from app.http.schemas import NoQuery
from app.http.schemas_sockets import (
    Disconnect,
    Kick,
    MessageAnswer,
    MessageOutcome,
    MessagesAnswer,
    MessageToTopic,
    NewMessages,
    SentAwayAnswer,
)
from app.http.services import Services
from app.socket.audience import Sent
from app.socket.messages import NewMessage


async def send_message(services: Services, request: Request) -> Response:
    """Send one event to a topic's members."""
    decode_query(request, NoQuery)
    asked = decode_body(request, MessageToTopic)
    message = NewMessage(request.params["topic"], asked.event, asked.payload)
    (told,) = granted(await services.audience.tell(request.identity, [message]))
    cursor = granted(told).cursor
    answer = MessageAnswer(services.audience.everywhere, None if cursor is None else str(cursor))
    return reply(answer, status=202)


async def send_messages(services: Services, request: Request) -> Response:
    """Send events, each to a topic of its own, and say of each what became of it."""
    decode_query(request, NoQuery)
    asked = decode_body(request, NewMessages).messages
    messages = [NewMessage(each.topic, each.event, each.payload) for each in asked]
    told = granted(await services.audience.tell(request.identity, messages))
    items = [_outcome(each) for each in told]
    return reply(MessagesAnswer(items, services.audience.everywhere))


async def kick(services: Services, request: Request) -> Response:
    """End a person's membership of a topic."""
    decode_query(request, NoQuery)
    asked = decode_body(request, Kick)
    _check(await services.audience.kick(request.identity, asked.topic, asked.person))
    return reply(SentAwayAnswer(services.audience.everywhere), status=202)


async def disconnect(services: Services, request: Request) -> Response:
    """Close a person's connections."""
    decode_query(request, NoQuery)
    asked = decode_body(request, Disconnect)
    _check(services.audience.disconnect(request.identity, asked.person))
    return reply(SentAwayAnswer(services.audience.everywhere), status=202)


def _outcome(told: Sent | Refusal) -> MessageOutcome:
    if isinstance(told, Refusal):
        return MessageOutcome(told.status, None, told.code, told.message, told.retryable)
    return MessageOutcome(202, None if told.cursor is None else str(told.cursor))


def _check(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise RefusedError(refusal)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/topics/{topic}/messages",
        send_message,
        Operation(
            id="sendMessage",
            summary="Send an event to the members of a topic. For sellers and operators.",
            tag="messages",
            answer=MessageAnswer,
            status=202,
            body=MessageToTopic,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
    Route(
        "POST",
        "/v1/messages",
        send_messages,
        Operation(
            id="sendMessages",
            summary="Send events, each to a topic, answered one by one. For sellers and operators.",
            tag="messages",
            answer=MessagesAnswer,
            body=NewMessages,
            refusals=(Code.FORBIDDEN,),
        ),
    ),
    Route(
        "POST",
        "/v1/operations/kick",
        kick,
        Operation(
            id="kick",
            summary="End a person's membership of a topic, on all nodes. For operators.",
            tag="access",
            answer=SentAwayAnswer,
            status=202,
            body=Kick,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
    Route(
        "POST",
        "/v1/operations/disconnect",
        disconnect,
        Operation(
            id="disconnect",
            summary="Close a person's connections, on all nodes. For operators.",
            tag="access",
            answer=SentAwayAnswer,
            status=202,
            body=Disconnect,
            refusals=(Code.FORBIDDEN,),
        ),
    ),
)
