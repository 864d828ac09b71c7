"""A client as a channel sees it, that remembers what it was sent."""

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from app.identity.model import Identity
from channels.channel import Body, LaterReply, Recalled, Reply
from channels.errors import HistoryDown
from tests.app.events.log import PATIENCE_S


@dataclass
class Answer:
    """The place of one later answer."""

    reply: Reply | None = None
    answered: trio.Event = field(default_factory=trio.Event)

    def send(self, reply: Reply) -> None:
        """Answer, once."""
        assert self.reply is None, "a push is answered once"
        self.reply = reply
        self.answered.set()

    async def wait(self) -> Reply:
        """What was answered."""
        with trio.fail_after(PATIENCE_S):
            await self.answered.wait()
        assert self.reply is not None
        return self.reply


@dataclass(eq=False)
class Client:
    """Implements `ChannelSocket` for one channel under test."""

    assigns: Identity
    topic: str = "sale:friday"
    later: list[Answer] = field(default_factory=list)
    broadcasts: list[tuple[str, Body]] = field(default_factory=list)
    pushes: list[tuple[str, Body]] = field(default_factory=list)
    endings: list[Callable[[], None]] = field(default_factory=list)
    recalled: Recalled = field(default_factory=lambda: Recalled((), recovered=False))
    down: bool = False

    def push(self, event: str, payload: Body) -> None:
        """Remember it."""
        self.pushes.append((event, payload))

    def notify(self, message: object) -> None:
        """Our channels send themselves nothing."""
        raise AssertionError(f"{message} was sent")

    def broadcast(self, event: str, payload: Body) -> None:
        """Remember it."""
        self.broadcasts.append((event, payload))

    async def publish(self, event: str, payload: Body) -> str | None:
        """Remember it, as the next of the topic's history."""
        if self.down:
            raise HistoryDown("on purpose")
        self.broadcasts.append((event, payload))
        return f"e-{len(self.broadcasts)}"

    async def past(self) -> Recalled:
        """What the test says."""
        return self.recalled

    def reply_later(self) -> LaterReply:
        """The answer to come."""
        self.later.append(Answer())
        return self.later[-1]

    def on_end(self, callback: Callable[[], None]) -> None:
        """Keep it: the test says when it is over."""
        self.endings.append(callback)
