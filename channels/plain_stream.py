"""A client's socket as a stream, and as what it is: to be read and written without waiting, too.

It costs a third of what `trio.SocketStream` does, of which a node makes thousands a second when
another one stops, and its socket is one that anybody may use who does not wait.
"""

import socket

import trio

from channels.limits import RECEIVE_BYTES


class PlainStream(trio.abc.Stream):
    """Of one connection.

    Attributes:
        socket: the connection. It does not block.
        peer: the address that it is from; empty where it has none.
    """

    __slots__ = ("peer", "socket")

    def __init__(self, connected: socket.socket, peer: str) -> None:
        """A stream that is open.

        Args:
            connected: the connection, which is the stream's own from here on.
            peer: the address that it is from; empty where it has none, as on a Unix socket.
        """
        connected.setblocking(False)
        self.socket = connected
        self.peer = peer

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it. One task at a time.

        Raises:
            trio.BrokenResourceError: the peer takes nothing any more.
            trio.ClosedResourceError: it was closed on this side.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        left = memoryview(data)
        while left:
            self._check_open()
            try:
                left = left[self.socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.socket)
            except OSError as error:
                raise trio.BrokenResourceError(f"the connection broke: {error}") from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until something could be sent."""
        self._check_open()
        await trio.lowlevel.wait_writable(self.socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What there is, once there is something; empty at the end.

        Raises:
            trio.BrokenResourceError: the connection broke.
            trio.ClosedResourceError: it was closed on this side.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            self._check_open()
            try:
                return self.socket.recv(max_bytes or RECEIVE_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.socket)
            except OSError as error:
                raise trio.BrokenResourceError(f"the connection broke: {error}") from error

    def close(self) -> None:
        """Close the connection. Doing it again changes nothing."""
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    async def aclose(self) -> None:
        """Close the connection."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        """A closed descriptor may be somebody else's by now."""
        if self.socket.fileno() < 0:
            raise trio.ClosedResourceError
