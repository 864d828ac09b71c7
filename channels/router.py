"""Which channel serves which topic, and where clients connect. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from channels.channel import ChannelFactory
from channels.delivery import DROP_OLDEST, Delivery
from channels.history import History
from channels.origin import Origins


@dataclass(frozen=True, slots=True)
class Route:
    """What serves some topics, and how.

    Attributes:
        pattern: a whole topic, or a beginning followed by `*`.
        make: makes a channel for each join.
        delivery: what becomes of messages for a client that reads too slowly, where they have no
            position and are not vital.
        history: what is kept of them, so that nobody misses anything; None where nothing is.
    """

    pattern: str
    make: ChannelFactory
    delivery: Delivery = DROP_OLDEST
    history: History | None = None


RouteLike: TypeAlias = Route | tuple[str, ChannelFactory]
"""A route, or its pattern and what makes its channels."""


class Router:
    """Topics to routes."""

    def __init__(
        self,
        routes: Sequence[RouteLike],
        *,
        path: str = "/socket/websocket",
        origins: Origins | None = None,
    ) -> None:
        """A router that does not change.

        Args:
            routes: such as `[("sale:*", Sale), Route("chat:*", Chat, delivery=DISCONNECT)]`.
            path: where clients connect. They are told what comes before `/websocket`.
            origins: the pages that may; those of the same host if left out.
        """
        made = [route if isinstance(route, Route) else Route(*route) for route in routes]
        for route in made:
            pattern = route.pattern
            assert pattern.strip("*"), f"{pattern!r}: a pattern begins with something"
            assert "*" not in pattern[:-1], f"{pattern!r}: the star comes last"
        self.path = path
        self.origins = origins or Origins()
        self._whole = {route.pattern: route for route in made if not route.pattern.endswith("*")}
        self._beginnings = sorted(
            ((route.pattern[:-1], route) for route in made if route.pattern.endswith("*")),
            key=lambda each: -len(each[0]),
        )

    def route(self, topic: str) -> Route | None:
        """What serves a topic: a whole pattern before the longest beginning."""
        whole = self._whole.get(topic)
        if whole is not None:
            return whole
        for beginning, route in self._beginnings:
            if topic.startswith(beginning):
                return route
        return None
