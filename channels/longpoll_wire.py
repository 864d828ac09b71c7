"""Long polling on the wire: requests read, tickets signed, answers written. Pure.

As Phoenix's `transports/long_poll.ex` and its clients 1.6 to 1.9. A well formed request is answered
with the HTTP status 200, whatever becomes of it; the status that counts is in the body, and is one
of a closed list: a client that finds another there stalls.

*Tickets.* What Phoenix calls the token of a session. Ours also says how far its client has got: the
number of the last batch of messages that it was given. So the next poll acknowledges that batch,
and a poll that is repeated with an older ticket asks for the same batch again.

*Two tokens.* A client's own token may be a parameter `token` of its URL, and older clients append
their ticket under the same name. A ticket is known by how it begins; the other one is the client's.
"""

import hashlib
import hmac
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from channels.frames import BINARY, TEXT
from channels.limits import LONGPOLL_LINES_MAX

OK: Final = 200
NO_CONTENT: Final = 204
FORBIDDEN: Final = 403
TIMED_OUT: Final = 408
GONE: Final = 410
FAILED: Final = 500

PREFIX: Final = "agiolp1."
TICKET_HEADER: Final = "x-phoenix-longpoll-token"
TOKEN_HEADER: Final = "x-phoenix-authtoken"  # noqa: S105 - the name of a header

_TICKET: Final = re.compile(
    re.escape(PREFIX) + r"([A-Za-z0-9_-]{1,64})\.(\d{1,15})\.(\d{1,15})\.([A-Za-z0-9_-]{43})",
    re.ASCII,
)
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9-]+(?:\s*,\s*[A-Za-z0-9-]+)*", re.ASCII)
_NDJSON: Final = "application/x-ndjson"
# Text messages are JSON: an array in V2, an object in V1. A binary one begins with its kind.
_JSON_BEGINS: Final = (b"[", b"{")
_PUSH_BEGINS: Final = b"\0"

_ANYONE: Final = ("Access-Control-Allow-Origin", "*")
_JSON_HEADERS: Final = (("Content-Type", "application/json; charset=utf-8"), _ANYONE)

Line: TypeAlias = tuple[bytes, int] | None
"""A message with its opcode, TEXT or BINARY; None for what is no message."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request of a client, whatever HTTP library read it.

    Attributes:
        method: upper case, such as `GET`.
        query: what follows the `?`, still percent-encoded.
        headers: names in lower case.
        body: the whole body.
        address: of the peer; empty where it has none.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What it is answered with.

    Attributes:
        status: of HTTP.
        headers: name and value, without the content's length.
        body: the whole body.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a client stands.

    Attributes:
        node: where its session is.
        session: its number there.
        batch: the number of the last batch of messages that it was given; 0 before the first.
    """

    node: str
    session: int
    batch: int


class Tickets:
    """Signs and reads tickets. A ticket needs no expiry: its session ends when nobody polls."""

    def __init__(self, key: bytes) -> None:
        """Tickets of one key, which the nodes that serve the same clients share."""
        self._key = key

    def __repr__(self) -> str:
        return "<Tickets>"

    def sign(self, ticket: Ticket) -> str:
        """The ticket as a client is given it."""
        told = f"{PREFIX}{ticket.node}.{ticket.session}.{ticket.batch}"
        return f"{told}.{self._signature(told)}"

    def read(self, text: str | None) -> Ticket | None:
        """The ticket, if it is one of ours."""
        match = _TICKET.fullmatch(text) if text is not None else None
        if match is None:
            return None
        node, session, batch, signature = match.groups()
        told = match[0].rpartition(".")[0]
        if not hmac.compare_digest(signature, self._signature(told)):
            return None
        return Ticket(node, int(session), int(batch))

    def _signature(self, told: str) -> str:
        digest = hmac.new(self._key, told.encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def line_of(message: bytes) -> bytes | None:
    """A serializer's message as it waits for a poll: with a line's end, so that many can be joined.

    None for a binary message: what is polled for is JSON.
    """
    if not message.startswith(_JSON_BEGINS):
        return None
    # Within JSON a line's end is only ever space: texts have it escaped.
    return message.replace(b"\n", b" ") + b"\n"


def split_ticket(query: str, headers: Mapping[str, str]) -> tuple[str | None, str]:
    """The ticket that a request carries, and its query without it.

    The query is what the client's own params are read from, whether it carried the ticket or not.
    """
    pairs = query.split("&")
    found = [pair for pair in pairs if pair.startswith(f"token={PREFIX}")]
    rest = "&".join(pair for pair in pairs if pair not in found)
    in_query = found[-1].removeprefix("token=") if found else None
    return headers.get(TICKET_HEADER) or in_query, rest


def lines_in(content_type: str, body: bytes) -> Iterator[Line]:
    """The messages of a POST, at most as many as a client sends at once; the rest is left out."""
    if content_type.partition(";")[0].strip().lower() != _NDJSON:
        # Clients before 1.7 send one message as it is, bytes too.
        yield body, BINARY if body.startswith(_PUSH_BEGINS) else TEXT
        return
    for line in body.split(b"\n", LONGPOLL_LINES_MAX)[:LONGPOLL_LINES_MAX]:
        message = line.removesuffix(b"\r")
        if message:
            yield (message, TEXT) if message.startswith(_JSON_BEGINS) else _from_base64(message)


def body_of(status: int, ticket: str | None = None, messages: Sequence[bytes] = ()) -> bytes:
    """The body of an answer to a poll. Without a ticket the client begins anew."""
    return msgspec.json.encode(
        {"status": status, "token": ticket, "messages": [message.decode() for message in messages]}
    )


def told(body: bytes) -> Answer:
    """The answer with this body."""
    return Answer(200, _JSON_HEADERS, body)


def status_only(status: int) -> Answer:
    """The answer to a POST, and to whoever is refused."""
    return told(b'{"status":%d}' % status)


def preflight(headers: Mapping[str, str]) -> Answer:
    """What a browser asks before it lets a page of another origin speak to us."""
    wanted = headers.get("access-control-request-headers", "").replace("\n", ",")
    allowed = wanted if _HEADER_NAMES.fullmatch(wanted) else ""
    return Answer(
        200,
        (
            _ANYONE,
            ("Access-Control-Allow-Headers", allowed),
            ("Access-Control-Allow-Methods", "get, post, options"),
            ("Access-Control-Max-Age", "3600"),
        ),
    )


def unreadable() -> Answer:
    """What is no request of a client."""
    return Answer(400, (_ANYONE,))


def stays_without_rejoining(headers: Mapping[str, str]) -> bool:
    """Whether a client is one of those before 1.8, told by how they ask.

    To those the status 410 means "you are connected", also in the middle of a conversation, and
    they go on with channels that nobody serves any more.
    """
    return "content-type" in headers


def _from_base64(line: bytes) -> Line:
    try:
        return b64decode(line, validate=True), BINARY
    except ValueError:
        return None
