"""A client for HTTP/1.1 on one connection, which a test may lose at any moment."""

import json
from dataclasses import dataclass
from typing import Any, Final

import h11
import trio

_BROKEN: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    h11.RemoteProtocolError,
)


class Lost(Exception):  # noqa: N818 - it says what happened
    """The connection ended before the answer did, or could not be had."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered.

    Attributes:
        status: of HTTP.
        body: as it came.
    """

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Http:
    """A client that keeps its connection, and makes a new one where that was lost.

    Attributes:
        connections: how many it has made.
    """

    def __init__(self, port: int, token: str) -> None:
        self.connections = 0
        self._port = port
        self._headers = [("Host", "test"), ("Authorization", f"Bearer {token}")]
        self._stream: trio.SocketStream | None = None
        self._state = h11.Connection(h11.CLIENT)

    async def get(self, path: str) -> Answer:
        """The answer to a GET.

        Raises:
            Lost: there is none.
        """
        return await self._ask(h11.Request(method="GET", target=path, headers=self._headers))

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        """The answer to a POST of this body, as JSON.

        Raises:
            Lost: there is none, and whether the request was acted upon is not known.
        """
        data = json.dumps(body).encode()
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        told = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        return await self._ask(
            h11.Request(method="POST", target=path, headers=[*self._headers, *told, *named]), data
        )

    def close(self) -> None:
        """End the connection, if there is one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.socket.close()

    async def _ask(self, request: h11.Request, data: bytes = b"") -> Answer:
        try:
            stream = self._stream or await self._connect()
            sent = self._state.send(request) or b""
            sent += self._state.send(h11.Data(data=data)) or b""
            sent += self._state.send(h11.EndOfMessage()) or b""
            await stream.send_all(sent)
            answer = await self._read(stream)
        except _BROKEN as broken:
            self.close()
            raise Lost from broken
        except trio.Cancelled:
            self.close()
            raise
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
        else:
            self.close()
        return answer

    async def _connect(self) -> trio.SocketStream:
        self._state = h11.Connection(h11.CLIENT)
        self._stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        self.connections += 1
        return self._stream

    async def _read(self, stream: trio.SocketStream) -> Answer:
        status, body = 0, b""
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                self._state.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, body)
            else:
                raise h11.RemoteProtocolError(f"{event!r} instead of an answer")
