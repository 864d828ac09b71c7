"""Clients whose time is bounded: a token is a name, and the seconds that are left of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import trio

from channels.handshake import ConnectRefused
from channels.reception import RenewalRefused, SocketHandler


@dataclass(frozen=True)
class Ticket:
    """Who somebody is, and until when by the trio clock; what they may see, if not all."""

    name: str
    until: float = inf
    sees: str = ""


class Tickets(SocketHandler):
    """A token is `name`, `name seconds`, or `name seconds topic`; but for `void`, all are good."""

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> Ticket | ConnectRefused:
        """As the token says."""
        return _read(token) or ConnectRefused()

    def who(self, assigns: Ticket) -> str:
        """The name."""
        return assigns.name

    def valid_s(self, assigns: Ticket) -> float:
        """What is left."""
        return assigns.until - trio.current_time()

    def renew(self, assigns: Ticket, token: str) -> Ticket | RenewalRefused:
        """Another ticket of the same name."""
        ticket = _read(token)
        if ticket is None or ticket.name != assigns.name:
            return RenewalRefused({"reason": "no ticket of yours"})
        return ticket


def _read(token: str | None) -> Ticket | None:
    if not token or token == "void":
        return None
    name, _, rest = token.partition(" ")
    seconds, _, sees = rest.partition(" ")
    return Ticket(name, trio.current_time() + float(seconds or inf), sees)
