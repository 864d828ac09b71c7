"""One worker answers for all: those that do not answer are left out, and nobody waits for them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest
import trio

from actors.tree import Vitals
from app.http.message import Request
from app.http.schemas import TreeAnswer
from app.workers.berth import Berth
from app.workers.model import Crew
from app.workers.siblings import Siblings

OWN = Vitals("agio", "supervisor", "rest_for_one", "running", 1.0, 0, None, (), 0)
ASKED = Request("GET", "/v1/operations/tree", headers={"authorization": "Bearer t"})


def _tree(child: str) -> Vitals:
    return replace(OWN, children=(replace(OWN, name=child),))


def _answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Sibling:
    """A worker that says one thing, whatever it is asked; None: it says nothing at all."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        """Hear one question."""
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive_some(1024)
            self.asked.append(head.decode())
            if self.answer is None:
                await trio.sleep_forever()
            else:
                await stream.send_all(self.answer)


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    """Where siblings live."""
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


async def _siblings(nursery: trio.Nursery, *others: Sibling) -> Siblings:
    """As worker 1 sees them; the others are 2 and so on, and one more is not there."""
    ports = {1: 1}
    for number, other in enumerate(others, 2):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, other.serve, listeners)
        ports[number] = listeners[0].socket.getsockname()[1]
    berth = Berth(1, len(ports) + 1)
    berth.crew = Crew({**ports, len(ports) + 1: 1}, {2: 3})
    return Siblings(berth)


async def test_metrics_are_of_all_who_answer(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is gone, stands still or fails counts as not up; restarts are told of all."""
    monkeypatch.setattr("app.workers.siblings.SIBLING_ANSWER_S", 0.2)
    others = Sibling(_answer(b"a 2\n")), Sibling(None), Sibling(_answer(b"a 4\n", "503 No"))
    siblings = await _siblings(nursery, *others)
    lines = (await siblings.metrics(b"a 1\n")).decode().splitlines()
    assert [line for line in lines if line.startswith("a")] == [
        *[f'agio_worker_up{{worker="{n}"}} {int(n < 3)}' for n in range(1, 6)],
        *[f'agio_worker_restarts_total{{worker="{n}"}} {3 * (n == 2)}' for n in range(1, 6)],
        'a{worker="1"} 1',
        'a{worker="2"} 2',
    ]


async def test_the_tree_is_of_all_who_answer(nursery: trio.Nursery) -> None:
    """Children stand in the order of workers, and who asked is told to each."""
    others = [
        Sibling(_answer(msgspec.json.encode(TreeAnswer("agio", 1.0, _tree("worker-2"))))),
        Sibling(_answer(b"{}")),
    ]
    siblings = await _siblings(nursery, *others)
    tree = await siblings.tree(_tree("worker-1"), ASKED, "")
    assert tree is not None
    assert [child.name for child in tree.children] == ["worker-1", "worker-2"]
    assert all("Authorization: Bearer t" in other.asked[0] for other in others)


async def test_a_worker_was_started_as_often_as_its_parent_says(nursery: trio.Nursery) -> None:
    """Its own tree, which began with it, cannot know: here the second was, three times."""
    answers = [_tree("worker-2"), replace(OWN, name="worker-2")]
    for answer, path in zip(answers, ("", "agio/worker-2"), strict=True):
        other = Sibling(_answer(msgspec.json.encode(TreeAnswer("x", 1.0, answer))))
        siblings = await _siblings(nursery, other)
        tree = await siblings.tree(_tree("worker-1"), ASKED, path)
        assert tree is not None
        assert [3] == [each.restarts for _, each in tree.walk() if each.name == "worker-2"]
        assert 3 == sum(each.restarts for _, each in tree.walk())


async def test_a_place_is_looked_for_at_home_first(nursery: trio.Nursery) -> None:
    """And nobody is asked where it is there."""
    other = Sibling(_answer(msgspec.json.encode(TreeAnswer("x", 1.0, _tree("x")))))
    siblings = await _siblings(nursery, other)
    here = await siblings.tree(_tree("worker-1"), ASKED, "agio/worker-1")
    assert (here and here.name, other.asked) == ("worker-1", [])
    there = await siblings.tree(_tree("worker-1"), ASKED, "agio/worker-2")
    assert there == _tree("x")
