"""What a bus says to Redis and hears from it, as bytes: packed and taken apart many at a time.

A client library makes an object of each command and of each reply. On a bus there are tens of
thousands of both a second, all alike, so here a whole batch is one piece of bytes, its replies are
counted, and of messages only the two parts that matter are cut out. Pure: no connection is here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from app.storage.limits import (
    BUS_FRAME_BYTES_MAX,
)
from channels.broker import BusMessage

_END: Final = b"\r\n"

# The one error that tells of no failure: another node of the cluster has that slot.
MOVED: Final = "MOVED"

Part: TypeAlias = bytes | int | None
"""One part of an answer."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words of one kind of publishing and subscribing.

    Attributes:
        publish: the command that publishes.
        subscribe: the command that subscribes; in small letters its confirmation.
        unsubscribe: the command that ends it; in small letters its confirmation.
        message: how a message begins.
        together: whether one command may name several channels.
    """

    publish: str
    subscribe: str
    unsubscribe: str
    message: str
    together: bool


PLAIN: Final = Dialect("PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE", "message", together=True)
"""On one server."""

SHARDED: Final = Dialect("SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE", "smessage", together=False)
"""On a cluster: a message stays on the shard that its channel belongs to."""


class WireError(Exception):
    """What arrived is not what Redis sends."""


class ServerRefused(Exception):  # noqa: N818 - it says who did what
    """Redis answered with errors; the message is their codes, never what they quote.

    Attributes:
        codes: such as MOVED or NOPERM.
        positions: of the commands that were refused, among those sent together.
    """

    def __init__(self, codes: Iterable[str], positions: Sequence[int] = ()) -> None:
        self.codes = frozenset(codes)
        self.positions = tuple(positions)
        super().__init__(" ".join(sorted(self.codes)))


def pack_publish(messages: Iterable[BusMessage], dialect: Dialect) -> bytes:
    """The commands that publish these messages, in order, as one piece."""
    begin = b"*3\r\n$%d\r\n%b\r\n$" % (len(dialect.publish), dialect.publish.encode())
    parts = []
    for channel, data in messages:
        name = channel.encode()
        parts.append(b"%b%d\r\n%b\r\n$%d\r\n%b\r\n" % (begin, len(name), name, len(data), data))
    return b"".join(parts)


class Receipts:
    """The replies to commands that publish: one line each, a number or an error."""

    def __init__(self, expected: int) -> None:
        """Nothing has arrived.

        Args:
            expected: how many commands were sent.
        """
        self._expected = expected
        self._missing = expected
        self._rest = b""
        self._last = b""
        self._refusals: dict[int, str] = {}

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True once every command is answered.

        Raises:
            WireError: more arrived than was asked for.
        """
        lines = (self._rest + data).split(_END)
        self._rest = lines.pop()
        begin = self._expected - self._missing
        self._missing -= len(lines)
        if self._missing < 0 or (not self._missing and self._rest):
            raise WireError("more answers than commands")
        if lines:
            self._last = lines[-1]
            if b"-" in data:
                errors = ((n, line) for n, line in enumerate(lines, begin) if _is_error(line))
                self._refusals.update({n: _first_word(line) for n, line in errors})
        return not self._missing

    def heard(self) -> int:
        """How many subscribers the last message had.

        Raises:
            ServerRefused: one of the commands was answered with an error.
            WireError: the answer is no number.
        """
        if self._refusals:
            raise ServerRefused(self._refusals.values(), sorted(self._refusals))
        try:
            return int(self._last.removeprefix(b":"))
        except ValueError:
            raise WireError("an answer that is no number") from None


class Ear:
    """Takes apart what arrives on a connection that subscribed."""

    def __init__(self, dialect: Dialect, own: bytes = b"") -> None:
        """Nothing has arrived.

        Args:
            dialect: what is spoken.
            own: messages that begin like this are skipped, unless it is empty.
        """
        self._word = dialect.message.encode()
        # The head of a message whose channel's name has no line's end in it, as all of ours.
        self._head = re.compile(
            rb"\*3\r\n\$%d\r\n%b\r\n\$(\d{1,9})\r\n([^\r]*)\r\n\$(\d{1,9})\r\n"
            % (len(self._word), self._word)
        )
        self._own = own
        self._rest = b""

    def feed(self, data: bytes) -> tuple[list[tuple[bytes, bytes]], list[list[Part]]]:
        """Take what arrived.

        Returns:
            Messages, (channel, bytes), in order; and all other answers, in order.

        Raises:
            ServerRefused: one of the answers is an error, other than `MOVED`.
            WireError: it is nothing that Redis sends.
        """
        if self._rest:
            data = self._rest + data
        messages: list[tuple[bytes, bytes]] = []
        others: list[list[Part]] = []
        at, whole = 0, len(data)
        while at < whole:
            at = self._messages(data, at, messages)
            if at < whole:
                after = self._other(data, at, messages, others)
                if not after:
                    break
                at = after
        self._rest = data[at:]
        if len(self._rest) > BUS_FRAME_BYTES_MAX:
            raise WireError("a message without end")
        return messages, others

    def _messages(self, data: bytes, at: int, messages: list[tuple[bytes, bytes]]) -> int:
        """Where the messages end that begin at `at`: the loop that everything goes through."""
        match, own, last = self._head.match, self._own, len(data) - 2
        while found := match(data, at):
            size, name, length = found.groups()
            begin = found.end()
            end = begin + int(length)
            if end > last or int(size) != len(name):
                break
            if not own or not data.startswith(own, begin):
                messages.append((name, data[begin:end]))
            at = end + 2
        return at

    def _other(
        self,
        data: bytes,
        at: int,
        messages: list[tuple[bytes, bytes]],
        others: list[list[Part]],
    ) -> int:
        """Where the answer ends that begins at `at`; 0: it is not whole."""
        found = _answer(data, at)
        if found is None:
            return 0
        answer, end = found
        match answer:
            case [self._word, bytes(name), bytes(body)]:
                if not self._own or not body.startswith(self._own):
                    messages.append((name, body))
            case _:
                others.append(answer)
        return end


def _answer(data: bytes, at: int) -> tuple[list[Part], int] | None:
    """The answer that begins at `at`, a list or a single line, and its end; None: not whole."""
    end = data.find(_END, at)
    if end < 0:
        return None
    kind, line = data[at : at + 1], data[at + 1 : end]
    if kind == b"-":
        code = _first_word(data[at:end])
        if code != MOVED:
            raise ServerRefused({code})
        return [code.encode()], end + 2
    if kind != b"*":
        return [line], end + 2
    parts: list[Part] = []
    at = end + 2
    for _ in range(_number(line)):
        at = _part(data, at, parts)
        if not at:
            return None
    return parts, at


def _part(data: bytes, at: int, parts: list[Part]) -> int:
    """Where the part ends that begins at `at`; 0: it is not whole."""
    end = data.find(_END, at)
    if end < 0:
        return 0
    kind, number = data[at : at + 1], _number(data[at + 1 : end])
    if kind == b":":
        parts.append(number)
        return end + 2
    if kind != b"$":
        raise WireError(f"an answer's part begins with {kind!r}")
    if number < 0:
        parts.append(None)
        return end + 2
    begin = end + 2
    if begin + number + 2 > len(data):
        return 0
    parts.append(data[begin : begin + number])
    return begin + number + 2


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise WireError("a length that is no number") from None


def _is_error(line: bytes) -> bool:
    return line.startswith(b"-")


def _first_word(line: bytes) -> str:
    """An error's code, such as NOPERM."""
    return line[1:].split(b" ", 1)[0].decode("ascii", "replace")
