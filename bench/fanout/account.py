"""What the load generator says when it is done, and figures drawn from that. Pure."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from bench.ratio import Ratio, medians, ratio

T = TypeVar("T")

# A generator that is busier than this may itself be what is measured.
BUSY_MAX: Final = 0.95


class Joined(msgspec.Struct, frozen=True):
    """All connections have joined their rooms.

    Attributes:
        joined: how many.
        seconds: from the first packet to the last reply.
        server_s: processor seconds of the server meanwhile.
    """

    joined: int
    seconds: float
    server_s: float

    @property
    def rate(self) -> float:
        """Connections joined in a second."""
        return self.joined / self.seconds

    @property
    def cost_s(self) -> float:
        """Processor seconds of the server for each."""
        return self.server_s / self.joined


class Measured(msgspec.Struct, frozen=True):
    """A load is over. Counts of what went wrong are of the whole run, the rest of the measurement.

    Attributes:
        seconds: of the measurement.
        messages: published.
        deliveries: messages that members got.
        server_s: processor seconds of the server.
        own_s: processor seconds of the generator.
        lost: deliveries that had not come when the wait for the last ones was over.
        again: that came again, or too late to be in order.
        skipped: that had not come when one after them did.
        strange: messages that nobody expected, or that were not as they were sent.
        ended: connections that the server ended.
        p50_us: of the latencies, in microseconds; so are the next ones.
        p90_us: that nine of ten do not exceed.
        p99_us: that 99 of 100 do not exceed.
        p999_us: that 999 of 1,000 do not exceed.
        max_us: the longest.
    """

    seconds: float
    messages: int
    deliveries: int
    server_s: float
    own_s: float
    lost: int
    again: int
    skipped: int
    strange: int
    ended: int
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float

    @property
    def rate(self) -> float:
        """Deliveries in a second."""
        return self.deliveries / self.seconds

    @property
    def cost_s(self) -> float:
        """Processor seconds of the server for each delivery."""
        return self.server_s / self.deliveries

    @property
    def busy(self) -> float:
        """The part of its time that the generator was at work."""
        return self.own_s / self.seconds

    @property
    def wrong(self) -> int:
        """All that must not happen."""
        return self.lost + self.again + self.skipped + self.strange + self.ended


class Heard(msgspec.Struct, frozen=True):
    """What one of several generators that share a room heard there; all of it in one room.

    Attributes:
        messages: of which it knows: all of them, where it published them.
        lost: deliveries of these that had not come to its members in the end.
        again: that came again, or too late to be in order.
        skipped: that had not come when one after them did.
        strange: messages that nobody expected, or that were not as they were sent.
        ended: connections that the server ended.
        p50_us: of the latencies, in microseconds; so are the next ones.
        p99_us: that 99 of 100 do not exceed.
        max_us: the longest.
        last_us: for each message, how long it took to the last of its members.
    """

    messages: int
    lost: int
    again: int
    skipped: int
    strange: int
    ended: int
    p50_us: float
    p99_us: float
    max_us: float
    last_us: tuple[float, ...]


class LoadError(Exception):
    """A program could not do its work; the text says why, in one line."""


def parse(line: bytes, kind: type[T]) -> T:
    """Read a line of the load generator.

    Raises:
        LoadError: it is none of that kind, or tells of nothing that could be divided by.
    """
    try:
        told = msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise LoadError(f"the load generator said {line[:200]!r}: {error}") from None
    if isinstance(told, Measured) and not (told.deliveries and told.server_s > 0):
        raise LoadError("nothing was delivered, or too little to be measured")
    return told


def compare(rounds: Sequence[Sequence[T]], figure: Callable[[T], float]) -> tuple[float, ...]:
    """The median of a figure for each side."""
    return tuple(medians([[figure(side) for side in turn] for turn in rounds]))


def times(
    rounds: Sequence[Sequence[T]], figure: Callable[[T], float], of: int = 0, to: int = 1
) -> Ratio:
    """A figure of one side divided by that of the other, round by round.

    Args:
        rounds: for each round, what each side came to.
        figure: of a side.
        of: the position of the one.
        to: the position of the other.
    """
    return ratio([[figure(side) for side in turn] for turn in rounds], of, to)


def reached_all_s(parts: Sequence[Heard]) -> list[float]:
    """For each message, seconds until the last member of all generators had it.

    Raises:
        LoadError: one of them did not hear of them all.
    """
    if len({len(part.last_us) for part in parts}) > 1:
        raise LoadError("a message did not reach all generators")
    return [max(times) / 1e6 for times in zip(*(part.last_us for part in parts), strict=True)]


def missing(parts: Sequence[Heard], members: Sequence[int]) -> int:
    """Deliveries that did not come to any of so many members of each generator."""
    published = max(part.messages for part in parts)
    return sum(
        part.lost + (published - part.messages) * count
        for part, count in zip(parts, members, strict=True)
    )


def amiss(parts: Sequence[Heard], members: Sequence[int]) -> int:
    """These, and all else that must not happen."""
    others = sum(part.again + part.skipped + part.strange + part.ended for part in parts)
    return missing(parts, members) + others
