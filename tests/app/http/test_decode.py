"""Reading JSON and queries strictly."""

import pytest

from app.domain.errors import Code
from app.http.decode import decode_body, decode_query
from app.http.message import RefusedError, Request
from app.http.schemas import NewListing, PageQuery, Purchase
from app.limits import BODY_DEPTH_MAX

GOOD = b'{"sale":"demo","listing":"mug","quantity":1,"payment_method":"pm_card_visa"}'


def posted(body: bytes, content_type: str = "application/json") -> Request:
    """A POST of this body."""
    return Request("POST", "/", headers={"content-type": content_type}, body=body)


def test_a_good_body_becomes_its_struct() -> None:
    """A body that fits is given as its struct."""
    assert decode_body(posted(GOOD), Purchase) == Purchase("demo", "mug", 1, "pm_card_visa")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is not JSON: Expecting value at character 0."),
        (b"{", "Expecting property name"),
        (b"\xff", "The body is not UTF-8."),
        (b"[]", "Expected `object`, got `array`."),
        (b"null", "Expected `object`, got `null`."),
        (b"{}", "Object missing required field `sale`."),
        (GOOD[:-1] + b',"extra":1}', "Object contains unknown field `extra`."),
        (GOOD[:-1] + b',"quantity":2}', "`quantity` is given twice."),
        (GOOD.replace(b":1", b":1.0"), "Expected `int`, got `float` - at `$.quantity`."),
        (GOOD.replace(b":1", b":true"), "Expected `int`, got `bool` - at `$.quantity`."),
        (GOOD.replace(b":1", b':"1"'), "Expected `int`, got `str` - at `$.quantity`."),
        (GOOD.replace(b":1", b":0"), "Expected `int` >= 1 - at `$.quantity`."),
        (GOOD.replace(b":1", b":NaN"), "NaN is not a JSON number."),
        (GOOD.replace(b":1", b":-Infinity"), "-Infinity is not a JSON number."),
        (GOOD.replace(b":1", b":" + b"9" * 5000), "The body has a number that is too long."),
        (GOOD.replace(b"mug", b"m\\u0000g"), "`listing` holds a character that is not text."),
        (GOOD.replace(b"mug", b"m\\ud800g"), "`listing` holds a character that is not text."),
        (GOOD.replace(b"mug", b"mug\\n"), "at `$.listing`."),
        (GOOD.replace(b'"mug"', b'["a", ["\\ud800"]]'), "`listing` holds a character"),
        (GOOD.replace(b":1", b":-1e999"), "-1e999 is beyond all numbers."),
        (GOOD.replace(b"mug", b"MUG"), "at `$.listing`."),
        (b'"' + b'\\"' * 32_000, "The body is not JSON: Unterminated string"),
        (b"[" * 60_000, f"The body nests deeper than {BODY_DEPTH_MAX}."),
        (b'{"a":' * 9 + b"1" + b"}" * 9, f"The body nests deeper than {BODY_DEPTH_MAX}."),
    ],
)
def test_a_bad_body_is_told_precisely(body: bytes, detail: str) -> None:
    """A body that does not fit is invalid_request, with what is wrong and where."""
    with pytest.raises(RefusedError) as refused:
        decode_body(posted(body), Purchase)
    assert refused.value.refusal.code == Code.INVALID_REQUEST
    assert detail in refused.value.refusal.detail


def test_brackets_within_text_do_not_nest() -> None:
    """Only brackets outside of strings count as nesting."""
    title = "[" * 50 + '\\"' + "{" * 50
    body = f'{{"id":"a","title":"{title}","price":{{"amount":1,"currency":"EUR"}},"stock":0}}'
    assert decode_body(posted(body.encode()), NewListing).stock == 0


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonp", "text/json"])
def test_only_json_is_taken(content_type: str) -> None:
    """Another content type is unsupported_media_type."""
    with pytest.raises(RefusedError) as refused:
        decode_body(posted(GOOD, content_type), Purchase)
    assert refused.value.refusal.code == Code.UNSUPPORTED_MEDIA_TYPE


def test_parameters_of_the_content_type_are_no_matter() -> None:
    """`application/json; charset=utf-8`, in any case, is JSON."""
    assert decode_body(posted(GOOD, "Application/JSON; charset=utf-8"), Purchase).quantity == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", PageQuery()),
        ("limit=5&after=txn_1", PageQuery(limit=5, after="txn_1")),
        ("after=", PageQuery()),
        ("min_cursor=abc-12", PageQuery(min_cursor="abc-12")),
    ],
)
def test_a_good_query_becomes_its_struct(query: str, expected: PageQuery) -> None:
    """Parameters that fit are given as their struct, with defaults for what is absent."""
    assert decode_query(Request("GET", "/", query), PageQuery) == expected


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "Expected `int` >= 1 - at `$.limit`."),
        ("limit=101", "Expected `int` <= 100 - at `$.limit`."),
        ("limit=ten", "Expected `int`, got `str` - at `$.limit`."),
        ("limit=1&limit=2", "`limit` is given twice."),
        ("min_cursor=here", "at `$.min_cursor`."),
        ("colour=red", "Object contains unknown field `colour`."),
        ("after=%00", "`after` holds a character that is not text."),
        ("after=%ff", "not percent-encoded UTF-8"),
        ("&".join(f"a{i}=1" for i in range(50)), "too many parameters"),
    ],
)
def test_a_bad_query_is_told_precisely(query: str, detail: str) -> None:
    """Parameters that do not fit are invalid_request, with what is wrong and where."""
    with pytest.raises(RefusedError) as refused:
        decode_query(Request("GET", "/", query), PageQuery)
    assert refused.value.refusal.code == Code.INVALID_REQUEST
    assert detail in refused.value.refusal.detail


def test_what_is_sent_back_is_short_and_printable() -> None:
    """The peer's own words come back escaped and cut."""
    body = b'{"' + b"\\u001b" * 5000 + b'":1,"' + b"\\u001b" * 5000 + b'":2}'
    with pytest.raises(RefusedError) as refused:
        decode_body(posted(body), Purchase)
    assert refused.value.refusal.detail.isprintable()
    assert len(refused.value.refusal.detail) < 250
