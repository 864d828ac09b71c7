"""What Autobahn's fuzzingclient asks of a server, as far as it matters, over both lanes.

Autobahn itself needs another Python; docs/autobahn.md tells how to run it.
"""

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from channels.endpoint import Endpoint
from channels.frames import BINARY, TEXT, close_frame, frame
from channels.limits import Limits
from tests.channels.raw_frames import (
    CLOSING,
    CONTINUED,
    FINAL,
    FINAL_BINARY,
    FINAL_TEXT,
    FIRST_BINARY,
    FIRST_TEXT,
    PING,
    PONG,
    REQUEST,
    answered,
    closing,
    masked,
)
from tests.support.echo_server import echoing

BYE = closing(1000)
PONGED = 0xA
GREEK = "κόσμε".encode()
HELLO = masked(FINAL_TEXT, b"hello")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint that echoes."""
    async with echoing(Limits(message_bytes=70_000)) as endpoint:
        yield endpoint


def echo(text: bytes) -> bytes:
    """The answer to a text."""
    return frame(TEXT, text)


SOUND = {
    "empty": [(masked(FINAL_TEXT), echo(b""))],
    "a text": [(masked(FINAL_TEXT, GREEK), echo(GREEK))],
    "no text": [(masked(FINAL_BINARY, b"\xff\xfe"), frame(BINARY, b"\xff\xfe"))],
    "a ping": [(masked(PING), frame(PONGED, b"")), (masked(PING, b"\xff"), frame(PONGED, b"\xff"))],
    "the largest ping": [(masked(PING, b"x" * 125), frame(PONGED, b"x" * 125))],
    "ten pings": [(masked(PING, b"%d" % n), frame(PONGED, b"%d" % n)) for n in range(10)],
    "a pong": [(masked(PONG, b"unasked"), b""), (masked(PING, b"a"), frame(PONGED, b"a"))],
    "two fragments": [(masked(FIRST_TEXT, b"a") + masked(FINAL, b"b"), echo(b"ab"))],
    "no text in fragments": [
        (masked(FIRST_BINARY, b"\xff") + masked(FINAL, b"b"), frame(BINARY, b"\xffb"))
    ],
    "empty fragments": [
        (masked(FIRST_TEXT) + masked(CONTINUED) + masked(FINAL), echo(b"")),
        (masked(FIRST_TEXT) + masked(CONTINUED, b"a") + masked(FINAL), echo(b"a")),
    ],
    "a ping within": [
        (masked(FIRST_TEXT, b"a") + masked(PING, b"p"), frame(PONGED, b"p")),
        (masked(CONTINUED, b"b") + masked(PING, b"q"), frame(PONGED, b"q")),
        (masked(FINAL, b"c"), echo(b"abc")),
        (HELLO, echo(b"hello")),
    ],
    "a pong within": [
        (masked(FIRST_TEXT, b"a") + masked(PONG, b"p") + masked(FINAL, b"b"), echo(b"ab"))
    ],
    "a character in two fragments": [
        (masked(FIRST_TEXT, GREEK[:3]) + masked(FINAL, GREEK[3:]), echo(GREEK))
    ],
    "a character a byte a fragment": [
        (masked(FIRST_TEXT) + b"".join(masked(CONTINUED, bytes((byte,))) for byte in GREEK), b""),
        (masked(FINAL), echo(GREEK)),
    ],
    "no characters that are allowed": [
        (masked(FINAL_TEXT, text.encode()), echo(text.encode()))
        for text in ("\x00", "\ufffe", "\uffff", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd")
    ],
}
SIZES = (125, 126, 127, 128, 65_535, 65_536, 70_000)

OFFENCES = {
    **{f"reserved bits {bits:x}": (masked(FINAL_TEXT | bits, b"a"), 1002) for bits in (64, 32, 16)},
    **{f"reserved bits {bits:x} in a ping": (masked(PING | bits), 1002) for bits in (64, 32, 16)},
    **{f"opcode {n}": (masked(FINAL | n, b"a"), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a ping too large": (masked(PING, b"x" * 126), 1002),
    "a ping in fragments": (masked(0x09, b"a"), 1002),
    "a pong in fragments": (masked(0x0A, b"a"), 1002),
    "a fragment of nothing": (masked(CONTINUED, b"a"), 1002),
    "an end of nothing": (masked(FINAL, b"a"), 1002),
    "a text within a text": (masked(FIRST_TEXT, b"a") + masked(FINAL_TEXT, b"b"), 1002),
    "a beginning within a text": (masked(FIRST_TEXT, b"a") + masked(FIRST_TEXT, b"b"), 1002),
    "no mask": (b"\x81\x02hi", 1002),
    "a length too long": (masked(FINAL_TEXT, b"a", extra=2), 1002),
    "a length far too long": (masked(FINAL_TEXT, b"a" * 200, extra=8), 1002),
    "a close of one byte": (masked(CLOSING, b"\x03"), 1002),
    "a close too large": (closing(1000, b"x" * 124), 1002),
    "a close whose reason is no text": (closing(1000, b"\xce\xff"), 1007),
    "a message too large": (masked(FINAL_TEXT, b"x" * 70_001), 1009),
    "a fragmented message too large": (
        masked(FIRST_TEXT, b"x" * 60_000) + masked(CONTINUED, b"x" * 10_001),
        1009,
    ),
}
NO_TEXT = (
    b"\x80",
    b"\xc0\xaf",  # an overlong slash
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",  # half of a pair
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",  # behind the last character
    b"\xf5",
    b"\xfe",
    b"\xff",
)
# No code of these is ever on the wire: they are kept for other things, or nobody's.
NO_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
# Sockets are read by the endpoint's reader, other streams by the session itself.
SOCKETS = pytest.mark.parametrize("sockets", [False, True], ids=["stream", "socket"])
CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
@SOCKETS
async def test_what_is_sound_is_answered(
    endpoint: Endpoint, name: str, *, whole: bool, sockets: bool
) -> None:
    """Byte for byte, in the order in which it was asked."""
    asked = b"".join(question for question, _ in SOUND[name]) + BYE
    pieces = [asked] if whole else [asked[n : n + 1] for n in range(len(asked))]
    expected = b"".join(answer for _, answer in SOUND[name]) + close_frame(1000)
    assert expected == await answered(endpoint, pieces, sockets=sockets)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_messages_of_all_sizes_come_back(endpoint: Endpoint, size: int, opcode: int) -> None:
    """However their length is spelt, and in fragments too."""
    payload = b"*" * size
    parts = masked(opcode, payload[:100]) + masked(FINAL, payload[100:])
    asked = masked(FINAL | opcode, payload) + parts + BYE
    expected = frame(opcode, payload) * 2 + close_frame(1000)
    assert expected == await answered(endpoint, [asked[:999], asked[999:]])


@pytest.mark.parametrize("name", OFFENCES)
@SOCKETS
async def test_an_offence_ends_the_connection(
    endpoint: Endpoint, name: str, *, sockets: bool
) -> None:
    """With its code, after the answers to all that came before, and to nothing behind it."""
    offence, code = OFFENCES[name]
    asked = HELLO + offence + masked(PING) + HELLO
    said = await answered(endpoint, [asked], sockets=sockets)
    head, _, last = said.partition(echo(b"hello"))
    assert (head, last[:1], last[2:4]) == (b"", b"\x88", code.to_bytes(2, "big"))
    assert len(last) == 2 + last[1], "nothing behind it"


@pytest.mark.parametrize("bad", NO_TEXT)
async def test_text_that_is_none_ends_the_connection(endpoint: Endpoint, bad: bytes) -> None:
    """With 1007, in one frame or in two."""
    for asked in (
        masked(FINAL_TEXT, GREEK + bad),
        masked(FINAL_TEXT, bad + GREEK),
        masked(FIRST_TEXT, GREEK) + masked(FINAL, bad),
    ):
        said = await answered(endpoint, [HELLO + asked + HELLO])
        head, _, last = said.partition(echo(b"hello"))
        assert (head, last[:1], last[2:4]) == (b"", b"\x88", (1007).to_bytes(2, "big"))


async def test_text_that_cannot_become_text_is_not_waited_for(endpoint: Endpoint) -> None:
    """The fragment that breaks it ends the connection: the client says nothing more."""
    said = await answered(endpoint, [masked(FIRST_TEXT, GREEK) + masked(CONTINUED, b"\xf4\x90")])
    assert said[2:4] == (1007).to_bytes(2, "big")


async def test_text_that_ends_within_a_character_is_none(endpoint: Endpoint) -> None:
    """In the last fragment; before it there may be more to come."""
    said = await answered(endpoint, [masked(FIRST_TEXT, b"a") + masked(FINAL, GREEK[:1])])
    assert said[2:4] == (1007).to_bytes(2, "big")


@pytest.mark.parametrize("code", CODES)
async def test_a_goodbye_is_answered(endpoint: Endpoint, code: int) -> None:
    """With its own code, and nothing behind it."""
    asked = HELLO + closing(code, b"x" * 123) + masked(PING) + HELLO
    said = await answered(endpoint, [asked])
    assert said.startswith(echo(b"hello") + b"\x88")
    assert said[len(echo(b"hello")) + 2 :][:2] == code.to_bytes(2, "big")
    assert said.count(b"hello") == 1


async def test_a_goodbye_without_a_code_is_answered(endpoint: Endpoint) -> None:
    """As well as any other."""
    said = await answered(endpoint, [HELLO + masked(CLOSING) + masked(PING)])
    assert said.startswith(echo(b"hello") + b"\x88")
    assert said.count(b"\x8a") == 0


@pytest.mark.parametrize("code", NO_CODES)
async def test_a_goodbye_with_no_code_of_a_goodbye_is_an_offence(
    endpoint: Endpoint, code: int
) -> None:
    """It is answered with 1002."""
    said = await answered(endpoint, [closing(code)])
    assert said[:1] + said[2:4] == b"\x88" + (1002).to_bytes(2, "big")


async def test_who_does_not_read_is_not_waited_for(
    endpoint: Endpoint, autojump_clock: trio.testing.MockClock
) -> None:
    """The last word has half a second, and what it would follow is given up with it."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(endpoint.serve, theirs, REQUEST)
        await ours.receive_some()
        began = autojump_clock.current_time()
        await ours.send_all(HELLO + masked(FINAL))
        await trio.testing.wait_all_tasks_blocked()
        assert endpoint.statistics().connections == 1
    assert autojump_clock.current_time() - began == pytest.approx(0.5)
    assert endpoint.statistics().closed == {"protocol_error": 1}
