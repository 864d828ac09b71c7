"""The end of a connection that the server closes first, such that its last words arrive.

A socket closed while something in it is unread sends a reset, and a reset may overtake the answer
that was just written. So the answer goes out, then the end of our side, and what the client still
sends is read and dropped, for a moment and up to a bound.
"""

from typing import Final

import trio

from app.limits import LINGER_BYTES_MAX, LINGER_S

_READ_BYTES: Final = 64 * 1024


async def part_with(stream: trio.SocketStream, last: bytes = b"") -> None:
    """Send `last` and the end, then let the client finish, within `LINGER_S`; the caller closes."""
    taken = 0
    try:
        with trio.move_on_after(LINGER_S):
            await stream.send_all(last)
            await stream.send_eof()
            while taken < LINGER_BYTES_MAX:
                data = await stream.receive_some(_READ_BYTES)
                if not data:
                    return
                taken += len(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return
