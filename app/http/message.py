"""What an HTTP handler takes and gives: two plain values that know no server.

Whatever speaks HTTP to clients makes a `Request` of what it read and writes the `Response` it is
given back, so another server can stand under the same handlers.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from app.domain.errors import Refusal
from app.identity.model import Identity


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read whole.

    Attributes:
        method: upper case, such as `GET`.
        path: as it was sent, still percent-encoded, without the query.
        query: what follows the `?`, still percent-encoded.
        headers: by lower-case name; the values of one that came twice joined by a line end, which
            no single value holds.
        body: the whole body.
        peer: the client's address, for the log; empty where unknown.
        params: the variable parts of the path, decoded. The router fills them in.
        caller: who asks. The router fills it in, on routes that need a token.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    caller: Identity | None = None

    @property
    def identity(self) -> Identity:
        """Who asks."""
        assert self.caller is not None, f"{self.path} needs no token, so nobody is known"
        return self.caller


@dataclass(frozen=True, slots=True)
class Response:
    """One response: whole, or with a body that comes to be while it is sent.

    Attributes:
        status: such as 200.
        headers: name and value, in order. The content's length is not among them.
        body: the whole body.
        chunks: begins a body that is sent as it comes to be, in place of `body`. A failure of it
            ends the connection, so that nobody takes what was sent for the whole.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunks: Callable[[], AsyncGenerator[bytes, None]] | None = None

    def header(self, name: str) -> str | None:
        """The first value under this name, in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def to_http1(self) -> bytes:
        """The response as HTTP/1.1 bytes that end their connection.

        For the few answers that are given before any HTTP server has the connection.
        """
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


class RefusedError(Exception):
    """The request is to be answered with the refusal this carries, whatever was about to be done.

    Attributes:
        refusal: what to tell the peer.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
