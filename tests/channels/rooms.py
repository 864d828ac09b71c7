"""Channels that tests join."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trio

from channels.channel import (
    Channel,
    ChannelSocket,
    InfoResult,
    InResult,
    Joined,
    JoinRefused,
    JoinResult,
    LaterReply,
    NoReply,
    NowaitChannel,
    Reply,
    Stop,
)
from channels.serializer import Envelope


@dataclass
class Script:
    """What the rooms of one test do, and what happened to them.

    Attributes:
        joins: opened by a test to let joins of a topic go on; other topics do not wait.
        ended: (topic, reason) of every room that said goodbye.
        sockets: the socket of every room, in the order of the joins.
        later: replies kept for later.
        made: how many rooms were made.
        on_join: decides about joins.
    """

    joins: dict[str, trio.Event] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)
    sockets: list[ChannelSocket] = field(default_factory=list)
    later: list[LaterReply] = field(default_factory=list)
    made: int = 0
    on_join: Callable[[str, Any, ChannelSocket], JoinResult] = lambda *_: Joined()

    def room(self) -> "Room":
        """Make a room, as a router does."""
        self.made += 1
        return Room(self)


class Room(Channel):
    """Does what it is told by the pushes it gets."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked = "nothing"

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Wait if the script says so, then do as the params and the script say."""
        self.script.sockets.append(socket)
        if topic in self.script.joins:
            await self.script.joins[topic].wait()
        match params.get("do"):
            case "refuse":
                return JoinRefused({"reason": "unauthorized"})
            case "crash":
                raise ValueError("a crash on purpose")
            case "nonsense":
                return {"an": "answer"}  # type: ignore[return-value] # on purpose
            case "hang":
                await trio.sleep_forever()
            case "push":
                socket.push("early", {"n": 1})
                socket.push("early", {"n": 2})
        return self.script.on_join(topic, params, socket)

    async def handle_in(  # noqa: C901, PLR0912 - one flat list of what a test may ask for
        self, event: str, payload: Any, socket: ChannelSocket
    ) -> InResult:
        """Do what the event says."""
        match event:
            case "echo":
                return Reply.ok(payload)
            case "deny":
                return Reply.error({"code": "denied"})
            case "other":
                return Reply("maybe", payload)
            case "quiet":
                return NoReply()
            case "shout":
                socket.broadcast("shout", payload)
                return NoReply()
            case "whisper":
                socket.push("whisper", payload)
                return Reply.ok()
            case "too long":
                socket.broadcast("x" * 256, b"bytes")
            case "bytes":
                socket.push("bytes", b"bytes")
                return Reply.ok(b"bytes")
            case "later":
                self.script.later.append(socket.reply_later())
                return NoReply()
            case "notify":
                socket.notify(payload)
                return NoReply()
            case "hang":
                await trio.sleep_forever()
            case "stop":
                return Stop(Reply.ok({"so": "long"}))
            case "stop silently":
                return Stop()
            case "nonsense":
                return {"an": "oops"}  # type: ignore[return-value] # on purpose
            case "goodbye":
                self.asked = payload["do"]
                return Reply.ok()
            case "crash":
                raise ValueError("a crash on purpose")
        return await super().handle_in(event, payload, socket)

    async def handle_info(self, message: Any, socket: ChannelSocket) -> InfoResult:
        """Do what the message says."""
        match message["do"]:
            case "push":
                socket.push("told", message)
                return None
            case "stop":
                return Stop()
            case "nonsense":
                return "an answer"  # type: ignore[return-value] # on purpose
        return NoReply()

    async def terminate(self, reason: str, socket: ChannelSocket) -> None:
        """Note the end, and do what was asked for it."""
        self.script.ended.append((socket.topic, reason))
        match self.asked:
            case "push":
                socket.push("goodbye", {"reason": reason})
            case "crash":
                raise ValueError("a crash on purpose")
            case "hang":
                await trio.sleep_forever()


class Hot(NowaitChannel):
    """A room for many pushes."""

    def handle_in_nowait(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Do what the event says."""
        match event:
            case "echo":
                return Reply.ok(payload)
            case "stop":
                return Stop(Reply.ok())
            case "crash":
                raise ValueError("a crash on purpose")
            case "nonsense":
                return None  # type: ignore[return-value] # on purpose
        socket.broadcast(event, payload)
        return NoReply()


def reply(join_ref: object, ref: str, topic: str, response: object, status: str = "ok") -> Envelope:
    """A reply as it comes over the wire."""
    told = {"status": status, "response": response}
    return Envelope(join_ref, ref, topic, "phx_reply", told)  # type: ignore[arg-type] # any JSON
