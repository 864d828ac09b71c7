"""The bodies of what HTTP callers do to sockets and sessions, as `schemas` has the others."""

from typing import Annotated

import msgspec

from app.http.schemas import Moment, Name

Session = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9_-]{16}(?!\n)$",
        description="A token's own id, its claim `jti`.",
        examples=["ZbNXgAABAgMEBQYH"],
    ),
]


class NewRevocation(msgspec.Struct, forbid_unknown_fields=True):
    """What to revoke: a session, or a person's tokens until now; without either, the caller's."""

    session: Session | None = None
    person: Name | None = None


class RevocationAnswer(msgspec.Struct):
    """What is revoked.

    Attributes:
        session: the token's own id, where it is one token.
        person: whose tokens, where it is all of a person's.
        issued_until: of a person, those that were issued up to this second.
        expires_at: when the last of them would have run out anyhow, and this is forgotten.
    """

    session: Session | None
    person: Name | None
    issued_until: Moment | None
    expires_at: Moment
