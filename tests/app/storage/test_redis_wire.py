"""What a bus says and hears as bytes: however the network cuts them, the same comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.redis_wire import (
    PLAIN,
    SHARDED,
    Dialect,
    Ear,
    Receipts,
    ServerRefused,
    WireError,
    pack_publish,
)

_NAMES = st.text(max_size=12) | st.sampled_from(["a\r\n$3\r\nb", "\r", "*3\r\n"])
_BODIES = st.binary(max_size=40) | st.sampled_from([b"own x", b"*3\r\n$7\r\nmessage\r\n$1\r\n"])
_MESSAGES = st.lists(st.tuples(_NAMES, _BODIES), max_size=8)
_CUTS = st.lists(st.integers(0, 400), max_size=12)


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [*sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(_MESSAGES, _CUTS, st.sampled_from([PLAIN, SHARDED]))
def test_messages_and_confirmations_come_out_whole(
    messages: list[tuple[str, bytes]], cuts: list[int], dialect: Dialect
) -> None:
    """Of any names and bytes, wherever they are cut, without what is one's own, in order."""
    confirmed = b"*3\r\n" + _bulk(b"subscribe") + _bulk(b"c") + b":1\r\n"
    wire = b"".join(
        b"*3\r\n"
        + _bulk(dialect.message.encode())
        + _bulk(channel.encode())
        + _bulk(data)
        + confirmed
        for channel, data in messages
    )
    ear = Ear(dialect, b"own ")
    heard: list[tuple[bytes, bytes]] = []
    answers: list[list[object]] = []
    for piece in _pieces(wire, cuts):
        more, others = ear.feed(piece)
        heard += more
        answers += [list(other) for other in others]
    expected = [(name.encode(), data) for name, data in messages if not data.startswith(b"own ")]
    assert heard == expected
    assert answers == [[b"subscribe", b"c", 1]] * len(messages)


@given(_MESSAGES.filter(bool))
def test_what_is_packed_is_what_redis_reads(messages: list[tuple[str, bytes]]) -> None:
    """Each command is a list of three: the word, the channel, the bytes."""
    packed = pack_publish(messages, SHARDED)
    _, answers = Ear(PLAIN).feed(packed)
    assert answers == [[b"SPUBLISH", name.encode(), data] for name, data in messages]


@given(st.lists(st.integers(0, 99), min_size=1, max_size=9), _CUTS)
def test_answers_are_counted(numbers: list[int], cuts: list[int]) -> None:
    """They are all there when the last one is, and that one's number is told."""
    wire = b"".join(b":%d\r\n" % number for number in numbers)
    receipts = Receipts(len(numbers))
    *before, last = [receipts.feed(piece) for piece in _pieces(wire, cuts) if piece]
    assert (any(before), last, receipts.heard()) == (False, True, numbers[-1])


def test_an_error_among_answers_is_told_by_its_code_alone() -> None:
    """What Redis quotes may be a secret."""
    receipts = Receipts(2)
    assert receipts.feed(b"-NOPERM no right to 'hush'\r\n:1\r\n")
    with pytest.raises(ServerRefused, match=r"^NOPERM$"):
        receipts.heard()
    with pytest.raises(ServerRefused, match=r"^ERR$"):
        Ear(PLAIN).feed(b"-ERR hush\r\n")


def test_what_has_moved_is_an_answer() -> None:
    """Of a cluster's node, to one command alone: the connection goes on."""
    _, answers = Ear(SHARDED).feed(b"-MOVED 7 127.0.0.1:1\r\n+OK\r\n")
    assert answers == [[b"MOVED"], [b"OK"]]


def test_it_is_told_which_commands_were_refused() -> None:
    """By their places among those sent, however the answers were cut."""
    receipts = Receipts(4)
    receipts.feed(b":1\r\n-MOVED 7 127.0")
    assert receipts.feed(b".0.1:1\r\n:1\r\n-TRYAGAIN later\r\n")
    with pytest.raises(ServerRefused) as refused:
        receipts.heard()
    assert (refused.value.positions, refused.value.codes) == (
        (1, 3),
        frozenset({"MOVED", "TRYAGAIN"}),
    )


@pytest.mark.parametrize("wire", [b":1\r\n:2\r\n", b":1\r\n:"])
def test_more_answers_than_commands_are_an_error(wire: bytes) -> None:
    """Whose they are is not known, so nothing on that connection is."""
    with pytest.raises(WireError):
        Receipts(1).feed(wire)


def test_an_answer_that_is_no_number_is_an_error() -> None:
    """As of a server that is no Redis."""
    receipts = Receipts(1)
    assert receipts.feed(b"+HTTP/1.1 400\r\n")
    with pytest.raises(WireError):
        receipts.heard()


@pytest.mark.parametrize("wire", [b"*x\r\n", b"*1\r\n+a\r\n", b"*1\r\n$x\r\n"])
def test_what_redis_never_sends_is_an_error(wire: bytes) -> None:
    """It is not waited upon."""
    with pytest.raises(WireError):
        Ear(PLAIN).feed(wire)


def test_an_answer_may_lack_a_part_and_be_one_line() -> None:
    """The end of the last subscription names no channel; an answer to PING may be a line."""
    _, answers = Ear(PLAIN).feed(b"*3\r\n" + _bulk(b"unsubscribe") + b"$-1\r\n:0\r\n+PONG\r\n")
    assert answers == [[b"unsubscribe", None, 0], [b"PONG"]]


def test_a_message_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of it is bounded."""
    monkeypatch.setattr("app.storage.redis_wire.BUS_FRAME_BYTES_MAX", 64)
    ear = Ear(PLAIN)
    assert ear.feed(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$999\r\n") == ([], [])
    with pytest.raises(WireError):
        ear.feed(b"x" * 64)
