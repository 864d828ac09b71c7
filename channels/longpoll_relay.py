"""Polls and POSTs that came to a node other than their session's, passed on to that.

Theory of operation. Each node listens to one raw channel of the broker, which bears its name. A
request is put there with a number and the name of the node that asks; the answer comes back on that
node's channel. A node says at once that it has heard, because a poll may wait for a whole window:
so a client whose node is gone learns that soon, and not after the window.

What is lost on the way costs what a lost response costs: the client polls again, or begins anew.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
import trio

from actors import ActorDown, ChildSpec, DynamicSupervisor, Lifeline, Restart, TooManyChildren
from channels.broker import Broker
from channels.limits import LONGPOLL_RELAY_S, LONGPOLL_RELAYED_MAX

_CHANNEL: Final = "longpoll:"


class Passed(msgspec.Struct, frozen=True):
    """What a node is asked for one of its sessions.

    Attributes:
        session: its number.
        seen: of a poll, the number of the last batch that the client has got; None: it is a POST.
        content_type: of a POST's body.
        body: of a POST.
    """

    session: int
    seen: int | None = None
    content_type: str = ""
    body: bytes = b""


class _Ask(msgspec.Struct, tag="ask", array_like=True, frozen=True):
    node: str
    number: int
    passed: Passed


class _Heard(msgspec.Struct, tag="heard", array_like=True, frozen=True):
    number: int


class _Tell(msgspec.Struct, tag="tell", array_like=True, frozen=True):
    number: int
    body: bytes | None


Serve: TypeAlias = Callable[[Passed], Awaitable[bytes | None]]
"""Answers for a session of this node: a body, or None where the session is gone."""

_DECODER: Final = msgspec.msgpack.Decoder(_Ask | _Heard | _Tell)
_ENCODER: Final = msgspec.msgpack.Encoder()


class _Question:
    """A request that is with another node."""

    __slots__ = ("body", "heard", "told")

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.heard = trio.Event()
        self.told = trio.Event()


class Relay:
    """Passes requests to other nodes, and answers theirs."""

    def __init__(self, node: str, broker: Broker, serve: Serve, window_s: float) -> None:
        """A relay that listens as soon as its broker does.

        Args:
            node: the name of this one, like no other's.
            broker: between the nodes.
            serve: answers for this one.
            window_s: how long a poll may take.
        """
        self.requests = DynamicSupervisor("relayed", max_children=LONGPOLL_RELAYED_MAX)
        """Those of other nodes that are being answered."""
        self._node = node
        self._broker = broker
        self._serve = serve
        self._window_s = window_s
        self._questions: dict[int, _Question] = {}
        self._serial = 0
        broker.subscribe_raw(_CHANNEL + node, self._hear)

    async def ask(self, node: str, passed: Passed) -> bytes | None:
        """Have another node answer; None where it does not, or says that the session is gone."""
        self._serial += 1
        number = self._serial
        question = self._questions[number] = _Question()
        self._send(node, _Ask(self._node, number, passed))
        try:
            with trio.move_on_after(LONGPOLL_RELAY_S):
                await question.heard.wait()
            if question.heard.is_set():
                with trio.move_on_after(self._window_s + LONGPOLL_RELAY_S):
                    await question.told.wait()
        finally:
            del self._questions[number]
        return question.body

    def _hear(self, data: bytes) -> None:
        """Something came for this node."""
        try:
            message = _DECODER.decode(data)
        except msgspec.DecodeError:
            return  # of a node of another version: whoever asks hears nothing, and begins anew
        if isinstance(message, _Ask):
            self._admit(message)
            return
        question = self._questions.get(message.number)
        if question is None:
            return  # nobody waits for it any more
        question.heard.set()
        if isinstance(message, _Tell):
            question.body = message.body
            question.told.set()

    def _admit(self, asked: _Ask) -> None:
        async def answer(life: Lifeline) -> None:
            life.ready()
            body = await self._serve(asked.passed)
            self._send(asked.node, _Tell(asked.number, body))

        child = ChildSpec(f"{asked.node}-{asked.number}", answer, restart=Restart.TEMPORARY)
        try:
            self.requests.start_child_nowait(child)
        except (ActorDown, TooManyChildren):
            self._send(asked.node, _Tell(asked.number, None))
        else:
            self._send(asked.node, _Heard(asked.number))

    def _send(self, node: str, message: _Ask | _Heard | _Tell) -> None:
        self._broker.publish_raw(_CHANNEL + node, _ENCODER.encode(message))
