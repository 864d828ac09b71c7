"""The HTTP side of a node, asked as a person; every answer is held against the OpenAPI document."""

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import trio
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from app.http.message import CSV, JSON, NDJSON, Request, Response
from app.http.openapi import document
from app.http.router import Route, Router
from app.http.services import Services
from app.http.table import ROUTES
from app.identity.model import Role, Scope
from app.identity.tokens import Tokens
from tests.app.http.node import SECRET, Seen, router

DOCUMENT: Final = document(ROUTES)


@dataclass(frozen=True)
class Answer:
    """A response, its body read: of NDJSON all lines, of CSV the text."""

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
        """A token: `buyer` is demo-buyer, `buyer:bea` another, `buyer+post` may post, too."""
        person, *scopes = who.split("+")
        role, _, name = person.partition(":")
        granted = [Scope(f"ledger:{scope}") for scope in scopes]
        return Tokens(SECRET).issue(name or f"demo-{role}", Role(role), line, 3600, granted)

    async def get(
        self, who: str, path: str, *, line: str = "demo", accept: str | None = None
    ) -> Answer:
        """GET as this person."""
        return await self._ask("GET", who, path, b"", line=line, accept=accept)

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

    async def send(self, method: str, who: str, path: str, body: object = None) -> Answer:
        """Any method with a JSON body as this person."""
        sent = b"" if body is None else msgspec.json.encode(body)
        return await self._ask(method, who, path, sent, line="demo")

    async def post_bytes(
        self, who: str, path: str, body: bytes, *, media: str = JSON, accept: str = ""
    ) -> Answer:
        """POST these bytes as this person."""
        headers = {
            "authorization": f"Bearer {self.token(who)}",
            "content-type": media,
            "accept": accept,
        }
        return await self._send(Request("POST", path, "", headers, body))

    async def post_with(self, token: str, path: str, body: object) -> Answer:
        """POST a body with this token."""
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._send(Request("POST", path, "", headers, msgspec.json.encode(body)))

    async def _ask(
        self,
        method: str,
        who: str,
        path: str,
        body: bytes,
        *,
        key: str | None = None,
        line: str,
        accept: str | None = None,
    ) -> Answer:
        bare, _, query = path.partition("?")
        headers = {"authorization": f"Bearer {self.token(who, line)}"}
        if body:
            headers["content-type"] = "application/json"
        if accept is not None:
            headers["accept"] = accept
        if key is not None:
            headers["idempotency-key"] = key
        return await self._send(Request(method, bare, query, headers, body))

    async def _send(self, request: Request) -> Answer:
        response = await _whole(await self._router.handle(request))
        answer = Answer(response, _read(response))
        # In a thread: validating a thousand transfers takes longer than a step of the loop may.
        await trio.to_thread.run_sync(self._hold_against_the_document, request, answer)
        return answer

    def _hold_against_the_document(self, request: Request, answer: Answer) -> None:
        route = next(each for each in ROUTES if _is_of(each, request))
        told = DOCUMENT["paths"][route.pattern][route.method.lower()]["responses"]
        described = told[str(answer.status)]
        content_type = (answer.response.header("content-type") or "").partition(";")[0]
        schema = described["content"][content_type]["schema"]
        lines = content_type == NDJSON
        validator = Draft202012Validator(
            {**(schema["contentSchema"] if lines else schema), "components": COMPONENTS}
        )
        for each in answer.body if lines else [answer.body]:
            validator.validate(each)
        cursor = answer.body.get("cursor") if isinstance(answer.body, dict) else None
        for name in described.get("headers", {}):
            known = name != "Link" and (name != "Agio-Cursor" or cursor is not None)
            assert not known or answer.response.header(name) is not None, f"{name} is missing"
        assert content_type == CSV or answer.response.header("agio-cursor") == cursor


COMPONENTS: Final = DOCUMENT["components"]


async def _whole(response: Response) -> Response:
    """The response with all of its body."""
    if response.chunks is None:
        return response
    async with aclosing(response.chunks()) as chunks:
        return replace(response, body=b"".join([chunk async for chunk in chunks]))


def _read(response: Response) -> Any:
    content_type = (response.header("content-type") or "").partition(";")[0]
    if content_type == NDJSON:
        return [msgspec.json.decode(line) for line in response.body.splitlines()]
    return response.body.decode() if content_type == CSV else msgspec.json.decode(response.body)


def _is_of(route: Route, request: Request) -> bool:
    segments = unquote(request.path).split("/")
    return route.method == request.method and route.match(segments) is not None
