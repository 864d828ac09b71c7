"""How one worker answers for all: it asks the others, each at its own port on the loopback.

Theory of operation. Whoever asks the shared port reaches any worker. What is asked of the whole
server, metrics and the supervision tree, is therefore asked of all, at the same time and with a
deadline: who does not answer in time is left out, and the metrics say so. A sibling answers for
itself alone, so questions go no further.

The standard library's client is enough for one question now and then. It blocks, so it runs in a
thread, which is left alone when the time is up: its own socket gives up soon after.
"""

import http.client
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec
import trio

from actors.tree import Vitals
from app.http.message import Request
from app.http.schemas import TreeAnswer
from app.inspect.model import find
from app.limits import LOCAL_QUESTIONS_MAX, SIBLING_ANSWER_BYTES_MAX, SIBLING_ANSWER_S
from app.workers.berth import Berth, name_of
from app.workers.exposition import gauge, merged

_METRICS: Final = "/metrics"
_TREE: Final = "/v1/operations/tree"


class Siblings:
    """The other workers, as one worker asks them."""

    def __init__(self, berth: Berth) -> None:
        """`berth` is the place of the worker that asks."""
        self._berth = berth
        self._threads = trio.CapacityLimiter(LOCAL_QUESTIONS_MAX)

    async def metrics(self, own: bytes) -> bytes:
        """The metrics of all workers, given this one's own."""
        texts = {self._berth.number: own, **await self._ask(_METRICS, {})}
        numbers = range(1, self._berth.count + 1)
        up = gauge(
            "agio_worker_up",
            "Whether the worker answered for this scrape.",
            {number: int(number in texts) for number in numbers},
        )
        restarts = gauge(
            "agio_worker_restarts_total",
            "How often the worker was started again.",
            {number: self._berth.crew.restarts.get(number, 0) for number in numbers},
        )
        every = {number: texts[number].decode() for number in sorted(texts)}
        return f"{up}{restarts}{merged(every)}".encode()

    async def tree(self, own: Vitals, request: Request, path: str) -> Vitals | None:
        """What lives on all workers, from the place at `path` on; None: there is no such place.

        Args:
            own: this worker's whole tree.
            request: who asked for it, and how.
            path: of the place; "" for the root, which then has the children of all.
        """
        own = self._counted(own, self._berth.number)
        place = find(own, path) if path else None
        if place is not None:
            return place
        token = request.headers.get("authorization", "")
        answers = await self._ask(f"{_TREE}?{request.query}", {"Authorization": token})
        found = {number: _tree(answer) for number, answer in answers.items()}
        trees = {n: self._counted(tree, n) for n, tree in found.items() if tree is not None}
        if path:
            return next(iter(trees.values()), None)
        whole = [tree for _, tree in sorted({**trees, self._berth.number: own}.items())]
        children = tuple(child for tree in whole for child in tree.children)
        return replace(own, children=children, hidden=sum(tree.hidden for tree in whole))

    def _counted(self, place: Vitals, number: int) -> Vitals:
        """With how often the worker was started again, which only the parent counts."""
        if place.name == name_of(number):
            restarts = self._berth.crew.restarts.get(number, 0)
            return replace(place, restarts=place.restarts + restarts)
        children = tuple(
            self._counted(child, number) if child.name == name_of(number) else child
            for child in place.children
        )
        return replace(place, children=children)

    async def _ask(self, target: str, headers: Mapping[str, str]) -> dict[int, bytes]:
        """What each sibling answers that answers well, by its number."""
        answers: dict[int, bytes] = {}

        async def ask(number: int, port: int) -> None:
            question = partial(_get, port, target, headers)
            answer = await trio.to_thread.run_sync(
                question, abandon_on_cancel=True, limiter=self._threads
            )
            if answer is not None:
                answers[number] = answer

        with trio.move_on_after(SIBLING_ANSWER_S):
            async with trio.open_nursery() as nursery:
                for number, port in self._berth.crew.local_ports.items():
                    if number != self._berth.number:
                        nursery.start_soon(ask, number, port)
        return answers


def _get(port: int, target: str, headers: Mapping[str, str]) -> bytes | None:
    """The body of a good answer. Blocks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SIBLING_ANSWER_S)
    try:
        connection.request("GET", target, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read(SIBLING_ANSWER_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException):
        return None  # it is starting, stopping or gone
    finally:
        connection.close()
    good = answer.status == http.client.OK and len(body) <= SIBLING_ANSWER_BYTES_MAX
    return body if good else None


def _tree(answer: bytes) -> Vitals | None:
    try:
        return msgspec.json.decode(answer, type=TreeAnswer).tree
    except msgspec.DecodeError:
        return None
