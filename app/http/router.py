"""The table of routes, and the one way every request takes through it.

A request is matched, its caller identified, its handler run; whatever comes of that, a response, a
refusal or a fault of ours, becomes one response, one line in the access log and one observation in
the metrics: at its end, where the body is sent as it comes to be. HEAD, OPTIONS, 404 and 405 follow
from the table, so that no handler knows of them.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.parse import unquote

import trio

from actors import Emit
from app.domain.errors import Code, Refusal
from app.domain.ids import new_id
from app.domain.names import is_id, is_topic
from app.http.message import JSON, RefusedError, Request, Response
from app.http.problem import problem
from app.http.services import Services
from app.identity.model import Scope
from app.ledger.codes import LedgerCode
from app.limits import BODY_BYTES_MAX, LARGE_BODIES_MAX
from app.storage.errors import StorageDown
from app.telemetry.trace import trace_of, traced

Handler = Callable[[Services, Request], Awaitable[Response]]
Observe = Callable[[str, str, int, float], None]

# The one variable segment that may be no id.
TOPIC: Final = "topic"

# What every response says: nothing here is for a cache, and nothing is to be guessed at.
_ALWAYS: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
# What the log and the metrics call a request that matches no route, or has an unheard-of method.
_UNMATCHED: Final = "unmatched"
_TOO_MANY: Final = Refusal(Code.BUSY, "Too many large requests are under way; try again shortly.")
# Of a route that answers methods for which its path has no other.
ANY_METHOD: Final = "*"
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)


@dataclass(frozen=True, slots=True)
class Success:
    """How an operation may answer beside its first way.

    Attributes:
        status: such as 200.
        answer: the struct of the body, or of each line of one that is NDJSON.
        media: its content type.
    """

    status: int
    answer: type
    media: str = JSON


@dataclass(frozen=True, slots=True)
class Operation:
    """What the OpenAPI document says of a route, and what the router does for it.

    Attributes:
        id: its `operationId`.
        summary: one sentence.
        tag: the group it is shown in.
        answer: the struct of a success's body.
        status: of a success.
        others: how else it answers.
        query: the struct of its query parameters.
        body: the struct of its body.
        many: whether many of it may come in one body, as a JSON array or as NDJSON.
        raw_body: the content type of a body that is no JSON.
        refusals: the codes it may answer with, beside those that any route may.
        public: whether it is open to callers without a token.
        scope: what a caller's token has to have, whatever their role.
        idempotency_key: whether it needs that header.
        media: the content type of a success.
    """

    id: str
    summary: str
    tag: str
    answer: type
    status: int = 200
    others: tuple[Success, ...] = ()
    query: type | None = None
    body: type | None = None
    many: bool = False
    raw_body: str | None = None
    refusals: tuple[Code | LedgerCode, ...] = ()
    public: bool = False
    scope: Scope | None = None
    idempotency_key: bool = False
    media: str = JSON


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one resource.

    Attributes:
        method: such as `GET`, or `ANY_METHOD`.
        pattern: its path; `{name}` stands for one segment, which is an id; or also a topic, where
            the name is TOPIC.
        handler: answers it.
        operation: tells of it.
        body_bytes: that a body may have.
    """

    method: str
    pattern: str
    handler: Handler
    operation: Operation
    body_bytes: int = BODY_BYTES_MAX

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The variable segments by name, or None where the path is another.

        A variable segment is an id of some kind, or a topic: no store is asked for anything else.
        """
        wanted = self.pattern.split("/")
        if len(wanted) != len(segments):
            return None
        found: dict[str, str] = {}
        for want, segment in zip(wanted, segments, strict=True):
            if want.startswith("{"):
                name = want[1:-1]
                if not is_id(segment) and not (name == TOPIC and is_topic(segment)):
                    return None
                found[name] = segment
            elif want != segment:
                return None
        return found


class Router:
    """Answers requests by a table of routes. Never raises but when cancelled."""

    def __init__(
        self, routes: Sequence[Route], services: Services, *, emit: Emit, observe: Observe
    ) -> None:
        self._routes = tuple(routes)
        self._services = services
        self._emit = emit
        self._observe = observe
        self._large_bodies = 0

    def body_bytes(self, path: str) -> int:
        """How large a body may be that is sent to this path."""
        found = self._find(path).values()
        return max((route.body_bytes for route, _ in found), default=BODY_BYTES_MAX)

    @contextmanager
    def admit(self, request: Request) -> Iterator[Refusal | None]:
        """Says whether the body of a request is worth reading; the request lives in the block.

        A body beyond `BODY_BYTES_MAX` is read for callers who may use the route, and for
        `LARGE_BODIES_MAX` of them at a time; all else is decided later, as of any request.

        Args:
            request: its head; nothing was read of the body.

        Yields:
            Why the body is not to be read; None where it is.
        """
        route = self._find(request.path).get(request.method, (None, {}))[0]
        if route is None or route.operation.public or not _may_be_large(route, request):
            yield None
            return
        try:
            self._identify(route, request)
        except RefusedError as refused:
            yield refused.refusal
            return
        if self._large_bodies >= LARGE_BODIES_MAX:
            yield _TOO_MANY
            return
        self._large_bodies += 1
        try:
            yield None
        finally:
            self._large_bodies -= 1

    async def handle(self, request: Request, early: Refusal | None = None) -> Response:
        """The answer to a request.

        Args:
            request: what was asked.
            early: why the request could not be read whole, where it could not.
        """
        began = trio.current_time()
        found = self._find(request.path)
        pattern = next(iter(found.values()))[0].pattern if found else _UNMATCHED
        trace = trace_of(request.headers.get("traceparent", ""))
        with traced(trace):
            response = problem(early) if early else await self._answer(request, found, pattern)
        tell = partial(self._tell, request.method, pattern, response.status, began)
        if response.chunks is None:
            with traced(trace):
                tell()
        else:
            chunks = partial(self._send, response.chunks, trace, pattern, tell)
            response = replace(response, chunks=chunks)
        if request.method == "HEAD":
            length = ("Content-Length", str(len(response.body)))
            response = replace(response, headers=(*response.headers, length), body=b"")
        return replace(response, headers=(*response.headers, *_ALWAYS, ("Agio-Trace", trace)))

    def _find(self, path: str) -> dict[str, tuple[Route, dict[str, str]]]:
        """The routes of a path, by method, each with the path's variable parts."""
        segments = _segments(path)
        matches = ((route, route.match(segments)) for route in self._routes)
        return {route.method: (route, params) for route, params in matches if params is not None}

    async def _answer(
        self, request: Request, found: dict[str, tuple[Route, dict[str, str]]], pattern: str
    ) -> Response:
        match = found.get(request.method) or found.get(ANY_METHOD)
        if match is None and request.method == "OPTIONS" and (found or request.path == "*"):
            return Response(204, (("Allow", _allow(found)),))
        if not found:
            return problem(Refusal(Code.NOT_FOUND, "There is no such resource."))
        if match is None and request.method == "HEAD":
            match = found.get("GET")
        if match is None:
            refused = problem(Refusal(Code.METHOD_NOT_ALLOWED))
            return replace(refused, headers=(*refused.headers, ("Allow", _allow(found))))
        route, params = match
        return await self._run(route, replace(request, params=params), pattern)

    async def _run(self, route: Route, request: Request, pattern: str) -> Response:
        try:
            if not route.operation.public:
                request = self._identify(route, request)
            return await route.handler(self._services, request)
        except RefusedError as refused:
            return problem(refused.refusal)
        except StorageDown as error:
            self._emit("request.failed", {"route": pattern, "error": error})
            return problem(Refusal(Code.UNAVAILABLE))
        except Exception as error:  # noqa: BLE001 - the edge: a fault of ours is told as one
            return self._confess(error, pattern)

    async def _send(
        self,
        chunks: Callable[[], AsyncGenerator[bytes, None]],
        trace: str,
        pattern: str,
        tell: Callable[[], None],
    ) -> AsyncGenerator[bytes, None]:
        """The body as it comes to be; whatever ends it, the request is told of then."""
        with traced(trace):
            try:
                async with aclosing(chunks()) as parts:
                    async for part in parts:
                        yield part
            except Exception as error:
                self._confess(error, pattern)
                raise
            finally:
                tell()

    def _identify(self, route: Route, request: Request) -> Request:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RefusedError(Refusal(Code.UNAUTHORIZED))
        identity = self._services.callers.identify(token.strip())
        if isinstance(identity, Refusal):
            raise RefusedError(identity)
        scope = route.operation.scope
        lacking = None if scope is None else identity.without(scope)
        if lacking is not None:
            raise RefusedError(lacking)
        return replace(request, caller=identity)

    def _confess(self, error: Exception, pattern: str) -> Response:
        fault = new_id("flt")
        self._emit("request.crashed", {"fault": fault, "route": pattern, "error": error})
        refusal = Refusal(Code.INTERNAL, f"A fault of ours; it was recorded as {fault}.")
        return problem(refusal, instance=f"urn:agio:fault:{fault}")

    def _tell(self, method: str, pattern: str, status: int, began: float) -> None:
        seconds = trio.current_time() - began
        known = method if method in _METHODS else "other"
        self._observe(pattern, known, status, seconds)
        self._emit(
            "request.served",
            {
                "method": known,
                "route": pattern,
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
            },
        )


def _may_be_large(route: Route, request: Request) -> bool:
    """Whether the body may be larger than usual; what declares no length may be."""
    declared = request.headers.get("content-length", "")
    usual = declared.isascii() and declared.isdigit() and int(declared[:20]) <= BODY_BYTES_MAX
    return route.body_bytes > BODY_BYTES_MAX and not usual


def _segments(path: str) -> list[str]:
    """The decoded segments of a path; a segment that is not UTF-8 matches nothing we have."""
    return [unquote(segment, errors="replace") for segment in path.split("/")]


def _allow(found: dict[str, tuple[Route, dict[str, str]]]) -> str:
    methods = set(found) or {"GET", "POST"}
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
