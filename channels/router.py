"""Which channel serves which topic, and where clients connect. Pure."""

from collections.abc import Sequence

from channels.channel import ChannelFactory
from channels.origin import Origins


class Router:
    """Topics to channels. A pattern is a whole topic, or a beginning followed by `*`."""

    def __init__(
        self,
        routes: Sequence[tuple[str, ChannelFactory]],
        *,
        path: str = "/socket/websocket",
        origins: Origins | None = None,
    ) -> None:
        """A router that does not change.

        Args:
            routes: pattern to what makes a channel for each join, such as `[("sale:*", Sale)]`.
            path: where clients connect. They are told what comes before `/websocket`.
            origins: the pages that may; those of the same host if left out.
        """
        for pattern, _ in routes:
            assert pattern.strip("*"), f"{pattern!r}: a pattern begins with something"
            assert "*" not in pattern[:-1], f"{pattern!r}: the star comes last"
        self.path = path
        self.origins = origins or Origins()
        self._whole = {topic: make for topic, make in routes if not topic.endswith("*")}
        self._beginnings = sorted(
            ((pattern[:-1], make) for pattern, make in routes if pattern.endswith("*")),
            key=lambda route: -len(route[0]),
        )

    def route(self, topic: str) -> ChannelFactory | None:
        """What serves a topic: a whole pattern before the longest beginning."""
        whole = self._whole.get(topic)
        if whole is not None:
            return whole
        for beginning, make in self._beginnings:
            if topic.startswith(beginning):
                return make
        return None
