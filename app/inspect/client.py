"""Asks a node for its tree, as `agio inspect` does.

Theory of operation. The standard library's client is enough for one request a second. It blocks,
so it runs in a thread, which is left alone when the time is up: its own socket gives up soon after.
The connection is kept from one look to the next, so that who looks does not change what is seen.
Whoever asks takes it and puts it back when all is well, so no two threads ever have the same one.
"""

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec
import trio

from app.http.problem import Problem
from app.http.schemas import TreeAnswer
from app.inspect.limits import INSPECT_ANSWER_BYTES_MAX, INSPECT_ANSWER_S, INSPECT_REASON_MAX
from app.inspect.model import Snapshot
from app.inspect.picture import plain
from app.storage.errors import StartupError

_PATH: Final = "/v1/operations/tree"


class InspectError(StartupError):
    """A node did not show its tree, for the reason this one line gives."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is asked.

    Attributes:
        url: for people, such as `http://127.0.0.1:4000`.
        is_secure: whether by TLS.
        host: its name or address.
        port: None is that of the scheme.
        prefix: what comes before our paths, where a proxy put something there.
    """

    url: str
    is_secure: bool
    host: str
    port: int | None
    prefix: str


def read_place(url: str) -> Place:
    """The place that a URL names.

    Raises:
        InspectError: it names none.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    is_legal = url.isascii() and url.isprintable() and " " not in url
    if not is_legal or not host or parts.scheme not in {"http", "https"} or parts.username:
        raise InspectError("--url is to be like http://127.0.0.1:4000")
    prefix = parts.path.rstrip("/")
    return Place(url.rstrip("/"), parts.scheme == "https", host, port, prefix)


class TreeClient:
    """Asks one node.

    Args:
        place: where it is.
        token: an operator's, asked for each time and shown to nobody but the node.
        path: of the place to begin at; "" is the root.
        children_max: children listed of one place.
    """

    def __init__(
        self, place: Place, token: Callable[[], str], *, path: str, children_max: int
    ) -> None:
        self._place = place
        self._token = token
        query = {"children_max": str(children_max), **({"path": path} if path else {})}
        self._target = f"{place.prefix}{_PATH}?{urlencode(query)}"
        self._kept: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Give the connection up. The next question makes another."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    async def fetch(self) -> tuple[Snapshot, bytes]:
        """The tree now, and the JSON in which it came.

        Raises:
            InspectError: the node cannot be reached, refuses, or is none of ours.
        """
        token = self._token()
        if not (token.isascii() and token.isprintable()):
            # Told here, because the library would repeat it.
            raise InspectError("--token is no token")
        try:
            with trio.fail_after(INSPECT_ANSWER_S):
                status, body = await trio.to_thread.run_sync(
                    partial(self._get, token), abandon_on_cancel=True
                )
        except trio.TooSlowError:
            raise self._unreachable(f"no answer within {INSPECT_ANSWER_S:g} s") from None
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise self._unreachable(_reason(error)) from None
        if status != http.client.OK:
            raise InspectError(f"{self._place.url} {_refusal(status, body)}")
        return self._read(body), body

    def _get(self, token: str) -> tuple[int, bytes]:
        """The status and the body. Blocks, and raises what the library raises."""
        kept, self._kept = self._kept, None
        if kept is not None:
            try:
                return self._ask(kept, token)
            except ConnectionError:
                pass  # closed meanwhile, as servers do with idle ones, or as one that was restarted
        kind = http.client.HTTPSConnection if self._place.is_secure else http.client.HTTPConnection
        made = kind(self._place.host, self._place.port, timeout=INSPECT_ANSWER_S)
        return self._ask(made, token)

    def _ask(self, connection: http.client.HTTPConnection, token: str) -> tuple[int, bytes]:
        keep = False
        try:
            connection.request("GET", self._target, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read(INSPECT_ANSWER_BYTES_MAX + 1)
            keep = answer.isclosed() and self._kept is None
            return answer.status, body
        finally:
            if keep:
                self._kept = connection
            else:
                connection.close()

    def _read(self, body: bytes) -> Snapshot:
        try:
            answer = msgspec.json.decode(body[:INSPECT_ANSWER_BYTES_MAX], type=TreeAnswer)
        except (msgspec.DecodeError, RecursionError):
            raise InspectError(f"{self._place.url} shows no tree of this version of Agio") from None
        return Snapshot(self._place.url, answer.path, answer.uptime_s, answer.tree)

    def _unreachable(self, reason: str) -> InspectError:
        return InspectError(f"cannot reach {self._place.url}: {plain(reason)}")


def _refusal(status: int, body: bytes) -> str:
    """What a node that refused says, and what to do about it."""
    try:
        problem = msgspec.json.decode(body[:INSPECT_ANSWER_BYTES_MAX], type=Problem)
    except (msgspec.DecodeError, RecursionError):
        return f"answers {status}, not as Agio does"
    said = plain(problem.detail[:INSPECT_REASON_MAX])
    hint = {
        http.client.UNAUTHORIZED: ": the token is not of this node's secret, or has expired",
        http.client.FORBIDDEN: ": the token is to be an operator's",
    }
    return f"refuses: {said.rstrip('.')}{hint.get(http.HTTPStatus(status), '')}"


def _reason(error: OSError | UnicodeError | http.client.HTTPException) -> str:
    if isinstance(error, http.client.HTTPException):
        return "what answers there does not speak HTTP"
    if isinstance(error, UnicodeError):
        return "that is no name of a machine"
    return (error.strerror or str(error))[:INSPECT_REASON_MAX]
