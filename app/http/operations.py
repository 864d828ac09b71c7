"""Routes for those who run Agio, and for those who meet it first. None needs a token."""

from dataclasses import replace
from typing import Final

import msgspec

from app.domain.errors import Code, Refusal
from app.http.message import JSON, RefusedError, Request, Response
from app.http.problem import meaning_of, problem
from app.http.reply import reply
from app.http.router import Operation, Route
from app.http.schemas import CodeAnswer, IndexAnswer, LiveAnswer, ReadyAnswer
from app.http.services import Services
from app.ledger.codes import LedgerCode

_LINKS: Final = {
    "openapi": "/openapi.json",
    "sales": "/v1/sales",
    "transactions": "/v1/transactions",
    "accounts": "/v1/accounts",
    "books": "/v1/books",
    "socket": "/socket/websocket?vsn=2.0.0",
    "longpoll": "/socket/longpoll?vsn=2.0.0",
    "live": "/livez",
    "ready": "/readyz",
    "metrics": "/metrics",
    "messages": "/v1/messages",
    "revocations": "/v1/revocations",
    "tree": "/v1/operations/tree",
}


async def index(_services: Services, _request: Request) -> Response:
    """Where to go from here."""
    return reply(IndexAnswer("agio", _LINKS))


async def live(_services: Services, _request: Request) -> Response:
    """The event loop turns. Looks at nothing else, ever."""
    return reply(LiveAnswer("live"))


async def ready(services: Services, _request: Request) -> Response:
    """200 where every check passes and the node is not stopping; else 503 with the findings."""
    readiness = services.readiness
    checks = await readiness.look()
    if not readiness.draining and all(found == "ok" for found in checks.values()):
        return reply(ReadyAnswer("ready", checks))
    status = "draining" if readiness.draining else "not_ready"
    refused = problem(Refusal(Code.UNAVAILABLE))
    body = {**msgspec.json.decode(refused.body), "readiness": status, "checks": checks}
    return replace(refused, body=msgspec.json.encode(body))


async def metrics(services: Services, _request: Request) -> Response:
    """What Prometheus scrapes: of all workers, whichever is asked."""
    body, content_type = services.render_metrics()
    if services.siblings is not None:
        body = await services.siblings.metrics(body)
    return Response(200, (("Content-Type", content_type),), body)


async def explain(_services: Services, request: Request) -> Response:
    """What a problem's code means: a problem document's `type` points here."""
    name = request.params["code"]
    found = next((code for code in (*Code, *LedgerCode) if code == name), None)
    if found is None:
        raise RefusedError(Refusal(Code.NOT_FOUND, "There is no such code."))
    return reply(CodeAnswer(found, *meaning_of(found)))


def public(
    name: str,
    summary: str,
    answer: type,
    *,
    refusals: tuple[Code, ...] = (),
    media: str = JSON,
) -> Operation:
    """An operation of this group."""
    return Operation(
        name, summary, "operations", answer, refusals=refusals, media=media, public=True
    )


ROUTES: Final = (
    Route("GET", "/", index, public("index", "Where to go from here.", IndexAnswer)),
    Route("GET", "/livez", live, public("live", "Whether the process answers.", LiveAnswer)),
    Route(
        "GET",
        "/readyz",
        ready,
        public(
            "ready",
            "Whether this node takes work.",
            ReadyAnswer,
            refusals=(Code.UNAVAILABLE,),
        ),
    ),
    Route(
        "GET",
        "/metrics",
        metrics,
        public("metrics", "Metrics, for Prometheus.", str, media="text/plain"),
    ),
    Route(
        "GET",
        "/problems/{code}",
        explain,
        public(
            "explainCode",
            "What a problem's code means.",
            CodeAnswer,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
)
