"""The one file that knows Quart: its requests become our `Request`s, our `Response`s become its.

Quart routes nothing here. Every request, whatever its method and path, is caught before Quart
looks for a route, so that one table (`app.http.table`) decides everything.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import trio
from quart import Response as QuartResponse
from quart import request as quart_request
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest
from werkzeug.exceptions import RequestEntityTooLarge

from app.domain.errors import Code, Refusal
from app.http.message import Request, Response
from app.http.router import Router
from app.limits import BODY_S, STREAM_S, WRITE_S

# Where a connection's scope says why its body is not read.
_REFUSAL: Final = "agio.refusal"

_TOO_SLOW: Final = Refusal(
    Code.INVALID_REQUEST, f"The body did not arrive within {BODY_S:.0f} seconds."
)


Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def quart_app(router: Router) -> Asgi:
    """An ASGI application that hands every request to the router."""
    app = _catching_app(router)

    async def call(scope: dict[str, Any], receive: Any, send: Any) -> None:
        head = _to_request(scope, b"")
        with router.admit(head) as refusal:
            # Quart trips over paths that are none. It need not see any: ours is in `raw_path`.
            await app(cast(Any, {**scope, "path": "/", _REFUSAL: refusal}), receive, send)

    return call


def _catching_app(router: Router) -> QuartTrio:
    app = QuartTrio("agio", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = WRITE_S
    app.request_class = _bounded_by(router)

    async def catch_all() -> QuartResponse:
        scope = cast(dict[str, Any], quart_request.scope)
        body = scope[_REFUSAL] or await _read_body()
        early = body if isinstance(body, Refusal) else None
        response = await router.handle(
            _to_request(scope, b"" if isinstance(body, Refusal) else body), early
        )
        answer = _from_response(response)
        if early is not None and quart_request.http_version != "2":
            # What is left of the body may still be on its way: no other request can follow it.
            answer.headers["Connection"] = "close"
        return answer

    app.before_request(catch_all)
    return app


def _bounded_by(router: Router) -> type[TrioRequest]:
    """Requests whose bodies are bounded as the router says of their path."""

    class Bounded(TrioRequest):
        def __init__(self, *args: Any, **options: Any) -> None:
            path = _path(options["scope"]["raw_path"].decode("latin-1"))
            bound = options["max_content_length"] = router.body_bytes(path)
            super().__init__(*args, **options)
            self.max_content_length = bound

    return Bounded


async def _read_body() -> bytes | Refusal:
    """The whole body. Quart counts it as it comes, and keeps nothing beyond the bound."""
    try:
        with trio.fail_after(BODY_S):
            body: bytes = await quart_request.get_data(True, False, False)
    except RequestEntityTooLarge:
        most = quart_request.max_content_length
        return Refusal(Code.TOO_LARGE, f"The body is larger than the {most} bytes allowed.")
    except trio.TooSlowError:
        return _TOO_SLOW
    return body


def _to_request(scope: dict[str, Any], body: bytes) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        # No header of one value may come twice, and none that we read is a list. A line end is in
        # no header, so whoever reads this one refuses it.
        headers[key] = f"{headers[key]}\n{text}" if key in headers else text
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=_path(scope["raw_path"].decode("latin-1")),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        peer=client[0] if client else "",
    )


def _path(target: str) -> str:
    """The path of a request target, which a proxy's client may send in its absolute form."""
    if target.startswith("/") or target == "*":
        return target
    try:
        return urlsplit(target).path or "/"
    except ValueError:
        return target


def _from_response(response: Response) -> QuartResponse:
    if response.chunks is not None:
        answer = QuartResponse(response.chunks(), status=response.status)
        answer.timeout = STREAM_S
    else:
        answer = QuartResponse(response.body, status=response.status)
    answer.headers.clear()
    for name, value in response.headers:
        answer.headers.add(name, value)
    known = response.chunks is None and response.status != 204
    if known and response.header("Content-Length") is None:
        answer.headers["Content-Length"] = str(len(response.body))
    return answer
