"""A worker's own port, on the loopback interface alone, where its siblings ask it.

It serves the few routes that answer for one worker, to whoever is on this machine: what needs a
token needs it here, too. Few ask, so what is beyond a bound waits in the backlog.
"""

from typing import Final

import trio

from actors import Lifeline
from app.http.farewell import part_with
from app.http.head import is_too_long, is_websocket_upgrade, read_head
from app.http.hypercorn_server import HttpServer
from app.limits import HEAD_S, LOCAL_QUESTIONS_MAX

_HOST: Final = "127.0.0.1"


class LocalListener:
    """Owns the port. `run` is a child's whole life, and may be run again.

    Attributes:
        port: where it listens, once it is ready.
    """

    def __init__(self, http: HttpServer) -> None:
        """`http` answers."""
        self.port = 0
        self._http = http
        self._places = trio.Semaphore(LOCAL_QUESTIONS_MAX)

    async def run(self, life: Lifeline) -> None:
        """Listen until asked to stop; ready with the port's number."""
        listeners = await trio.open_tcp_listeners(self.port, host=_HOST)
        self.port = listeners[0].socket.getsockname()[1]
        self._http.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)
            life.ready(self.port)
            await life.stop_requested.wait()
            nursery.cancel_scope.cancel()

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with self._places:
            try:
                with trio.move_on_after(HEAD_S):
                    head = await read_head(stream.receive_some)
                    if head and not is_too_long(head) and not is_websocket_upgrade(head):
                        await self._http.serve(stream, head)
                await part_with(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            finally:
                await trio.aclose_forcefully(stream)
