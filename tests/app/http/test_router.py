"""The way of a request through the table of routes."""

import msgspec
import pytest

from app.domain.errors import Code, Refusal
from app.http.message import Request, Response
from app.http.openapi import ALL_CODES
from app.http.router import Operation, Route
from app.http.services import Services
from app.http.table import ROUTES
from app.identity.model import Role
from app.identity.tokens import Tokens
from tests.app.http.node import SECRET, Seen, bare_services, router

TOKEN = Tokens(SECRET).issue("demo-buyer", Role.BUYER, "demo", 3600)


def code_of(response: Response) -> str:
    """The code of a problem."""
    code: str = msgspec.json.decode(response.body)["code"]
    return code


async def whoami(_services: Services, request: Request) -> Response:
    """Who asks, and for what."""
    return Response(200, (), f"{request.identity.person} {dict(request.params)}".encode())


ECHO = (Route("GET", "/v1/echo/{thing}", whoami, Operation("echo", "Echo.", "test", dict)),)


async def ask(path: str, *, headers: dict[str, str] | None = None) -> Response:
    """The answer to a GET of this path."""
    return await router(bare_services(), Seen(), ECHO).handle(
        Request("GET", path, headers=headers or {})
    )


async def test_a_handler_is_told_who_asks_for_what() -> None:
    """The caller and the path's variable parts reach the handler."""
    answer = await ask("/v1/echo/a-1", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.body == b"demo-buyer {'thing': 'a-1'}"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer \xff\xfe",
        "bearer a.b.c",
    ],
)
async def test_without_a_valid_token_nobody_is_answered(authorization: str) -> None:
    """A missing or invalid token is 401 with a challenge."""
    answer = await ask("/v1/echo/a", headers={"authorization": authorization})
    assert (answer.status, code_of(answer)) == (401, Code.UNAUTHORIZED)
    assert answer.header("www-authenticate") == 'Bearer realm="agio"'


@pytest.mark.parametrize(
    "path",
    [
        "/v1/echo",
        "/v1/echo/",
        "/v1/echo/a/b",
        "/v1/echo/A",
        "/v1/echo/a%00",
        "/v1/echo/a%2fb",
        "/V1/echo/a",
        "/v1/echo/{thing}",
        "/v1/echo/%7Bthing%7D",
    ],
)
async def test_a_path_of_no_route_is_not_found(path: str) -> None:
    """Paths are matched exactly, a variable part is an id, and no token is asked for first."""
    assert code_of(await ask(path)) == Code.NOT_FOUND


async def test_a_percent_encoded_id_is_that_id() -> None:
    """Encoding a letter changes nothing."""
    answer = await ask("/v1/%65cho/%61", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation.id)
async def test_every_route_of_the_api_needs_a_token(route: Route) -> None:
    """Whatever is under /v1 is closed to callers without a token, and nothing else is."""
    path = route.pattern.replace("{", "").replace("}", "")
    answer = await router(bare_services(), Seen()).handle(Request(route.method, path))
    assert (answer.status == 401) == path.startswith("/v1/")
    assert route.operation.public != path.startswith("/v1/")


async def test_storage_that_is_down_is_unavailable() -> None:
    """Without a database a read is 503, with when to try again."""
    seen = Seen()
    answer = await router(bare_services(), seen).handle(
        Request("GET", "/v1/sales", headers={"authorization": f"Bearer {TOKEN}"})
    )
    assert (answer.status, code_of(answer)) == (503, Code.UNAVAILABLE)
    assert answer.header("retry-after") == "1"
    assert [each["route"] for each in seen.told("request.failed")] == ["/v1/sales"]


async def test_a_request_that_could_not_be_read_is_still_told() -> None:
    """What the server refused while reading is answered, logged and observed under its route."""
    seen = Seen()
    answer = await router(bare_services(), seen).handle(
        Request("POST", "/v1/sales"), Refusal(Code.TOO_LARGE)
    )
    assert answer.status == 413
    assert seen.observed == [("/v1/sales", "POST", 413)]


async def test_a_method_unheard_of_has_one_name_in_the_metrics() -> None:
    """Strangers cannot make up names of methods or routes in the metrics."""
    seen = Seen()
    await router(bare_services(), seen).handle(Request("BREW", "/coffee"))
    assert seen.observed == [("unmatched", "other", 404)]


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/v1/sales"])
async def test_no_response_is_for_a_cache(path: str) -> None:
    """Every response forbids storing it and guessing at it."""
    answer = await router(bare_services(), Seen()).handle(Request("GET", path))
    assert answer.header("cache-control") == "no-store"
    assert answer.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("code", ALL_CODES)
async def test_every_code_is_explained_where_its_type_points(code: Code) -> None:
    """`/problems/<code>` says what the code means."""
    answer = await router(bare_services(), Seen()).handle(Request("GET", f"/problems/{code}"))
    assert msgspec.json.decode(answer.body)["code"] == code


async def test_metrics_are_given_as_they_are_rendered() -> None:
    """The text and its content type are the renderer's."""
    answer = await router(bare_services(), Seen()).handle(Request("GET", "/metrics"))
    assert answer.body == b"up 1\n"
    assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"


async def test_options_of_the_server_as_a_whole() -> None:
    """`OPTIONS *` says which methods there are at all."""
    answer = await router(bare_services(), Seen()).handle(Request("OPTIONS", "*"))
    assert (answer.status, answer.header("allow")) == (204, "GET, HEAD, OPTIONS, POST")
