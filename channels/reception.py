"""Who may connect: what every client goes through, whatever it comes over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any, ClassVar, Final

from channels.channel import Payload
from channels.client_address import Network, client_address
from channels.guard import Guard, Place
from channels.handshake import Asked, ConnectRefused
from channels.router import Router

_OTHER_ORIGIN: Final = ConnectRefused(
    403, "Pages of that origin may not connect here.\n", reason="other origin"
)
_NO_RENEWALS: Final = MappingProxyType({"reason": "tokens are not renewed here"})


@dataclass(frozen=True, slots=True)
class RenewalRefused:
    """The new token of a client that is here is not taken; its connection goes on under the old.

    Attributes:
        response: what the client is answered with.
    """

    response: Payload


class SocketHandler:
    """What an application decides about connections: at least who may connect.

    All but `connect` neither waits nor fails; they are asked often.
    """

    waits: ClassVar[bool] = True
    """Whether `connect` may wait. One that never does needs no clock, and so costs less."""

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> Any:
        """Who this is, or a `ConnectRefused`.

        Args:
            params: the query without its token; nested names are nested mappings.
            token: from the subprotocol or the query; not verified.
            headers: of the request, names in lower case.
            address: of the client; empty where it has none.

        Returns:
            Anything but a `ConnectRefused` becomes the `assigns` of the client's channels.
        """
        return ConnectRefused()

    def who(self, assigns: Any) -> str:
        """The client's name on all nodes: to be found by, and counted under. It never changes.

        Several clients may have one name: a person's, usually. Empty for those that nobody finds.
        """
        return ""

    def valid_s(self, assigns: Any) -> float:
        """Seconds for which the client may stay from now on; 0 or less once that is over."""
        return inf

    def renew(self, assigns: Any, token: str) -> Any:
        """What becomes of a client that sends another token while it is here.

        Args:
            assigns: who it is now.
            token: as the client sent it; not verified.

        Returns:
            Its new assigns, under the same name; or a `RenewalRefused`.
        """
        return RenewalRefused(_NO_RENEWALS)


@dataclass(slots=True)
class Guest:
    """A client that is not let in yet, or was. Whoever made it says when it is gone.

    Attributes:
        address: the client's; empty where it has none.
        host: to which it connects, as it says itself.
        headers: of its request, names in lower case.
        place: that it holds, once it is being decided about.
    """

    address: str
    host: str
    headers: Mapping[str, str]
    place: Place | None = None

    def leave(self) -> None:
        """It is gone, whether it was let in or not."""
        if self.place is not None:
            self.place.leave()


class Reception:
    """Lets clients in, or not."""

    def __init__(
        self,
        handler: SocketHandler,
        router: Router,
        guard: Guard,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        """A reception that is open.

        Args:
            handler: decides who may connect.
            router: knows the pages that may.
            guard: knows how many may.
            trusted_proxies: that are believed whom they speak for.
        """
        self.closed = False
        """Nobody is let in: the node is stopping."""
        self._handler = handler
        self._router = router
        self._guard = guard
        self._trusted_proxies = trusted_proxies

    @property
    def waits(self) -> bool:
        """Whether deciding may take time."""
        return self._handler.waits

    def greet(self, peer: str, headers: Mapping[str, str]) -> Guest:
        """A client that makes a request.

        Args:
            peer: the address that its connection is from; empty where that has none.
            headers: of its request, names in lower case.
        """
        forwarded = headers.get("x-forwarded-for", "")
        address = client_address(peer, forwarded, self._trusted_proxies)
        return Guest(address, headers.get("host", ""), headers)

    def allows(self, guest: Guest) -> bool:
        """Whether the page that speaks to us, if it is one, may."""
        return self._router.origins.allow(guest.headers.get("origin"), guest.host)

    async def decide(self, asked: Asked | ConnectRefused, guest: Guest) -> Any:
        """The client's assigns, or a `ConnectRefused`.

        Args:
            asked: what it asks for, or why it is refused whoever it is.
            guest: the client.

        Raises:
            Exception: the application's `connect` failed.
        """
        if self.closed:
            return ConnectRefused(503, reason="the node stops")
        if isinstance(asked, ConnectRefused):
            return asked
        if not self.allows(guest):
            return _OTHER_ORIGIN
        place = self._guard.admit(guest.address)
        if isinstance(place, ConnectRefused):
            return place
        guest.place = place
        assigns = await self._handler.connect(
            asked.params, asked.token, guest.headers, guest.address
        )
        if isinstance(assigns, ConnectRefused):
            return assigns
        return place.know(self._handler.who(assigns)) or assigns
