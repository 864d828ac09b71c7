"""A client that polls, as raw as can be: each request is the test's, and so is each ticket."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
import trio
import trio.testing

from actors import Lifeline, System
from channels.handshake import ConnectRefused
from channels.longpoll import LongPoll
from channels.longpoll_wire import Answer, Incoming
from channels.reception import SocketHandler
from channels.testing import Node

KEY = b"a key of the tests"

Told = list[tuple[str, Mapping[str, object]]]
"""Events that were told."""


class Doorman(SocketHandler):
    """Lets in who has the right token, and notes what it was told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, Any], str | None, str]] = []

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> object:
        """Do as the token says."""
        self.asked.append((params, token, address))
        match token:
            case "limited":
                return ConnectRefused(429)
            case "down":
                return ConnectRefused(503)
            case "crash":
                raise ValueError("a crash on purpose")
            case "hang":
                await trio.sleep_forever()
        return token or ConnectRefused()

    def who(self, assigns: Any) -> str:
        """The token, too."""
        return str(assigns)


def adds_up(node: Node) -> bool:
    """Whether every message offered is in one count."""
    found = node.hub.statistics()
    return found.offered == (found.delivered + found.dropped + found.disconnected + found.queued)


@asynccontextmanager
async def long_polling(
    node: Node, name: str = "a", *, key: bytes = KEY, system: System | None = None
) -> AsyncIterator[LongPoll]:
    """Let clients poll this node, under this name."""
    longpoll = LongPoll(node.endpoint, node=name, key=key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(longpoll.supervisor().run, Lifeline(system=system))
        await trio.testing.wait_all_tasks_blocked()
        yield longpoll
        nursery.cancel_scope.cancel()


@dataclass
class Poller:
    """A client.

    Attributes:
        at: where it sends its requests; a test may change it.
        query: its own part of the URL.
        headers: of every request.
        ticket: the last it was given.
    """

    at: LongPoll
    query: str = "vsn=2.0.0&token=ann"
    headers: Mapping[str, str] = field(default_factory=lambda: {"host": "test"})
    ticket: str | None = None

    async def send(
        self, method: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, with the ticket as the client's older versions send it."""
        ticket = "" if self.ticket is None else f"token={quote(self.ticket)}"
        return await self.at.handle(
            Incoming(
                method,
                f"{self.query}&{ticket}",
                {**self.headers, **(headers or {})},
                body,
                "192.0.2.1",
            )
        )

    async def get(self, **headers: str) -> dict[str, Any]:
        """Poll; the ticket stays what it was. Returns the body."""
        answer = await self.send("GET", headers=headers)
        assert answer.status == 200
        body: dict[str, Any] = msgspec.json.decode(answer.body)
        return body

    async def open(self) -> "Poller":
        """Begin a session."""
        body = await self.get()
        assert (body["status"], body["messages"]) == (410, [])
        self.ticket = body["token"]
        return self

    async def poll(self) -> list[Any]:
        """Poll, and take what comes: the messages, read."""
        body = await self.get()
        assert body["status"] == (200 if body["messages"] else 204)
        self.ticket = body["token"]
        return [msgspec.json.decode(message) for message in body["messages"]]

    async def post(self, *messages: object, lines: bytes = b"", **headers: str) -> int:
        """Post messages, or lines as they are. Returns the status."""
        body = lines or b"\n".join(msgspec.json.encode(message) for message in messages)
        headers = {"content-type": "application/x-ndjson", **headers}
        answer = await self.send("POST", body, headers)
        assert answer.status == 200
        status: int = msgspec.json.decode(answer.body)["status"]
        return status

    async def join(self, topic: str, params: object = None) -> Any:
        """Join a topic. Returns the response."""
        assert await self.post(["1", "1", topic, "phx_join", params or {}]) == 200
        ((_, _, _, event, payload),) = await self.poll()
        assert (event, payload["status"]) == ("phx_reply", "ok")
        return payload["response"]
