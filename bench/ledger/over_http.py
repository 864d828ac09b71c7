"""The whole of Agio as a caller sees it: `agio up` in a process of its own, and its HTTP API."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import msgspec

from app.identity.model import Role, Scope
from app.identity.tokens import Tokens
from bench.fanout.programs import agio
from bench.ledger.load import Keys, Spread, Work, request

# The line that `agio up` brings, and its book.
_LINE: Final = "demo"
_TOKEN_S: Final = 3_600
_PATIENCE_S: Final = 60.0


@asynccontextmanager
async def bulk_over_http(spread: Spread, size: int) -> AsyncIterator[Work]:
    """Callers who send `size` postings of a transfer in a request, and read an outcome for each."""
    secret = secrets.token_urlsafe(32)
    scopes = frozenset({Scope.LEDGER_POST})
    token = Tokens(secret).issue("ola", Role.OPERATOR, _LINE, _TOKEN_S, scopes)
    keys = Keys()
    async with (
        agio(None, settings={"AGIO_TOKEN_SECRET": secret}) as side,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{side.port}",
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=_PATIENCE_S,
        ) as client,
    ):

        async def work() -> int:
            body = msgspec.json.encode([request(keys, spread) for _ in range(size)])
            answer = await client.post(f"/v1/books/{_LINE}/postings", content=body)
            assert answer.status_code == 200, answer.text[:500]
            outcomes = msgspec.json.decode(answer.content)["items"]
            refused = [each for each in outcomes if "code" in each]
            assert not refused, refused[:3]
            assert len(outcomes) == size
            return size

        yield work
