"""The table of routes, and the one way every request takes through it.

A request is matched, its caller identified, its handler run; whatever comes of that, a response, a
refusal or a fault of ours, becomes one response, one line in the access log and one observation in
the metrics. HEAD, OPTIONS, 404 and 405 follow from the table, so that no handler knows of them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

import trio

from actors import Emit
from app.domain.errors import Code, Refusal
from app.domain.ids import new_id
from app.domain.names import is_id, is_topic
from app.http.message import RefusedError, Request, Response
from app.http.problem import problem
from app.http.services import Services
from app.limits import BODY_BYTES_MAX
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
# Of a route that answers methods for which its path has no other.
ANY_METHOD: Final = "*"
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the OpenAPI document says of a route, and what the router does for it.

    Attributes:
        id: its `operationId`.
        summary: one sentence.
        tag: the group it is shown in.
        answer: the struct of a success's body.
        status: of a success.
        query: the struct of its query parameters.
        body: the struct of its body.
        raw_body: the content type of a body that is no JSON.
        refusals: the codes it may answer with, beside those that any route may.
        public: whether it is open to callers without a token.
        idempotency_key: whether it needs that header.
        media: the content type of a success.
    """

    id: str
    summary: str
    tag: str
    answer: type
    status: int = 200
    query: type | None = None
    body: type | None = None
    raw_body: str | None = None
    refusals: tuple[Code, ...] = ()
    public: bool = False
    idempotency_key: bool = False
    media: str = "application/json"


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

    def body_bytes(self, path: str) -> int:
        """How large a body may be that is sent to this path."""
        found = self._find(path).values()
        return max((route.body_bytes for route, _ in found), default=BODY_BYTES_MAX)

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
            self._tell(request.method, pattern, response.status, trio.current_time() - began)
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
                request = self._identify(request)
            return await route.handler(self._services, request)
        except RefusedError as refused:
            return problem(refused.refusal)
        except StorageDown as error:
            self._emit("request.failed", {"route": pattern, "error": error})
            return problem(Refusal(Code.UNAVAILABLE))
        except Exception as error:  # noqa: BLE001 - the edge: a fault of ours is told as one
            return self._confess(error, pattern)

    def _identify(self, request: Request) -> Request:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RefusedError(Refusal(Code.UNAUTHORIZED))
        identity = self._services.callers.identify(token.strip())
        if isinstance(identity, Refusal):
            raise RefusedError(identity)
        return replace(request, caller=identity)

    def _confess(self, error: Exception, pattern: str) -> Response:
        fault = new_id("flt")
        self._emit("request.crashed", {"fault": fault, "route": pattern, "error": error})
        refusal = Refusal(Code.INTERNAL, f"A fault of ours; it was recorded as {fault}.")
        return problem(refusal, instance=f"urn:agio:fault:{fault}")

    def _tell(self, method: str, pattern: str, status: int, seconds: float) -> None:
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


def _segments(path: str) -> list[str]:
    """The decoded segments of a path; a segment that is not UTF-8 matches nothing we have."""
    return [unquote(segment, errors="replace") for segment in path.split("/")]


def _allow(found: dict[str, tuple[Route, dict[str, str]]]) -> str:
    methods = set(found) or {"GET", "POST"}
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
