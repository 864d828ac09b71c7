"""The OpenAPI 3.1 document, generated from the table of routes and the structs of `schemas`.

Nothing about a route is written twice: what the router does and what the document says come from
the same `Operation`. `python -m app.http` prints it.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from app.docstrings import attributes_of, without_attributes
from app.domain.errors import Code
from app.domain.names import ID_PATTERN, TOPIC_PATTERN
from app.http.message import CSV, JSON, NDJSON, Request, Response
from app.http.operations import public
from app.http.problem import PROBLEM, Problem, meaning_of
from app.http.router import ANY_METHOD, TOPIC, Operation, Route, Success
from app.http.schemas import ReadQuery
from app.http.services import Services
from app.ledger.codes import LedgerCode
from app.limits import CHECKOUT_TEXT_MAX, ITEMS_MAX

_REF: Final = "#/components/schemas/{name}"
_HEADERS: Final = {
    "Agio-Cursor": {
        "description": "The body's `cursor`.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": "Of the relation `next`: the page that follows, where one does.",
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "Where the new thing is.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same request may succeed.",
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string"},
    },
}
# What may come of any route, and of any that needs a token, has a body, or waits for a cursor.
_ANYWHERE: Final = (Code.INVALID_REQUEST, Code.TOO_LARGE, Code.UNAVAILABLE, Code.INTERNAL)
_READS: Final = (Code.CURSOR_UNKNOWN, Code.CURSOR_NOT_REACHED)
# What a variable segment is where it is no id.
_PATTERNS: Final = {TOPIC: TOPIC_PATTERN}
_HEADERS_OF_STATUS: Final = {401: "WWW-Authenticate", 503: "Retry-After"}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    table = tuple(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        if route.method != ANY_METHOD:  # which the document has no word for
            paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route)
    told = {
        "openapi": "3.1.0",
        "info": {
            "title": "Agio",
            "version": "1",
            "description": "Sales, purchases and the ledger over HTTP. Live events come over the "
            "socket; docs/protocol.md describes both. Every refusal is an RFC 9457 problem "
            "document whose `code` is one of a closed list:\n\n" + _table_of_codes(),
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({route.operation.tag for route in table})],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(table),
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }
    # A struct's default may be a tuple: only in JSON is it the array that it stands for.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return plain


def route_of_itself(routes: Sequence[Route]) -> Route:
    """The route that serves the document of these routes and of itself."""

    async def openapi(_services: Services, _request: Request) -> Response:
        return Response(200, (("Content-Type", JSON),), body)

    operation = public("openapi", "This document.", dict)
    route = Route("GET", "/openapi.json", openapi, operation)
    body = msgspec.json.encode(document((*routes, route)))
    return route


# Both closed lists, in their order. A code that is in both means the same in both.
ALL_CODES: Final[Sequence[Code | LedgerCode]] = tuple(dict.fromkeys([*Code, *LedgerCode]))


def codes_of(operation: Operation) -> list[Code | LedgerCode]:
    """Every code the operation may answer with, in the closed lists' order."""
    codes: set[Code | LedgerCode] = {*_ANYWHERE, *operation.refusals}
    if not operation.public:
        codes.add(Code.UNAUTHORIZED)
    if operation.scope is not None:
        codes.add(Code.FORBIDDEN)
    if operation.many:
        codes.add(Code.BUSY)
    if operation.body is not None:
        codes.add(Code.UNSUPPORTED_MEDIA_TYPE)
    if _is_read(operation):
        codes.update(_READS)
    return [code for code in ALL_CODES if code in codes]


def _is_read(operation: Operation) -> bool:
    return operation.query is not None and issubclass(operation.query, ReadQuery)


def _operation(route: Route) -> dict[str, Any]:
    operation = route.operation
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(route),
        "responses": _successes(operation) | _refusals(operation),
    }
    if operation.public:
        described["security"] = []
    if operation.scope is not None:
        described["security"] = [{"bearer": [operation.scope.value]}]
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _bodies(operation)}
    if operation.raw_body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {operation.raw_body: {"schema": {"type": "string"}}},
        }
    return described


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{_PATTERNS.get(name, ID_PATTERN)}$"},
        }
        for name in re.findall(r"\{(\w+)\}", route.pattern)
    ]
    if route.operation.query is not None:
        _, components = msgspec.json.schema_components([route.operation.query], ref_template=_REF)
        properties = components[route.operation.query.__name__]["properties"]
        found += [
            {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
            for name, schema in properties.items()
        ]
    if route.operation.idempotency_key:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "One per purchase the buyer means to make; the buyer's own.",
                "schema": {
                    "type": "string",
                    "pattern": f"^[!-~]{{1,{CHECKOUT_TEXT_MAX}}}$",
                },
            }
        )
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter that is not given is absent: it has no null."""
    present = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return present[0] if present else schema


def _bodies(operation: Operation) -> dict[str, Any]:
    """What the body may be, by content type."""
    assert operation.body is not None, "there is none"
    one = _schema(operation.body)
    if not operation.many:
        return {JSON: {"schema": one}}
    each = {"description": "Each line is one.", "type": "string", "contentSchema": one}
    array = {"type": "array", "items": one, "maxItems": ITEMS_MAX}
    return {JSON: {"schema": {"anyOf": [one, array]}}, NDJSON: {"schema": each}}


def _successes(operation: Operation) -> dict[str, Any]:
    """Every way to succeed, by status."""
    ways = (Success(operation.status, operation.answer, operation.media), *operation.others)
    return {
        str(status): _success([way for way in ways if way.status == status])
        for status in dict.fromkeys(way.status for way in ways)
    }


def _success(ways: Sequence[Success]) -> dict[str, Any]:
    """The ways of one status."""
    content = {
        media: {"schema": _any_of([_schema_of(way) for way in ways if way.media == media])}
        for media in dict.fromkeys(way.media for way in ways)
    }
    names = ["Location"] if ways[0].status == 201 else []
    if any("cursor" in getattr(way.answer, "__struct_fields__", ()) for way in ways):
        names.append("Agio-Cursor")
    if CSV in content:
        names.append("Link")
    return {"description": "Done.", "content": content} | _headers(names)


def _any_of(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"anyOf": list(schemas)} if len(schemas) > 1 else schemas[0]


def _schema_of(way: Success) -> dict[str, Any]:
    schema = _schema(way.answer)
    if way.media != NDJSON:
        return schema
    return {"description": "Each line is one.", "type": "string", "contentSchema": schema}


def _refusals(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[Code | LedgerCode]] = {}
    for code in codes_of(operation):
        by_status.setdefault(meaning_of(code).status, []).append(code)
    return {
        str(status): {
            "description": " ".join(f"`{code}`: {meaning_of(code).message}" for code in codes),
            "content": {PROBLEM: {"schema": _schema(Problem)}},
        }
        | _headers([_HEADERS_OF_STATUS[status]] if status in _HEADERS_OF_STATUS else [])
        for status, codes in sorted(by_status.items())
    }


def _headers(names: Sequence[str]) -> dict[str, Any]:
    if not names:
        return {}
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def _schema(kind: type) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    kinds: list[type] = [Problem]
    for route in routes:
        ways = (way.answer for way in route.operation.others)
        kinds += [each for each in (route.operation.answer, *ways, route.operation.body) if each]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    return {name: _explained(schema) for name, schema in sorted(components.items())}


def _explained(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with what its class's docstring says of an attribute beside that attribute."""
    doc = schema.get("description", "")
    told = attributes_of(doc)
    if not told:
        return schema
    properties = {
        name: {**each, "description": told[name]} if name in told else each
        for name, each in schema["properties"].items()
    }
    return {**schema, "description": without_attributes(doc), "properties": properties}


def _table_of_codes() -> str:
    rows = ["| code | status | retryable | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{code.value}` | {meaning.status} | {'yes' if meaning.retryable else 'no'} "
        f"| {meaning.message} |"
        for code, meaning in ((code, meaning_of(code)) for code in ALL_CODES)
    ]
    return "\n".join(rows)
