"""Frames at random, cut anywhere, with others injected between the answers: byte for byte the same.

    python -m tests.channels.stress 1000000 --seed 7

A *talk* is what one client says, together with all the answers it must get: texts and bytes, whole
and in fragments, pings and pongs between them and within them, at last a goodbye or an offence, and
after that what nobody may answer. Meanwhile frames are injected into its outbox, as broadcasts are.
What the client gets is taken apart: the injected frames must be all there up to some point and in
order, and everything else must be exactly the answers. The model knows nothing of lanes: it writes
down the answer as it makes up the question.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import trio
import trio.testing

from channels.frames import BINARY, TEXT, close_frame, frame
from channels.limits import Limits
from channels.testing import Streams
from tests.channels.raw_frames import CONTINUED, FINAL, PING, PONG, REQUEST, closing, masked
from tests.support.echo_server import EchoEndpoint, echoing
from tests.support.sockets import plain

_PONGED: Final = 0xA
_INJECTED: Final = b"injected "
_MESSAGE_MAX: Final = 70_000
# Nobody reads too slowly here, but everybody is slow now and then.
_LIMITS: Final = Limits(message_bytes=_MESSAGE_MAX, outbox_bytes=1 << 26)
_FRAMES_A_TALK: Final = 400
# What is injected waits for a client that has much to read.
_INJECTED_BYTES_MAX: Final = 20_000
_LETTERS: Final = "abc äöü αβγ 漢字 🙂\n" * 4_000
_OFFENCES: Final = (
    masked(FINAL | 0x40 | TEXT, b"reserved"),
    masked(FINAL | 0x3, b"unknown"),
    masked(PING, b"x" * 126),
    masked(CONTINUED, b"of nothing"),
    b"\x81\x05plain",
)


@dataclass
class Talk:
    """What one client says, and what it must hear.

    Attributes:
        asked: its bytes.
        answers: the endpoint's, injected frames aside.
        frames: how many it says before the end.
    """

    random: Random
    asked: bytearray = field(default_factory=bytearray)
    answers: bytearray = field(default_factory=bytearray)
    frames: int = 0

    def fill(self, frames: int) -> None:
        """Make it up, with so many frames or a few more."""
        kinds = (self._message, self._fragments, self._control)
        while self.frames < frames:
            (kind,) = self.random.choices(kinds, (6, 2, 2))
            kind()
        self._end()

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, cut anywhere: sometimes within every frame, sometimes many frames at once."""
        begin, data = 0, bytes(self.asked)
        (most,) = self.random.choices((3, 40, 1_000, 20_000), (1, 4, 20, 20))
        while begin < len(data):
            end = begin + self.random.randint(1, most)
            yield data[begin:end]
            begin = end

    def _say(self, first: int, payload: bytes) -> None:
        key = self.random.choice((b"\0\0\0\0", self.random.randbytes(4)))
        self.asked += masked(first, payload, key=key)
        self.frames += 1

    def _payload(self) -> tuple[int, bytes]:
        """A message: its opcode and its bytes."""
        random = self.random
        (most,) = random.choices((20, 125, 600, _MESSAGE_MAX), (500, 400, 100, 1))
        size = random.randint(0, most)
        if random.random() < 0.3:
            return BINARY, random.randbytes(size)
        begin = random.randrange(20)
        text = _LETTERS[begin : begin + size].encode()
        return TEXT, text[:_MESSAGE_MAX].decode(errors="ignore").encode()

    def _message(self) -> None:
        opcode, payload = self._payload()
        self._say(FINAL | opcode, payload)
        self.answers += frame(opcode, payload)

    def _fragments(self) -> None:
        """A message cut into fragments, also within characters, and control frames between them."""
        opcode, payload = self._payload()
        count = self.random.randint(1, 5)
        edges = sorted(self.random.randint(0, len(payload)) for _ in range(count))
        first = opcode
        for begin, end in zip([0, *edges], edges, strict=False):
            self._say(first, payload[begin:end])
            first = CONTINUED
            while self.random.random() < 0.3:
                self._control()
        self._say(FINAL | CONTINUED, payload[edges[-1] :])
        self.answers += frame(opcode, payload)

    def _control(self) -> None:
        payload = self.random.randbytes(self.random.choice((0, 4, 125)))
        if self.random.random() < 0.5:
            self._say(PONG, payload)
        else:
            self._say(PING, payload)
            self.answers += frame(_PONGED, payload)

    def _end(self) -> None:
        """Say goodbye or break the rules; sometimes in the middle of a message."""
        random = self.random
        if random.random() < 0.3:
            self._say(TEXT, b"begun")
        if random.random() < 0.7:
            code = random.choice((1000, 1001, 3000, 4999))
            self.asked += closing(code)
            self.answers += close_frame(code)
        else:
            self.asked += random.choice(_OFFENCES[:3])
            self.answers += close_frame(1002)
        self.asked += masked(FINAL | TEXT, b"too late") + masked(PING) + random.randbytes(20)


@dataclass
class Stressed:
    """What was done.

    Attributes:
        talks: clients that came and went.
        frames: that they sent.
        injected: frames that reached them between the answers.
    """

    talks: int = 0
    frames: int = 0
    injected: int = 0


async def stress(seed: int, frames: int) -> Stressed:
    """Have one client after another talk, until they have sent so many frames.

    Raises:
        AssertionError: one got something else than it must. The text names seed and talk.
    """
    done = Stressed()
    async with echoing(_LIMITS) as endpoint:
        while done.frames < frames:
            name = f"seed {seed}, talk {done.talks}"
            talk = Talk(Random(name))
            talk.fill(talk.random.randint(1, _FRAMES_A_TALK))
            done.injected += await _hold(endpoint, talk, name)
            done.talks += 1
            done.frames += talk.frames
    return done


async def _hold(endpoint: EchoEndpoint, talk: Talk, name: str) -> int:
    """Have one talk, and check it. Returns how many frames were injected."""
    ours, theirs = _streams(talk.random)
    heard = bytearray()
    async with ours, trio.open_nursery() as nursery:
        nursery.start_soon(endpoint.serve, theirs, REQUEST)
        while not heard.endswith(b"\r\n\r\n"):
            heard += await ours.receive_some()
        heard.clear()
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as inner:
            inner.start_soon(_send, ours, talk)
            inner.start_soon(_inject, endpoint, Random(name))
            with suppress(trio.BrokenResourceError):  # the endpoint did not read what came too late
                while data := await ours.receive_some(talk.random.choice((1_000, 65_536))):
                    heard += data
            inner.cancel_scope.cancel()
    return _check(bytes(heard), bytes(talk.answers), name)


def _streams(random: Random) -> Streams:
    """A connection: in memory, or sockets with small buffers, or with large ones."""
    kind = random.choice(("memory", "small", "large"))
    if kind == "memory":
        return trio.testing.memory_stream_pair()
    ours, theirs = trio.socket.socketpair()
    if kind == "small":
        for end in (ours, theirs):
            end.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 4_096)
    return trio.SocketStream(ours), plain(theirs)


async def _send(stream: trio.abc.Stream, talk: Talk) -> None:
    with suppress(trio.BrokenResourceError):  # it need not listen to what comes too late
        for piece in talk.pieces():
            await stream.send_all(piece)


async def _inject(endpoint: EchoEndpoint, random: Random) -> None:
    """Put numbered frames into the client's outbox, now many at once, now one by one."""
    (connection,) = endpoint._connections
    outbox, number = connection.outbox, 0
    while not outbox.closed:
        for _ in range(random.choice((1, 1, 10))):
            endpoint.around.hub.push(outbox, frame(TEXT, b"%b%d" % (_INJECTED, number)))
            number += 1
        for _ in range(random.randint(1, 10)):
            await trio.lowlevel.checkpoint()
        while outbox.size > _INJECTED_BYTES_MAX and not outbox.closed:
            await trio.lowlevel.checkpoint()


def _check(heard: bytes, answers: bytes, name: str) -> int:
    """Take apart what a client heard. Returns how many frames were injected."""
    rest, numbers, at = bytearray(), [], 0
    while at < len(heard):
        begin, size = at + 2, heard[at + 1]
        if size >= 126:
            extra = 2 if size == 126 else 8
            size = int.from_bytes(heard[begin : begin + extra], "big")
            begin += extra
        payload = heard[begin : begin + size]
        if payload.startswith(_INJECTED):
            numbers.append(int(payload.removeprefix(_INJECTED)))
        else:
            rest += heard[at : begin + size]
        at = begin + size
    assert numbers == list(range(len(numbers))), f"{name}: injected frames are not in order"
    assert bytes(rest) == answers, f"{name}: the answers are not as they must be"
    return len(numbers)


def main() -> None:
    """Stress and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.channels.stress")
    parser.add_argument("frames", type=int)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    done = trio.run(stress, asked.seed, asked.frames)
    sys.stdout.write(
        f"seed {asked.seed}: {done.talks:,} clients sent {done.frames:,} frames, {done.injected:,} "
        "were injected, and all is as it must be\n"
    )


if __name__ == "__main__":
    main()
