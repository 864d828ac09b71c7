"""The HTTP side of a node, asked as a person; every answer is held against the OpenAPI document."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from app.http.message import Request, Response
from app.http.openapi import document
from app.http.router import Route, Router
from app.http.services import Services
from app.http.table import ROUTES
from app.identity.model import Role
from app.identity.tokens import Tokens
from tests.app.http.node import SECRET, Seen, router

DOCUMENT: Final = document(ROUTES)


@dataclass(frozen=True)
class Answer:
    """A response, its body read as JSON."""

    response: Response
    body: Any

    @property
    def status(self) -> int:
        """Its status."""
        return self.response.status

    @property
    def code(self) -> str:
        """A problem's code."""
        code: str = self.body["code"]
        return code


class Api:
    """The HTTP side of a node; each answer of it is checked against the document."""

    def __init__(self, services: Services) -> None:
        self._router: Router = router(services, Seen())

    def token(self, who: str, line: str = "demo") -> str:
        """A token: `buyer` is demo-buyer, `buyer:bea` another."""
        role, _, name = who.partition(":")
        return Tokens(SECRET).issue(name or f"demo-{role}", Role(role), line, 3600)

    async def get(self, who: str, path: str, *, line: str = "demo") -> Answer:
        """GET as this person."""
        return await self._ask("GET", who, path, b"", line=line)

    async def post(
        self,
        who: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        line: str = "demo",
    ) -> Answer:
        """POST a body as this person."""
        sent = b"" if body is None else msgspec.json.encode(body)
        return await self._ask("POST", who, path, sent, key=key, line=line)

    async def post_with(self, token: str, path: str, body: object) -> Answer:
        """POST a body with this token."""
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._send(Request("POST", path, "", headers, msgspec.json.encode(body)))

    async def _ask(
        self, method: str, who: str, path: str, body: bytes, *, key: str | None = None, line: str
    ) -> Answer:
        bare, _, query = path.partition("?")
        headers = {"authorization": f"Bearer {self.token(who, line)}"}
        if body:
            headers["content-type"] = "application/json"
        if key is not None:
            headers["idempotency-key"] = key
        return await self._send(Request(method, bare, query, headers, body))

    async def _send(self, request: Request) -> Answer:
        response = await self._router.handle(request)
        answer = Answer(response, msgspec.json.decode(response.body))
        self._hold_against_the_document(request, answer)
        return answer

    def _hold_against_the_document(self, request: Request, answer: Answer) -> None:
        route = next(each for each in ROUTES if _is_of(each, request))
        told = DOCUMENT["paths"][route.pattern][route.method.lower()]["responses"]
        described = told[str(answer.status)]
        content_type = answer.response.header("content-type")
        schema = {**described["content"][content_type]["schema"], "components": COMPONENTS}
        Draft202012Validator(schema).validate(answer.body)
        cursor = answer.body.get("cursor")
        for name in described.get("headers", {}):
            known = name != "Agio-Cursor" or cursor is not None
            assert not known or answer.response.header(name) is not None, f"{name} is missing"
        assert answer.response.header("agio-cursor") == cursor


COMPONENTS: Final = DOCUMENT["components"]


def _is_of(route: Route, request: Request) -> bool:
    segments = unquote(request.path).split("/")
    return route.method == request.method and route.match(segments) is not None
