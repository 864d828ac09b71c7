"""A socket as a stream: whole, in order, and with trio's own errors."""

import socket

import pytest
import trio
import trio.testing

from channels.plain_stream import PlainStream

MUCH = bytes(range(256)) * 4096


def pair() -> tuple[PlainStream, PlainStream]:
    """The two ends of a connection."""
    one, other = socket.socketpair()
    return PlainStream(one, "here"), PlainStream(other, "")


async def test_what_does_not_fit_waits_for_the_reader() -> None:
    """All of it arrives, in order, however large."""
    ours, theirs = pair()
    heard = bytearray()

    async def send() -> None:
        await ours.send_all(MUCH)
        await ours.aclose()

    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while data := await theirs.receive_some(10_000):
            heard += data
    assert bytes(heard) == MUCH


async def test_the_other_side_may_be_gone() -> None:
    """Reading tells the end, writing that it broke."""
    ours, theirs = pair()
    await theirs.aclose()
    assert await ours.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError, match="the connection broke"):
        await ours.send_all(b"x")
    ours.close()


async def test_a_reset_breaks_the_reading() -> None:
    """As of a peer whose machine was switched off and on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = PlainStream(socket.create_connection(listening.getsockname()), "127.0.0.1")
        theirs, _ = listening.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    with pytest.raises(trio.BrokenResourceError, match="the connection broke"):
        await ours.receive_some()
    ours.close()


async def test_closing_ends_whoever_waits() -> None:
    """Closing again changes nothing; after it there is nothing to be had."""
    ours, theirs = pair()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ours.receive_some()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        ours.close()
    await ours.aclose()
    for use in (ours.receive_some(), ours.send_all(b"x"), ours.wait_send_all_might_not_block()):
        with pytest.raises(trio.ClosedResourceError):
            await use
    await theirs.wait_send_all_might_not_block()
    theirs.close()
