"""What one connection may still send: messages and bytes a second, joins, and failed ones.

Nothing here waits. `messages` and `bytes` are counted down where messages are received, without a
call and without a look at the clock, since that happens for every message; `judge` is asked only
where one of them went below zero.
"""

from math import ceil, inf

import trio

from channels.channel import Payload, Reply
from channels.client_limits import Limit, LimitName, Mode
from channels.guard import Guard
from channels.limiter import Bucket, Failures, endless
from channels.limits import EXCESS_MAX, FAILED_JOINS_S, FAILING_TOPICS_MAX, RATE_BURST_S
from channels.protocol import BUSY, RATE_LIMITED

_ENDLESS = endless()


class Allowance:
    """One connection's.

    Attributes:
        messages: how many it may send before `judge` is asked; to be counted down for each.
        bytes: the same, of bytes.
    """

    __slots__ = (
        "_began",
        "_excess",
        "_failures",
        "_guard",
        "_joins",
        "_least_bytes",
        "_rates",
        "_size_max",
        "bytes",
        "messages",
    )

    def __init__(self, guard: Guard, message_bytes: int) -> None:
        """All of it is there.

        Args:
            guard: of the endpoint; counts what is beyond a limit, and knows what is refused.
            message_bytes: of the largest message; so many may always be sent at once.
        """
        limits, now = guard.limits, trio.current_time()
        self._guard = guard
        self._began = now
        self._least_bytes = message_bytes
        self._rates: tuple[Bucket, Bucket] | None = None  # made when one of them seems empty
        self._joins = _bucket(limits.joins, 1, now)
        self._failures: Failures | None = None  # made for the first one: most have none
        self._excess = 0  # messages refused since it rested
        # What is enforced of sizes is so before messages are whole. A dry run looks at each.
        large = limits.message_bytes
        self._size_max = large.value if large.mode is Mode.DRY_RUN else 0
        self.messages = -inf if self._size_max else _burst(limits.messages, 1)
        self.bytes = _burst(limits.bytes, message_bytes)

    @property
    def is_abused(self) -> bool:
        """Whether the client went on for so long that it is not worth an answer."""
        return self._excess > EXCESS_MAX

    def judge(self, size: int) -> Reply | None:
        """Decide on a message for which there seems to be nothing left.

        Args:
            size: of the message, in bytes; it was counted down before.

        Returns:
            What it is answered with, if it is refused; else None.
        """
        now = trio.current_time()
        messages, octets = self._rates or self._make_rates()
        octets.left = self.bytes
        if not self._size_max:
            messages.left = self.messages
        else:
            messages.left -= 1
            if size > self._size_max:
                self._guard.excess(LimitName.MESSAGE_BYTES).add()
        wait_s = 0.0
        if messages.left < 0:
            wait_s = self._judge(LimitName.MESSAGES, messages, 1, now)
        if octets.left < 0:
            wait_s = max(wait_s, self._judge(LimitName.BYTES, octets, size, now))
        self.bytes = octets.left
        if not self._size_max:
            self.messages = messages.left
        if not wait_s:
            return None
        self._excess += 1
        return _come_back(RATE_LIMITED, wait_s)

    def refuse_join(self, topic: str) -> Reply | None:
        """What a join is answered with that the client, or the node, may not begin now."""
        now = trio.current_time()
        if not self._joins.take(now) and self._guard.excess(LimitName.JOINS).add():
            return _come_back(RATE_LIMITED, self._joins.wait_s())
        failed = self._failures.wait_s(topic, now) if self._failures is not None else 0.0
        if failed > 0 and self._guard.excess(LimitName.FAILED_JOINS).add():
            return _come_back(RATE_LIMITED, failed)
        wait_s = self._guard.refuse_join(now)
        return None if wait_s is None else _come_back(BUSY, wait_s)

    def count_failed_join(self, topic: str) -> None:
        """A join came to nothing: it crashed, then or later, or was refused for good."""
        limit = self._guard.limits.failed_joins
        if not limit.is_on:
            return
        if self._failures is None:
            self._failures = Failures(limit.value, FAILED_JOINS_S, FAILING_TOPICS_MAX)
        self._failures.add(topic, trio.current_time())

    def _make_rates(self) -> tuple[Bucket, Bucket]:
        """What has come in of messages and of bytes since the beginning, and does from now on."""
        limits, began = self._guard.limits, self._began
        messages = _bucket(limits.messages, 1, began)
        self._rates = messages, _bucket(limits.bytes, self._least_bytes, began)
        return self._rates

    def _judge(self, name: LimitName, bucket: Bucket, taken: int, now: float) -> float:
        """Seconds until an empty bucket has that much; 0 if it has, or if it does not matter."""
        if bucket.refill(now, taken):
            self._excess = 0
        if bucket.left >= 0:
            return 0.0
        bucket.left += taken
        return bucket.wait_s(taken) if self._guard.excess(name).add() else 0.0


def _come_back(told: Payload, wait_s: float) -> Reply:
    """A refusal that also says when to try again, in a millisecond at least."""
    return Reply.error({**told, "retry_after_ms": ceil(wait_s * 1_000) or 1})


def _bucket(limit: Limit, least: int, now: float) -> Bucket:
    return Bucket(limit.value, _burst(limit, least), now) if limit.is_on else _ENDLESS


def _burst(limit: Limit, least: int) -> float:
    """What may be sent at once."""
    return max(limit.value * RATE_BURST_S, least) if limit.is_on else inf
