"""Sockets as an endpoint takes them."""

import socket

import trio

from channels.plain_stream import PlainStream


def plain(connected: trio.socket.SocketType) -> PlainStream:
    """The same connection; what it was before is closed by this."""
    peer = connected.getpeername()
    address = peer[0] if isinstance(peer, tuple) else ""
    return PlainStream(socket.socket(fileno=connected.detach()), address)
