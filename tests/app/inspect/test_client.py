"""Asking a node for its tree: what it answers, and one line for each way in which it does not."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import msgspec
import pytest
import trio

from app.http.message import JSON, Response
from app.http.schemas import TreeAnswer
from app.identity.model import Role
from app.identity.tokens import Tokens
from app.inspect.client import InspectError, TreeClient, read_place
from tests.app.http.node import SECRET, bare_services, serving
from tests.app.inspect.trees import actor, snapshot, supervisor

TREE = supervisor("agio", "one_for_one", actor("a"), actor("b", mailbox={"peak": 2}))
OPERATOR = Tokens(SECRET).issue("ann", Role.OPERATOR, "demo", 3600)


def client(url: str, *, token: str = OPERATOR, path: str = "", children_max: int = 5) -> TreeClient:
    """A client of the node there."""
    return TreeClient(read_place(url), lambda: token, path=path, children_max=children_max)


async def failure(asking: TreeClient) -> str:
    """The one line that says why there is no tree."""
    with closing(asking), pytest.raises(InspectError) as caught:
        await asking.fetch()
    (line,) = str(caught.value).splitlines()
    assert line.isprintable()
    return line


@asynccontextmanager
async def node() -> AsyncIterator[str]:
    """The URL of a node with this tree."""
    async with serving(replace(bare_services(), tree=lambda _: TREE)) as running:
        yield f"http://127.0.0.1:{running.port}"


@asynccontextmanager
async def stranger(answer: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """The URL of somebody who is not Agio."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_the_tree_comes_as_it_is() -> None:
    """Every place and number, and the answer itself for those who want JSON."""
    async with node() as url:
        with closing(client(url + "/")) as asking:
            seen, body = await asking.fetch()
    assert seen == replace(snapshot(TREE), url=url)
    assert msgspec.json.decode(body, type=TreeAnswer).tree == TREE


async def test_a_part_of_the_tree_can_be_asked_for() -> None:
    """By its path."""
    async with node() as url:
        with closing(client(url, path="agio/b")) as asking:
            seen, _ = await asking.fetch()
    assert (seen.path, seen.tree) == ("agio/b", TREE.children[1])


async def test_who_looks_again_does_so_over_the_same_connection() -> None:
    """So that the tree does not change for being looked at."""
    async with serving(replace(bare_services(), tree=lambda _: TREE)) as running:
        with closing(client(f"http://127.0.0.1:{running.port}")) as asking:
            for _ in range(3):
                await asking.fetch()
        assert running.connections.statistics().started == 1


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    """As after a node's restart, or a pause longer than it keeps idle ones."""
    body = msgspec.json.encode(TreeAnswer("agio", 1.0, TREE))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    served = []

    async def answer(stream: trio.SocketStream) -> None:
        served.append(await stream.receive_some())
        await stream.send_all(head + body)
        await stream.aclose()

    async with stranger(answer) as url:
        with closing(client(url)) as asking:
            for _ in range(3):
                await asking.fetch()
    assert len(served) == 3


async def test_an_unknown_path_is_told() -> None:
    """In the node's own words."""
    async with node() as url:
        line = await failure(client(url, path="agio/c"))
    assert line == f"{url} refuses: There is no such place in the tree"


@pytest.mark.parametrize(
    ("token", "hint"),
    [
        (Tokens("x" * 32).issue("ann", Role.OPERATOR, "demo", 3600), "not of this node's secret"),
        (Tokens(SECRET, now=lambda: 0).issue("ann", Role.OPERATOR, "demo", 3600), "expired"),
        (Tokens(SECRET).issue("bob", Role.BUYER, "demo", 3600), "is to be an operator's"),
        ("täken", "--token is no token"),
        ("to\nken", "--token is no token"),
    ],
)
async def test_a_token_that_is_refused_is_told_and_not_shown(token: str, hint: str) -> None:
    """What to do about it is said; what the token was is not."""
    async with node() as url:
        line = await failure(client(url, token=token))
    assert hint in line
    assert token not in line


async def test_a_node_that_is_not_there_is_told() -> None:
    """With where it should be."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert await failure(client(url)) == f"cannot reach {url}: Connection refused"


async def test_a_node_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time."""
    monkeypatch.setattr("app.inspect.client.INSPECT_ANSWER_S", 0.05)

    async def wait(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with stranger(wait) as url:
        assert "cannot reach" in await failure(client(url))


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response(200, (), b"<p>hello"), "no tree of this version of Agio"),
        (Response(200, (("Content-Type", JSON),), b'{"path": 1}'), "no tree of this version"),
        (Response(200, (), b"[" * 100_000), "no tree of this version"),
        (Response(404, (), b"<p>not here"), "answers 404, not as Agio does"),
        (Response(302, (("Location", "/elsewhere"),)), "answers 302"),
    ],
)
async def test_somebody_else_is_recognised(response: Response, said: str) -> None:
    """What answers there is not taken for Agio."""

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(response.to_http1())
        await stream.aclose()

    async with stranger(answer) as url:
        assert said in await failure(client(url))


async def test_somebody_who_speaks_no_http_is_recognised() -> None:
    """Whatever it says is not repeated."""

    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(b"\x1b[2J220 mail.example ESMTP\r\n")
        await stream.aclose()

    async with stranger(answer) as url:
        assert "220" not in await failure(client(url))


async def test_a_refusal_cannot_command_the_terminal() -> None:
    """What a stranger says in our form is made plain, and cut."""
    problem = {
        "type": "",
        "title": "",
        "status": 400,
        "detail": "\x1b[2J" + "x" * 5_000,
        "code": "busy",
        "message": "",
        "retryable": True,
    }

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(Response(503, (), msgspec.json.encode(problem)).to_http1())
        await stream.aclose()

    async with stranger(answer) as url:
        assert len(await failure(client(url))) < 300


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4000",
        "ftp://127.0.0.1",
        "http://",
        "http://host:port",
        "http://a\nb",
        "http://a b",
        "http://user:hush@host",
        "http://[::1",
    ],
)
def test_a_url_that_is_none_is_told(url: str) -> None:
    """And not repeated: it may hold a password."""
    with pytest.raises(InspectError, match="--url is to be like") as caught:
        read_place(url)
    assert "hush" not in str(caught.value)


async def test_a_name_that_no_machine_can_have_is_told() -> None:
    """In one line, as everything else."""
    assert "no name of a machine" in await failure(client(f"http://{'a' * 70}.example"))
