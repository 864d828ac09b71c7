"""The OpenAPI document and the wire document tell what the server does."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.domain.errors import Code
from app.http.message import Request
from app.http.openapi import ALL_CODES, codes_of, document
from app.http.problem import meaning_of
from app.http.router import ANY_METHOD
from app.http.table import ROUTES
from tests.app.http.node import Seen, bare_services, router

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"


async def served() -> dict[str, Any]:
    """The document as it is served."""
    answer = await router(bare_services(), Seen()).handle(Request("GET", "/openapi.json"))
    assert answer.status == 200
    whole: dict[str, Any] = msgspec.json.decode(answer.body)
    return whole


@pytest.mark.slow
def test_the_document_is_valid() -> None:
    """It is OpenAPI 3.1."""
    OpenAPIV31SpecValidator(document(ROUTES)).validate()


async def test_every_route_is_in_the_document_and_vice_versa() -> None:
    """The document's operations are the table's."""
    told = {
        (method.upper(), path)
        for path, operations in (await served())["paths"].items()
        for method in operations
    }
    assert told == {(route.method, route.pattern) for route in ROUTES if route.method != ANY_METHOD}


def test_operation_ids_are_unique() -> None:
    """Generators of clients name methods by them."""
    ids = [route.operation.id for route in ROUTES]
    assert len(set(ids)) == len(ids)


def test_every_code_is_told_by_some_route() -> None:
    """No code is left out, but that which follows from HTTP itself, and that of the socket."""
    told = {code for route in ROUTES for code in codes_of(route.operation)}
    assert set(ALL_CODES) - told == {Code.METHOD_NOT_ALLOWED, Code.RATE_LIMITED}
    description = document(ROUTES)["info"]["description"]
    assert [code for code in ALL_CODES if f"`{code}`" not in description] == []


def test_the_wire_document_has_the_table_of_codes() -> None:
    """docs/protocol.md tells each code with its status, whether to retry, and its meaning."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\d+) \| (yes|no) \| (.+) \|$", PROTOCOL.read_text(), re.MULTILINE
    )
    assert rows == [
        (code.value, str(meaning.status), "yes" if meaning.retryable else "no", meaning.message)
        for code, meaning in ((code, meaning_of(code)) for code in ALL_CODES)
    ]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation.id)
def test_the_wire_document_has_every_route(route: Any) -> None:
    """docs/protocol.md names each method and path, and `*` where any other is answered."""
    assert f"`{route.method} {route.pattern}`" in PROTOCOL.read_text()


@pytest.mark.slow
def test_the_document_can_be_printed() -> None:
    """`python -m app.http` prints what is served, for linters."""
    printed = subprocess.run([sys.executable, "-m", "app.http"], capture_output=True, check=True)
    assert msgspec.json.decode(printed.stdout) == msgspec.json.decode(
        msgspec.json.encode(document(ROUTES))
    )
