"""What is no posting at all is not decoded; what is one, however odd, has a hash and an outcome."""

import msgspec
import pytest

from app.ledger.model import PostingRefused
from app.ledger.request import PostingRequest, request_hash
from tests.app.ledger.memory_book import MemoryBook

DECODE = msgspec.json.Decoder(PostingRequest).decode

TRANSFER = (
    '{"type":"transfer","debit":"bank:main","credit":"commission","amount":1,"currency":"EUR"}'
)
CONVERT = (
    '{"type":"convert","debit":"bank:main","credit":"bank:main","amount":5,"currency":"EUR",'
    '"target_currency":"JPY","rate":[1,1]}'
)


def posting(transfer: str, more: str = "") -> str:
    """A posting of one transfer, as it arrives."""
    return f'{{"key":"k","transfers":[{transfer}]{more}}}'


@pytest.mark.parametrize(
    "amount",
    [
        *("1.5", "1.0", "1e3", "1E0", "NaN", "Infinity", "true", '"5"', "null", "[1]", "0x1", "01"),
        *("1e400", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400, ""),
    ],
)
def test_amounts_that_are_none(amount: str) -> None:
    """Only whole numbers of 64 bits are amounts: nothing is rounded, and no text is read."""
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        DECODE(posting(TRANSFER.replace('"amount":1', f'"amount":{amount}')))


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", "amount_not_positive"),
        ("-1", "amount_not_positive"),
        ("-9223372036854775808", "amount_not_positive"),
        ("1000000000000001", "amount_too_large"),
        ("9223372036854775807", "amount_too_large"),
    ],
)
def test_amounts_that_may_not_be(amount: str, code: str) -> None:
    """They are refused by a code."""
    request = DECODE(posting(TRANSFER.replace('"amount":1', f'"amount":{amount}')))
    (result,) = MemoryBook().post([request])
    assert isinstance(result, PostingRefused)
    assert (result.code, result.leg) == (code, 0)


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "null", "{}", '{"key":""}', '{"key":"a b"}', '{"key":"a\\n"}', '{"key":"ä"}'),
        *(f'{{"key":"{"a" * 256}"}}', '{"key":1}', '{"key":"k","reverses":0}'),
        '{"key":"k","reverses":true}',
        '{"key":"k","other":1}',
        posting('{"type":"move"}'),
        posting(TRANSFER[:-1] + ',"other":1}'),
        posting('{"type":"post","pending":"1"}'),
        posting('{"type":"post","pending":"1.0\\n"}'),
        posting('{"type":"post","pending":"1.-1"}'),
        posting(TRANSFER, ',"effective_at":"2026-01-01T00:00:00"'),
        posting(TRANSFER, ',"effective_at":"0001-01-01T00:00:00+14:00"'),
        posting(TRANSFER, ',"effective_at":"0001-01-01T00:00:00Z"'),
        posting(CONVERT[:-1] + ',"valid_until":"2026-01-01T00:00:00"}'),
        posting(CONVERT.replace("[1,1]", "[1]")),
        posting(CONVERT.replace("[1,1]", "[1.5,1]")),
        posting(TRANSFER, ',"meta":[]'),
        posting(TRANSFER, ',"meta":{"a":"\\u0000"}'),
        posting(TRANSFER, ',"meta":{"a":[{"\\u0000":1}]}'),
        posting(TRANSFER, ',"meta":{"a":"\\ud800"}'),
        posting(",".join([TRANSFER] * 1_001)),
    ],
)
def test_what_is_no_posting(body: str) -> None:
    """Unknown fields, moments without an offset, line ends behind a name, what cannot be kept."""
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        DECODE(body)


@pytest.mark.parametrize(
    "body",
    [
        posting(CONVERT[:-1] + ',"spread_bp":1180591620717411303424}'),
        posting(CONVERT[:-1] + ',"valid_until":"0001-01-01T00:00:00+14:00"}'),
        posting(CONVERT[:-1] + ',"valid_until":"9999-12-31T23:59:59-14:00"}'),
        posting(TRANSFER, ',"effective_at":"0002-01-01T00:00:00Z"'),
        posting(TRANSFER, ',"effective_at":"9999-12-31T23:59:59Z"'),
        posting(TRANSFER, ',"meta":{"a":1180591620717411303424,"b":"\\\\u0000"}'),
        posting('{"type":"void","pending":"00000000000000000000000001.0"}'),
        posting('{"type":"void","pending":"999999999999999999.9999"}'),
        '{"key":"k","reverses":4611686018427387904}',
    ],
)
def test_what_is_an_odd_one(body: str) -> None:
    """It is judged like any other, by its own answer: no batch is spoilt by it."""
    request = DECODE(body)
    assert len(request_hash(request)) == 32
    (result,) = MemoryBook().post([request])
    (again,) = MemoryBook().post([DECODE(body)])
    assert result == again
