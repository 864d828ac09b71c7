"""The histories of topics in Redis or Valkey: one script a message, and one to read a history.

Theory of operation. Trio's side hands over whole batches; the connections, on the annex, are in
`redis_shards`, which brings each topic's commands to the server that has its history: the only one,
or on a cluster the primary of its slot. One connection to each appends and one reads, so that a
crowd of joins holds up no message. What cannot be reached is `AWAY`, each topic by itself.

`history.lua` does in one round trip what belongs together: it numbers the message, keeps it,
forgets what is beyond the bounds, and publishes it to the bus channel of its topic, on which it
looks like a message of no node, so that every node hears it. All keys of a topic are in the slot
of that channel, so it may publish to the shard alone.

A message that may have been appended, and whose answer was lost, comes again with the same id, and
is known for `HISTORY_AGAIN_S` seconds.

*Epochs.* A history belongs to one life of the server, by its run id. A server that was started
anew, or a replica that took its place, begins all histories anew, since what it brings along may
lack the newest messages: members are then told to reload, instead of being given other messages
under the same numbers. So it is on a cluster when a slot goes to another server, for whatever
reason.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Final, TypeVar

import trio

from actors import Emit, Lifeline, drop_event
from app.storage.annex import Annex, end_with_annex
from app.storage.errors import AnnexDown
from app.storage.limits import HISTORY_HEAD_S
from app.storage.place import place_of
from app.storage.redis_shards import Command, Link, Request, Shards
from app.storage.redis_slots import connections_to
from channels.broker_redis import EVERYONE, topic_channel
from channels.cursor import Cursor, parse_cursor
from channels.history import AWAY, PLACED, Addition, Away, History, Kept, Question
from channels.limits import HISTORY_AGAIN_S, HISTORY_EPOCH_BYTES

Q = TypeVar("Q")
T = TypeVar("T")

_SCRIPT: Final = resources.files("app.storage").joinpath("history.lua").read_bytes()


class RedisHistory:
    """A `channels.history.HistoryStore` on one Redis or Valkey server, or on a cluster of them."""

    def __init__(self, annex: Annex, url: str) -> None:
        """Describe the store; it connects when it is first asked.

        Args:
            annex: where the connections are.
            url: `redis://user:password@host:port/database`, or `rediss://` for TLS.
        """
        self.place = place_of(url)
        self._annex = annex
        self._url = url
        self._emit: Emit = drop_event
        self._away = False
        self._met = False
        # The annex's side.
        self._appends: Shards | None = None
        self._reads: Shards | None = None

    def __repr__(self) -> str:
        return f"<RedisHistory {self.place}, {'away' if self._away else 'there'}>"

    # Trio's side ----------------------------------------------------------------------------------

    async def run(self, life: Lifeline) -> None:
        """Hold the connections until a stop is asked for; ready at once, Redis or no Redis."""
        self._emit = life.system.emit
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            life.ready()
            try:
                await self._annex.call(self._hold)
            except AnnexDown as down:
                await end_with_annex(life, down)

    async def append(self, additions: Sequence[Addition]) -> Sequence[Cursor | Away]:
        """As `HistoryStore.append`."""
        return await self._call(self._append, additions)

    async def read(self, questions: Sequence[Question]) -> Sequence[Kept | Away]:
        """As `HistoryStore.read`."""
        return await self._call(self._read, questions)

    async def heads(self, topics: Sequence[str]) -> Sequence[Cursor | Away | None]:
        """As `HistoryStore.heads`."""
        return await self._call(self._heads, topics)

    async def _call(
        self, fn: Callable[[Sequence[Q]], Awaitable[list[T | Away]]], asked: Sequence[Q]
    ) -> list[T | Away]:
        try:
            answers, reason = await self._annex.call(self._with_reason, fn, asked)
        except AnnexDown as down:
            answers, reason = [AWAY] * len(asked), type(down).__name__
        if reason is not None and not self._away:
            self._away = True
            self._emit("history.lost", {"place": self.place, "reason": reason})
        elif reason is None and asked and (self._away or not self._met):
            self._away, self._met = False, True
            self._emit("history.connected", {"place": self.place})
        return answers

    # The annex's side -----------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Allow connections until cancelled, then close them."""
        connect_to = connections_to(self._url)
        appends, reads = Shards(connect_to, _SCRIPT), Shards(connect_to, _SCRIPT)
        self._appends, self._reads = appends, reads
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._appends = self._reads = None
            await appends.close()
            await reads.close()

    async def _with_reason(
        self, fn: Callable[[Sequence[Q]], Awaitable[list[T | Away]]], asked: Sequence[Q]
    ) -> tuple[list[T | Away], str | None]:
        """The answers, and why some server is away; None: none is."""
        answers = await fn(asked)
        if self._appends is None or self._reads is None:
            return answers, "not running"
        reasons = [*self._appends.failing.values(), *self._reads.failing.values()]
        return answers, next(iter(reasons), None)

    async def _append(self, additions: Sequence[Addition]) -> list[Cursor | Away]:
        return await _ask(self._appends, [_append_of(addition) for addition in additions])

    async def _read(self, questions: Sequence[Question]) -> list[Kept | Away]:
        return await _ask(self._reads, [_read_of(question) for question in questions])

    async def _heads(self, topics: Sequence[str]) -> list[Cursor | Away | None]:
        return await _ask(self._reads, [_head_of(topic) for topic in topics])


async def _ask(shards: Shards | None, requests: Sequence[Request]) -> list[Any]:
    """The answers; AWAY for what failed."""
    if shards is None:
        return [AWAY] * len(requests)
    answers = await shards.ask(requests)
    return [AWAY if isinstance(answer, Exception) else answer for answer in answers]


def _append_of(addition: Addition) -> Request:
    topic, history = addition.topic, addition.history
    channel, head, kept = _names(topic)

    def command_on(link: Link) -> Command:
        return (
            *("EVALSHA", link.script, 3, head, kept, f"{kept}:sent:{addition.id}"),
            *("append", link.run_id, *_epoch_and_ttls(history)),
            *(_ms(HISTORY_AGAIN_S), history.size, history.size_bytes),
            *(link.publish, channel, EVERYONE + PLACED, addition.broadcast),
        )

    def answer_on(_link: Link, answer: bytes) -> Cursor:
        cursor = parse_cursor(answer.decode())
        assert cursor is not None, f"the script answers with a cursor, and not with {answer!r}"
        return cursor

    return Request(channel, command_on, answer_on)


def _read_of(question: Question) -> Request:
    channel, head, kept = _names(question.topic)
    after = "" if question.after is None else question.after

    def command_on(link: Link) -> Command:
        return (
            *("EVALSHA", link.script, 2, head, kept),
            *("read", link.run_id, *_epoch_and_ttls(question.history), after),
        )

    def answer_on(_link: Link, answer: Sequence[bytes]) -> Kept:
        epoch, position, *messages = answer
        return Kept(Cursor(epoch.decode(), int(position)), messages)

    return Request(channel, command_on, answer_on)


def _head_of(topic: str) -> Request:
    channel, head, _ = _names(topic)

    def command_on(_link: Link) -> Command:
        return ("HMGET", head, "run", "epoch", "position")

    def answer_on(link: Link, answer: Sequence[bytes]) -> Cursor | None:
        run, epoch, position = answer
        return Cursor(epoch.decode(), int(position)) if run == link.run_id else None

    return Request(channel, command_on, answer_on)


def _epoch_and_ttls(history: History) -> tuple[str, int, int]:
    """The epoch of a history that is begun, and how long its head, and its messages, are kept."""
    head_s = max(HISTORY_HEAD_S, 2 * history.ttl_s)
    return secrets.token_hex(HISTORY_EPOCH_BYTES), _ms(head_s), _ms(history.ttl_s)


def _names(topic: str) -> tuple[str, str, str]:
    """A topic's bus channel, and the keys of its history: its head, and what is kept."""
    channel = topic_channel(topic)
    # What is in braces decides on the slot, and it is just the channel: that holds no closing one.
    return channel, f"agio:history:{{{channel}}}:head", f"agio:history:{{{channel}}}:kept"


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
