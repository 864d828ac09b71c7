"""Lines of JSON between processes of ours: a node's workers, and those of a load test."""

from collections.abc import AsyncGenerator

import msgspec
import trio

from app.limits import LINE_BYTES_MAX

_ENCODE = msgspec.json.Encoder().encode


async def read_lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[bytes, None]:
    """Each line, without its end, until the stream ends.

    Raises:
        ValueError: a line is longer than any of ours.
    """
    rest = bytearray()
    async for data in stream:
        begun = len(rest)
        rest += data
        if b"\n" in data:
            end = rest.rindex(b"\n", begun) + 1
            whole, rest = bytes(rest[:end]), rest[end:]
            for line in whole.splitlines():
                yield line
        if len(rest) > LINE_BYTES_MAX:
            raise ValueError("a line without end")


def line_of(message: msgspec.Struct) -> bytes:
    """A message as one line."""
    return _ENCODE(message) + b"\n"
