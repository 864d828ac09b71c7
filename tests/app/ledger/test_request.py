"""What is a posting at all: shapes, moments, and what may be kept beside it."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.ledger.limits import META_BYTES_MAX, META_STORED_BYTES_MAX
from app.ledger.request import PostingRequest, check_meta, request_hash
from app.storage import Database, ReadConnection, load_queries

_SQL = load_queries(__package__, "meta.sql")

DECODE = msgspec.json.Decoder(PostingRequest).decode


def test_a_moment_is_one_in_utc() -> None:
    """The same moment from another offset is the same request."""
    first = DECODE(b'{"key":"a","effective_at":"2026-01-31T23:30:00+02:00"}')
    second = DECODE(b'{"key":"a","effective_at":"2026-01-31T21:30:00Z"}')
    assert first.effective_at == datetime(2026, 1, 31, 21, 30, tzinfo=UTC)
    assert request_hash(first) == request_hash(second)


def test_what_is_left_out_is_as_if_it_was_null() -> None:
    """Both ask for the same."""
    spelled = DECODE(b'{"key":"a","transfers":[],"effective_at":null,"meta":null}')
    assert request_hash(spelled) == request_hash(DECODE(b'{"key":"a"}'))


@pytest.mark.parametrize(
    "meta",
    [
        {"x": "y" * META_BYTES_MAX},
        {"x": [1e300] * 100},
        {"x": [[]] * 1_000},
        {"x": 10**4_200},
    ],
)
def test_what_is_too_much_to_keep_is_refused(meta: dict[str, Any]) -> None:
    """As JSON, or as the database would store it."""
    with pytest.raises(ValueError, match="too large"):
        check_meta(meta)


_VALUES: list[Any] = [
    *(1e300, 5e-324, -1.7976931348623157e308, 2.2250738585072014e-308, 0.1, 1.5),
    *(0, 9, -10_001, 2**63, 10**200, True, None, "", "a", "ä" * 9, [], {}, [0], {"": 0}),
]


def _fits(meta: dict[str, Any]) -> bool:
    try:
        check_meta(meta)
    except ValueError:
        return False
    return True


_METAS: list[dict[str, Any]] = [
    meta
    for value in _VALUES
    for count in (1, 2, 7, 20, 21, 40, 41, 100, 150, 200, 300, 400, 500, 700, 1_000, 1_300)
    for meta in (
        {"x": [value] * count},
        {str(number): value for number in range(count)},
        {"x": [value, "aaa", 7, 1e300] * count},
    )
]
_FITTING = [json.dumps(meta) for meta in _METAS if _fits(meta)]


@pytest.mark.servers
async def test_what_may_be_kept_fits_the_database(database: Database) -> None:
    """PostgreSQL needs no more room than was thought, whatever the JSON: its CHECK is never met."""
    assert 100 < len(_FITTING) < len(_METAS)

    async def sizes(conn: ReadConnection) -> list[int]:
        return [row["size"] for row in await conn.fetch(_SQL.sizes, _FITTING)]

    assert max(await database.read(sizes)) <= META_STORED_BYTES_MAX
