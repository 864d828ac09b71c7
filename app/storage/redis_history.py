"""The histories of topics in Redis or Valkey: one script a message, and one to read a history.

Theory of operation. Trio's side hands over whole batches. On the annex a `Link` is one connection:
it is made when it is needed, sends a batch of commands in one piece and reads all the answers;
where anything goes wrong it is dropped, and the next batch makes another. One link appends and one
reads, so that a crowd of joins holds up no message.

`history.lua` does in one round trip what belongs together: it numbers the message, keeps it,
forgets what is beyond the bounds, and publishes it to the bus channel of its topic, on which it
looks like a message of no node, so that every node hears it.

A message that may have been appended, and whose answer was lost, comes again with the same id, and
is known for `HISTORY_AGAIN_S` seconds.

*Epochs.* A history belongs to one life of the server, by its run id. A server that was started
anew, or a replica that took its place, begins all histories anew, since what it brings along may
lack the newest messages: members are then told to reload, instead of being given other messages
under the same numbers.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib import resources
from typing import Any, Final, TypeVar, TypeVarTuple

import trio
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from actors import Emit, Lifeline, drop_event
from app.storage.annex import Annex, end_with_annex
from app.storage.errors import AnnexDown
from app.storage.limits import (
    BUS_ANSWER_S,
    HISTORY_CONNECTIONS_MAX,
    HISTORY_HEAD_S,
)
from app.storage.place import place_of
from channels.broker_redis import EVERYONE, topic_channel
from channels.cursor import Cursor, parse_cursor
from channels.errors import HistoryDown
from channels.history import PLACED, Addition, History, Kept, Question
from channels.limits import HISTORY_AGAIN_S, HISTORY_EPOCH_BYTES

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Command = tuple[str | bytes | int, ...]

_SCRIPT: Final = resources.files("app.storage").joinpath("history.lua").read_bytes()
_DOWN: Final = (RedisError, OSError, AnnexDown)


class Link:
    """One connection, on the annex. Its batches wait for each other."""

    def __init__(self, connect: Callable[[], AbstractConnection]) -> None:
        """No connection yet.

        Args:
            connect: makes one, not connected yet.
        """
        self.run_id = b""
        """The life of the server that it is connected to."""
        self.script = b""
        """How that server calls the script."""
        self._connect = connect
        self._turn = asyncio.Lock()
        self._connection: AbstractConnection | None = None

    async def ask(self, commands_of: Callable[["Link"], Sequence[Command]]) -> Sequence[Any]:
        """Send commands in one piece; their answers, in order.

        Args:
            commands_of: makes the commands, for this link as it is connected.

        Raises:
            RedisError, OSError: some may not have been carried out.
        """
        async with asyncio.timeout(BUS_ANSWER_S), self._turn:
            whole = False
            try:
                if self._connection is None:
                    await self._open()
                answers = await self._talk(commands_of(self))
                whole = True
            finally:
                if not whole:  # what is still to come belongs to nobody
                    await self._drop()
        return answers

    async def close(self) -> None:
        """Close the connection. Nobody asks any more."""
        await self._drop()

    async def _open(self) -> None:
        connection = self._connection = self._connect()
        await connection.connect()  # type: ignore[no-untyped-call] # the client forgot it
        facts, self.script = await self._talk([("INFO", "server"), ("SCRIPT", "LOAD", _SCRIPT)])
        lines = dict(line.split(b":", 1) for line in facts.splitlines() if b":" in line)
        self.run_id = lines.get(b"run_id", b"")

    async def _talk(self, commands: Sequence[Command]) -> Sequence[Any]:
        connection = self._connection
        assert connection is not None, "it is connected"
        packed = connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)
        return [await connection.read_response() for _ in commands]

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*_DOWN):
                await connection.disconnect(nowait=True)


class RedisHistory:
    """A `channels.history.HistoryStore` on one Redis or Valkey server."""

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
        self._appends: Link | None = None
        self._reads: Link | None = None

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

    async def append(self, additions: Sequence[Addition]) -> Sequence[Cursor]:
        """As `HistoryStore.append`."""
        return await self._call(self._append, additions)

    async def read(self, questions: Sequence[Question]) -> Sequence[Kept]:
        """As `HistoryStore.read`."""
        return await self._call(self._read, questions)

    async def heads(self, topics: Sequence[str]) -> Sequence[Cursor | None]:
        """As `HistoryStore.heads`."""
        return await self._call(self._heads, topics)

    async def _call(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        try:
            answer = await self._annex.call(fn, *args)
        except (HistoryDown, *_DOWN) as error:
            # An error's code may be told; what follows it may quote what nobody should read.
            quoted = isinstance(error, ResponseError)
            reason = str(error).split(" ", 1)[0] if quoted else type(error).__name__
            if not self._away:
                self._away = True
                self._emit("history.lost", {"place": self.place, "reason": reason})
            raise HistoryDown(f"Redis at {self.place} failed: {reason}") from error
        if self._away or not self._met:
            self._away, self._met = False, True
            self._emit("history.connected", {"place": self.place})
        return answer

    # The annex's side -----------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Allow connections until cancelled, then close them."""
        pool = ConnectionPool.from_url(
            self._url,
            max_connections=HISTORY_CONNECTIONS_MAX,
            # Deadlines are ours, as the bus has them.
            socket_timeout=None,
            socket_connect_timeout=None,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        appends, reads = Link(pool.make_connection), Link(pool.make_connection)
        self._appends, self._reads = appends, reads
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._appends = self._reads = None
            await appends.close()
            await reads.close()

    async def _append(self, additions: Sequence[Addition]) -> Sequence[Cursor]:
        if self._appends is None:
            raise HistoryDown("it is not running")
        answers = await self._appends.ask(
            lambda link: [_append_command(link, addition) for addition in additions]
        )
        return [_cursor_of(answer) for answer in answers]

    async def _read(self, questions: Sequence[Question]) -> Sequence[Kept]:
        answers = await self._is_running().ask(
            lambda link: [_read_command(link, question) for question in questions]
        )
        return [
            Kept(Cursor(epoch.decode(), int(position)), messages)
            for epoch, position, *messages in answers
        ]

    async def _heads(self, topics: Sequence[str]) -> Sequence[Cursor | None]:
        link = self._is_running()
        answers = await link.ask(
            lambda _: [("HMGET", _keys(topic)[0], "run", "epoch", "position") for topic in topics]
        )
        return [
            Cursor(epoch.decode(), int(position)) if run == link.run_id else None
            for run, epoch, position in answers
        ]

    def _is_running(self) -> Link:
        if self._reads is None:
            raise HistoryDown("it is not running")
        return self._reads


def _append_command(link: Link, addition: Addition) -> Command:
    topic, history = addition.topic, addition.history
    return (
        *("EVALSHA", link.script, 3, *_keys(topic), f"{_keys(topic)[1]}:sent:{addition.id}"),
        *("append", link.run_id, *_epoch_and_ttls(history)),
        *(_ms(HISTORY_AGAIN_S), history.size, history.size_bytes),
        *(topic_channel(topic), EVERYONE + PLACED, addition.broadcast),
    )


def _read_command(link: Link, question: Question) -> Command:
    after = "" if question.after is None else question.after
    return (
        *("EVALSHA", link.script, 2, *_keys(question.topic)),
        *("read", link.run_id, *_epoch_and_ttls(question.history), after),
    )


def _epoch_and_ttls(history: History) -> tuple[str, int, int]:
    """The epoch of a history that is begun, and how long its head, and its messages, are kept."""
    head_s = max(HISTORY_HEAD_S, 2 * history.ttl_s)
    return secrets.token_hex(HISTORY_EPOCH_BYTES), _ms(head_s), _ms(history.ttl_s)


def _keys(topic: str) -> tuple[str, str]:
    """The keys of a history. What is in braces has them where the topic's bus channel is."""
    name = f"agio:history:{{{topic_channel(topic)}}}"
    return f"{name}:head", f"{name}:kept"


def _cursor_of(answer: bytes) -> Cursor:
    cursor = parse_cursor(answer.decode())
    assert cursor is not None, f"the script answers with a cursor, and not with {answer!r}"
    return cursor


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
