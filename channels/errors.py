"""What this layer raises. Refusals are values (`JoinRefused`, `ConnectRefused`), not these."""

# ruff: noqa: N818 - they say what happened, as in `except BusDown`; each is a ChannelError

from collections.abc import Sequence


class ChannelError(Exception):
    """The base of all of them."""


class MalformedMessage(ChannelError):
    """The client sent bytes that are no message of its protocol."""


class NameTooLong(ChannelError):
    """The application sends bytes under a name for whose length a binary message has no room."""

    def __init__(self, what: str, size: int, most: int) -> None:
        super().__init__(f"{what} has {size} bytes; beside a payload of bytes {most} are the most")


class UnknownEvent(ChannelError):
    """The client pushed an event that its channel does not know, which crashes it."""

    def __init__(self, event: str) -> None:
        super().__init__(f"no handler for the event {event!r}")


class IllegalResult(ChannelError):
    """A channel's method returned what it may not. The text lists what it may."""

    def __init__(self, method: str, legal: Sequence[type], result: object) -> None:
        names = ", ".join("None" if kind is type(None) else kind.__name__ for kind in legal)
        super().__init__(f"{method} must return one of: {names}. It returned: {result!r}")


class BusDown(ChannelError):
    """The bus cannot be reached now. Whether the last messages went out is unknown."""


class HistoryDown(ChannelError):
    """The histories cannot be reached now."""
