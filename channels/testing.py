"""A client for tests: it drives a real endpoint over streams in memory.

    async with serving(handler, [("room:*", Room)]) as endpoint:
        async with connect(endpoint, token="...") as client:
            assert await client.join("room:1") == {"members": 1}
            ref = await client.push("room:1", "shout", {"text": "hi"})
            await client.assert_reply(ref, "ok")
            await client.assert_broadcast("room:1", "shout", {"text": "hi"})

Wait for the reply to a push before looking at what it changed: a push is handled in its own time.
Nothing here sleeps; what does not come within `PATIENCE_S` fails the test.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import trio
import trio.testing
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from channels.endpoint import Endpoint
from channels.protocol import CLOSE, ERROR, HEARTBEAT, JOIN, LEAVE, REPLY, SOCKET_TOPIC
from channels.serializer import Envelope, Ref
from channels.testing_node import Anyone, Node, serving
from channels.testing_wire import bytes_of, read, say

__all__ = [
    "ANYTHING",
    "PATIENCE_S",
    "Anyone",
    "Client",
    "ConnectionEnded",
    "HandshakeRefused",
    "Node",
    "connect",
    "serving",
]

# Seconds until something that did not come is a failure: beyond every limit of a connection, so
# that a test can see them at work. A virtual clock makes the wait free.
PATIENCE_S: Final = 100.0

Streams: TypeAlias = tuple[trio.abc.Stream, trio.abc.Stream]


class Anything:
    """Equal to everything, for the part of an expectation that does not matter."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "ANYTHING"


ANYTHING: Final[Any] = Anything()


class HandshakeRefused(Exception):  # noqa: N818 - it says what happened
    """The endpoint refused the connection.

    Attributes:
        status: the HTTP status; 0 where there was none.
        body: of the answer.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"refused with {status}: {body!r}")
        self.status = status
        self.body = body


class ConnectionEnded(Exception):  # noqa: N818 - it says what happened
    """The endpoint ended the connection.

    Attributes:
        code: the close code; 1006 without a close frame.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the endpoint closed with {code}")
        self.code = code


@asynccontextmanager
async def connect(
    endpoint: Endpoint,
    *,
    token: str | None = None,
    params: Mapping[str, str | None] | None = None,
    subprotocols: Sequence[str] = (),
    path: str = "/socket/websocket",
    streams: Streams | None = None,
) -> AsyncIterator["Client"]:
    """Connect a client; it is gone at the end of the block.

    Args:
        endpoint: a running one, as of `serving`.
        token: sent as the `token` parameter.
        params: of the query; `vsn` is 2.0.0 unless it is among them. None leaves one out.
        subprotocols: to offer.
        path: where to connect.
        streams: the client's and the endpoint's end of a connection; in memory if left out.

    Raises:
        HandshakeRefused: the endpoint refused.
    """
    wanted = {"vsn": "2.0.0", **(params or {})}
    query = {name: value for name, value in wanted.items() if value is not None}
    if token is not None:
        query["token"] = token
    ours, theirs = streams or trio.testing.memory_stream_pair()
    client = Client(ours, query.get("vsn", "1.0.0"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(endpoint.serve, theirs, b"")
        nursery.start_soon(client.listen)
        refused = await client.shake_hands(f"{path}?{urlencode(query)}", subprotocols)
        if refused is None:
            yield client
        await ours.aclose()
    if refused is not None:
        raise refused


class Client:
    """A client of the Phoenix protocol. What nobody asked for yet waits in its inbox."""

    def __init__(self, stream: trio.abc.Stream, version: str = "2.0.0") -> None:
        """A client that has not said anything yet. In V1 neither side says a join_ref."""
        self.stream = stream
        self._version = version
        self.subprotocol: str | None = None
        """What the endpoint chose."""
        self.pongs: list[bytes] = []
        """Payloads of the pongs that came."""
        self.close_reason = ""
        """What the endpoint's close frame said beside the code."""
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._inbox: deque[Envelope] = deque()
        self._fragments: list[bytes] = []
        self._join_refs: dict[str, Ref] = {}
        self._refs = 0
        self._accepted = False
        self._news = trio.Event()  # set when something came
        self._refused: HandshakeRefused | None = None
        self._ended: ConnectionEnded | None = None

    # What a client does.

    async def listen(self) -> None:
        """Take what comes, until the end."""
        while self._ended is None:
            try:
                data = await self.stream.receive_some()
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                data = b""
            await self._take(bytes(data))
            news, self._news = self._news, trio.Event()
            news.set()

    async def shake_hands(
        self, target: str, subprotocols: Sequence[str] = ()
    ) -> HandshakeRefused | None:
        """Ask for the upgrade; returns the refusal, if it is one."""
        request = Request(host="test", target=target, subprotocols=list(subprotocols))
        await self.stream.send_all(self._protocol.send(request))
        with trio.fail_after(PATIENCE_S):
            while not self._accepted and self._ended is None:
                await self._news.wait()
        if self._refused is None and not self._accepted:
            return HandshakeRefused(0, b"without an answer")
        return self._refused

    async def join(self, topic: str, params: object = None, *, status: str = "ok") -> Any:
        """Join a topic; the answer must have this status. Returns its response."""
        ref = await self.send_join(topic, params)
        return await self.assert_reply(ref, status)

    async def send_join(self, topic: str, params: object = None) -> str:
        """Ask to join a topic. Returns the ref, which is the join_ref too."""
        ref = self._next_ref()
        if self._version.startswith("2"):
            self._join_refs[topic] = ref
        join_ref = self._join_refs.get(topic)
        await self.send(Envelope(join_ref, ref, topic, JOIN, {} if params is None else params))
        return ref

    async def push(self, topic: str, event: str, payload: object = None) -> str:
        """Push an event. Returns the ref."""
        ref = self._next_ref()
        body = {} if payload is None else payload
        await self.send(Envelope(self._join_refs.get(topic), ref, topic, event, body))
        return ref

    async def leave(self, topic: str) -> str:
        """Ask to leave a topic. Returns the ref."""
        return await self.push(topic, LEAVE)

    async def heartbeat(self) -> None:
        """Send a heartbeat and wait for its answer."""
        ref = self._next_ref()
        await self.send(Envelope(None, ref, SOCKET_TOPIC, HEARTBEAT, {}))
        await self.assert_reply(ref, "ok", {})

    async def send(self, envelope: Envelope) -> None:
        """Send a message as it is; a payload of bytes makes it a binary one."""
        await self.send_event(say(envelope, self._version))

    async def send_text(self, text: str) -> None:
        """Send a text frame."""
        await self.stream.send_all(self._protocol.send(TextMessage(text)))

    async def send_event(self, event: Event) -> None:
        """Send whatever wsproto can say."""
        await self.stream.send_all(self._protocol.send(event))

    # What a client sees.

    async def receive(self) -> Envelope:
        """The next message, whatever it is.

        Raises:
            ConnectionEnded: there is none any more.
        """
        # Always a checkpoint: a full inbox read in a loop must not be one step.
        await trio.lowlevel.checkpoint()
        with trio.fail_after(PATIENCE_S):
            while not self._inbox:
                await self._more()
        return self._inbox.popleft()

    async def received(self) -> list[Envelope]:
        """All that has come when nothing on this loop has anything left to do."""
        await trio.testing.wait_all_tasks_blocked()
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    async def assert_reply(self, ref: str, status: str = "ok", response: Any = ANYTHING) -> Any:
        """The push of this ref is answered so. Returns the response."""
        envelope = await self._find(lambda e: e.event == REPLY and e.ref == ref)
        assert envelope.payload == {"status": status, "response": response}
        return envelope.payload["response"]

    async def assert_push(self, topic: str, event: str, payload: Any = ANYTHING) -> Any:
        """An event comes to this client alone. Returns its payload."""
        join_ref = self._join_refs.get(topic)
        return await self._find_event(join_ref, topic, event, payload)

    async def assert_broadcast(self, topic: str, event: str, payload: Any = ANYTHING) -> Any:
        """An event comes to all members of a topic. Returns its payload."""
        return await self._find_event(None, topic, event, payload)

    async def assert_close(self, topic: str) -> None:
        """The channel of a topic is closed for good."""
        await self._find(lambda e: e.topic == topic and e.event == CLOSE)

    async def assert_crash(self, topic: str) -> None:
        """The channel of a topic crashed."""
        envelope = await self._find(lambda e: e.topic == topic and e.event == ERROR)
        assert envelope.payload == {"reason": "channel_crash"}

    async def assert_ended(self) -> int:
        """The endpoint ends the connection. Returns the close code; 1006 without a close frame."""
        with trio.fail_after(PATIENCE_S):
            while self._ended is None:
                await self._news.wait()
        return self._ended.code

    async def _find_event(self, join_ref: Ref, topic: str, event: str, payload: Any) -> Any:
        envelope = await self._find(
            lambda e: (e.join_ref, e.topic, e.event) == (join_ref, topic, event)
        )
        assert envelope.payload == payload
        return envelope.payload

    async def _find(self, wanted: Callable[[Envelope], bool]) -> Envelope:
        """The first message that is wanted; those before it stay in the inbox."""
        seen = 0
        with trio.fail_after(PATIENCE_S):
            while True:
                for envelope in list(self._inbox)[seen:]:
                    if wanted(envelope):
                        self._inbox.remove(envelope)
                        return envelope
                seen = len(self._inbox)
                await self._more()

    async def _more(self) -> None:
        """Wait until something else came."""
        if self._ended is not None:
            raise self._ended
        await self._news.wait()

    async def _take(self, data: bytes) -> None:
        """Sort what came, and answer a goodbye."""
        if not data:
            self._ended = ConnectionEnded(1006)
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events():
            self._sort(event)
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            assert self._ended is not None, "a goodbye was sorted"
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.send_event(CloseConnection(self._ended.code))

    def _sort(self, event: object) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            self._fragments.append(bytes_of(event))
            if event.message_finished:
                message, self._fragments = b"".join(self._fragments), []
                self._inbox.append(read(message))
        elif isinstance(event, CloseConnection):
            self._ended = ConnectionEnded(event.code)
            self.close_reason = event.reason or ""
        elif isinstance(event, AcceptConnection):
            self._accepted, self.subprotocol = True, event.subprotocol
        elif isinstance(event, RejectConnection):
            self._refused = HandshakeRefused(event.status_code, b"")
        elif isinstance(event, RejectData) and self._refused is not None:
            self._refused.body += bytes(event.data)
        elif isinstance(event, Pong):
            self.pongs.append(bytes(event.payload))

    def _next_ref(self) -> str:
        self._refs += 1
        return str(self._refs)
