"""Scopes, large bodies, and answers that are sent as they come to be."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

import httpx
import msgspec
import pytest
import trio

from actors import TRACE
from app.domain.errors import Code
from app.http.message import JSON, NDJSON, Request, Response
from app.http.openapi import document
from app.http.router import Operation, Route, Router, Success
from app.http.services import Services
from app.identity.model import Role, Scope
from app.identity.tokens import Tokens
from app.limits import BODY_BYTES_MAX, LARGE_BODIES_MAX
from tests.app.http.node import SECRET, Node, Seen, bare_services, router, serving
from tests.support.no_tls import NO_TLS

LARGEST: Final = 4 * BODY_BYTES_MAX


def token(*scopes: Scope) -> str:
    """An operator's token with these scopes."""
    return Tokens(SECRET).issue("ola", Role.OPERATOR, "demo", 3600, scopes)


async def measure(_services: Services, request: Request) -> Response:
    """How large the body was."""
    return Response(200, (), str(len(request.body)).encode())


class Thing(msgspec.Struct):
    """A thing."""

    name: str


class Things(msgspec.Struct):
    """Things."""

    items: list[Thing]


POST: Final = Operation(
    "post",
    "Post.",
    "test",
    Thing,
    201,
    others=(Success(200, Thing), Success(200, Things), Success(200, Thing, NDJSON)),
    body=Thing,
    many=True,
    scope=Scope.LEDGER_POST,
)
BULK: Final = (
    Route("POST", "/v1/things", measure, POST, LARGEST),
    Route("GET", "/v1/things", measure, Operation("get", "Get.", "test", Thing)),
)


def asked(*, length: str | None = "999999", bearer: str | None = None) -> Request:
    """The head of a request with a body of this length."""
    headers = {"authorization": f"Bearer {bearer or token(Scope.LEDGER_POST)}"}
    if length is not None:
        headers["content-length"] = length
    return Request("POST", "/v1/things", "", headers)


def bulk_router() -> Router:
    """A router with a route that takes large bodies."""
    return router(bare_services(), Seen(), BULK)


@pytest.mark.parametrize("role", list(Role))
async def test_a_scope_is_needed_whatever_the_role(role: Role) -> None:
    """Without it, forbidden and told which; with it, served; another route needs none."""
    for scopes, status in [((), 403), ((Scope.LEDGER_READ,), 403), ((Scope.LEDGER_POST,), 200)]:
        bearer = Tokens(SECRET).issue("ann", role, "demo", 3600, scopes)
        answer = await bulk_router().handle(asked(bearer=bearer))
        assert answer.status == status
        if status == 403:
            problem = msgspec.json.decode(answer.body)
            assert (problem["code"], "ledger:post" in problem["detail"]) == (Code.FORBIDDEN, True)
        assert (
            await bulk_router().handle(replace(asked(bearer=bearer), method="GET"))
        ).status == 200


@pytest.mark.parametrize("length", ["999999", str(BODY_BYTES_MAX + 1), None, "x", "٣", "9" * 5000])
def test_a_large_body_is_read_for_those_who_may_send_it(length: str | None) -> None:
    """Or one that does not say its length; the others are refused before it is read."""
    with bulk_router().admit(asked(length=length)) as refusal:
        assert refusal is None
    for bearer, code in [("x.y.z", Code.UNAUTHORIZED), (token(), Code.FORBIDDEN)]:
        with bulk_router().admit(asked(length=length, bearer=bearer)) as refusal:
            assert refusal is not None
            assert refusal.code is code


@pytest.mark.parametrize(
    "request_",
    [
        asked(length=str(BODY_BYTES_MAX), bearer="x"),
        replace(asked(bearer="x"), method="GET"),
        replace(asked(bearer="x"), path="/nowhere"),
    ],
)
def test_of_any_other_request_all_is_decided_later(request_: Request) -> None:
    """A usual body is read whoever sends it."""
    with bulk_router().admit(request_) as refusal:
        assert refusal is None


def test_large_bodies_under_way_are_counted() -> None:
    """So many at a time, each until its request is over; usual ones are served meanwhile."""
    one = bulk_router()
    with ExitStack() as under_way:
        for _ in range(LARGE_BODIES_MAX):
            assert under_way.enter_context(one.admit(asked())) is None
        with one.admit(asked()) as refusal:
            assert refusal is not None
            assert refusal.code is Code.BUSY
        with one.admit(asked(length="10")) as refusal:
            assert refusal is None
    with one.admit(asked()) as refusal:
        assert refusal is None


def test_the_document_tells_of_scopes_and_of_many() -> None:
    """The scope is in `security`; the body is one, an array, or lines; answers by content type."""
    told = document(BULK)["paths"]["/v1/things"]["post"]
    thing = {"$ref": "#/components/schemas/Thing"}
    assert told["security"] == [{"bearer": ["ledger:post"]}]
    one, array = told["requestBody"]["content"][JSON]["schema"]["anyOf"]
    assert (one, array["items"]) == (thing, thing)
    assert told["requestBody"]["content"][NDJSON]["schema"]["contentSchema"] == thing
    assert told["responses"]["201"]["content"] == {JSON: {"schema": thing}}
    content = told["responses"]["200"]["content"]
    assert content[JSON]["schema"] == {"anyOf": [thing, {"$ref": "#/components/schemas/Things"}]}
    assert content[NDJSON]["schema"]["contentSchema"] == thing
    assert {"403", "503"} <= told["responses"].keys()


# Over sockets -------------------------------------------------------------------------------------


def client(node: Node, bearer: str) -> httpx.AsyncClient:
    """Somebody who asks this node with this token."""
    headers = {"Authorization": f"Bearer {bearer}"}
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{node.port}", verify=NO_TLS, headers=headers
    )


async def chunked(size: int) -> AsyncIterator[bytes]:
    """A body that does not say its length."""
    for _ in range(0, size, BODY_BYTES_MAX):
        yield bytes(BODY_BYTES_MAX)


async def test_a_large_body_arrives() -> None:
    """Declared or not, up to the route's own bound; one byte more is refused."""
    async with (
        serving(bare_services(), routes=BULK) as node,
        client(node, token(Scope.LEDGER_POST)) as http,
    ):
        for content in (bytes(LARGEST), chunked(LARGEST)):
            assert (await http.post("/v1/things", content=content)).text == str(LARGEST)
        answer = await http.post("/v1/things", content=bytes(LARGEST + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, Code.TOO_LARGE)


async def test_nobody_else_has_a_large_body_read() -> None:
    """The answer comes all the same, and the connection is closed behind it."""
    async with serving(bare_services(), routes=BULK) as node, client(node, token()) as http:
        answer = await http.post("/v1/things", content=bytes(LARGEST))
        assert (answer.status_code, answer.json()["code"]) == (403, Code.FORBIDDEN)
        assert answer.headers["connection"] == "close"
        usual = await http.post("/v1/things", content=b"{}")
        assert (usual.status_code, "connection" in usual.headers) == (403, False)


class Faucet:
    """Answers by and by: `first`, and then, when it is let, `last`; or it breaks."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.go = trio.Event()
        self.traces: list[object] = []

    async def answer(self, _services: Services, _request: Request) -> Response:
        """The answer's beginning."""
        return Response(200, (("Content-Type", NDJSON),), chunks=self.flow)

    async def flow(self) -> AsyncGenerator[bytes, None]:
        """Its body."""
        yield b"first\n"
        await self.go.wait()
        self.traces.append(TRACE.get())
        if self.error is not None:
            raise self.error
        yield b"last\n"

    @property
    def routes(self) -> tuple[Route, ...]:
        """The route that it answers."""
        operation = Operation("flow", "Flow.", "test", dict, public=True)
        return (Route("GET", "/flow", self.answer, operation),)


async def test_an_answer_is_sent_as_it_comes_to_be() -> None:
    """Its first part arrives before its last is there; at its end it is logged, under its trace."""
    faucet, seen = Faucet(), Seen()
    async with (
        serving(bare_services(), routes=faucet.routes, seen=seen) as node,
        client(node, token()) as http,
        http.stream("GET", "/flow") as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "first"
        assert seen.told("request.served") == []
        faucet.go.set()
        assert [line async for line in lines] == ["last"]
        assert faucet.traces == [answer.headers["agio-trace"]]
        assert "content-length" not in answer.headers
    assert [each["status"] for each in seen.told("request.served")] == [200]


async def test_an_answer_that_breaks_off_is_not_taken_for_whole() -> None:
    """The client notices, and so do we."""
    faucet, seen = Faucet(ValueError("boom")), Seen()
    faucet.go.set()
    async with (
        serving(bare_services(), routes=faucet.routes, seen=seen) as node,
        client(node, token()) as http,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/flow")
        assert (await http.get("/nowhere")).status_code == 404
    (crashed,) = seen.told("request.crashed")
    assert isinstance(crashed["error"], ValueError)
    assert [each["status"] for each in seen.told("request.served")] == [200, 404]
