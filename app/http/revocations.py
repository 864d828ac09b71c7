"""Signing out, and sending away for good, over HTTP."""

from datetime import UTC, datetime
from typing import Final

from app.domain.errors import Code
from app.domain.moments import moment
from app.http.decode import decode_body, decode_query
from app.http.message import Request, Response
from app.http.reply import granted, reply
from app.http.router import Operation, Route
from app.http.schemas import NoQuery
from app.http.schemas_sockets import NewRevocation, RevocationAnswer
from app.http.services import Services
from app.identity.revocation_state import Kind


async def revoke(services: Services, request: Request) -> Response:
    """Revoke a session, or a person's tokens until now; without a name the caller's session."""
    decode_query(request, NoQuery)
    asked = decode_body(request, NewRevocation)
    made = granted(
        await services.revocations.revoke(
            request.identity, session=asked.session, person=asked.person
        )
    )
    of_person = made.kind is Kind.PERSON
    return reply(
        RevocationAnswer(
            session=None if of_person else made.name,
            person=made.name if of_person else None,
            issued_until=_moment(made.issued_until) if of_person else None,
            expires_at=_moment(made.expires_at),
        )
    )


def _moment(seconds: int) -> str:
    return moment(datetime.fromtimestamp(seconds, UTC))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/revocations",
        revoke,
        Operation(
            id="revoke",
            summary="Revoke a session or a person's tokens: one's own, or for operators anybody's.",
            tag="access",
            answer=RevocationAnswer,
            body=NewRevocation,
            refusals=(Code.FORBIDDEN, Code.BUSY),
        ),
    ),
)
